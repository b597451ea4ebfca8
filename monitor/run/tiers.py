"""What brings a chat probe forward: a free look that goes badly, or a sibling in trouble.

The free tier asks each provider's address without a key, far more often than anybody wants to pay
for an answer.  It never decides a state; it only wakes the checks that can.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from monitor.model import Attempt, Check, Mode, State, Tls, Verdict
from monitor.probe.clock import now
from monitor.run.rounds import Watch

log = logging.getLogger("monitor")

SPREAD = 1.0
"""Seconds over which rounds that were brought forward together are spread at least."""
PACE = 20.0
"""How many of them begin in a second at most."""


class Address(NamedTuple):
    """What one free look is about; checks that agree on it share the look."""

    url: str
    proxy: str | None
    ip: str
    tls: Tls


class Tiers:
    """The free looks of all checks that chat, and who is woken by whom."""

    def __init__(
        self,
        look: Callable[[Check], Awaitable[Attempt]],
        watches: Mapping[str, Watch],
        rng: random.Random,
    ) -> None:
        self._look = look
        self._watches = watches
        self._rng = rng
        self._tasks: dict[Address, asyncio.Task[None]] = {}

    def follow(self, group: asyncio.TaskGroup) -> None:
        """Look at the addresses of the present checks, and at no others."""
        wanted = {a for watch in self._watches.values() if (a := address(watch.check))}
        for gone in self._tasks.keys() - wanted:
            self._tasks.pop(gone).cancel()
        for new in wanted - self._tasks.keys():
            self._tasks[new] = group.create_task(self._keep_looking(new))

    def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def trouble(self, watch: Watch) -> None:
        """The first sign of trouble in one check: its siblings look for themselves."""
        provider = watch.check.provider
        self._wake(
            [w for w in self._watches.values() if w is not watch and w.check.provider == provider]
        )

    async def _keep_looking(self, at: Address) -> None:
        bad = 0
        interval, _ = self._members(at)
        await asyncio.sleep(self._rng.uniform(0.0, interval))
        while True:
            interval, members = self._members(at)
            # After 1, 2, 4, 8 … bad looks: an address that is never well must not double the bill.
            bad = bad + 1 if await self._is_bad(members[0].check) else 0
            if bad and bad & (bad - 1) == 0:
                self._wake(members)
            await asyncio.sleep(interval)

    def _members(self, at: Address) -> tuple[float, list[Watch]]:
        """The shortest interval that anybody wants, and who shares the look: never nobody."""
        members = [watch for watch in self._watches.values() if address(watch.check) == at]
        wanted = [w.check.reachability.interval for w in members if w.check.reachability]
        return min(wanted), members

    async def _is_bad(self, check: Check) -> bool:
        try:
            seen = await self._look(check)
        except Exception:
            log.exception("a bug of ours in a free look", extra={"fields": {"check": check.name}})
            return False
        return seen.verdict is Verdict.FAILED or seen.seconds > check.slow.first_token

    def _wake(self, watches: list[Watch]) -> None:
        """Bring the next rounds forward: at most one extra round a check and interval."""
        at = now().mono
        sleepy = [w for w in watches if _may_wake(w) and at - w.hurried >= w.check.interval]
        for watch in sleepy:
            watch.hurried = at
            watch.extra = at + self._rng.uniform(0.0, max(SPREAD, len(sleepy) / PACE))
            watch.wake.set()


def _may_wake(watch: Watch) -> bool:
    """Down checks are asked more often anyway."""
    return watch.waiting and watch.track.state not in {State.DOWN, State.MAINTENANCE}


def address(check: Check) -> Address | None:
    """Where the free look at `check` goes; None where it has none beside its probes."""
    if check.mode is not Mode.CHAT or check.reachability is None:
        return None
    return Address(check.reachability.url, check.proxy, check.ip, check.tls)


async def turn(watch: Watch, due: float) -> float:
    """Sleep until the next round of `watch`: at `due`, or sooner where it is woken.

    Returns when the round was planned to begin.
    """
    watch.wake.clear()
    watch.waiting = True
    try:
        async with asyncio.timeout_at(due):
            await watch.wake.wait()
            due = min(due, watch.extra)
    except TimeoutError:
        return due
    finally:
        watch.waiting = False
    await asyncio.sleep(max(0.0, due - now().mono))
    return due
