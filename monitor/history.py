"""`monitor outages` and `monitor export`: the ledger for people and machines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from monitor import terminal, words
from monitor.judge.incidents import Incident, incidents
from monitor.ledger import Reader, Span
from monitor.ledger.openmetrics import openmetrics
from monitor.ledger.schema import FILE
from monitor.model import Moment, Outage
from monitor.show.records import outage_record, precise
from monitor.terminal import Cell, Column, Look

FIELDS = ("id", "check", "provider", "model", "started", "ended", "seconds", "reason", "detail")
DETAIL_SHOWN = 60
COLUMNS = (
    Column("started (UTC)", spare=1),
    Column("lasted"),
    Column("check"),
    Column("reason", spare=2),
    Column("detail", gives=True, spare=3),
)


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


def as_table(found: Sequence[Outage], now: Moment, look: Look = terminal.BARE) -> str:
    """For people: newest first, moments in UTC, and what it comes to."""
    if not found:
        return "No outages."
    lines = [terminal.table(COLUMNS, [_row(one, now, look) for one in reversed(found)], look)]
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


def _row(outage: Outage, now: Moment, look: Look) -> tuple[Cell, ...]:
    lasted, colour = words.length(outage.seconds(now)), ""
    if outage.ended is None:
        lasted, colour = f"{lasted} so far", terminal.RED
    elif not outage.end_known:
        lasted += " or more"
    detail = terminal.one_line(outage.detail or "")
    return (
        Cell(words.moment(outage.started.wall)),
        Cell(lasted, colour),
        Cell(outage.check),
        Cell(outage.reason.value),
        # A terminal shows as much as there is room for.
        Cell(detail if look.room else terminal.shortened(detail, DETAIL_SHOWN)),
    )


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula is marked as a text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value
