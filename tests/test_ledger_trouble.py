"""Disks that fail, files that are broken: probing goes on, and nothing confirmed is lost."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from monitor.judge.track import begin
from monitor.ledger import LedgerError, Reader, schema
from monitor.ledger.batch import Queue
from monitor.ledger.writer import RETRY_MAX, Writer
from monitor.model import Probe, State
from tests.ledgers import CHECK, START, Clock, Monitor, attempt_of, outage_of

NOBODY = 65_534
impatient = partial(schema.opened, patience=0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="monitor.ledger")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "monitor.ledger"]


def corpses(folder: Path) -> list[str]:
    return sorted(found.name for found in folder.iterdir() if "corrupt" in found.name)


def is_whole(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as raw:
        return bool(raw.execute("PRAGMA integrity_check").fetchone()[0] == "ok")


# ----------------------------------------------------------------------------------- full disks


class SmallDisk:
    """A file that may have so many pages and no more; the real thing as far as SQLite knows."""

    def __init__(self) -> None:
        self.pages = 1 << 30

    def opened(self, path: Path) -> sqlite3.Connection:
        connection = schema.opened(path)
        connection.execute(f"PRAGMA max_page_count = {self.pages}")
        return connection


def test_a_full_disk_costs_old_results_only(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    disk = SmallDisk()
    monitor = Monitor(path, Clock(), opened=disk.opened, results=50).turn()
    disk.pages = 1
    monitor.writer._disconnect()
    for _ in range(20):
        for _ in range(4):
            monitor.play("DDDUU").calm()
        monitor.turn()
    assert monitor.errors > 5
    assert told(caplog) == ["the ledger cannot be written; probing goes on"]
    assert monitor.queue.dropped > 200
    disk.pages = 1 << 30
    monitor.clock.seconds += RETRY_MAX
    monitor.turn().stop()
    assert told(caplog)[1:] == ["the ledger is written again"]
    with Reader(path) as ledger:
        assert len([*ledger.probes()]) == 400 - monitor.queue.dropped
        assert len(ledger.outages()) == 80
        assert sum(span.state is State.DOWN for span in ledger.timeline()) == 80
        assert sum(day.probes for day in ledger.days()) == 400
        assert sum(day.bad for day in ledger.days()) == 240


def test_what_waits_is_bounded_and_the_oldest_results_go_first() -> None:
    queue, clock = Queue(100), Clock()
    for number in range(250):
        clock.seconds = float(number)
        queue.probe(CHECK, Probe("1", "c", (attempt_of(CHECK, "U", clock()),)))
        if number == 120:
            taken = queue.take()
    assert queue.dropped == 21 + 29
    queue.give_back(taken)
    assert queue.dropped == 150
    left = queue.take()
    assert [result.started for result in left.results] == [START + n for n in range(150, 250)]
    (tally,) = left.days.values()
    assert tally.probes == 250


SMALL_FILES = """
import resource, sys
from pathlib import Path
from tests.ledgers import Clock, Monitor
from monitor.ledger.writer import RETRY_MAX

path = Path(sys.argv[1])
monitor = Monitor(path, Clock()).play("U").turn()
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name("ledger.db-wal").stat().st_size, hard))
monitor.play("DDD" + "UU" * 300).turn()
print(monitor.errors)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
monitor.clock.seconds += RETRY_MAX
monitor.turn()
print(monitor.errors)
monitor.stop()
"""


def test_a_file_that_may_not_grow_is_written_when_it_may(path: Path) -> None:
    root = str(Path(__file__).parent.parent)
    command = [sys.executable, "-c", SMALL_FILES, str(path)]
    environment = {**os.environ, "PYTHONPATH": root}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert ran.stdout.split() == ["1", "1"]
    with Reader(path) as ledger:
        assert len(ledger.outages()) == 1
        assert len([*ledger.probes()]) == 604
    assert is_whole(path)


# ----------------------------------------------------------------- closed and forbidden places


@contextmanager
def somebody_without_rights() -> Iterator[Path]:
    """A folder of nobody's, and us with no more rights than nobody has."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-test-"))
    root = os.geteuid() == 0
    if root:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)
        shutil.rmtree(folder)


