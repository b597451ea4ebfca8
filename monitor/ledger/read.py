"""Reading the ledger, beside a running monitor or without one; never writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from monitor.ledger import query
from monitor.ledger.records import Day, Result, Span
from monitor.ledger.schema import VERSION, Refused, accept, pragma
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
            self._connection = _connected(path)
            try:
                accept(self._connection)
                version = pragma(self._connection, "user_version")
                if version != VERSION:
                    told = f"schema version {version}, not yet {VERSION}"
                    raise Refused(f"from an older monitor ({told}): start `monitor run` once")
            except BaseException:
                self._connection.close()
                raise

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

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """Whatever is wrong with the file is said in one sentence that names it."""
        try:
            yield
        except (Refused, sqlite3.Error, OSError, ValueError, TypeError, KeyError) as error:
            raise LedgerError(f"{self._path}: {error}") from error


def _connected(path: Path) -> sqlite3.Connection:
    plain = f"{path.resolve().as_uri()}?mode=ro"
    connection = sqlite3.connect(plain, uri=True, timeout=2.0, isolation_level=None)
    try:
        pragma(connection, "user_version")
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(f"{path.name}-wal").exists():
            raise
        # A read-only place has no room for the companion files; without a log none are needed.
        return sqlite3.connect(f"{plain}&immutable=1", uri=True, isolation_level=None)
    return connection
