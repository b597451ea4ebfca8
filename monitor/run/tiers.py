"""What brings a chat probe forward: a free look that goes badly, or a sibling in trouble.

The free tier asks each provider's address without a key, far more often than anybody wants to pay
for an answer.  It never decides a state; it only wakes the checks that can.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import NamedTuple, TypeVar

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


@dataclass(slots=True)
class Family:
    """Watches that are woken together: those of one provider, or of one address."""

    members: list[Watch]
    left: list[Watch]
    """Those that the last waking left asleep, …"""
    until: float = -inf
    """… and until when only they can be woken, for the others just were."""

    def awake(self, at: float, but: Watch | None) -> list[Watch]:
        """Who may be woken at `at`, and then has to be: once an interval at most.

        In an outage of thousands of siblings each of them asks for this.
        """
        if at >= self.until:
            self.left = self.members
            self.until = at + min(watch.check.interval for watch in self.members)
        sleepy: list[Watch] = []
        left: list[Watch] = []
        for watch in self.left:
            rested = at - watch.hurried >= watch.check.interval
            ready = watch is not but and rested and _may_wake(watch)
            (sleepy if ready else left).append(watch)
        self.left = left
        return sleepy


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
        self._providers: dict[str, Family] = {}
        self._addresses: dict[Address, Family] = {}
        self._gather()

    def follow(self, group: asyncio.TaskGroup) -> None:
        """Look at the addresses of the present checks, and at no others."""
        self._gather()
        for gone in self._tasks.keys() - self._addresses.keys():
            self._tasks.pop(gone).cancel()
        for new in self._addresses.keys() - self._tasks.keys():
            self._tasks[new] = group.create_task(self._keep_looking(new))

    def _gather(self) -> None:
        watches = [*self._watches.values()]
        self._providers = _families((watch.check.provider, watch) for watch in watches)
        self._addresses = _families((at, w) for w in watches if (at := address(w.check)))

    def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    def trouble(self, watch: Watch) -> None:
        """The first sign of trouble in one check: its siblings look for themselves."""
        family = self._providers.get(watch.check.provider)
        if family:
            self._wake(family, but=watch)

    async def _keep_looking(self, at: Address) -> None:
        bad = 0
        interval, _ = self._members(at)
        await asyncio.sleep(self._rng.uniform(0.0, interval))
        while True:
            interval, members = self._members(at)
            # After 1, 2, 4, 8 … bad looks: an address that is never well must not double the bill.
            bad = bad + 1 if await self._is_bad(members[0].check) else 0
            if bad and bad & (bad - 1) == 0:
                self._wake(self._addresses[at])
            await asyncio.sleep(interval)

    def _members(self, at: Address) -> tuple[float, list[Watch]]:
        """The shortest interval that anybody wants, and who shares the look: never nobody."""
        members = self._addresses[at].members
        wanted = [w.check.reachability.interval for w in members if w.check.reachability]
        return min(wanted), members

    async def _is_bad(self, check: Check) -> bool:
        try:
            seen = await self._look(check)
        except Exception:
            log.exception("a bug of ours in a free look", extra={"fields": {"check": check.name}})
            return False
        return seen.verdict is Verdict.FAILED or seen.seconds > check.slow.first_token

    def _wake(self, family: Family, but: Watch | None = None) -> None:
        """Bring the next rounds forward: at most one extra round a check and interval."""
        at = now().mono
        sleepy = family.awake(at, but)
        for watch in sleepy:
            watch.hurried = at
            watch.extra = at + self._rng.uniform(0.0, max(SPREAD, len(sleepy) / PACE))
            if watch.extra < watch.due:
                watch.wake.set()


K = TypeVar("K", bound=Hashable)


def _families(found: Iterable[tuple[K, Watch]]) -> dict[K, Family]:
    members: dict[K, list[Watch]] = defaultdict(list)
    for key, watch in found:
        members[key].append(watch)
    return {key: Family(watches, watches) for key, watches in members.items()}


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
    watch.due, watch.waiting = due, True
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
