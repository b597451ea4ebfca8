"""The file: its tables, versions and opening, and what kind of trouble an error is."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

FILE = "ledger.db"
APPLICATION = 0x41494C47
"""Marks the file as ours ("AILG"), so that somebody else's database is never written to."""
CHECKED_BYTES = 64 * 2**20
"""Files up to this size are read through at the start; that takes under a second."""

TABLES = """\
CREATE TABLE checks (
  id       INTEGER PRIMARY KEY,
  name     TEXT NOT NULL,
  provider TEXT NOT NULL,
  model    TEXT NOT NULL,              -- '' where a check has none
  UNIQUE (name, provider, model)
);
CREATE TABLE outages (
  id         TEXT PRIMARY KEY,
  check_id   INTEGER NOT NULL REFERENCES checks,
  started    REAL NOT NULL,            -- all moments are Unix seconds
  confirmed  REAL NOT NULL,
  ended      REAL,                     -- NULL while open
  end_known  INTEGER NOT NULL,         -- 0: lost from sight, `ended` is the last evidence
  reason     TEXT NOT NULL,
  detail     TEXT,
  status     INTEGER,                  -- HTTP status of the attempt that confirmed it
  request_id TEXT,
  evidence   TEXT                      -- its first 2 KiB, secrets removed
) WITHOUT ROWID;
CREATE INDEX outages_by_start ON outages (started);
CREATE INDEX outages_open ON outages (check_id) WHERE ended IS NULL;
CREATE TABLE spans (                   -- without holes; `runs` says when nobody looked
  check_id  INTEGER NOT NULL REFERENCES checks,
  started   REAL NOT NULL,
  ended     REAL NOT NULL,             -- grows as evidence arrives
  state     TEXT NOT NULL,
  confirmed REAL,                      -- when the change to this state was confirmed
  reason    TEXT,
  detail    TEXT,
  PRIMARY KEY (check_id, started)
) WITHOUT ROWID;
CREATE TABLE days (
  check_id INTEGER NOT NULL REFERENCES checks,
  day      TEXT NOT NULL,              -- UTC, YYYY-MM-DD
  probes   INTEGER NOT NULL,
  bad      INTEGER NOT NULL,           -- through the provider's fault
  cost_usd REAL,                       -- NULL where no price was known
  PRIMARY KEY (check_id, day)
) WITHOUT ROWID;
CREATE TABLE probes (
  id            INTEGER PRIMARY KEY,
  check_id      INTEGER NOT NULL REFERENCES checks,
  started       REAL NOT NULL,
  verdict       TEXT NOT NULL,
  reason        TEXT,                  -- NULL when ok
  attempts      INTEGER NOT NULL,
  first_token   REAL,                  -- seconds, of the last attempt
  total         REAL NOT NULL,
  input_tokens  INTEGER,               -- of all attempts
  output_tokens INTEGER,
  cost_usd      REAL
);
CREATE INDEX probes_by_check ON probes (check_id, started);
CREATE TABLE tracks (
  check_id INTEGER PRIMARY KEY REFERENCES checks,
  identity TEXT NOT NULL,              -- digest of what the check asks of whom
  data     TEXT NOT NULL,              -- JSON: state, streaks
  outage   TEXT REFERENCES outages     -- the open one
);
CREATE TABLE runs (
  started REAL PRIMARY KEY,
  alive   REAL NOT NULL                -- last sign of life of the monitor that started then
) WITHOUT ROWID;
"""


class Refused(Exception):
    """The file is whole, but not for this version to write; it is left as it is."""


