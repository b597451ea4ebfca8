"""What the pages are told of the past: uptimes, days, latencies and outages out of the ledger."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from monitor.ledger import Reader
from monitor.ledger.schema import FILE
from monitor.model import State
from monitor.run.hindsight import FRESH, LASTING, Hindsight
from monitor.show.past import DAYS, SLOTS, CheckPast, Share, share
from tests.ledgers import CHECK, START, Clock, Monitor

LABELS = CHECK.labels3


def played(data_dir: Path, script: str) -> tuple[Clock, Monitor]:
    clock = Clock()
    monitor = Monitor(data_dir / FILE, clock)
    monitor.play(script)
    monitor.tick()
    monitor.turn()
    return clock, monitor


def test_uptime_is_up_or_degraded_time_by_judged_time() -> None:
    seconds = {State.UP: 60.0, State.DEGRADED: 20.0, State.DOWN: 20.0, State.UNKNOWN: 900.0}
    assert share(seconds, 1000.0) == Share(0.8, 0.1)
    assert share({State.LIMITED: 50.0}, 1000.0) == Share(None, 0.0)


def test_the_past_of_a_check_has_its_days_uptimes_and_outages(tmp_path: Path) -> None:
    clock, _ = played(tmp_path, "U" * 60 + "D" * 20 + "U" * 20)
    past = Hindsight(tmp_path).look(START + clock.seconds)
    check = past.of(LABELS)
    assert past.trouble is None
    (outage,) = past.outages
    assert (outage.started.wall, outage.evidence) == (
        START + 60 * 60.0,
        "Internal <Server> Error",
    )
    day, week, quarter = check.shares()
    assert day.uptime == pytest.approx(0.8, abs=0.02)
    assert day.coverage == pytest.approx(100 / 1440, abs=0.002)
    assert week.coverage == pytest.approx(day.coverage / 7)
    assert quarter.uptime == pytest.approx(day.uptime)
    assert sum(one.probes for one in check.days) == 100
    assert sum(one.bad for one in check.days) == 20
    assert check.days[-1].seconds[State.DOWN] == pytest.approx(20 * 60.0, abs=61)


def test_days_go_back_ninety_and_are_in_order(tmp_path: Path) -> None:
    clock = Clock()
    monitor = Monitor(tmp_path / FILE, clock)
    for _ in range(DAYS + 10):
        monitor.play("UUU")
        clock.seconds += 86400.0 - 180.0
    monitor.tick()
    monitor.turn()
    days = Hindsight(tmp_path).look(START + clock.seconds).of(LABELS).days
    names = [day.day for day in days]
    assert names == sorted(names)
    assert len(names) == DAYS


def test_latencies_are_ranked_by_half_hours_and_over_the_day(tmp_path: Path) -> None:
    clock, _ = played(tmp_path, "U" * 90)
    rng = random.Random(1)
    times = [rng.random() for _ in range(90)]
    with sqlite3.connect(tmp_path / FILE) as file:
        for number, seconds in enumerate(times, 1):
            file.execute("UPDATE probes SET first_token = ? WHERE id = ?", (seconds, number))
        file.execute("UPDATE probes SET first_token = NULL, total = 77 WHERE id = 90")
        file.execute("UPDATE probes SET verdict = 'failed', first_token = 99 WHERE id = 1")
    now = START + clock.seconds
    latency = Hindsight(tmp_path).look(now).of(LABELS).latency
    good = sorted([*times[1:89], 77.0])
    assert latency.p50 == good[(len(good) + 1) // 2 - 1]
    assert latency.p95 == good[-(-len(good) * 95 // 100) - 1]
    assert len(latency.slots) == SLOTS
    assert latency.slots[:-3] == (None,) * (SLOTS - 3)
    third = sorted([*times[60:89], 77.0])
    assert latency.slots[-1] == third[(len(third) + 1) // 2 - 1]


def test_one_reading_serves_for_a_while(tmp_path: Path) -> None:
    clock, monitor = played(tmp_path, "UUUDDD")
    hindsight, now = Hindsight(tmp_path), START + clock.seconds
    first = hindsight.look(now)
    monitor.play("UUU")
    monitor.turn()
    assert hindsight.look(now + FRESH - 1) is first
    assert hindsight.look(now + FRESH + 1) is not first


def test_what_is_costly_is_read_less_often_than_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, _ = played(tmp_path, "UUU")
    read: list[str] = []
    for name in ("latencies", "outages"):
        real = getattr(Reader, name)

        def counting(
            ledger: Reader, *stretch: float, name: str = name, real: Any = real
        ) -> list[Any]:
            read.append(name)
            return list(real(ledger, *stretch))

        monkeypatch.setattr(Reader, name, counting)
    hindsight, now = Hindsight(tmp_path), START + clock.seconds
    for second in range(0, int(LASTING) + 1, int(FRESH)):
        hindsight.look(now + second)
    assert (read.count("latencies"), read.count("outages")) == (2, LASTING // FRESH + 1)


def test_a_new_day_is_noticed_at_once(tmp_path: Path) -> None:
    clock = Clock()
    monitor = Monitor(tmp_path / FILE, clock)
    midnight = 86400.0 - START % 86400.0
    clock.seconds = midnight - 130.0
    monitor.play("UU").turn()
    hindsight = Hindsight(tmp_path)
    before = hindsight.look(START + midnight - 5.0).of(LABELS).days
    monitor.play("UU").turn()
    after = hindsight.look(START + midnight + 100.0).of(LABELS).days
    assert [day.probes for day in before] == [2]
    assert [day.day for day in after] == [before[0].day, after[1].day]
    assert sum(day.probes for day in after) == 4
    assert after[1].seconds[State.UP] < 200.0


def test_a_ledger_that_cannot_be_read_leaves_what_was_read_before(tmp_path: Path) -> None:
    clock, _ = played(tmp_path, "UUUDDD")
    hindsight, now = Hindsight(tmp_path), START + clock.seconds
    before = hindsight.look(now)
    (tmp_path / FILE).write_bytes(b"no database" * 100)
    for companion in (tmp_path / f"{FILE}-wal", tmp_path / f"{FILE}-shm"):
        companion.unlink(missing_ok=True)
    after = hindsight.look(now + FRESH + 1)
    assert (after.checks, after.outages) == (before.checks, before.outages)
    assert after.trouble is not None
    assert FILE in after.trouble


def test_without_a_ledger_nothing_is_known_and_said_so(tmp_path: Path) -> None:
    past = Hindsight(tmp_path / "none").look(START)
    assert past.of(LABELS) == CheckPast()
    assert past.trouble is not None