def test_a_folder_that_may_not_be_written_is_tried_until_it_may() -> None:
    with somebody_without_rights() as folder:
        folder.chmod(0o555)
        monitor = Monitor(folder / "ledger.db", Clock()).play("DDD").turn()
        assert monitor.errors == 1 + 1
        folder.chmod(0o755)
        monitor.clock.seconds += RETRY_MAX
        monitor.turn().stop()
        with Reader(folder / "ledger.db") as ledger:
            assert len(ledger.outages()) == 1


def test_a_file_that_may_not_be_written_is_gone_on_from_and_written_when_it_may() -> None:
    with somebody_without_rights() as folder:
        path, clock = folder / "ledger.db", Clock()
        Monitor(path, clock).play("UDDD").stop()
        path.chmod(0o444)
        monitor = Monitor(path, clock)
        assert monitor.errors == 1
        assert monitor.track.state is State.DOWN
        monitor.play("UU").turn()
        path.chmod(0o644)
        clock.seconds += RETRY_MAX
        monitor.turn().stop()
        assert not corpses(folder)
        with Reader(path) as ledger:
            (outage,) = ledger.outages()
        assert outage.ended is not None and outage.ended.wall == START + 240
        assert outage.end_known


@pytest.mark.parametrize("ended", ["stopped", "killed"])
def test_a_ledger_in_a_read_only_place_can_be_read(ended: str) -> None:
    with somebody_without_rights() as folder:
        monitor = Monitor(folder / "ledger.db", Clock()).play("DDD").turn()
        copy = folder / "copy"
        copy.mkdir()
        if ended == "stopped":
            monitor.stop()
        for found in folder.glob("ledger.db*"):
            shutil.copy(found, copy)
        copy.chmod(0o555)
        with Reader(copy / "ledger.db") as ledger:
            assert len(ledger.outages()) == 1
        copy.chmod(0o755)
        monitor.killed()