def _first(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    for statement in TABLES.split(";\n"):
        if statement.strip():
            connection.execute(statement)


Migration = Callable[[sqlite3.Connection], None]

MIGRATIONS: Sequence[Migration] = (_first,)
"""The n-th takes a file from version n - 1 to n; none is ever changed once released."""

VERSION = len(MIGRATIONS)


def opened(path: Path, *, patience: float = 1.0) -> sqlite3.Connection:
    """The ledger at `path`, made or brought up to date; `patience` is for somebody else's lock.

    Raises Refused, sqlite3.Error or OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not _may_write(path):
        # SQLite would read it, and leave companion files behind that nobody may write either.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    connection = sqlite3.connect(path, timeout=patience, isolation_level=None)
    try:
        accept(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection, MIGRATIONS)
        if not _has_our_tables(connection):
            raise sqlite3.DatabaseError("the tables are not those of its version")
    except BaseException:
        connection.close()
        raise
    return connection


def opened_to_read(path: Path) -> sqlite3.Connection:
    """The ledger at `path`, which nobody will write to through this connection.

    Raises Refused, also for an older version, sqlite3.Error or OSError.
    """
    connection = _connected_to_read(path)
    try:
        accept(connection)
        version = pragma(connection, "user_version")
        if version != VERSION:
            told = f"schema version {version}, not yet {VERSION}"
            raise Refused(f"from an older monitor ({told}): start `monitor run` once")
    except BaseException:
        connection.close()
        raise
    return connection


def _connected_to_read(path: Path) -> sqlite3.Connection:
    """SQLite reads with the help of companion files, which it makes where they are missing.

    Where we may not write it cannot, or they are in the way later; without a log, which a running
    monitor always has, they are not needed.
    """
    log = path.with_name(f"{path.name}-wal")
    alone = not log.exists() and not (_may_write(path) and _may_write(path.parent))
    uri = f"{path.resolve().as_uri()}?{'mode=ro&immutable=1' if alone else 'mode=ro'}"
    return sqlite3.connect(uri, uri=True, timeout=1.0, isolation_level=None)


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=True)


def accept(connection: sqlite3.Connection) -> None:
    """Raises Refused where the file is not ours or of a later version."""
    version = pragma(connection, "user_version")
    if version > VERSION:
        told = f"schema version {version}, this monitor knows up to {VERSION}"
        raise Refused(f"written by a newer monitor ({told})")
    ours = pragma(connection, "application_id") == APPLICATION
    if not ours and (version or _objects(connection)):
        raise Refused("some other program's database")


def migrate(connection: sqlite3.Connection, steps: Sequence[Migration]) -> None:
    """Bring the file to version `len(steps)`, each step whole or not at all."""
    for number in range(pragma(connection, "user_version"), len(steps)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            steps[number](connection)
            connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _objects(connection: sqlite3.Connection) -> set[tuple[str, ...]]:
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
    return {row for row in rows if not row[1].startswith("sqlite_")}


def _has_our_tables(connection: sqlite3.Connection) -> bool:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as pristine:
        migrate(pristine, MIGRATIONS)
        return _objects(pristine) <= _objects(connection)


def look_through(connection: sqlite3.Connection, path: Path) -> None:
    """Raises sqlite3.DatabaseError where a file of moderate size is damaged anywhere.

    A larger one would take too long to begin with; damage in it shows when it is met.
    """
    if path.stat().st_size <= CHECKED_BYTES:
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise sqlite3.DatabaseError(said)


# ------------------------------------------------------------------------------- in trouble

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}


def is_damage(error: BaseException) -> bool:
    """Whether the file itself is broken: waiting does not help."""
    if type(error) is not sqlite3.DatabaseError:
        return False
    code: int | None = getattr(error, "sqlite_errorcode", None)
    # Without a code it is our own finding: `quick_check` or the tables.
    return code is None or code & 0xFF in _DAMAGE


def is_our_bug(error: BaseException) -> bool:
    """Whether a record cannot be written whatever the disk does."""
    ours = (sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.IntegrityError)
    return isinstance(error, (*ours, sqlite3.DataError)) or not isinstance(
        error, (sqlite3.Error, OSError, Refused)
    )


def set_aside(path: Path, wall: float) -> Path:
    """Rename the damaged file and its companions; a fresh one can begin in its place."""
    moment = datetime.fromtimestamp(wall, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside, turn = path.with_name(f"{path.name}.corrupt-{moment}"), 1
    while aside.exists():
        turn += 1
        aside = path.with_name(f"{path.name}.corrupt-{moment}-{turn}")
    # The log first: left behind alone it would be replayed into the fresh file.
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
