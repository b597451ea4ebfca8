"""What to do with what waits: write it, or keep it and try again later.  The clock is an argument.

A failure is counted each time, told once a spell and once when it is over.  A damaged file is set
aside and a fresh one begun.  A file that is not ours to write ends the writing for good.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from monitor.judge.resume import Saved
from monitor.ledger import query, schema
from monitor.ledger.batch import Batch, Queue
from monitor.ledger.records import Labels, utc_day
from monitor.ledger.write import Run, apply, apply_what_can_be, prune
from monitor.model import Moment, Outage

log = logging.getLogger("monitor.ledger")

BEAT = 10.0
"""Seconds after which a sign of life is written though nothing else is."""
RETRY, RETRY_MAX = 1.0, 60.0
PRUNE_EVERY = 60.0

Opened = Callable[[Path], sqlite3.Connection]


@dataclass(frozen=True, slots=True)
class Recalled:
    """What an earlier process left; everything is empty where it cannot be read."""

    saved: Sequence[Saved] = ()
    outages: Sequence[Outage] = ()
    """Open ones and those that ended lately, by start."""
    spent: dict[Labels, float] = field(default_factory=dict)
    """US dollars of today, UTC."""


class Writer:
    """Owns the file while a monitor runs; `turn` is to be called often and from one thread."""

    def __init__(
        self,
        path: Path,
        queue: Queue,
        retention: float,
        started: float,
        opened: Opened = schema.opened,
        on_error: Callable[[], None] = lambda: None,
    ) -> None:
        self.retention = retention
        self.refused = False
        self._path = path
        self._queue = queue
        self._started = started
        self._opened = opened
        self._on_error = on_error
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._failures = 0
        self._retry_at = self._beat_at = self._prune_at = float("-inf")

    # ------------------------------------------------------------------------- at the start

    def recall(self, now: Moment, outages_since: float) -> Recalled:
        """Read what to go on from; a file that cannot be read costs memory, never the start."""
        try:
            with closing(self._opened(self._path)) as connection:
                schema.look_through(connection, self._path)
                return _recalled(connection, now, outages_since)
        except Exception as error:
            self._failed(error, now)
            if self.refused or schema.is_damage(error):
                return Recalled()
        try:
            # What cannot be written, for a full disk or want of rights, may still be read.
            with closing(schema.opened_to_read(self._path)) as connection:
                return _recalled(connection, now, outages_since)
        except Exception:
            return Recalled()  # counted and told already

    # ------------------------------------------------------------------------------ at work

    def turn(self, now: Moment, *, last: bool = False) -> None:
        """Write what waits, if anything and unless it is too early to try again."""
        if self.refused:
            self._queue.give_up()
            return
        if now.mono < self._retry_at and not last:
            return
        batch = self._queue.take()
        if not batch and now.mono < self._beat_at and not last:
            return
        try:
            self._write(batch, now)
        except Exception as error:
            self._queue.give_back(batch)
            self._failed(error, now)
        else:
            self._worked(now)

    def close(self, now: Moment) -> None:
        """Write all that waits and let go of the file."""
        self.turn(now, last=True)
        if self._failures and not self.refused:
            self.turn(now, last=True)  # a damaged file has made way for a fresh one
        self._disconnect()
        lost = self._queue.take()
        if lost:
            log.error("the ledger could not be written at the end", extra={"fields": lost.sizes()})

    def _write(self, batch: Batch, now: Moment) -> None:
        connection = self._connected()
        run = Run(self._started, now.wall)
        try:
            apply(connection, batch, run)
        except Exception as error:
            if not schema.is_our_bug(error):
                raise
            for record, why in apply_what_can_be(connection, batch, run):
                self._count()
                fields = {"record": record, "error": f"{type(why).__name__}: {why}"}
                log.error("a record cannot be written", extra={"fields": fields})
        if now.mono >= self._prune_at:
            more = prune(connection, now.wall - self.retention)
            self._prune_at = now.mono + (0.0 if more else PRUNE_EVERY)

    def _connected(self) -> sqlite3.Connection:
        """The open file; opened again where somebody took it away and nobody would tell us."""
        if self._connection and self._inode != _inode(self._path):
            self._disconnect()
        if self._connection is None:
            self._connection = self._opened(self._path)
            self._inode = _inode(self._path)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            try:
                connection.close()
            except sqlite3.Error:
                pass  # what it could not finish waits in the queue

    # --------------------------------------------------------------------------- in trouble

    def _failed(self, error: Exception, now: Moment) -> None:
        self._count()
        self._disconnect()
        fields = {"file": str(self._path), "error": f"{type(error).__name__}: {error}"}
        if isinstance(error, schema.Refused):
            self.refused = True
            self._queue.give_up()
            log.error("the ledger is not written, nothing is remembered", extra={"fields": fields})
            return
        if schema.is_damage(error):
            self._set_aside(now, fields)
        elif not self._failures:
            log.error("the ledger cannot be written; probing goes on", extra={"fields": fields})
        self._retry_at = now.mono + min(RETRY * 2**self._failures, RETRY_MAX)
        self._failures = min(self._failures + 1, 16)

    def _set_aside(self, now: Moment, fields: dict[str, str]) -> None:
        try:
            fields["kept"] = str(schema.set_aside(self._path, now.wall))
        except OSError as error:
            fields["error"] += f"; and it cannot be renamed: {error}"
        log.error("the ledger is damaged; a fresh one begins", extra={"fields": fields})

    def _worked(self, now: Moment) -> None:
        self._beat_at = now.mono + BEAT
        if self._failures:
            self._failures, self._retry_at = 0, float("-inf")
            fields = {"file": str(self._path), "results_dropped": self._queue.dropped}
            log.warning("the ledger is written again", extra={"fields": fields})

    def _count(self) -> None:
        self._on_error()


def _recalled(connection: sqlite3.Connection, now: Moment, outages_since: float) -> Recalled:
    return Recalled(
        query.saved(connection),
        list(query.outages(connection, outages_since, strict=False)),
        query.spent(connection, utc_day(now.wall)),
    )


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    return seen.st_dev, seen.st_ino
