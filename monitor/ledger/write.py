"""A batch into the file, in one transaction: all of it or nothing.  No clock, no thread."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from monitor.judge.resume import dumped, identity
from monitor.judge.track import Track
from monitor.ledger.batch import Batch, Tally
from monitor.ledger.paint import Piece, last_span, paint, real_of, text_of, whole_of
from monitor.ledger.records import Labels, Result
from monitor.ledger.schema import is_our_bug
from monitor.model import Change, Check, Outage, State

Step = Callable[[sqlite3.Connection], None]

PRUNED_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Run:
    """A process at work: from `started`, and last known to be `alive`.  Unix seconds."""

    started: float
    alive: float


def apply(connection: sqlite3.Connection, batch: Batch, run: Run) -> None:
    """Write `batch` and that `run` goes on; raises sqlite3.Error, and then nothing is written.

    What was confirmed is on the disk itself when this returns and outlives a power failure.  Other
    batches are only handed to the system: a process may be killed after that, and what a power
    failure takes are the last seconds' results and nothing that is told to anybody.
    """
    _transaction(connection, batch, run, [*steps(batch)])


def apply_what_can_be(
    connection: sqlite3.Connection, batch: Batch, run: Run
) -> list[tuple[str, Exception]]:
    """As `apply`, but leave out the records that cannot be written; returns why, one each."""
    left_out: list[tuple[str, Exception]] = []

    def guarded(step: Step, connection: sqlite3.Connection) -> None:
        connection.execute("SAVEPOINT record")
        try:
            step(connection)
        except Exception as error:
            if not is_our_bug(error):
                raise
            connection.execute("ROLLBACK TO record")
            left_out.append((getattr(step, "func", step).__name__.strip("_"), error))
        connection.execute("RELEASE record")

    _transaction(connection, batch, run, [partial(guarded, step) for step in steps(batch)])
    return left_out


def _transaction(connection: sqlite3.Connection, batch: Batch, run: Run, todo: list[Step]) -> None:
    connection.execute(f"PRAGMA synchronous = {'FULL' if batch.weighty else 'NORMAL'}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in todo:
            step(connection)
        _alive(connection, run)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def steps(batch: Batch) -> Iterator[Step]:
    """One step a record.  Changes come before the tracks that extend their spans.

    Orphans come before all: where they were last seen is what the file knew until now.
    """
    for check, track in batch.tracks.values():
        yield partial(_end_orphans, check.labels3, track)
    for labels, change in batch.changes:
        yield partial(_change, labels, change)
    for outage in batch.outages.values():
        yield partial(_outage, outage)
    for labels, track in batch.partings.items():
        yield partial(_part, labels, track)
    for check, track in batch.tracks.values():
        yield partial(_track, check, track)
    for (labels, day), tally in batch.days.items():
        yield partial(_day, labels, day, tally)
    for result in batch.results:
        yield partial(_result, result)


def prune(connection: sqlite3.Connection, before: float) -> bool:
    """Forget some rounds from before `before`; true where more of them may be left."""
    oldest = "SELECT id FROM probes ORDER BY id LIMIT ?"
    done = connection.execute(
        f"DELETE FROM probes WHERE id IN ({oldest}) AND started < ?", (PRUNED_AT_ONCE, before)
    )
    return done.rowcount == PRUNED_AT_ONCE


# ------------------------------------------------------------------------------- the records


def _check_id(connection: sqlite3.Connection, labels: Labels) -> int:
    query = "SELECT id FROM checks WHERE name = ? AND provider = ? AND model = ?"
    named = [text_of(label) for label in labels]
    row = connection.execute(query, named).fetchone()
    if row is None:
        into = "INSERT INTO checks (name, provider, model) VALUES (?, ?, ?) RETURNING id"
        row = connection.execute(into, named).fetchone()
    return int(row[0])


def _change(labels: Labels, change: Change, connection: sqlite3.Connection) -> None:
    check_id = _check_id(connection, labels)
    since = change.since.wall
    last = last_span(connection, check_id)
    if last and last.state == change.before:
        paint(connection, check_id, Piece(change.before, last.ended, since))
    piece = Piece(change.after, since, since, change.at.wall, change.reason, change.detail)
    paint(connection, check_id, piece)


def _outage(outage: Outage, connection: sqlite3.Connection) -> None:
    check_id = _check_id(connection, (outage.check, outage.provider, outage.model))
    values = (
        outage.id,
        check_id,
        outage.started.wall,
        outage.confirmed.wall,
        outage.ended.wall if outage.ended else None,
        outage.end_known,
        outage.reason.value,
        text_of(outage.detail),
        outage.status,
        text_of(outage.request_id),
        text_of(outage.evidence),
    )
    connection.execute(
        "INSERT INTO outages (id, check_id, started, confirmed, ended, end_known, reason, detail, "
        "status, request_id, evidence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET started = excluded.started, "
        "confirmed = excluded.confirmed, ended = excluded.ended, end_known = excluded.end_known",
        values,
    )


def _part(labels: Labels, track: Track, connection: sqlite3.Connection) -> None:
    check_id = _check_id(connection, labels)
    paint(connection, check_id, Piece(track.state, track.since.wall, track.booked.wall))
    connection.execute("DELETE FROM tracks WHERE check_id = ?", (check_id,))


def _track(check: Check, track: Track, connection: sqlite3.Connection) -> None:
    check_id = _check_id(connection, check.labels3)
    outage = track.outage
    if outage:
        _outage(outage, connection)
    paint(connection, check_id, Piece(track.state, track.since.wall, track.booked.wall))
    connection.execute(
        "INSERT INTO tracks (check_id, identity, data, outage) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (check_id) DO UPDATE SET identity = excluded.identity, "
        "data = excluded.data, outage = excluded.outage",
        (check_id, identity(check), json.dumps(dumped(track)), outage.id if outage else None),
    )


def _end_orphans(labels: Labels, track: Track, connection: sqlite3.Connection) -> None:
    """An outage is open only while its check's track says so.

    Otherwise it was left behind by a monitor whose end, or whose ledger, could not be read.
    """
    connection.execute(
        "UPDATE outages SET end_known = 0, ended = max(started, coalesce("
        "(SELECT max(ended) FROM spans WHERE spans.check_id = outages.check_id AND state != ?), "
        "0)) WHERE check_id = ? AND ended IS NULL AND id IS NOT ?",
        (
            State.UNKNOWN.value,
            _check_id(connection, labels),
            track.outage.id if track.outage else None,
        ),
    )


def _day(labels: Labels, day: str, tally: Tally, connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO days (check_id, day, probes, bad, cost_usd) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (check_id, day) DO UPDATE SET probes = probes + excluded.probes, "
        "bad = bad + excluded.bad, cost_usd = coalesce(cost_usd + excluded.cost_usd, "
        "cost_usd, excluded.cost_usd)",
        (_check_id(connection, labels), day, tally.probes, tally.bad, real_of(tally.cost_usd)),
    )


def _result(result: Result, connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO probes (check_id, started, verdict, reason, attempts, first_token, total, "
        "input_tokens, output_tokens, cost_usd) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            _check_id(connection, result.labels),
            result.started,
            result.verdict.value,
            result.reason.value if result.reason else None,
            result.attempts,
            real_of(result.first_token),
            result.total,
            whole_of(result.input_tokens),
            whole_of(result.output_tokens),
            real_of(result.cost_usd),
        ),
    )


def _alive(connection: sqlite3.Connection, run: Run) -> None:
    connection.execute(
        "INSERT INTO runs (started, alive) VALUES (?, ?) "
        "ON CONFLICT (started) DO UPDATE SET alive = max(alive, excluded.alive)",
        (run.started, run.alive),
    )
