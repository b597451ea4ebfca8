"""When rounds start and when attempts end: arithmetic only."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model import Confirm, Reason, State, Timeouts
from monitor.probe.deadlines import Deadlines
from monitor.run.schedule import first_starts, next_start, phases
from tests.making import chat_check

CHECK = chat_check(interval=60.0, confirm=Confirm(recheck=5.0))


def test_first_starts_are_spread_at_a_steady_pace() -> None:
    checks = [replace(CHECK, name=f"c{n}") for n in range(100)]
    starts = sorted(first_starts(checks).values())
    gaps = [b - a for a, b in pairwise(starts)]
    assert starts[0] == 0
    assert gaps == pytest.approx([0.05] * 99)


def test_very_many_checks_share_the_whole_interval() -> None:
    checks = [replace(CHECK, name=f"c{n}") for n in range(6000)]
    starts = sorted(first_starts(checks).values())
    assert 59 < starts[-1] < 60


def test_siblings_are_spread_over_the_interval() -> None:
    checks = [replace(CHECK, name=f"c{n}", provider=f"p{n % 2}") for n in range(10)]
    found = phases(checks)
    for provider in ("p0", "p1"):
        mine = sorted(found[check.name] % 60.0 for check in checks if check.provider == provider)
        gaps = [b - a for a, b in pairwise([*mine, mine[0] + 60.0])]
        assert gaps == pytest.approx([12.0] * 5)


def test_strangers_do_not_ask_at_the_same_time() -> None:
    checks = [replace(CHECK, name=f"c{n}", provider=f"p{n}") for n in range(200)]
    minutes = [int(phase // 6.0) for phase in phases(checks).values()]
    assert max(minutes.count(place) for place in set(minutes)) < 45


def test_the_second_round_leaves_the_first_half_an_interval() -> None:
    for number in range(50):
        check = replace(CHECK, provider=f"p{number}")
        (origin,) = phases([check]).values()
        assert 30.0 <= next_start(check, State.UP, origin, 0.0, 0.5) <= 90.0


@pytest.mark.parametrize(
    ("state", "started", "now", "due"),
    [
        (State.UP, 100.0, 101.0, 160.0),
        (State.UP, 100.0, 159.9, 160.0),
        (State.UP, 100.0, 161.0, 220.0),
        (State.UP, 100.0, 400.0, 460.0),
        (State.DOWN, 100.0, 101.0, 115.0),
        (State.DOWN, 115.0, 116.0, 130.0),
        (State.DOWN, 145.0, 150.0, 160.0),
        (State.DOWN, 100.0, 120.0, 130.0),
    ],
)
def test_the_grid_is_kept_and_missed_starts_are_skipped(
    state: State, started: float, now: float, due: float
) -> None:
    assert next_start(CHECK, state, 100.0, started, now) == due


@given(st.floats(0, 1e6), st.floats(0, 1e4), st.floats(1, 3600), st.sampled_from(State))
def test_the_next_start_lies_ahead_and_within_an_interval(
    started: float, late: float, interval: float, state: State
) -> None:
    check = replace(CHECK, interval=interval)
    now = started + late
    due = next_start(check, state, 0.0, started, now)
    assert now < due <= now + max(interval, 5.0) + 1e-6


LIMITS = Timeouts(connect=5, first_byte=20, first_token=30, idle=15, total=60)


def test_each_deadline_runs_from_its_own_start() -> None:
    deadlines = Deadlines(LIMITS, started=100.0, streaming=True)
    assert deadlines.next() == (105.0, Reason.CONNECT_TIMEOUT)
    deadlines.sent = 102.0
    assert deadlines.next() == (122.0, Reason.FIRST_BYTE_TIMEOUT)
    deadlines.head = 110.0
    assert deadlines.next() == (132.0, Reason.FIRST_TOKEN_TIMEOUT)
    deadlines.progress = 130.0
    assert deadlines.next() == (145.0, Reason.IDLE_TIMEOUT)
    deadlines.progress = 150.0
    assert deadlines.next() == (160.0, Reason.TOTAL_TIMEOUT)


def test_a_first_token_limit_below_that_of_the_head_counts_before_the_head() -> None:
    deadlines = Deadlines(replace(LIMITS, first_token=3), 100.0, streaming=True, sent=101.0)
    assert deadlines.next() == (104.0, Reason.FIRST_TOKEN_TIMEOUT)


def test_a_page_has_no_first_token() -> None:
    deadlines = Deadlines(LIMITS, 100.0, streaming=False, sent=101.0)
    assert deadlines.next() == (121.0, Reason.FIRST_BYTE_TIMEOUT)
    deadlines.head = 103.0
    assert deadlines.next() == (118.0, Reason.IDLE_TIMEOUT)


def test_a_status_that_has_decided_grants_its_body_little_time() -> None:
    deadlines = Deadlines(LIMITS, 100.0, streaming=True, sent=101.0, head=103.0, decided=True)
    assert deadlines.next() == (108.0, Reason.IDLE_TIMEOUT)
