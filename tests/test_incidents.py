"""Outages of one provider that overlap are one incident."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.judge.incidents import Incident, down_ratio, incidents
from monitor.model import Moment, Outage, Reason, State


def outage(
    check: str, start: float, end: float | None, provider: str = "p", *, known: bool = True
) -> Outage:
    began = Moment(start, start)
    return Outage(
        id=f"{check}@{start:g}",
        check=check,
        provider=provider,
        model="m",
        started=began,
        confirmed=began,
        reason=Reason.CONNECT,
        ended=None if end is None else Moment(end, end),
        end_known=known,
    )


def told(found: list[Incident]) -> list[tuple[str, float, float | None, tuple[str, ...]]]:
    return [(i.id, i.started.wall, i.ended and i.ended.wall, i.members) for i in found]


def test_what_overlaps_or_touches_is_one_and_what_does_not_is_two() -> None:
    found = incidents(
        [
            outage("b", 5, 20),
            outage("a", 0, 10),
            outage("c", 20, 25),
            outage("a", 26, 30),
        ]
    )
    assert told(found) == [("a@0", 0, 25, ("a", "b", "c")), ("a@26", 26, 30, ("a",))]


def test_it_is_open_while_any_member_is_and_a_check_is_named_once() -> None:
    found = incidents([outage("a", 0, 10), outage("b", 5, None), outage("a", 12, 20)])
    assert told(found) == [("a@0", 0, None, ("a", "b"))]


def test_providers_are_apart() -> None:
    found = incidents([outage("b", 1, 3, "q"), outage("a", 0, 9)])
    assert [(i.provider, i.members) for i in found] == [("p", ("a",)), ("q", ("b",))]


@pytest.mark.parametrize(
    ("first", "second", "known"), [(True, False, False), (False, True, True), (True, True, True)]
)
def test_its_end_is_as_well_known_as_that_of_its_last_outage(
    first: bool, second: bool, known: bool
) -> None:
    (found,) = incidents([outage("a", 0, 10, known=first), outage("b", 5, 20, known=second)])
    assert found.end_known is known


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=12))
def test_incidents_cover_every_outage_and_never_touch(raw: list[tuple[int, int]]) -> None:
    outages = [outage(f"c{n}", start, start + length) for n, (start, length) in enumerate(raw)]
    found = incidents(outages)
    for one in outages:
        (home,) = [i for i in found if one.check in i.members]
        assert home.ended and one.ended
        assert home.started.wall <= one.started.wall <= one.ended.wall <= home.ended.wall
    for before, after in pairwise(found):
        assert before.ended and before.ended.wall < after.started.wall


@pytest.mark.parametrize(
    ("states", "ratio"),
    [
        ([], None),
        ([State.UNKNOWN, State.LIMITED, State.MAINTENANCE], None),
        ([State.DOWN, State.UNKNOWN], 1.0),
        ([State.DOWN, State.UP, State.DEGRADED, State.UP], 0.25),
        ([State.UP], 0.0),
    ],
)
def test_the_share_that_is_down_leaves_out_what_nobody_knows(
    states: list[State], ratio: float | None
) -> None:
    assert down_ratio(states) == ratio
