"""What brings a chat probe forward, and how often."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from monitor.judge.track import begin
from monitor.model import Attempt, Check, Config, Mode, Reachability, Reason, State, Verdict
from monitor.probe.clock import now
from monitor.run import tiers as tiers_module
from monitor.run.rounds import Watch
from monitor.run.tiers import Tiers, address, turn
from tests.making import chat_check, expecting, web_check
from tests.serving import EVENTS, Handler, always, chunk, head, serving
from tests.test_probe import GOOD
from tests.test_service import END, running, until

LOOK = Reachability(interval=0.001, url="http://127.0.0.1:9/")


def watch_of(check: Check, state: State = State.UP) -> Watch:
    watch = Watch(check, begin(now()), 0.0)
    watch.track = replace(watch.track, state=state)
    watch.waiting = True
    return watch


def tiers(*watches: Watch, look: Callable[[Check], Attempt] | None = None) -> Tiers:
    async def looking(check: Check) -> Attempt:
        assert look is not None
        return look(check)

    return Tiers(looking, {w.check.name: w for w in watches}, random.Random(1))


def looked(check: Check, good: bool, seconds: float = 0.01) -> Attempt:
    began = now()
    verdict = (Verdict.LIMITED, Reason.NO_KEY) if good else (Verdict.FAILED, Reason.CONNECT)
    return Attempt(check.name, began, began.plus(seconds), *verdict)


def test_trouble_wakes_the_siblings_of_the_same_provider_alone() -> None:
    first = watch_of(chat_check(name="first"))
    sibling = watch_of(chat_check(name="sibling"))
    web = watch_of(web_check(name="web"))
    stranger = watch_of(chat_check(name="stranger", provider="other"))
    tiers(first, sibling, web, stranger).trouble(first)
    woken = {w.check.name for w in (first, sibling, web, stranger) if w.wake.is_set()}
    assert woken == {"sibling", "web"}


@pytest.mark.parametrize("state", [State.DOWN, State.MAINTENANCE])
def test_who_is_asked_often_or_not_at_all_sleeps_on(state: State) -> None:
    first, sibling = watch_of(chat_check(name="first")), watch_of(chat_check(name="s"), state)
    tiers(first, sibling).trouble(first)
    assert not sibling.wake.is_set()


def test_one_extra_round_an_interval_and_none_in_the_middle_of_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, sibling = watch_of(chat_check(name="first")), watch_of(chat_check(name="s"))
    tier = tiers(first, sibling)
    sibling.waiting = False
    tier.trouble(first)
    assert not sibling.wake.is_set()
    sibling.waiting = True
    tier.trouble(first)
    assert sibling.wake.is_set()
    sibling.wake.clear()
    tier.trouble(first)
    assert not sibling.wake.is_set()
    later = now().plus(sibling.check.interval)
    monkeypatch.setattr(tiers_module, "now", lambda: later)
    tier.trouble(first)
    assert sibling.wake.is_set()


def test_many_siblings_are_spread() -> None:
    first = watch_of(chat_check(name="first"))
    others = [watch_of(chat_check(name=f"s{n}")) for n in range(200)]
    tiers(first, *others).trouble(first)
    starts = sorted(w.extra for w in others)
    assert starts[-1] - starts[0] > 5
    assert max(b - a for a, b in pairwise(starts)) < 2


async def looking(script: list[Attempt | BaseException]) -> list[int]:
    """After which looks the check was woken, for a script of what they see."""
    check = chat_check(reachability=LOOK, interval=0.0)
    watch, woken = watch_of(check), []
    done = asyncio.Event()
    seen = 0

    def look(_check: Check) -> Attempt:
        nonlocal seen
        if watch.wake.is_set():
            woken.append(seen)
            watch.wake.clear()
        if seen == len(script):
            done.set()
            return looked(check, good=True)
        answer = script[seen]
        seen += 1
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async with asyncio.TaskGroup() as group:
        tier = tiers(watch, look=look)
        tier.follow(group)
        await done.wait()
        tier.stop()
    return woken


CHECK = chat_check()
BAD, FINE = looked(CHECK, good=False), looked(CHECK, good=True)


async def test_a_bad_look_wakes_and_one_that_stays_bad_ever_more_rarely() -> None:
    assert await looking([FINE, BAD, FINE, BAD]) == [2, 4]
    assert await looking([BAD] * 17) == [1, 2, 4, 8, 16]
    assert await looking([BAD, BAD, BAD, FINE, BAD]) == [1, 2, 5]


async def test_a_slow_look_is_a_bad_one_and_a_bug_of_ours_is_none() -> None:
    slow = looked(CHECK, good=True, seconds=CHECK.slow.first_token + 1)
    assert await looking([slow, FINE]) == [1]
    assert await looking([ZeroDivisionError(), BAD]) == [2]


def test_checks_share_a_look_where_they_agree_on_it() -> None:
    check = chat_check(reachability=LOOK)
    assert address(check) == address(chat_check(name="other", reachability=LOOK))
    assert address(check) != address(chat_check(reachability=LOOK, proxy="http://127.0.0.1:3128"))
    assert address(chat_check(reachability=None)) is None
    assert address(replace(check, mode=Mode.REACHABILITY)) is None, "it has nothing else anyway"


async def test_a_turn_comes_when_due_or_sooner_when_woken() -> None:
    watch = watch_of(chat_check())
    due = now().mono + 0.01
    assert await turn(watch, due) == due
    asyncio.get_running_loop().call_soon(lambda: (setattr(watch, "extra", 1.0), watch.wake.set()))
    assert await turn(watch, now().mono + 60) == 1.0
    assert not watch.waiting


@pytest.mark.parametrize("later", [False, True], ids=["at the start", "after a reload"])
async def test_a_failing_free_tier_brings_the_chat_probe_forward(later: bool) -> None:
    asked = 0
    chat: Handler = always(head(200, EVENTS) + chunk(GOOD) + END)

    async def counted(*connection: object) -> None:
        nonlocal asked
        asked += 1
        await chat(*connection)  # type: ignore[arg-type]

    async with serving(counted) as port:
        check = chat_check(
            f"http://127.0.0.1:{port}/v1",
            interval=600.0,
            reachability=Reachability(interval=0.02, url="http://127.0.0.1:9/"),
            expect=expecting("any"),
        )
        async with running(*([] if later else [check])) as service:
            if later:
                await until(lambda: service.ready, "the start")
                service.apply(Config((check,), guard_targets=()))
            await until(lambda: asked == 2, "the round brought forward")


async def test_the_free_tier_follows_the_configuration() -> None:
    looks: list[str] = []

    def look(check: Check) -> Attempt:
        looks.append(check.name)
        return FINE

    watch = watch_of(chat_check(name="a", reachability=LOOK))
    watches = {"a": watch}

    async def looking(check: Check) -> Attempt:
        return look(check)

    async with asyncio.TaskGroup() as group:
        tier = Tiers(looking, watches, random.Random(1))
        tier.follow(group)
        await until(lambda: len(looks) > 2, "looks")
        watches.clear()
        tier.follow(group)
    # The group has ended, so nobody looks any more.
    assert set(looks) == {"a"}
