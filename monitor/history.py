"""`monitor outages` and `monitor export`: the ledger for people and machines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from monitor.judge.incidents import Incident, incidents
from monitor.ledger import Reader, Span
from monitor.ledger.openmetrics import openmetrics
from monitor.ledger.schema import FILE
from monitor.model import Moment, Outage
from monitor.show import words
from monitor.show.records import outage_record, precise

FIELDS = ("id", "check", "provider", "model", "started", "ended", "seconds", "reason", "detail")
DETAIL_SHOWN = 60


def timeline(data_dir: Path, since: float) -> list[Span]:
    """What every check was since then.  Raises LedgerError."""
    with Reader(data_dir / FILE) as ledger:
        return ledger.timeline(since)


def outages(data_dir: Path, since: float, check: str | None) -> list[Outage]:
    """Those that were open at any time since then, by start.  Raises LedgerError."""
    with Reader(data_dir / FILE) as ledger:
        return ledger.outages(since, None, check)


def as_json(found: Sequence[Outage], now: Moment) -> str:
    return json.dumps(
        [outage_record(outage, now) for outage in found], indent=2, ensure_ascii=False
    )


def as_csv(found: Sequence[Outage], now: Moment) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: _harmless(value) for name, value in outage_record(outage, now).items()}
        for outage in found
    )
    return out.getvalue().rstrip("\n")


def as_table(found: Sequence[Outage], now: Moment) -> str:
    """For people: newest first, moments in UTC, and what it comes to."""
    if not found:
        return "No outages."
    head = ("started (UTC)", "lasted", "check", "reason", "detail")
    rows = [head, *(_row(outage, now) for outage in reversed(found))]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in rows
    ]
    total = sum(outage.seconds(now) for outage in found)
    still = sum(outage.ended is None for outage in found)
    lines += ["", f"{len(found)} outages, {words.length(total)} in all, {still} still open"]
    return "\n".join(lines)


def as_incidents(found: Sequence[Outage], spans: Sequence[Span], now: Moment) -> str:
    """Rolled up: outages of one provider that overlap are one incident with members.

    It is partial where other checks of the provider were watched meanwhile, as `spans` tell.
    """
    rolled = [_rolled_up(one, spans, now) for one in incidents(found)]
    return json.dumps(rolled, indent=2)


def export(
    data_dir: Path,
    since: float,
    until: float,
    labels: dict[str, str],
    step: float,
    progress: TextIO,
) -> Iterator[str]:
    """OpenMetrics, many lines at a time; `progress` is told what is coming.  Raises LedgerError."""
    with Reader(data_dir / FILE) as ledger:
        spans = ledger.timeline(since, until)
        found = ledger.outages(since, until)
    names = {span.labels for span in spans}
    print(f"{len(names)} checks, {len(spans)} spans, {len(found)} outages", file=progress)
    for line in openmetrics(spans, found, labels, step):
        if line.startswith("# TYPE"):
            print(line.split()[2], file=progress)
        yield line


# ------------------------------------------------------------------------------------- the rows


def _rolled_up(incident: Incident, spans: Sequence[Span], now: Moment) -> dict[str, Any]:
    ended = incident.ended or now
    watched = {
        span.check
        for span in spans
        if span.provider == incident.provider
        and span.started < ended.wall
        and span.ended > incident.started.wall
    }
    return {
        "id": incident.id,
        "provider": incident.provider,
        "started": precise(incident.started),
        "ended": precise(incident.ended) if incident.ended else None,
        "seconds": round(ended.wall - incident.started.wall, 3),
        "checks": list(incident.members),
        "partial": bool(watched - set(incident.members)),
    }


def _row(outage: Outage, now: Moment) -> tuple[str, str, str, str, str]:
    lasted = words.length(outage.seconds(now))
    if outage.ended is None:
        lasted += " so far"
    elif not outage.end_known:
        lasted += " or more"
    detail = words.printable(" ".join((outage.detail or "").split()))
    short = detail if len(detail) <= DETAIL_SHOWN else detail[: DETAIL_SHOWN - 1] + "…"
    return words.moment(outage.started.wall), lasted, outage.check, outage.reason.value, short


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula is marked as a text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value