def test_a_locked_file_is_written_when_the_lock_is_gone(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = Monitor(path, Clock(), opened=impatient).turn()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monitor.play("DDDUU").turn()
        assert monitor.errors == 1
        other.execute("COMMIT")
    monitor.play("U").turn().stop()
    assert told(caplog)[-1] == "the ledger is written again"
    with Reader(path) as ledger:
        assert len(ledger.outages()) == 1


def test_a_file_locked_at_the_start_costs_the_memory_but_not_the_history(path: Path) -> None:
    clock = Clock()
    Monitor(path, clock).play("UDDD").stop()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        monitor = Monitor(path, clock, opened=impatient)
        assert monitor.errors == 1
        assert monitor.track.state is State.UNKNOWN
    monitor.play("U").turn().stop()
    with Reader(path) as ledger:
        (outage,) = ledger.outages()
    assert outage.ended is not None and outage.ended.wall == START + 181
    assert not outage.end_known


def test_attempts_to_write_back_off_up_to_a_minute(path: Path) -> None:
    path.mkdir()  # no file can be where a folder is
    clock = Clock()
    monitor = Monitor(path, clock)
    failed_at = []
    for second in range(400):
        clock.seconds, before = float(second), monitor.errors
        monitor.turn()
        if monitor.errors > before:
            failed_at.append(second)
    assert failed_at == [1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363]


def test_a_deleted_file_is_begun_again(path: Path) -> None:
    monitor = Monitor(path, Clock()).play("DDD").turn()
    for found in path.parent.glob("ledger.db*"):
        found.unlink()
    monitor.play("UU").turn().stop()
    with Reader(path) as ledger:
        (outage,) = ledger.outages()
    assert outage.ended is not None and outage.evidence


def test_what_cannot_be_written_in_the_end_is_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.mkdir()
    monitor = Monitor(path, Clock()).play("DDD")
    monitor.stop()
    assert told(caplog)[-1] == "the ledger could not be written at the end"
    assert caplog.records[-1].fields["changes"] == 1  # type: ignore[attr-defined]


# -------------------------------------------------------------------------------- broken files


LIVED = (30 * (6 + 11) + 3) * 60.0


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A ledger with some of everything in it."""
    path = tmp_path_factory.mktemp("lived") / "ledger.db"
    monitor = Monitor(path, Clock()).turn()
    for _ in range(30):
        monitor.play("UDDDUU").calm()
    monitor.play("DDD").stop()
    assert monitor.clock.seconds == LIVED
    return path.read_bytes()


def survives(folder: Path, whole: bytes, broken: bytes) -> bool:
    """Start on a broken file, live a little, stop; whether the file had to be set aside."""
    path = folder / "ledger.db"
    path.write_bytes(broken)
    monitor = Monitor(path, Clock(LIVED))
    for _ in range(4):
        monitor.play("DDDUU").calm().turn()
    monitor.stop()
    assert is_whole(path)
    with Reader(path) as ledger:
        assert ledger.outages()[-1].ended is not None
        assert ledger.timeline()[-1].state is State.UP
        assert len([*ledger.probes()]) >= 20
    aside = corpses(folder)
    if aside:
        assert monitor.errors
        assert (folder / aside[0]).read_bytes() == broken, "kept as it was"
        assert aside[0].startswith("ledger.db.corrupt-2026")
    return bool(aside)


def test_a_file_cut_anywhere_is_set_aside_and_begun_again(tmp_path: Path, lived: bytes) -> None:
    outcomes = {}
    for size in range(0, len(lived), 512):
        folder = tmp_path / str(size)
        folder.mkdir()
        outcomes[size] = survives(folder, lived, lived[:size])
        shutil.rmtree(folder)
    assert not outcomes.pop(0), "an empty file is a fresh one"
    assert all(outcomes.values())


@pytest.mark.parametrize("seed", range(12))
def test_garbage_in_a_page_is_met_or_harmless(tmp_path: Path, lived: bytes, seed: int) -> None:
    rng = random.Random(seed)
    page = 1 + seed % (len(lived) // 4096 - 1)
    broken = bytearray(lived)
    broken[page * 4096 : (page + 1) * 4096] = rng.randbytes(4096)
    assert survives(tmp_path, lived, bytes(broken))


@pytest.mark.parametrize("seed", range(30))
def test_flipped_bytes_never_stop_anything(tmp_path: Path, lived: bytes, seed: int) -> None:
    rng = random.Random(seed)
    broken = bytearray(lived)
    for _ in range(8):
        # Past the header, whose version and mark have a test of their own.
        broken[rng.randrange(100, len(broken))] ^= 1 << rng.randrange(8)
    path = tmp_path / "ledger.db"
    path.write_bytes(broken)
    monitor = Monitor(path, Clock(LIVED))
    monitor.play("DDDUU" * 4).turn().stop()
    assert monitor.queue.take().changes == []
    try:
        with Reader(path) as ledger:
            ledger.timeline(), ledger.days(), [*ledger.probes()], ledger.outages()
    except LedgerError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    "garbage", [b"no database", b"\0" * 5000, b"SQLite format 3\0" + b"\7" * 84]
)
def test_a_file_that_is_no_database_is_set_aside(
    tmp_path: Path, lived: bytes, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert survives(tmp_path, lived, garbage)
    assert "the ledger is damaged; a fresh one begins" in told(caplog)
    with pytest.raises(LedgerError, match="not a database"):
        Reader(tmp_path / corpses(tmp_path)[0])


def test_a_damaged_file_takes_its_log_along(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).write_text(f"was {suffix}")
    aside = schema.set_aside(path, START)
    assert aside.name == "ledger.db.corrupt-20261118T110640Z"
    assert corpses(path.parent) == [aside.name, f"{aside.name}-shm", f"{aside.name}-wal"]
    assert aside.with_name(f"{aside.name}-wal").read_text() == "was -wal"
    assert not [*path.parent.glob("ledger.db-*")], "a log left behind would be replayed"


def test_two_damaged_files_in_one_second_are_both_kept(path: Path) -> None:
    for turn in (1, 2):
        path.write_bytes(b"no database %d" % turn)
        Monitor(path, Clock()).stop()
    assert [path.with_name(name).read_bytes() for name in corpses(path.parent)] == [
        b"no database 1",
        b"no database 2",
    ]


def test_damage_met_while_writing_costs_nothing_that_waits(path: Path) -> None:
    queue, clock = Queue(), Clock()
    writer = Writer(path, queue, 1e9, START)
    path.write_bytes(b"no database")
    queue.outage(outage_of(1))
    writer.turn(clock())
    assert len(corpses(path.parent)) == 1
    clock.seconds += 1.0
    writer.turn(clock())
    writer.close(clock())
    with Reader(path) as ledger:
        assert len(ledger.outages()) == 1


def test_damage_met_only_in_the_end_costs_nothing_either(path: Path) -> None:
    queue = Queue()
    path.write_bytes(b"no database")
    queue.outage(outage_of(1))
    Writer(path, queue, 1e9, START).close(Clock()())
    with Reader(path) as ledger:
        assert len(ledger.outages()) == 1


def test_a_file_without_its_tables_is_damaged(path: Path) -> None:
    with closing(schema.opened(path)) as connection:
        connection.execute("DROP TABLE days")
    Monitor(path, Clock()).play("U").stop()
    assert len(corpses(path.parent)) == 1
    with Reader(path) as ledger:
        assert ledger.days()


# ------------------------------------------------------------------------- files that are not ours


def newer(path: Path) -> None:
    with closing(schema.opened(path)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE recipes (cake TEXT)")


@pytest.mark.parametrize("make", [newer, foreign])
def test_a_file_that_is_not_ours_is_left_as_it_is(
    path: Path, make: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    make(path)
    before = path.read_bytes()
    monitor = Monitor(path, Clock())
    for _ in range(5):
        monitor.play("DDDUU").turn()
    monitor.stop()
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == ["ledger.db"]
    assert monitor.writer.refused
    assert monitor.errors == 1
    assert told(caplog) == ["the ledger is not written, nothing is remembered"]
    assert not monitor.queue.take(), "what nobody will write does not pile up"
    assert monitor.queue.dropped == 25


# ---------------------------------------------------------------------- records that are not good


def test_what_no_file_can_hold_is_made_to_fit(path: Path) -> None:
    queue = Queue()
    queue.outage(outage_of(1, detail="half a \ud800 character", evidence="\udfff\0x"))
    writer = Writer(path, queue, 1e9, START)
    writer.close(Clock()())
    with Reader(path) as ledger:
        (outage,) = ledger.outages()
    assert outage.detail == "half a ? character"
    assert outage.evidence == "?\0x"


def test_one_bad_record_does_not_keep_the_others_back(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[int] = []
    queue, clock = Queue(), Clock()
    writer = Writer(path, queue, 1e9, START, on_error=lambda: errors.append(1))
    queue.outage(outage_of(1))
    queue.outage(outage_of(2, status=object()))
    queue.outage(outage_of(3))
    writer.turn(clock())
    assert len(errors) == 1
    assert told(caplog) == ["a record cannot be written"]
    assert caplog.records[0].fields["record"] == "outage"  # type: ignore[attr-defined]
    writer.close(clock())
    with Reader(path) as ledger:
        assert [outage.id for outage in ledger.outages()] == [f"{n:012x}" for n in (1, 3)]


def test_of_a_bad_record_nothing_is_written(path: Path) -> None:
    queue, clock = Queue(), Clock()
    opened = replace(outage_of(1), ended=None)
    queue.track(CHECK, replace(begin(clock()), outage=opened, recent=("?",)), None)  # type: ignore[arg-type]
    Writer(path, queue, 1e9, START).close(clock())
    with Reader(path) as ledger:
        assert ledger.outages() == []


def test_a_track_that_cannot_be_understood_starts_anew(path: Path) -> None:
    clock = Clock()
    Monitor(path, clock).play("UDDD").stop()
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE tracks SET data = '[1, 2'")
    monitor = Monitor(path, clock)
    assert monitor.track.state is State.UNKNOWN
    monitor.play("U").stop()
    assert monitor.errors == 0
    with Reader(path) as ledger:
        assert [outage.end_known for outage in ledger.outages()] == [False]


def test_an_outage_of_a_reason_unknown_here_does_not_keep_the_rest_from_going_on(
    path: Path,
) -> None:
    clock = Clock()
    Monitor(path, clock).play("UDDDUUDDD").stop()
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE outages SET reason = 'sunspots' WHERE ended IS NOT NULL")
    monitor = Monitor(path, clock)
    assert monitor.track.outage is not None
    assert monitor.recalled.outages == [monitor.recalled.saved[0].track.outage]
    monitor.killed()
    with Reader(path) as ledger, pytest.raises(LedgerError, match="sunspots"):
        ledger.outages()
