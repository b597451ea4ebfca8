"""The state machine as scripts: a string of attempts in, the confirmed changes out.

U ok, S slow, W wrong, D failed (connect), L limited, V void (stalled), N void (own network).
One attempt begins every 10 s and takes 1 s.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.judge import state
from monitor.judge.track import Track, begin
from monitor.model import (
    REASONS,
    Attempt,
    Change,
    Check,
    Confirm,
    Fault,
    Moment,
    Ratio,
    Reason,
    State,
    Verdict,
)
from tests.making import chat_check

LETTERS: dict[str, tuple[Verdict, Reason | None]] = {
    "U": (Verdict.OK, None),
    "S": (Verdict.SLOW, Reason.SLOW_TOTAL),
    "W": (Verdict.WRONG, Reason.WRONG_ANSWER),
    "D": (Verdict.FAILED, Reason.CONNECT),
    "L": (Verdict.LIMITED, Reason.AUTH),
    "V": (Verdict.VOID, Reason.STALLED),
    "N": (Verdict.VOID, Reason.LOCAL_NETWORK),
}
CHECK = chat_check(interval=10.0)
START = Moment(1_795_000_000.0, 500.0)


def at(seconds: float) -> Moment:
    return START.plus(seconds)


def run(script: str, check: Check = CHECK) -> tuple[Track, list[Change]]:
    track, changes = begin(START), []
    for number, letter in enumerate(script):
        started = at(10.0 * number)
        verdict, reason = LETTERS[letter]
        track = state.attempt_begins(track, started)
        attempt = Attempt(check.name, started, started.plus(1), verdict, reason)
        track, change = state.attempt_ends(track, check, attempt, first=True)
        if change:
            changes.append(change)
    return track, changes


def told(changes: list[Change]) -> list[tuple[str, float, float]]:
    """State, where it begins and when it was confirmed, in seconds from the start."""
    return [(c.after.value, c.since.mono - 500, c.at.mono - 500) for c in changes]


SCRIPTS: list[tuple[str, list[tuple[str, float, float]]]] = [
    ("U", [("up", 0, 1)]),
    ("UU", [("up", 0, 1)]),
    ("UDU", [("up", 0, 1)]),
    ("UDDU", [("up", 0, 1)]),
    ("UDDD", [("up", 0, 1), ("down", 10, 31)]),
    ("DDD", [("down", 0, 21)]),
    ("UDDDU", [("up", 0, 1), ("down", 10, 31)]),
    ("UDDDUU", [("up", 0, 1), ("down", 10, 31), ("up", 40, 51)]),
    ("UDDDUDUU", [("up", 0, 1), ("down", 10, 31), ("up", 60, 71)]),
    ("USSS", [("up", 0, 1), ("degraded", 10, 31)]),
    ("UWSW", [("up", 0, 1), ("degraded", 10, 31)]),
    ("USSU", [("up", 0, 1)]),
    ("USDS", [("up", 0, 1), ("degraded", 10, 31)]),
    ("USSSUU", [("up", 0, 1), ("degraded", 10, 31), ("up", 40, 51)]),
    ("USSSDDD", [("up", 0, 1), ("degraded", 10, 31), ("down", 40, 61)]),
    ("UDDDSSS", [("up", 0, 1), ("down", 10, 31), ("degraded", 40, 61)]),
    ("UDDDSUU", [("up", 0, 1), ("down", 10, 31), ("up", 50, 61)]),
    ("L", []),
    ("LL", [("limited", 0, 11)]),
    ("ULL", [("up", 0, 1), ("limited", 10, 21)]),
    ("LLUU", [("limited", 0, 11), ("up", 20, 21)]),
    ("ULULUL", [("up", 0, 1)]),
    ("UV", [("up", 0, 1), ("unknown", 10, 11)]),
    ("UVU", [("up", 0, 1), ("unknown", 10, 11)]),
    ("UVUU", [("up", 0, 1), ("unknown", 10, 11), ("up", 20, 31)]),
    ("VVVV", []),
    ("NNNNNN", []),
]


@pytest.mark.parametrize(("script", "expected"), SCRIPTS, ids=[script for script, _ in SCRIPTS])
def test_a_script_gives_its_changes(script: str, expected: list[tuple[str, float, float]]) -> None:
    assert told(run(script)[1]) == expected


def test_void_and_limited_neither_extend_nor_break_a_failed_streak() -> None:
    assert run("UDDLD")[1][-1].after is State.DOWN
    assert run("UDDLL")[1][-1].after is State.LIMITED
    _, changes = run("UDDVD")
    assert [change.after for change in changes] == [State.UP, State.UNKNOWN, State.DOWN]


def test_failures_in_our_own_dead_network_prove_nothing_afterwards() -> None:
    _, changes = run("UDDND")
    assert State.DOWN not in [change.after for change in changes]


def test_an_outage_runs_from_the_first_failure_to_the_first_good_answer() -> None:
    _, changes = run("UDDDDUU")
    opened, closed = changes[1].outage, changes[2].outage
    assert opened is not None and closed is not None
    assert opened.id == closed.id
    assert opened.started == at(10)
    assert opened.confirmed == at(31)
    assert opened.ended is None
    assert closed.ended == at(50)
    assert closed.seconds(at(999)) == 40
    assert closed.reason is Reason.CONNECT


def test_an_outage_outlives_unknown_and_limited() -> None:
    track, changes = run("UDDDVDLL")
    assert track.outage is not None
    assert sum(1 for change in changes if change.outage) == 1
    _, changes = run("UDDDVDLLUU")
    assert changes[-1].outage is not None
    assert changes[-1].outage.ended == at(80)


def test_a_partial_outage_is_degraded_until_it_is_over() -> None:
    _, changes = run("UDUDUDUUDUUDUU")
    assert [change.after for change in changes] == [State.UP, State.DEGRADED]
    _, changes = run("UDUDUDUUUUUUUUUUUU")
    assert [change.after for change in changes] == [State.UP, State.DEGRADED, State.UP]


def test_the_failures_of_an_outage_do_not_linger_as_a_partial_one() -> None:
    _, changes = run("U" + "D" * 12 + "UU")
    assert [change.after for change in changes] == [State.UP, State.DOWN, State.UP]


def test_rechecks_do_not_count_towards_the_ratio() -> None:
    track = run("U")[0]
    for number in range(4):
        attempt = Attempt("c", at(20 + number), at(20.5 + number), Verdict.SLOW, Reason.SLOW_TOTAL)
        ok = replace(attempt, verdict=Verdict.OK, reason=None)
        track, _ = state.attempt_ends(track, CHECK, attempt, first=False)
        track, change = state.attempt_ends(track, CHECK, ok, first=False)
        assert change is None


def test_thresholds_are_the_checks_own() -> None:
    eager = replace(CHECK, confirm=Confirm(down=1, up=1, degraded=1, limited=1))
    assert [c.after.value for c in run("UDUSUL", eager)[1]] == [
        "up", "down", "up", "degraded", "up", "limited",
    ]  # fmt: skip


def test_no_attempt_for_three_intervals_is_unknown() -> None:
    check = replace(CHECK, interval=60.0)
    track, _ = run("U", check)
    track, change = state.tick(track, check, at(1 + 180))
    assert change is None
    track, change = state.tick(track, check, at(1 + 181))
    assert change is not None
    assert change.after is State.UNKNOWN
    assert track.seconds[State.UP] == pytest.approx(182)


def test_a_doubt_that_nothing_settled_becomes_unknown_from_its_beginning() -> None:
    track, _ = run("UUD")
    track, change = state.tick(track, CHECK, at(500))
    assert change is not None
    assert (change.after, change.since, change.at) == (State.UNKNOWN, at(20), at(500))
    assert track.seconds[State.UP] == pytest.approx(20)


@pytest.mark.parametrize("letter", "UD")
def test_a_silence_is_unknown_whatever_comes_after_it(letter: str) -> None:
    track, _ = run("U" + letter * 3)
    track, change = state.tick(track, CHECK, at(500))
    assert change is not None and change.since == at(500)
    booked = track.seconds[State.UNKNOWN]
    for started in (at(4000), at(4010), at(4020)):
        attempt = Attempt("c", started, started.plus(1), *LETTERS[letter])
        track, change = state.attempt_ends(track, CHECK, attempt, first=True)
        if change:
            break
    assert change is not None
    assert change.since == at(4000)
    assert track.seconds[State.UNKNOWN] - booked == pytest.approx(3500)


def test_an_outage_does_not_begin_in_time_that_was_degraded() -> None:
    # The ratio makes it degraded by the first failure of a streak that `void` then interrupts.
    eager = replace(CHECK, confirm=Confirm(down=2, ratio=Ratio(bad=2, of=9)))
    _, changes = run("USUDVD", eager)
    assert [c.after.value for c in changes] == ["up", "degraded", "unknown", "down"]
    assert changes[-1].outage is not None
    assert changes[-1].outage.started == changes[2].since


def test_an_outage_has_the_evidence_of_the_attempt_that_confirmed_it() -> None:
    track, _ = run("UDD")
    started = at(30)
    attempt = Attempt(
        "c", started, started.plus(1), Verdict.FAILED, Reason.SERVER_ERROR,
        status=500, request_id="r", evidence="oops",
    )  # fmt: skip
    _, change = state.attempt_ends(track, CHECK, attempt, first=True)
    assert change is not None and change.outage is not None
    outage = change.outage
    assert (outage.status, outage.request_id, outage.evidence) == (500, "r", "oops")


def test_time_in_doubt_is_booked_to_nobody_until_it_is_decided() -> None:
    track, _ = run("UDD")
    track, _ = state.tick(track, CHECK, at(25))
    assert sum(track.seconds.values()) == pytest.approx(10)
    refuted, _ = state.tick(run("UDDU")[0], CHECK, at(35))
    assert refuted.seconds[State.UP] == pytest.approx(35)
    confirmed, _ = state.tick(run("UDDD")[0], CHECK, at(35))
    assert confirmed.seconds[State.DOWN] == pytest.approx(25)


def test_a_scrape_during_an_attempt_does_not_book_what_the_attempt_may_disprove() -> None:
    track, _ = run("U")
    track = state.attempt_begins(track, at(10))
    seen, _ = state.tick(track, CHECK, at(14))
    assert seen.seconds[State.UP] == pytest.approx(10)


def asks_the_guard(script: str, letter: str, **confirm: int) -> bool:
    check = replace(CHECK, confirm=replace(CHECK.confirm, **confirm))
    track, _ = run(script, check)
    started = at(10.0 * len(script))
    attempt = Attempt("c", started, started.plus(1), *LETTERS[letter])
    return state.would_blame(track, check, attempt, first=True)


def test_only_what_would_blame_the_provider_anew_asks_the_guard() -> None:
    assert asks_the_guard("UDD", "D")
    assert not asks_the_guard("UD", "D")
    assert not asks_the_guard("UDDD", "D"), "down already"
    assert not asks_the_guard("UDD", "U")


def test_a_degraded_claim_out_of_network_failures_asks_the_guard_too() -> None:
    assert asks_the_guard("UDD", "D", down=9)
    assert asks_the_guard("UDUDU", "D"), "the ratio of a partial outage"
    assert not asks_the_guard("UDU", "D")


def test_the_ratio_forgets_what_happened_in_our_own_dead_network() -> None:
    _, changes = run("U" + "DN" * 20)
    assert {change.after for change in changes} == {State.UP, State.UNKNOWN}


def under(track: Track, opens: bool, edge: float, now: float) -> tuple[Track, Change | None]:
    return state.maintain(track, CHECK, at(edge), at(now), opens=opens)


def after(track: Track, script: str, begins: float) -> tuple[Track, list[Change]]:
    """More attempts from `begins` on, each 10 s after the last."""
    changes = []
    for number, letter in enumerate(script):
        started = at(begins + 10.0 * number)
        attempt = Attempt(CHECK.name, started, started.plus(1), *LETTERS[letter])
        track = state.attempt_begins(track, started)
        track, change = state.attempt_ends(track, CHECK, attempt, first=True)
        changes += [change] if change else []
    return track, changes


def test_maintenance_begins_and_ends_at_its_edges_and_claims_nothing_between() -> None:
    track, _ = run("UU")
    track, opened = under(track, True, 15, 18)
    assert opened is not None
    assert told([opened]) == [("maintenance", 15, 18)]
    track, inside = after(track, "DDDDLLL", 20)
    assert inside == []
    assert not state.wants_recheck(track, Verdict.FAILED)
    track, closed = under(track, False, 95, 99)
    assert closed is not None
    assert told([closed]) == [("unknown", 95, 99)]
    track, changes = after(track, "DDD", 100)
    assert told(changes) == [("down", 100, 121)], "what happened inside counts for nothing"
    assert track.seconds[State.MAINTENANCE] == 80
    assert track.seconds[State.UP] == 15


def test_time_in_doubt_when_maintenance_begins_stays_with_the_state_before() -> None:
    track, _ = run("UDD")
    track, _ = under(track, True, 25, 29)
    assert track.seconds[State.UP] == 25
    assert track.failed is None


def test_an_outage_stays_open_through_maintenance() -> None:
    track, changes = run("UDDD")
    track, opened = under(track, True, 35, 35)
    assert opened is not None and opened.outage is None
    track, _ = after(track, "UUU", 40)
    track, _ = under(track, False, 70, 70)
    track, later = after(track, "UU", 80)
    ended = later[-1].outage
    assert changes[-1].outage is not None and ended is not None
    assert (ended.id, ended.ended) == (changes[-1].outage.id, at(80))


def test_maintenance_that_is_on_or_off_already_changes_nothing() -> None:
    track, _ = run("UU")
    assert under(track, False, 12, 12) == (track, None)
    on, _ = under(track, True, 12, 12)
    assert under(on, True, 13, 13) == (on, None)


def test_every_reason_is_in_the_one_table() -> None:
    assert set(REASONS) == set(Reason)
    ours = {reason for reason, (fault, _) in REASONS.items() if fault is Fault.US}
    assert ours == {reason for reason, (_, verdict) in REASONS.items() if verdict is Verdict.VOID}


# ------------------------------------------------------------------------------- properties

scripts = st.text(alphabet="UUUDDDSWLVN", min_size=1, max_size=80)
confirms = st.builds(
    Confirm,
    down=st.integers(1, 4),
    degraded=st.integers(1, 4),
    limited=st.integers(1, 3),
    up=st.integers(1, 3),
    ratio=st.builds(Ratio, bad=st.integers(2, 4), of=st.integers(4, 10)),
)


@given(scripts, confirms)
def test_booked_time_and_time_in_doubt_are_all_the_time(script: str, confirm: Confirm) -> None:
    track, _ = run(script, replace(CHECK, confirm=confirm))
    now = at(10.0 * len(script) + 3)
    track, _ = state.tick(track, CHECK, now)
    pending = now.mono - track.booked.mono
    assert pending >= 0
    assert sum(track.seconds.values()) + pending == pytest.approx(now.mono - START.mono)


@given(st.text(alphabet="UDSW", min_size=1, max_size=80))
def test_down_seconds_are_the_lengths_of_the_outages(script: str) -> None:
    track, changes = run(script)
    now = at(10.0 * len(script) + 1000)
    closed = [c.outage.seconds(now) for c in changes if c.outage and c.outage.ended]
    settled, _ = run(script + "UUUUUUUUUUUU")
    closed_all = [
        c.outage.seconds(now)
        for c in run(script + "UUUUUUUUUUUU")[1]
        if c.outage and c.outage.ended
    ]
    assert settled.outage is None
    assert settled.seconds[State.DOWN] == pytest.approx(sum(closed_all))
    assert len(closed) <= len(closed_all)
    assert track.seconds[State.DOWN] <= settled.seconds[State.DOWN]


@given(scripts, confirms)
def test_outages_never_overlap_and_never_end_before_they_begin(
    script: str, confirm: Confirm
) -> None:
    _, changes = run(script, replace(CHECK, confirm=confirm))
    last_end = START.mono
    for change in changes:
        outage = change.outage
        if outage is None:
            continue
        assert outage.started.mono >= last_end
        if outage.ended:
            assert outage.ended.mono >= outage.started.mono
            last_end = outage.ended.mono


@given(st.text(alphabet="UVLNSW", max_size=80), confirms)
def test_nothing_but_failures_leads_to_down(script: str, confirm: Confirm) -> None:
    _, changes = run(script, replace(CHECK, confirm=confirm))
    assert State.DOWN not in [change.after for change in changes]


@given(scripts, confirms)
def test_changes_are_real_and_in_order(script: str, confirm: Confirm) -> None:
    _, changes = run(script, replace(CHECK, confirm=confirm))
    before = State.UNKNOWN
    for change in changes:
        assert change.before is before
        assert change.after is not before
        assert change.since.mono <= change.at.mono
        before = change.after


FLAPPING = "UDDDUUDDDUUDDD"


@pytest.mark.parametrize(
    ("more", "up"),
    [
        ("UU", False),
        ("UUU", False),
        ("UUUU", True),
        ("UUUUDDDUUUU", False),
        ("UUUUDDDUUUUUUUU", True),
    ],
)
def test_an_endpoint_that_flaps_has_to_convince(more: str, *, up: bool) -> None:
    track, changes = run(FLAPPING + more)
    assert (track.state is State.UP) is up
    assert sum(change.after is State.DOWN for change in changes) == 3 + more.count("DDD")
    if up:
        assert changes[-1].outage is not None
        first = at(10.0 * len((FLAPPING + more).rstrip("U")))
        assert changes[-1].outage.ended == first, "the end is the first good answer all the same"


def test_an_outage_long_after_the_last_is_no_relapse() -> None:
    track, changes = run("UDDDUU" + "DDDUU" + "U" * 12 + "DDDUU" + "U" * 12 + "DDDUU")
    assert track.state is State.UP
    assert sum(change.after is State.DOWN for change in changes) == 4
