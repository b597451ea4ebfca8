"""The ledger on real files: what is told is written, read back, and gone on from."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path

import pytest

from monitor.judge.resume import rebased_outage
from monitor.judge.track import begin
from monitor.ledger import Ledger, LedgerError, Reader, schema, timeline
from monitor.ledger.batch import Queue
from monitor.ledger.records import Span, result_of
from monitor.ledger.schema import Refused, migrate, opened
from monitor.ledger.writer import BEAT, Writer
from monitor.model import Moment, Probe, Reason, State, Tokens, Verdict
from tests.ledgers import CHECK, START, Clock, Monitor, attempt_of, outage_of
from tests.making import chat_check, web_check

MIDNIGHT = 1_795_046_400.0
"""2026-11-19T00:00:00Z."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


# ------------------------------------------------------------------------------ there and back


def test_an_outage_is_remembered_with_its_evidence(path: Path) -> None:
    Monitor(path, Clock()).play("UDDDDUU").stop()
    with Reader(path) as ledger:
        (outage,) = ledger.outages()
    assert (outage.check, outage.provider, outage.model) == ("c", "p", "m-1")
    assert outage.started.wall == START + 60
    assert outage.confirmed.wall == START + 181
    assert outage.ended is not None and outage.ended.wall == START + 300
    assert outage.end_known
    assert outage.reason is Reason.SERVER_ERROR
    assert (outage.detail, outage.status, outage.request_id) == ("it was D", 500, "req-1")
    assert outage.evidence == "Internal <Server> Error"
    assert outage.seconds(Moment(0, 0)) == 240
    now = Moment(START + 400, 9.0)
    assert rebased_outage(outage, now).started == Moment(START + 60, 9.0 - 340)


def test_the_timeline_is_every_change_with_its_reason(path: Path) -> None:
    Monitor(path, Clock()).turn().play("UDDDLLUU").stop()
    with Reader(path) as ledger:
        spans = ledger.timeline()
    told = [(span.state.value, span.started - START, span.ended - START) for span in spans]
    assert told == [("up", 0, 60), ("down", 60, 240), ("limited", 240, 360), ("up", 360, 421)]
    down = spans[1]
    assert (down.confirmed, down.reason, down.detail) == (
        START + 181,
        Reason.SERVER_ERROR,
        "it was D",
    )


def test_what_is_read_can_be_narrowed(path: Path) -> None:
    clock = Clock()
    first = Monitor(path, clock, chat_check(name="a")).play("DDDUU")
    first.stop()
    Monitor(path, clock, chat_check(name="b")).play("DDDUU").stop()
    with Reader(path) as ledger:
        assert [outage.check for outage in ledger.outages()] == ["a", "b"]
        assert [outage.check for outage in ledger.outages(check="b")] == ["b"]
        assert [outage.check for outage in ledger.outages(since=START + 200)] == ["b"]
        assert [outage.check for outage in ledger.outages(until=START + 200)] == ["a"]
        (span,) = ledger.timeline(START + 30, START + 50, "a")
        assert (span.started, span.ended, span.state) == (START + 30, START + 50, State.DOWN)
        assert len([*ledger.probes(check="a")]) == 5
        assert len([*ledger.probes(START + 60, START + 120, "a")]) == 1
        assert ledger.timeline(check="nobody") == []


def test_a_day_has_the_seconds_of_its_states_and_what_was_counted_in_it(path: Path) -> None:
    clock = Clock(MIDNIGHT - 90 - START)
    Monitor(path, clock).turn().play("UDDDDUU").stop()
    with Reader(path) as ledger:
        before, after = ledger.days()
        assert ledger.days(since=MIDNIGHT, until=MIDNIGHT) == [after]
    assert (before.day, after.day) == ("2026-11-18", "2026-11-19")
    assert before.seconds == {State.UP: 60, State.DOWN: 30}
    assert after.seconds == {State.DOWN: 210, State.UP: 61}
    assert (before.probes, before.bad) == (2, 1)
    assert (after.probes, after.bad) == (5, 3)
    assert after.cost_usd == pytest.approx(0.005)


