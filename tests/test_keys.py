"""When all keys of a provider are refused at once it is the provider's outage; else it is ours."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from monitor.judge.keys import GOOD_FOR, KeyRing
from monitor.judge.track import begin
from monitor.model import Attempt, Change, Check, Moment, Reason, Secret, Verdict
from monitor.probe.clock import now
from monitor.run.rounds import Rounds, Watch
from tests.making import chat_check

ANSWERS: dict[str, tuple[Verdict, Reason | None]] = {
    "ok": (Verdict.OK, None),
    "slow": (Verdict.SLOW, Reason.SLOW_TOTAL),
    "auth": (Verdict.LIMITED, Reason.AUTH),
    "rate": (Verdict.LIMITED, Reason.RATE_LIMITED),
    "wall": (Verdict.LIMITED, Reason.BLOCKED),
    "down": (Verdict.FAILED, Reason.SERVER_ERROR),
    "void": (Verdict.VOID, Reason.LOCAL_NETWORK),
}
A = chat_check(name="a", api_key=Secret("key-of-a"))
B = chat_check(name="b", api_key=Secret("key-of-b"))
C = chat_check(name="c", api_key=Secret("key-of-c"))
ALSO_A = chat_check(name="also-a", api_key=Secret("key-of-a"))
ELSEWHERE = chat_check(name="elsewhere", api_key=Secret("key-of-b"), provider="q")
KEYLESS = chat_check(name="keyless")


def answer(check: Check, what: str, at: float) -> Attempt:
    moment = Moment(1e9 + at, at)
    return Attempt(check.name, moment, moment, *ANSWERS[what], "HTTP 401")


def last(*heard: tuple[Check, str, float]) -> str:
    """The reason of the last attempt, once all before it were heard."""
    ring = KeyRing()
    for check, what, at in heard:
        seen = ring.judged(check, answer(check, what, at))
    return seen.reason or "ok"


GOOD = ((A, "ok", 0.0), (B, "ok", 1.0))


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        pytest.param([*GOOD, (A, "auth", 60), (B, "auth", 61)], "auth_outage", id="both refused"),
        pytest.param([*GOOD, (A, "auth", 60)], "auth", id="the first alone"),
        pytest.param(
            [*GOOD, (A, "auth", 60), (B, "ok", 61), (A, "auth", 120)], "auth", id="one works"
        ),
        pytest.param(
            [*GOOD, (A, "auth", 60), (B, "slow", 61), (A, "auth", 120)], "auth", id="works slowly"
        ),
        pytest.param(
            [*GOOD, (A, "auth", 60), (B, "rate", 61), (A, "auth", 99)], "auth", id="recognised"
        ),
        pytest.param([(A, "ok", 0), (A, "auth", 60), (B, "auth", 61)], "auth", id="never ok"),
        pytest.param(
            [*GOOD, (C, "auth", 2), (A, "auth", 60), (B, "auth", 61)],
            "auth_outage",
            id="a key that never worked is no witness",
        ),
        pytest.param(
            [*GOOD, (C, "auth", 2), (A, "auth", 60), (B, "auth", 61), (C, "auth", 62)],
            "auth",
            id="nor is it a victim",
        ),
        pytest.param(
            [*GOOD, (A, "auth", 60), (B, "auth", 60 + 121), (B, "auth", 60 + 122)],
            "auth",
            id="not within two intervals",
        ),
        pytest.param(
            [*GOOD, (A, "auth", GOOD_FOR + 2), (B, "auth", GOOD_FOR + 3)], "auth", id="long ago"
        ),
        pytest.param(
            [(A, "ok", 0), (ALSO_A, "ok", 1), (A, "auth", 60), (ALSO_A, "auth", 61)],
            "auth",
            id="one key in two checks",
        ),
        pytest.param(
            [(A, "ok", 0), (ELSEWHERE, "ok", 1), (A, "auth", 60), (ELSEWHERE, "auth", 61)],
            "auth",
            id="two providers",
        ),
        pytest.param(
            [*GOOD, (C, "ok", 2), (C, "down", 59), (A, "auth", 60), (B, "auth", 61)],
            "auth_outage",
            id="a third key tells nothing",
        ),
        pytest.param(
            [*GOOD, (A, "auth", 60), (B, "auth", 61), (A, "void", 62), (B, "auth", 63)],
            "auth_outage",
            id="void changes nothing",
        ),
        pytest.param([*GOOD, (A, "wall", 60), (B, "auth", 61)], "auth", id="behind a wall"),
        pytest.param([*GOOD, (A, "auth", 60), (KEYLESS, "auth", 61)], "auth", id="no key at all"),
        pytest.param(
            [*GOOD, (replace(B, api_key=Secret("new")), "auth", 30), (A, "auth", 60)],
            "auth",
            id="a new key in the same check has to work first",
        ),
    ],
)
def test_whose_fault_refused_keys_are(heard: list[tuple[Check, str, float]], reason: str) -> None:
    assert last(*heard) == reason


def test_a_removed_check_no_longer_vouches() -> None:
    ring = KeyRing()
    for check, what, at in [*GOOD, (A, "auth", 60.0)]:
        ring.judged(check, answer(check, what, at))
    ring.forget("a")
    assert ring.judged(B, answer(B, "auth", 61.0)).reason is Reason.AUTH


def test_the_attempt_says_what_it_was_and_how_many() -> None:
    ring = KeyRing()
    for check, what, at in [*GOOD, (A, "auth", 60.0)]:
        ring.judged(check, answer(check, what, at))
    seen = ring.judged(B, answer(B, "auth", 61.0))
    assert seen.verdict is Verdict.FAILED
    assert seen.detail == "2 keys that worked within a day are refused: HTTP 401"
    assert "key-of" not in repr(seen)


async def test_a_flip_of_all_keys_is_an_outage_of_every_check() -> None:
    changes: list[Change] = []
    flipped = False

    async def probe(check: Check) -> Attempt:
        moment = now()
        return Attempt(check.name, moment, moment, *ANSWERS["auth" if flipped else "ok"], "401")

    async def sleep(_seconds: float) -> None: ...

    class Quiet:
        async def to_blame(self, _check: Check, _reason: Reason | None, *, ever_ok: bool) -> bool:
            return False

    def attempted(_watch: Watch, change: Change | None) -> None:
        changes.extend([change] if change else [])

    rounds = Rounds(probe, Quiet(), random.Random(1), sleep, attempted)
    watches = [Watch(check, begin(now()), 0.0) for check in (A, B)]
    for watch in watches:
        await rounds.run(watch)
    flipped = True
    for watch in (*watches, *watches):
        await rounds.run(watch)
    flipped = False
    for watch in (*watches, *watches):
        await rounds.run(watch)
    story = {name: [c.after.value for c in changes if c.check == name] for name in "ab"}
    assert story == {"a": ["up", "down", "up"], "b": ["up", "down", "up"]}
    assert {c.reason for c in changes if c.after == "down"} == {Reason.AUTH_OUTAGE}
