"""Reading the ledger, beside a running monitor or without one; never writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from monitor.ledger import query
from monitor.ledger.records import Day, Labels, Result, Span
from monitor.ledger.schema import Refused, opened_to_read
from monitor.model import Outage


class LedgerError(Exception):
    """The ledger cannot be read; the message says why."""


class Reader:
    """A read-only view of the ledger at `path`.  Raises LedgerError, also while reading.

    `since` and `until` are Unix seconds, None for no limit; `check` is a name, None for all.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            raise LedgerError(f"{path}: no ledger here; `monitor run` makes one in its --data-dir")
        with self._trouble():
            self._connection = opened_to_read(path)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def outages(
        self, since: float | None = None, until: float | None = None, check: str | None = None
    ) -> list[Outage]:
        """Those that were open at any time between the two, by their start."""
        with self._trouble():
            return list(query.outages(self._connection, since, until, check))

    def timeline(
        self, since: float | None = None, until: float | None = None, check: str | None = None
    ) -> list[Span]:
        """By check and start, cut to the two moments, without overlaps and without holes.

        A change of state is a span that has `confirmed`.
        """
        with self._trouble():
            return list(query.spans(self._connection, since, until, check))

    def days(
        self, since: float | None = None, until: float | None = None, check: str | None = None
    ) -> list[Day]:
        """Whole UTC days from that of `since` to that of `until`, by check and day."""
        with self._trouble():
            return query.days(self._connection, since, until, check)

    def probes(
        self, since: float | None = None, until: float | None = None, check: str | None = None
    ) -> Iterator[Result]:
        """Rounds that began between the two, by check and start; one by one, there are many."""
        with self._trouble():
            yield from query.probes(self._connection, since, until, check)

    def latencies(
        self, since: float, slot: float
    ) -> list[tuple[Labels, int | None, float | None, float | None]]:
        """Medians of good rounds by check and stretch of `slot` seconds; see `query.latencies`."""
        with self._trouble():
            return list(query.latencies(self._connection, since, slot))

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """Whatever is wrong with the file is said in one sentence that names it."""
        try:
            yield
        except (Refused, sqlite3.Error, OSError, ValueError, TypeError, KeyError) as error:
            raise LedgerError(f"{self._path}: {error}") from error
