"""What is asked of the file, and the records that the rows become.

Every moment that comes out has the wall clock's reading in both places: `judge.resume.rebased` puts
it on a running monotonic clock.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from monitor.judge.resume import Saved, loaded
from monitor.ledger import timeline
from monitor.ledger.records import Day, Labels, Result, Span
from monitor.model import Moment, Outage, Reason, State, Verdict

_NAMES = "checks.name, checks.provider, checks.model"


def _where(check: str | None, *terms: tuple[str, float | str | None]) -> tuple[str, list[Any]]:
    """A condition of those terms that have a value, and the values."""
    given = [(term, value) for term, value in (("name = ?", check), *terms) if value is not None]
    return " AND ".join(["1", *(term for term, _ in given)]), [value for _, value in given]


def outages(
    connection: sqlite3.Connection,
    since: float | None = None,
    until: float | None = None,
    check: str | None = None,
    *,
    strict: bool = True,
) -> Iterator[Outage]:
    """By start; `strict` is False to leave out what another version wrote and we cannot read."""
    where, values = _where(
        check, ("(ended IS NULL OR ended >= ?)", since), ("outages.started < ?", until)
    )
    rows = connection.execute(
        f"SELECT outages.*, {_NAMES} FROM outages JOIN checks ON checks.id = check_id "
        f"WHERE {where} ORDER BY started, name",
        values,
    )
    columns = [column[0] for column in rows.description]
    for row in rows:
        try:
            yield _outage_of(dict(zip(columns, row, strict=True)))
        except (TypeError, ValueError):
            if strict:
                raise


def _outage_of(row: dict[str, Any]) -> Outage:
    return Outage(
        id=row["id"],
        check=row["name"],
        provider=row["provider"],
        model=row["model"],
        started=_moment(row["started"]),
        confirmed=_moment(row["confirmed"]),
        reason=Reason(row["reason"]),
        detail=row["detail"],
        status=row["status"],
        request_id=row["request_id"],
        evidence=row["evidence"],
        ended=None if row["ended"] is None else _moment(row["ended"]),
        end_known=bool(row["end_known"]),
    )


def _moment(wall: Any) -> Moment:
    return Moment(float(wall), float(wall))


def spans(
    connection: sqlite3.Connection, since: float | None, until: float | None, check: str | None
) -> Iterator[Span]:
    where, values = _where(check, ("ended >= ?", since), ("started < ?", until))
    rows = connection.execute(
        f"SELECT {_NAMES}, state, started, ended, confirmed, reason, detail FROM spans "
        f"JOIN checks ON checks.id = check_id WHERE {where} ORDER BY name, check_id, started",
        values,
    )
    stored = (_span_of(*row) for row in rows)
    runs = connection.execute("SELECT started, alive FROM runs ORDER BY started").fetchall()
    told = timeline.told(stored, timeline.pauses(runs))
    return timeline.clipped(
        told, -math.inf if since is None else since, math.inf if until is None else until
    )


def _span_of(
    check: str,
    provider: str,
    model: str,
    state: str,
    started: float,
    ended: float,
    confirmed: float | None,
    reason: str | None,
    detail: str | None,
) -> Span:
    why = Reason(reason) if reason else None
    labels = (check, provider, model)
    return Span(*labels, State(state), float(started), float(ended), confirmed, why, detail)


def days(
    connection: sqlite3.Connection, since: float | None, until: float | None, check: str | None
) -> list[Day]:
    first = None if since is None else datetime.fromtimestamp(since, UTC).date()
    last = None if until is None else datetime.fromtimestamp(until, UTC).date()
    stretch = spans(connection, _midnight(first), _midnight(last, later=1), check)
    found = {
        (labels, day): Day(*labels, day, seconds)
        for (labels, day), seconds in timeline.seconds_of_days(stretch).items()
    }
    for labels, day, probes, bad, cost in _counted(connection, first, last, check):
        known = found.get((labels, day)) or Day(*labels, day)
        found[labels, day] = replace(known, probes=probes, bad=bad, cost_usd=cost)
    return [found[key] for key in sorted(found)]


def _midnight(day: date | None, *, later: int = 0) -> float | None:
    if day is None:
        return None
    day += timedelta(days=later)
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _counted(
    connection: sqlite3.Connection, first: date | None, last: date | None, check: str | None
) -> Iterator[tuple[Labels, str, int, int, float | None]]:
    where, values = _where(
        check,
        ("day >= ?", first.isoformat() if first else None),
        ("day <= ?", last.isoformat() if last else None),
    )
    rows = connection.execute(
        f"SELECT {_NAMES}, day, probes, bad, cost_usd FROM days "
        f"JOIN checks ON checks.id = check_id WHERE {where}",
        values,
    )
    return (((row[0], row[1], row[2]), *row[3:]) for row in rows)


def probes(
    connection: sqlite3.Connection, since: float | None, until: float | None, check: str | None
) -> Iterator[Result]:
    where, values = _where(check, ("started >= ?", since), ("started < ?", until))
    rows = connection.execute(
        f"SELECT {_NAMES}, started, verdict, reason, attempts, first_token, total, "
        "input_tokens, output_tokens, cost_usd FROM probes "
        f"JOIN checks ON checks.id = check_id WHERE {where} ORDER BY name, check_id, started",
        values,
    )
    for row in rows:
        result = Result(*row)
        reason = Reason(result.reason) if result.reason else None
        yield replace(result, verdict=Verdict(result.verdict), reason=reason)


_RANKED = """
WITH good AS (
  SELECT check_id, CAST((started - :since) / :slot AS INTEGER) AS slot,
         coalesce(first_token, total) AS seconds
  FROM probes WHERE started >= :since AND verdict IN ('ok', 'slow')
), ranked AS (
  SELECT check_id, slot, seconds,
         row_number() OVER by_slot AS slot_rank,
         count(*) OVER (PARTITION BY check_id, slot) AS slot_size,
         row_number() OVER by_check AS rank,
         count(*) OVER (PARTITION BY check_id) AS size
  FROM good
  WINDOW by_slot AS (PARTITION BY check_id, slot ORDER BY seconds),
         by_check AS (PARTITION BY check_id ORDER BY seconds)
)
"""


def latencies(
    connection: sqlite3.Connection, since: float, slot: float
) -> Iterator[tuple[Labels, int | None, float | None, float | None]]:
    """Seconds to the first token (or in all, without tokens) of good rounds since then, by check.

    Yields the median of each stretch of `slot` seconds by its number, and for the number None the
    median and the 95th percentile of all.  SQLite ranks them, which holds up no other thread.
    """
    values = {"since": since, "slot": slot}
    medians = (
        f"SELECT {_NAMES}, slot, seconds, NULL FROM ranked JOIN checks ON checks.id = check_id "
        "WHERE slot_rank = (slot_size + 1) / 2"
    )
    whole = (
        f"SELECT {_NAMES}, NULL, max(CASE WHEN rank = (size + 1) / 2 THEN seconds END), "
        "max(CASE WHEN rank = (size * 95 + 99) / 100 THEN seconds END) "
        "FROM ranked JOIN checks ON checks.id = check_id GROUP BY check_id"
    )
    for row in connection.execute(f"{_RANKED} {medians} UNION ALL {whole}", values):
        yield (row[0], row[1], row[2]), row[3], row[4], row[5]


def spent(connection: sqlite3.Connection, day: str) -> dict[Labels, float]:
    """US dollars spent on a UTC day, by check; those without a known price are not in it."""
    rows = connection.execute(
        f"SELECT {_NAMES}, cost_usd FROM days JOIN checks ON checks.id = check_id "
        "WHERE day = ? AND cost_usd IS NOT NULL",
        (day,),
    )
    return {(name, provider, model): float(cost) for name, provider, model, cost in rows}


def saved(connection: sqlite3.Connection) -> Sequence[Saved]:
    """The checks as the last monitor left them; what cannot be understood is left out."""
    known = outages(connection, since=math.inf, strict=False)
    opened = {outage.id: outage for outage in known if outage.ended is None}
    rows = connection.execute(
        f"SELECT {_NAMES}, identity, data, outage FROM tracks JOIN checks ON checks.id = check_id"
    )
    found = []
    for name, provider, model, identity, data, outage in rows:
        track = loaded(_object(data), opened.get(outage))
        if track:
            found.append(Saved((name, provider, model), identity, track))
    return found


def _object(data: Any) -> dict[str, Any]:
    try:
        plain = json.loads(data)
    except (TypeError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}