def test_money_that_is_not_known_is_none_and_what_is_known_adds_up(path: Path) -> None:
    queue, clock = Queue(), Clock()
    writer = Writer(path, queue, 1e9, START)
    seen = attempt_of(CHECK, "U", clock())
    unknown = replace(seen, cost_usd=None)
    for attempts in [(unknown,), (unknown,)]:
        queue.probe(CHECK, Probe("1", "c", attempts))
        writer.turn(clock())
    with Reader(path) as ledger:
        assert ledger.days()[0].cost_usd is None
    for attempts in [(seen, seen), (unknown,)]:
        queue.probe(CHECK, Probe("1", "c", attempts))
        writer.turn(clock())
    writer.close(clock())
    with Reader(path) as ledger:
        assert ledger.days()[0].cost_usd == pytest.approx(0.002)
        assert ledger.days()[0].probes == 4
    again = Writer(path, Queue(), 1e9, START).recall(clock(), START)
    assert again.spent == {("c", "p", "m-1"): pytest.approx(0.002)}


def test_a_round_is_kept_with_the_times_of_its_last_attempt_and_the_bill_of_all(
    path: Path,
) -> None:
    at = Clock()()
    bad = attempt_of(CHECK, "D", at, 2.0)
    good = replace(attempt_of(CHECK, "U", at.plus(7), 3.0), tokens=Tokens(input=30))
    result = result_of(CHECK, Probe("1", "c", (bad, good)))
    assert (result.started, result.total, result.first_token) == (START, 3.0, 0.25)
    assert (result.verdict, result.reason, result.attempts) == (Verdict.OK, None, 2)
    assert (result.input_tokens, result.output_tokens) == (54, 4)
    monitor = Monitor(path, Clock())
    monitor.queue.probe(CHECK, Probe("1", "c", (bad, good)))
    monitor.stop()
    with Reader(path) as ledger:
        assert [*ledger.probes()] == [result]


def test_rounds_are_forgotten_after_retention_and_nothing_else_is(path: Path) -> None:
    clock = Clock()
    monitor = Monitor(path, clock).play("UDDDUU").turn()
    monitor.writer.retention = 86_400.0
    clock.seconds += 86_400.0 - 240
    monitor.play("U").turn()
    monitor.stop()
    with Reader(path) as ledger:
        # The day was over 180 s after the first round began: the first three are older.
        assert len([*ledger.probes()]) == 7 - 3
        assert sum(day.probes for day in ledger.days()) == 7
        assert len(ledger.outages()) == 1
        assert ledger.timeline()[0].started == START


