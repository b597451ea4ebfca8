"""Histories with restarts at any point: what the ledger tells afterwards, whatever happened."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.ledger.read import Reader
from monitor.ledger.records import Span
from monitor.model import Confirm, Outage, State
from tests.ledgers import CHECK, START, Clock, Monitor

BETTER = {State.UP, State.DEGRADED}

# What happens next, and for how many seconds: an attempt, a housekeeping tick, a commit, an edge of
# a maintenance window, an end
# of the process by signal 9 (just after a commit, or not) or by SIGTERM, with the next start then.
letters = st.sampled_from("UUUDDDDSWLVN")
steps = st.one_of(
    st.tuples(letters, st.floats(1.0, 100.0)),
    st.tuples(st.sampled_from("t!m"), st.floats(0.0, 100.0)),
    st.tuples(st.sampled_from("kx"), st.floats(1.0, 60.0)),
)
wild_steps = st.one_of(
    st.tuples(letters, st.sampled_from([1.0, 30.0, 60.0, 200.0, 4000.0])),
    st.tuples(st.sampled_from("t!m"), st.sampled_from([0.0, 10.0, 500.0])),
    st.tuples(st.sampled_from("kxz"), st.sampled_from([1.0, 100.0, 500.0, 5000.0, 200_000.0])),
)
confirms = st.builds(
    Confirm,
    down=st.integers(1, 4),
    degraded=st.integers(1, 4),
    limited=st.integers(1, 3),
    up=st.integers(1, 3),
)
Script = Sequence[tuple[str, float]]


def lived(folder: Path, script: Script, confirm: Confirm, *, restarts: bool = True) -> Clock:
    """Act `script` out upon a ledger in `folder`; without `restarts` one process lives it all."""
    path, clock = folder / "ledger.db", Clock()
    check = replace(CHECK, confirm=confirm)
    monitor = Monitor(path, clock, check).turn()
    for what, seconds in script:
        if what == "!":
            monitor.turn()
        elif what == "m":
            monitor.maintain()
        elif what == "t":
            clock.seconds += seconds
            monitor.tick()
            continue
        elif what in "kxz":
            if what != "z":
                monitor.turn() if what == "k" else monitor.stop()
            clock.seconds += seconds
            if restarts:
                monitor.killed()
                clock.boot += 12_345.0
                monitor = Monitor(path, clock, check)
            continue
        else:
            monitor.attempt(what)
        clock.seconds += seconds
    monitor.stop()
    assert monitor.errors == 0
    return clock


def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def read(folder: Path) -> tuple[list[Span], list[Outage], list[tuple[float, float]]]:
    with Reader(folder / "ledger.db") as ledger:
        runs = ledger._connection.execute("SELECT started, alive FROM runs ORDER BY 1").fetchall()
        return ledger.timeline(), ledger.outages(), runs


def overlap(span: Span, start: float, end: float) -> float:
    return max(0.0, min(span.ended, end) - max(span.started, start))


def extent(outage: Outage, last: float) -> tuple[float, float]:
    return outage.started.wall, outage.ended.wall if outage.ended else last


def seconds(spans: Sequence[Span], states: set[State], start: float, end: float) -> float:
    return sum(overlap(span, start, end) for span in spans if span.state in states)


def holds(spans: list[Span], outages: list[Outage]) -> None:
    """What is true of every history."""
    if not spans:
        return
    assert spans[0].started == START
    for one, other in pairwise(spans):
        assert one.ended == other.started, "no overlap, no hole"
        assert one.state is not other.state
    assert all(span.started <= span.ended for span in spans)
    last = spans[-1].ended
    for earlier, later in pairwise(outages):
        assert earlier.ended is not None and earlier.ended.wall <= later.started.wall
    inside = 0.0
    for outage in outages:
        start, end = extent(outage, last)
        assert start <= end
        assert seconds(spans, BETTER, start, end) == pytest.approx(0, abs=1e-3)
        inside += seconds(spans, {State.DOWN}, start, end)
    assert seconds(spans, {State.DOWN}, START, last) == pytest.approx(inside, abs=1e-3)


@settings(max_examples=150, deadline=None)
@given(st.lists(wild_steps, max_size=40), confirms)
def test_the_timeline_and_the_outages_agree_whatever_happened(
    script: Script, confirm: Confirm
) -> None:
    for folder in scratch():
        lived(folder, script, confirm)
        spans, outages, _ = read(folder)
        holds(spans, outages)


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, max_size=60), confirms)
def test_restarts_change_nothing_but_that_nobody_looked(script: Script, confirm: Confirm) -> None:
    # Gaps stay under the freshness rule: beyond it a restart is meant to matter.
    script = [*quickened(script)]
    for folder in scratch():
        (folder / "whole").mkdir()
        (folder / "torn").mkdir()
        lived(folder / "whole", script, confirm, restarts=False)
        lived(folder / "torn", script, confirm)
        whole, outages, _ = read(folder / "whole")
        torn, again, runs = read(folder / "torn")
        assert [*map(plain, outages)] == [*map(plain, again)]
        idle = [(before[1], after[0]) for before, after in pairwise(runs)]
        end = min(spans[-1].ended if spans else START for spans in (whole, torn))
        assert without(torn, idle, end) == pytest.approx(without(whole, idle, end), abs=1e-3)
        for start, back in idle:
            assert seconds(torn, set(State) - {State.UNKNOWN}, start, back) == 0


def quickened(script: Script) -> Iterator[tuple[str, float]]:
    """`script` without any silence that would make the state `unknown`."""
    silence = 0.0
    for what, pause in script:
        silence = pause + 1.0 if what.isupper() else silence + pause
        if silence < 170.0:
            yield what, pause
        else:
            silence -= pause
            yield ("U", 1.0)
            silence = 2.0


def plain(outage: Outage) -> object:
    ended = round(outage.ended.wall, 3) if outage.ended else None
    return replace(outage, ended=None), ended


def without(
    spans: Sequence[Span], idle: Sequence[tuple[float, float]], until: float
) -> list[float]:
    """Seconds of each state up to `until`, those within `idle` left out."""
    found = []
    for state in State:
        whole = seconds(spans, {state}, START, until)
        unseen = (seconds(spans, {state}, start, min(end, until)) for start, end in idle)
        found.append(whole - sum(unseen))
    return found
