"""Going on after a restart: a track as plain data, gaps, clocks and questions that changed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.judge import state
from monitor.judge.resume import (
    Saved,
    abandoned,
    dumped,
    identity,
    loaded,
    reconciled,
    resumed,
)
from monitor.judge.track import Track, begin
from monitor.model import Change, Mode, Moment, Outage, Secret, State
from tests.ledgers import CHECK, START, attempt_of
from tests.making import chat_check

EVERY = 60.0


def played(script: str, mono: float = 500.0) -> tuple[Track, list[Change], Moment]:
    """A track after one attempt a minute, its changes, and the end of the last attempt."""
    now = Moment(START, mono)
    track, changes = begin(now), []
    for number, letter in enumerate(script):
        started = Moment(START, mono).plus(EVERY * number)
        track = state.attempt_begins(track, started)
        seen = attempt_of(CHECK, letter, started)
        track, change = state.attempt_ends(track, CHECK, seen, first=True)
        now = seen.ended
        if change:
            changes.append(change)
    return track, changes, now


def stored(track: Track) -> Track:
    """As it comes back from the disk."""
    back = loaded(json.loads(json.dumps(dumped(track))), track.outage)
    assert back is not None
    return back


def later(now: Moment, seconds: float) -> Moment:
    """`seconds` later by the wall clock, in another process on another boot."""
    return Moment(now.wall + seconds, 7.0)


def on_attempt(track: Track, letter: str, at: Moment) -> tuple[Track, Change | None]:
    track = state.attempt_begins(track, at)
    return state.attempt_ends(track, CHECK, attempt_of(CHECK, letter, at), first=True)


# ---------------------------------------------------------------------------------- plain data


@given(st.text(alphabet="UUDDDSWLVN", max_size=40))
@example("UDDDUUDDDUUDDD")
def test_a_track_comes_back_from_the_disk_as_it_was(script: str) -> None:
    # A process whose monotonic clock reads as the wall clock loses nothing but what ends with it.
    track, _, _ = played(script, mono=START)
    assert stored(track) == replace(track, seconds=dict.fromkeys(State, 0.0))


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"state": "up"},
        {"state": "sideways", "since": 1.0, "booked": 1.0},
        {"state": "up", "since": "yesterday", "booked": 1.0},
        {"state": "up", "since": 1.0, "booked": 1.0, "failed": [1]},
        {"state": "up", "since": 1.0, "booked": 1.0, "failed": 3},
        {"state": "up", "since": 1.0, "booked": 1.0, "recent": 3},
        {"state": ["up"], "since": 1.0, "booked": 1.0},
    ],
)
def test_what_is_no_track_is_none(plain: dict[str, Any]) -> None:
    assert loaded(plain) is None


def test_missing_keys_have_their_defaults_and_unknown_ones_are_ignored() -> None:
    track = loaded({"state": "up", "since": 1.0, "booked": 2.0, "colour": "green"})
    assert track == Track(Moment(1.0, 1.0), Moment(2.0, 2.0), State.UP)


# ---------------------------------------------------------------------------------------- gaps


def test_after_a_short_gap_the_state_stands() -> None:
    track, _, now = played("UU")
    again = resumed(stored(track), CHECK, later(now, 180.0))
    assert again.change is None
    assert again.track.state is State.UP
    assert again.track.since.wall == START


def test_after_a_longer_gap_it_is_unknown_until_confirmed() -> None:
    track, _, now = played("UU")
    at = later(now, 181.0)
    again = resumed(stored(track), CHECK, at)
    assert again.change is not None
    assert (again.change.before, again.change.after) == (State.UP, State.UNKNOWN)
    assert again.change.since.wall == now.wall, "nothing is known from the last evidence on"
    assert again.track.since == again.change.since
    _, change = on_attempt(again.track, "U", at)
    assert change is not None and change.after is State.UP, "one ok suffices after a start"


def test_after_a_start_one_ok_suffices_even_where_the_last_word_was_a_failure() -> None:
    track, _, now = played("UUD")
    at = later(now, 600.0)
    _, change = on_attempt(resumed(stored(track), CHECK, at).track, "U", at)
    assert change is not None and change.after is State.UP


def test_a_long_silence_is_never_booked_to_what_comes_after_it() -> None:
    for script, letter in [("UUU", "U"), ("UDDD", "D")]:
        track, _, now = played(script)
        at = later(now, 600.0)
        track, changes = resumed(stored(track), CHECK, at).track, []
        for number in range(3):
            track, change = on_attempt(track, letter, at.plus(EVERY * number))
            changes += [change] if change else []
        assert [change.since for change in changes] == [at]


@pytest.mark.parametrize("gap", [30.0, 600.0, 3500.0])
def test_an_outage_goes_on_through_a_gap_as_the_same_one(gap: float) -> None:
    track, changes, now = played("UDDD")
    again = resumed(stored(track), CHECK, later(now, gap))
    opened = changes[-1].outage
    assert opened is not None and again.track.outage is not None
    assert again.track.outage.id == opened.id
    assert again.track.outage.started.wall == opened.started.wall
    assert again.ended is None
    track, at = again.track, later(now, gap)
    track, change = on_attempt(track, "U", at)
    assert change is None, "an outage never ends on a single answer"
    track, change = on_attempt(track, "U", at.plus(60))
    assert change is not None and change.outage is not None
    assert change.outage.ended == at
    assert change.outage.seconds(at) == pytest.approx(now.wall - 1 - START - 60 + gap + 1)
    assert change.outage.end_known


@pytest.mark.parametrize("state_at_the_end", ["", "V", "LL"])
def test_a_gap_of_over_an_hour_ends_the_outage_at_the_last_evidence(state_at_the_end: str) -> None:
    track, _, now = played("UDDD" + state_at_the_end)
    again = resumed(stored(track), CHECK, later(now, 3601.0))
    assert again.ended is not None and again.ended.ended is not None
    claimed = track.since if track.state is State.UNKNOWN else now
    assert again.ended.ended.wall == claimed.wall
    assert not again.ended.end_known
    assert again.track.outage is None
    assert again.track.state is State.UNKNOWN
    assert again.track.failed is None
    assert again.track.ever_ok, "the guard asks whether it ever worked"


def test_for_slow_rhythms_the_hour_is_ten_intervals() -> None:
    slow = replace(CHECK, interval=1800.0)
    track, _, now = played("UDDD")
    assert resumed(stored(track), slow, later(now, 17_999.0)).ended is None
    assert resumed(stored(track), slow, later(now, 18_001.0)).ended is not None


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_restart_between_first_failure_and_confirmation_costs_nothing(kept: int) -> None:
    script = "UDDD"
    track, _, now = played(script[:kept])
    at = later(now, 59.0)
    track = resumed(stored(track), CHECK, at).track
    for number, letter in enumerate(script[kept:]):
        track, change = on_attempt(track, letter, at.plus(EVERY * number))
    assert change is not None and change.outage is not None
    assert change.outage.started.wall == START + 60
    assert track.state is State.DOWN


def test_counters_begin_at_zero_and_never_count_the_time_before_the_process() -> None:
    track, _, now = played("UDD")
    at = later(now, 59.0)
    track = resumed(stored(track), CHECK, at).track
    assert sum(track.seconds.values()) == 0
    track, change = on_attempt(track, "D", at)
    assert change is not None and change.since.wall == START + 60
    assert track.seconds[State.DOWN] == pytest.approx(1.0)


def test_a_check_that_never_finished_an_attempt_starts_anew() -> None:
    track, _, now = played("")
    at = later(now, 10_000.0)
    again = resumed(stored(track), CHECK, at)
    assert again.track == replace(begin(at), since=again.track.since, counted=at.mono)
    assert again.track.since.wall == START
    assert again.change is None


def test_a_maintenance_window_stands_through_a_gap_but_not_through_a_long_one() -> None:
    track, _, now = played("UDDD")
    track, _ = state.maintain(track, CHECK, None, now.plus(5), opens=True)
    short = resumed(stored(track), CHECK, later(now, 3000.0))
    assert (short.track.state, short.change, short.ended) == (State.MAINTENANCE, None, None)
    assert short.track.outage is not None
    long = resumed(stored(track), CHECK, later(now, 3601.0))
    assert long.change is not None and long.change.after is State.UNKNOWN
    assert long.ended is not None and not long.ended.end_known


# ---------------------------------------------------------------------------------------- clocks


@given(st.text(alphabet="UDDDSL", min_size=1, max_size=20), st.floats(1.0, 1e9))
def test_a_wall_clock_that_was_set_back_breaks_nothing(script: str, back: float) -> None:
    track, _, now = played(script)
    at = Moment(now.wall - back, 7.0)
    again = resumed(stored(track), CHECK, at)
    assert again.change is None
    assert again.track.state is track.state
    for moment in (again.track.since, again.track.booked, again.track.last_evidence):
        assert moment is not None
        assert moment.mono <= at.mono + 1e-3
    if track.outage:
        assert again.track.outage is not None
        assert again.track.outage.seconds(at) == pytest.approx(track.outage.seconds(now), abs=1e-3)
        assert again.track.outage.id == track.outage.id
    after, change = on_attempt(again.track, "D", at)
    assert after.booked.mono <= at.mono + 1.001
    assert change is None or change.since.mono <= change.at.mono


# ------------------------------------------------------------------------------- other questions


def saved(script: str) -> tuple[Saved, Moment]:
    track, _, now = played(script)
    return Saved(CHECK.labels3, identity(CHECK), stored(track)), now


def test_the_same_question_goes_on_whatever_else_is_configured_anew() -> None:
    one, now = saved("UDDD")
    changed = replace(CHECK, interval=30.0, slo=0.9, api_key=Secret("another-key"))
    found = reconciled([one], [changed], later(now, 10.0))
    assert found.tracks["c"].state is State.DOWN
    assert not found.gone and not found.ended


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "d"},
        {"provider": "q"},
        {"model": "m-2"},
        {"url": "http://127.0.0.1:9/v2"},
        {"mode": Mode.REACHABILITY},
        {"protocol": "anthropic"},
    ],
)
def test_another_question_ends_the_outage_at_the_last_evidence(changes: dict[str, Any]) -> None:
    one, now = saved("UDDD")
    found = reconciled([one], [chat_check(**changes)], later(now, 10.0))
    assert not found.tracks
    assert found.gone == (one,)
    (ended,) = found.ended
    assert ended.ended is not None and ended.ended.wall == now.wall
    assert not ended.end_known


def test_a_check_that_is_gone_without_an_outage_ends_nothing() -> None:
    one, now = saved("UU")
    found = reconciled([one], [], later(now, 10.0))
    assert (found.gone, found.ended) == ((one,), ())


def test_an_identity_does_not_show_the_url() -> None:
    told = identity(chat_check("http://host/?key=hunter2"))
    assert "hunter2" not in told
    assert told != identity(CHECK)


def test_an_outage_that_is_left_never_ends_before_it_began() -> None:
    track, changes, _ = played("UDDD")
    early = replace(track, last_evidence=Moment(0.0, 0.0), booked=Moment(0.0, 0.0))
    left = abandoned(early)
    assert isinstance(left, Outage) and changes[-1].outage
    assert left.ended == changes[-1].outage.started