def test_there_is_no_ledger_yet(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger here"):
        Reader(tmp_path / "ledger.db")
    assert not [*tmp_path.iterdir()], "reading leaves nothing behind"


def test_it_is_read_beside_a_running_monitor_and_sees_what_is_committed(path: Path) -> None:
    monitor = Monitor(path, Clock()).play("DDD").turn()
    with Reader(path) as ledger:
        assert ledger.outages()[0].ended is None
        monitor.play("UU").turn()
        assert ledger.outages()[0].ended is not None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            ledger._connection.execute("DELETE FROM outages")
    monitor.stop()


def test_a_long_read_does_not_keep_the_monitor_from_writing(path: Path) -> None:
    monitor = Monitor(path, Clock()).play("UUUU").turn()
    with Reader(path) as ledger:
        rows = ledger.probes()
        next(rows)
        monitor.play("DDD").turn()
        assert monitor.errors == 0
        assert len([*rows]) == 3
    monitor.stop()


# ------------------------------------------------------------------------------------ going on


def test_a_stop_and_a_start_go_on_with_the_open_outage(path: Path) -> None:
    clock = Clock()
    Monitor(path, clock).play("UDDD").stop()
    monitor = Monitor(path, clock)
    assert monitor.track.state is State.DOWN
    assert monitor.track.outage is not None
    assert monitor.track.outage.evidence == "Internal <Server> Error"
    monitor.play("UU").stop()
    with Reader(path) as ledger:
        (outage,) = ledger.outages()
    assert outage.ended is not None and outage.ended.wall == START + 240


def test_the_time_without_a_monitor_is_unknown(path: Path) -> None:
    clock = Clock()
    Monitor(path, clock).turn().play("UU").stop()
    clock.seconds += 45.0
    Monitor(path, clock).play("UU").stop()
    with Reader(path) as ledger:
        told = [(s.state.value, s.started - START, s.ended - START) for s in ledger.timeline()]
    assert told == [("up", 0, 120), ("unknown", 120, 165), ("up", 165, 226)]


def test_a_monitor_that_has_nothing_to_say_still_shows_that_it_lives(path: Path) -> None:
    clock = Clock()
    monitor = Monitor(path, clock).play("U").turn()
    clock.seconds += BEAT
    monitor.turn().killed()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT alive FROM runs").fetchone()[0] == clock().wall


def test_recent_outages_come_back_to_be_shown(path: Path) -> None:
    queue, clock = Queue(), Clock(5_000.0)
    for number in range(30):
        queue.outage(outage_of(number))
    Writer(path, queue, 1e9, START).close(clock())
    again = Writer(path, Queue(), 1e9, START).recall(clock(), START + 2_500.0)
    assert [outage.id for outage in again.outages] == [f"{n:012x}" for n in range(25, 30)]


def test_a_check_that_is_no_longer_watched_ends_its_outage_out_of_sight(path: Path) -> None:
    clock = Clock()
    Monitor(path, clock).play("UDDD").stop()
    Monitor(path, clock, web_check()).play("U").stop()
    with Reader(path) as ledger:
        (outage,) = ledger.outages()
    assert outage.ended is not None and outage.ended.wall == START + 181
    assert not outage.end_known
    back = Monitor(path, clock)
    assert back.track.state is State.UNKNOWN
    assert not back.recalled.saved or back.recalled.saved[0].labels != CHECK.labels3


def test_the_same_name_with_another_question_starts_anew_in_the_same_batch(path: Path) -> None:
    clock = Clock()
    Monitor(path, clock).play("UDDD").stop()
    other = replace(CHECK, url="http://127.0.0.1:9/v2")
    monitor = Monitor(path, clock, other).play("U")
    assert monitor.track.state is State.UP
    monitor.stop()
    again = Monitor(path, clock, other)
    assert again.track.state is State.UP
    with Reader(path) as ledger:
        assert [outage.end_known for outage in ledger.outages()] == [False]


def test_an_outage_that_nobody_has_open_is_ended_at_the_last_evidence(path: Path) -> None:
    clock = Clock()
    Monitor(path, clock).play("UDDD").stop()
    clock.seconds += 300.0
    # A start that could not read the ledger begins from nothing.
    monitor = Monitor(path, clock)
    monitor.track = begin(clock())
    monitor.play("U").stop()
    with Reader(path) as ledger:
        (outage,) = ledger.outages()
        holes = [span for span in ledger.timeline() if span.state is State.UNKNOWN]
    assert outage.ended is not None and outage.ended.wall == START + 181
    assert not outage.end_known
    assert holes[-1].ended == START + 540


def test_a_check_that_is_away_for_a_while_has_a_hole_that_is_unknown(path: Path) -> None:
    clock = Clock()
    monitor = Monitor(path, clock).turn().play("UU")
    assert monitor.queue.part(CHECK.labels3, monitor.track) is None
    monitor.turn()
    assert not Writer(path, Queue(), 1e9, START).recall(clock(), START).saved
    clock.seconds += 300.0
    monitor.track = begin(clock())
    monitor.play("U").stop()
    with Reader(path) as ledger:
        told = [(s.state.value, s.started - START, s.ended - START) for s in ledger.timeline()]
    assert told == [("up", 0, 61), ("unknown", 61, 420), ("up", 420, 421)]


def test_a_later_word_replaces_the_earlier_one_before_it_is_written(path: Path) -> None:
    monitor = Monitor(path, Clock()).play("UDDDUUDDDUU")
    waiting = monitor.queue.take()
    assert len(waiting.tracks) == 1
    assert len(waiting.outages) == 2
    assert all(outage.ended for outage in waiting.outages.values())
    monitor.queue.give_back(waiting)
    monitor.stop()
    with Reader(path) as ledger:
        assert len(ledger.outages()) == 2


def test_a_wall_clock_that_is_set_back_leaves_the_timeline_in_order(path: Path) -> None:
    clock = Clock(10_000.0)
    Monitor(path, clock).play("UDDD").stop()
    clock.seconds -= 3_600.0
    clock.boot += 100_000.0
    monitor = Monitor(path, clock)
    assert monitor.track.state is State.DOWN
    monitor.play("UU" + "U" * 70).stop()
    assert monitor.errors == 0
    with Reader(path) as ledger:
        spans = ledger.timeline()
        (outage,) = ledger.outages()
    assert outage.ended is not None
    assert outage.started.wall <= outage.ended.wall
    assert all(one.ended == other.started for one, other in pairwise(spans))
    assert spans[-1].state is State.UP


# ---------------------------------------------------------------------------------- the schema


def test_a_fresh_file_is_ours_and_of_this_version(path: Path) -> None:
    with closing(opened(path)) as connection:
        assert schema.pragma(connection, "user_version") == schema.VERSION
        assert schema.pragma(connection, "application_id") == schema.APPLICATION
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


@pytest.mark.parametrize("version", range(1, schema.VERSION + 1))
def test_every_version_is_brought_up_to_date(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        migrate(old, schema.MIGRATIONS[:version])
        old.execute("INSERT INTO checks (name, provider, model) VALUES ('c', 'p', 'm-1')")
        old.execute(
            "INSERT INTO outages (id, check_id, started, confirmed, ended, end_known, reason) "
            "VALUES ('abc', 1, 1.0, 2.0, 3.0, 1, 'dns')"
        )
    with closing(opened(path)):
        pass
    with Reader(path) as ledger:
        assert [outage.reason for outage in ledger.outages()] == [Reason.DNS]


def test_a_migration_happens_whole_or_not_at_all(path: Path) -> None:
    def second(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE extra (n INTEGER)")
        if next(tries) == 0:
            raise sqlite3.OperationalError("database or disk is full")

    tries = count()
    steps = [*schema.MIGRATIONS, second]
    with closing(opened(path)) as connection:
        with pytest.raises(sqlite3.OperationalError):
            migrate(connection, steps)
        assert schema.pragma(connection, "user_version") == schema.VERSION
        migrate(connection, steps)
        assert schema.pragma(connection, "user_version") == schema.VERSION + 1


def test_a_newer_version_is_refused_by_the_reader_too(path: Path) -> None:
    with closing(opened(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerError, match=r"newer monitor .schema version 99"):
        Reader(path)


def test_an_older_version_is_not_read_before_it_is_brought_up_to_date(path: Path) -> None:
    with closing(opened(path)) as connection:
        connection.execute("PRAGMA user_version = 0")
    with pytest.raises(LedgerError, match=r"older monitor .* start `monitor run` once"):
        Reader(path)


def test_somebody_elses_database_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE recipes (cake TEXT)")
    with pytest.raises(Refused, match="some other program"):
        opened(path)


def test_the_documentation_has_the_tables_as_they_are() -> None:
    told = (Path(__file__).parent.parent / "docs/ledger.md").read_text("utf-8")
    assert f"```sql\n{schema.TABLES}```" in told


# ------------------------------------------------------------------------------- pure timeline


def span(state_: State, started: float, ended: float) -> Span:
    return Span("c", "p", "m", state_, started, ended)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([], []),
        ([(0, 9)], []),
        ([(0, 9), (12, 20)], [(9, 12)]),
        ([(0, 9), (9, 20)], []),
        ([(0, 50), (12, 20), (60, 61)], [(50, 60)]),
        ([(0, 9), (12, 12), (15, 20)], [(9, 12), (12, 15)]),
    ],
)
def test_nobody_looked_between_two_runs(
    runs: list[tuple[float, float]], expected: list[tuple[float, float]]
) -> None:
    assert timeline.pauses(runs) == expected


@pytest.mark.parametrize(
    ("idle", "expected"),
    [
        ([], "up 0-100"),
        ([(20, 30)], "up 0-20, unknown 20-30, up 30-100"),
        ([(-5, 10)], "unknown 0-10, up 10-100"),
        ([(90, 110)], "up 0-90, unknown 90-100"),
        ([(-5, 200)], "unknown 0-100"),
        (
            [(10, 20), (20, 30), (40, 50)],
            "up 0-10, unknown 10-30, up 30-40, unknown 40-50, up 50-100",
        ),
        ([(-9, -5), (200, 300)], "up 0-100"),
    ],
)
def test_pauses_are_cut_out_of_spans(idle: list[tuple[float, float]], expected: str) -> None:
    found = timeline.told([span(State.UP, 0, 100)], idle)
    assert ", ".join(f"{s.state} {s.started:g}-{s.ended:g}" for s in found) == expected


# ---------------------------------------------------------------------------- thread and process


def test_what_is_told_before_the_end_is_written_at_the_end(tmp_path: Path) -> None:
    clock = Clock()
    ledger = Ledger(tmp_path / "data", clock, 1e9)
    assert not ledger.recall(0.0).saved
    ledger.start()
    ledger.track(CHECK, begin(clock()))
    ledger.outage(outage_of(1))
    ledger.probe(CHECK, Probe("1", "c", (attempt_of(CHECK, "U", clock()),)))
    ledger.close()
    assert not (tmp_path / "data/ledger.db-wal").exists(), "the file is whole by itself"
    with Reader(tmp_path / "data/ledger.db") as found:
        assert len(found.outages()) == 1
        assert len([*found.probes()]) == 1
    assert not ledger.refused and not ledger.dropped


def test_telling_takes_microseconds(tmp_path: Path) -> None:
    clock = Clock()
    ledger = Ledger(tmp_path, clock, 1e9)
    probe = Probe("1", "c", (attempt_of(CHECK, "U", clock()),))
    track = begin(clock())
    taken = []
    for _ in range(2_000):
        began = time.thread_time_ns()
        ledger.track(CHECK, track)
        ledger.probe(CHECK, probe)
        taken.append(time.thread_time_ns() - began)
    assert sorted(taken)[1_000] <= 50_000


CHILD = """
import sys, time
from pathlib import Path
from monitor.judge import state
from monitor.judge.track import begin
from monitor.ledger import Ledger
from monitor.model import Moment
from tests.ledgers import CHECK, attempt_of

def clock():
    return Moment(time.time(), time.monotonic())

ledger = Ledger(Path(sys.argv[1]), clock, 1e9)
ledger.recall(0.0)
ledger.start()
track = begin(clock())
for letter in "UDDD":
    at = clock()
    track = state.attempt_begins(track, at)
    track, change = state.attempt_ends(track, CHECK, attempt_of(CHECK, letter, at, 0.0), first=True)
    ledger.track(CHECK, track, change)
sys.stdin.read()
"""


def test_kill_9_loses_nothing_that_is_a_second_old(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    root = str(Path(__file__).parent.parent)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    )
    try:
        deadline = time.monotonic() + 20.0
        while not open_outages(path) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert path.with_name("ledger.db-wal").exists(), "it was not shut down"
    with Reader(path) as ledger:
        (outage,) = ledger.outages()
    now = Moment(outage.started.wall + 10.0, 3.0)
    (saved,) = Writer(path, Queue(), 1e9, now.wall).recall(now, 0.0).saved
    assert saved.track.state is State.DOWN
    assert saved.track.outage == outage


def open_outages(path: Path) -> int:
    try:
        with Reader(path) as ledger:
            return len(ledger.outages())
    except LedgerError:
        return 0  # not yet made, or just being made
