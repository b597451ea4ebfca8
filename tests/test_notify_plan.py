"""What is told of a provider's outages, and when: scripts in invented time, and properties."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from math import log2
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.judge.incidents import incidents
from monitor.model import Outage
from monitor.notify.plan import GATHER, LIMIT, WINDOW, Event
from tests.noticing import TARGET, World

HOUR = 3600.0


def test_siblings_that_go_down_together_are_one_message() -> None:
    world = World(checks=3).down("a").wait(2).down("b").wait(3).down("c").wait(100)
    (notice,) = world.notices
    assert (notice.event, notice.down, notice.watched) == (Event.OPENED, 3, 3)
    assert notice.checks == ("a", "b", "c")
    assert notice.at.mono == GATHER


def test_an_outage_that_is_over_before_it_was_told_is_not_told() -> None:
    assert World().down("a").wait(GATHER - 1).up("a").wait(HOUR).notices == []


def test_the_end_is_told_once_all_checks_are_back_with_what_is_known_of_it() -> None:
    world = World().down("a").wait(60).down("b").wait(60).up("a").wait(60)
    assert "resolved" not in world.events
    (notice,) = world.up("b").wait(HOUR).notices[-1:]
    assert (notice.event, notice.end_known, notice.down) == (Event.RESOLVED, True, 2)
    assert notice.ended and notice.ended.mono == 180
    assert notice.started.mono == 0
    assert [outage.check for outage in notice.outages] == ["a", "b"]


def test_a_check_that_comes_back_down_at_once_continues_the_incident_that_it_overlaps() -> None:
    world = World().down("a").wait(60).up("a").wait(GATHER - 1).down("b", lag=GATHER - 1)
    assert world.wait(HOUR).events == ["opened"]


def test_the_next_outage_is_another_incident_and_the_one_before_is_closed_first() -> None:
    world = World().down("a").wait(60).up("a").wait(2).down("b").wait(60)
    assert world.events == ["opened", "resolved", "opened"]
    first, last, other = world.notices
    assert first.incident == last.incident != other.incident


@pytest.mark.parametrize(
    ("checks", "waves", "told"),
    [
        (1, ["a"], [1]),
        (4, ["a", "b"], [1, 2]),
        (9, ["a", "b", "c"], [1, 2]),
        (9, ["a", "b", "c", "d"], [1, 2, 4]),
        (3, ["ab", "c"], [2, 3]),  # no twice as many, but all of them
        (3, ["abc"], [3]),
    ],
)
def test_more_checks_are_told_when_they_are_twice_as_many_or_all(
    checks: int, waves: list[str], told: list[int]
) -> None:
    world = World(checks=checks)
    for wave in waves:
        world.down(*wave).wait(60)
    assert [notice.down for notice in world.notices] == told
    assert world.events == ["opened"] + ["escalated"] * (len(told) - 1)


def test_what_got_worse_for_a_moment_only_is_not_told() -> None:
    world = World(checks=9).down("a").wait(60).down("b").wait(GATHER - 1).up("b").wait(HOUR)
    assert world.events == ["opened"]


def test_all_are_down_only_for_want_of_knowledge_is_no_escalation() -> None:
    world = World(checks=3).down("a").wait(60)
    world.checks = 1
    world.look()
    assert world.wait(HOUR).events == ["opened"]


def test_after_counts_from_the_start_of_the_outage() -> None:
    world = World(target=replace(TARGET, after=300.0)).down("a", lag=40).wait(259)
    assert world.events == []
    assert world.wait(1).events == ["opened"]
    short = World(target=replace(TARGET, after=300.0)).down("a").wait(299).up("a").wait(HOUR)
    assert short.notices == []


def test_it_is_repeated_only_where_that_is_wanted_and_while_it_lasts() -> None:
    world = World(target=replace(TARGET, repeat=HOUR)).down("a").wait(3 * HOUR + 60).up("a")
    assert world.wait(9 * HOUR).events == ["opened", "repeated", "repeated", "repeated", "resolved"]


def test_an_outage_lost_from_sight_says_so() -> None:
    notice = World().down("a").wait(60).up("a", known=False).wait(60).notices[-1]
    assert (notice.event, notice.end_known) == (Event.RESOLVED, False)
    assert notice.ended is not None


def test_an_outage_of_which_nothing_is_left_says_that_its_end_is_unknown() -> None:
    world = World().down("a").wait(60)
    world.open.clear()
    world.look()
    notice = world.wait(60).notices[-1]
    assert (notice.event, notice.ended, notice.outages, notice.checks) == (
        Event.RESOLVED, None, (), ("a",),
    )  # fmt: skip


def test_one_that_comes_and_goes_is_told_so_and_then_left_alone_for_a_while() -> None:
    world = World()
    for _ in range(10):
        world.down("a").wait(60).up("a").wait(60)
    opened = [notice for notice in world.notices if notice.event is Event.OPENED]
    assert [notice.silent_until is not None for notice in opened] == [False, False, False, True]
    assert opened[-1].silent_until == opened[0].at.plus(WINDOW)
    assert world.events == ["opened", "resolved"] * LIMIT
    (late,) = world.wait(HOUR).down("a").wait(60).notices[2 * LIMIT :]
    assert (late.event, late.unsaid) == (Event.OPENED, 6)


def test_an_outage_that_began_in_the_silence_and_lasts_is_told_in_the_end() -> None:
    world = World()
    for _ in range(LIMIT):
        world.down("a").wait(60).up("a").wait(60)
    silent_until = world.notices[-2].silent_until
    world.down("a").wait(2 * HOUR)
    assert silent_until and world.notices[-1].at.mono == silent_until.mono
    assert world.notices[-1].event is Event.OPENED


def test_a_restart_tells_nothing_twice_and_forgets_nothing(tmp_path: Path) -> None:
    world = World(checks=4).down("a").wait(60).restart(tmp_path).wait(HOUR)
    assert world.events == ["opened"]
    world.down("b").wait(60).restart(tmp_path).up("a").wait(60).restart(tmp_path).up("b").wait(60)
    assert world.events == ["opened", "escalated", "resolved"]
    assert world.restart(tmp_path).wait(HOUR).events == ["opened", "escalated", "resolved"]


def test_what_was_not_told_before_the_end_of_the_process_is_told_by_the_next(
    tmp_path: Path,
) -> None:
    world = World().down("a").wait(5).restart(tmp_path).wait(HOUR)
    assert world.events == ["opened"]


# ---------------------------------------------------------------------------------- properties

CHECKS = "abcdef"
MOVES = st.tuples(
    st.sampled_from(["down", "up", "lost", "restart", "wait"]),
    st.sets(st.sampled_from(CHECKS), min_size=1),
    st.floats(0, 1) | st.floats(0, 60) | st.floats(0, 3000),
    st.floats(0, GATHER * 0.99),
)


def played(
    moves: list[tuple[str, set[str], float, float]], folder: Path
) -> tuple[World, list[Outage]]:
    """All of it, and an hour and more of peace in the end."""
    world, seen = World(checks=len(CHECKS)), dict[str, Outage]()
    for move, checks, pause, lag in moves:
        if move == "down":
            fresh = [check for check in checks if check not in world.open]
            world.down(*fresh, lag=lag)
        elif move in ("up", "lost"):
            world.up(*checks, known=move == "up")
        elif move == "restart":
            world.restart(folder)
        seen |= {outage.id: outage for outage in (*world.open.values(), *world.ended.values())}
        world.wait(pause)
    world.up(*CHECKS).wait(HOUR + 60)
    return world, list((seen | world.ended).values())


@given(st.lists(MOVES, max_size=40))
def test_every_incident_is_told_as_one_story(
    moves: list[tuple[str, set[str], float, float]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world, outages = played(moves, Path(folder))
    stories: dict[str, list[str]] = {}
    for notice in world.notices:
        stories.setdefault(notice.incident, []).append(notice.event.value)
        assert notice.number == len(stories[notice.incident])
    for story in stories.values():
        assert story[0] == "opened" and story[-1] == "resolved"
        assert set(story[1:-1]) <= {"escalated"}
        assert len(story[1:-1]) <= log2(len(CHECKS)) + 1
    assert len(stories) <= len(incidents(outages))
    assert world.told.story is None
    opened = [notice.at.mono for notice in world.notices if notice.event is Event.OPENED]
    for at in opened:
        assert sum(at - WINDOW < other <= at for other in opened) <= LIMIT
    assert max(Counter(notice.incident for notice in world.notices).values(), default=0) <= 6


@given(st.lists(MOVES, max_size=20), st.sets(st.sampled_from(CHECKS), min_size=1))
def test_what_stays_down_is_always_told(
    moves: list[tuple[str, set[str], float, float]], down: set[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world, _ = played(moves, Path(folder))
    before = len(world.notices)
    world.down(*down).wait(HOUR)
    assert [notice.event for notice in world.notices[before:]] == [Event.OPENED]
    assert world.notices[-1].down == len(down)
