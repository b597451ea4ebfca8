"""Rounds with a scripted probe, a scripted guard and no waiting."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from monitor.judge.track import begin
from monitor.model import Attempt, Change, Check, Confirm, Mode, Reason, State, Verdict
from monitor.probe.clock import now
from monitor.run import rounds as rounds_module
from monitor.run.rounds import Rounds, Watch, attempt
from tests.making import chat_check, web_check

LETTERS: dict[str, tuple[Verdict, Reason | None]] = {
    "U": (Verdict.OK, None),
    "S": (Verdict.SLOW, Reason.SLOW_TOTAL),
    "W": (Verdict.WRONG, Reason.WRONG_ANSWER),
    "D": (Verdict.FAILED, Reason.CONNECT),
    "E": (Verdict.FAILED, Reason.SERVER_ERROR),
    "L": (Verdict.LIMITED, Reason.AUTH),
}
CHECK = chat_check(interval=60.0, confirm=Confirm(recheck=5.0))


class Scene:
    """A provider that acts out `script`, one letter an attempt."""

    def __init__(self, script: str, *, ours: bool = False, advice: float | None = None) -> None:
        self.script = list(script)
        self.ours = ours
        self.advice = advice
        self.asked: list[bool] = []
        self.waits: list[float] = []
        self.changes: list[Change] = []
        self.told = 0
        self.troubled = 0
        self.rounds = Rounds(
            self.probe, self, random.Random(1), self.sleep, self.attempted, self.trouble
        )
        self.watch = Watch(CHECK, begin(now()), 0.0)

    async def probe(self, check: Check) -> Attempt:
        verdict, reason = LETTERS[self.script.pop(0)]
        moment = now()
        return Attempt(check.name, moment, moment, verdict, reason, retry_after=self.advice)

    async def to_blame(self, check: Check, reason: Reason | None, *, ever_ok: bool) -> bool:
        self.asked.append(ever_ok)
        return self.ours

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def attempted(self, watch: Watch, change: Change | None) -> None:
        self.told += 1
        if change:
            self.changes.append(change)

    def trouble(self, watch: Watch) -> None:
        self.troubled += 1

    async def play(self, count: int) -> list[int]:
        """Run `count` rounds; how many attempts each had."""
        return [len((await self.rounds.run(self.watch)).attempts) for _ in range(count)]

    @property
    def states(self) -> Sequence[str]:
        return [change.after.value for change in self.changes]


@pytest.mark.parametrize(
    ("script", "attempts", "states"),
    [
        ("UU", [1, 1], ["up"]),
        ("UDU", [1, 2], ["up"]),
        ("UDDD", [1, 3], ["up", "down"]),
        ("UDDDD", [1, 3, 1], ["up", "down"]),
        ("UDDDUU", [1, 3, 1, 1], ["up", "down", "up"]),
        ("UDDDUDUU", [1, 3, 1, 1, 1, 1], ["up", "down", "up"]),
        ("UWWW", [1, 3], ["up", "degraded"]),
        ("UWWWW", [1, 3, 1], ["up", "degraded"]),
        ("UWU", [1, 2], ["up"]),
        ("USSS", [1, 1, 1, 1], ["up", "degraded"]),
        ("ULL", [1, 1, 1], ["up", "limited"]),
        ("UDLD", [1, 2, 1], ["up"]),
        ("UDSU", [1, 2, 1], ["up"]),
    ],
)
async def test_bad_attempts_are_rechecked_until_confirmed_or_refuted(
    script: str, attempts: list[int], states: list[str]
) -> None:
    scene = Scene(script)
    if script == "UDLD":
        scene.script.append("D")
        attempts = [1, 2, 2]
        states = ["up", "down"]
    assert await scene.play(len(attempts)) == attempts
    assert scene.states == states
    assert not scene.script


@pytest.mark.parametrize(
    ("script", "rounds", "troubled"),
    [
        ("UU", 2, 0),
        ("UDU", 2, 1),
        ("UDDD", 2, 1),
        ("UDUDU", 3, 2),
        ("USW", 2, 0),
        ("UL", 2, 1),
        ("ULL", 3, 1),
        ("UDDDUD", 4, 1),
    ],
    ids=lambda value: str(value),
)
async def test_the_first_sign_of_trouble_is_told_once(
    script: str, rounds: int, troubled: int
) -> None:
    """Of every streak, refused keys included; a check that is down is no news to its siblings."""
    scene = Scene(script + "U" * 4)
    await scene.play(rounds)
    assert scene.troubled == troubled


async def test_rechecks_back_off_with_jitter() -> None:
    scene = Scene("UDDD")
    await scene.play(2)
    first, second = scene.waits
    assert 5.0 <= first <= 6.25
    assert 10.0 <= second <= 11.25


async def test_the_providers_advice_to_wait_is_kept() -> None:
    scene = Scene("UDDD", advice=20.0)
    await scene.play(2)
    assert scene.waits == [20.0, 20.0]


async def test_advice_past_one_interval_ends_the_round() -> None:
    scene = Scene("UDDD", advice=61.0)
    assert await scene.play(4) == [1, 1, 1, 1]
    assert scene.waits == []
    assert scene.states == ["up", "down"]


async def test_the_guard_is_asked_once_before_down_and_turns_it_into_unknown() -> None:
    scene = Scene("UDDD", ours=True)
    probe = (await scene.play(1), await scene.rounds.run(scene.watch))[1]
    assert scene.asked == [True]
    assert scene.states == ["up", "unknown"]
    assert (probe.last.verdict, probe.last.reason) == (Verdict.VOID, Reason.LOCAL_NETWORK)
    assert "connect" in (probe.last.detail or "")


@pytest.mark.parametrize("confirm", [Confirm(), Confirm(down=5), Confirm(down=5, degraded=2)])
async def test_no_number_of_rounds_in_our_own_dead_network_is_anything_but_unknown(
    confirm: Confirm,
) -> None:
    scene = Scene("U" + "D" * 200, ours=True)
    scene.watch.check = replace(CHECK, confirm=confirm)
    await scene.play(30)
    assert scene.states == ["up", "unknown"]


async def test_a_server_that_answers_with_errors_is_no_network_question() -> None:
    scene = Scene("UEEE", ours=True)
    await scene.play(2)
    assert scene.asked == []
    assert scene.states == ["up", "down"]


async def test_nothing_is_rechecked_while_stopping() -> None:
    scene = Scene("UDDD")
    await scene.play(1)
    scene.rounds.stopping = True
    assert await scene.play(1) == [1]


async def test_a_cancelled_attempt_leaves_no_time_in_doubt() -> None:
    scene = Scene("")
    with pytest.raises(IndexError):
        await scene.play(1)
    assert scene.watch.track.in_flight is None
    assert scene.rounds.in_flight == set()


async def test_a_bug_of_ours_is_void_internal_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> Attempt:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(rounds_module, "web", broken)
    seen = await attempt(None, web_check(), random.Random(1))  # type: ignore[arg-type]
    assert (seen.verdict, seen.reason) == (Verdict.VOID, Reason.INTERNAL)
    assert "ZeroDivisionError" in (seen.detail or "")
    assert "secret detail" not in (seen.detail or "")
    assert "ZeroDivisionError" in caplog.text


async def test_no_key_and_no_reachability_is_limited_without_a_request() -> None:
    check = replace(chat_check(), mode=Mode.REACHABILITY, key_name="ACME_KEY", reachability=None)
    seen = await attempt(None, check, random.Random(1))  # type: ignore[arg-type]
    assert (seen.verdict, seen.reason) == (Verdict.LIMITED, Reason.NO_KEY)
    assert "ACME_KEY" in (seen.detail or "")


def test_a_fresh_watch_claims_nothing() -> None:
    assert Watch(CHECK, begin(now()), 0.0).track.state is State.UNKNOWN


async def test_what_happened_can_be_played_again() -> None:
    """Every draw, tenacity's jitter too, is one of the generator that was given."""
    waits = []
    for _ in range(2):
        scene = Scene("UDDD")
        await scene.play(2)
        waits.append(scene.waits)
    assert len(waits[0]) == 2
    assert waits[0] == waits[1]
    assert waits[0][0] != 5.0
