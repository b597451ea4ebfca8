"""Outages in virtual time: the real schedule, rounds, tiers and states against a scripted provider.

Only the wire is missing: an attempt takes a drawn time and ends as the script says.
"""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from unittest import mock

from monitor.judge.track import Track
from monitor.ledger import Recalled
from monitor.model import (
    Attempt,
    Change,
    Check,
    Config,
    Outage,
    Probe,
    Reachability,
    Reason,
    Verdict,
)
from monitor.probe.client import Client
from monitor.probe.clock import now
from monitor.run import service as service_module
from monitor.run.memory import Memory
from monitor.run.service import Service
from monitor.show.metrics import Metrics
from tests.making import chat_check
from tests.virtual import VirtualTime, run

HEALTHY = (0.3, 1.5)
"""Seconds that a good attempt takes, from and to."""
LOOK = 0.2
"""Seconds that a free look takes at most."""


@dataclass(frozen=True)
class Kind:
    """How attempts fail during an outage."""

    reason: Reason
    seconds: tuple[float, float]


FAST = Kind(Reason.SERVER_ERROR, (0.1, 0.5))
HANGING = Kind(Reason.FIRST_TOKEN_TIMEOUT, (30.0, 30.0))


@dataclass(frozen=True)
class Setting:
    """One way to watch, and one way to fail."""

    interval: float
    kind: Kind = FAST
    tier: float | None = None
    """Interval of the free looks, None for none."""
    sees: bool = True
    """Whether the free looks fail with the provider."""
    checks: int = 1
    noise: float = 0.01
    """Share of attempts that fail though the provider is well."""

    @property
    def until_asked(self) -> float:
        """From the start of an outage to the start of the first attempt that shows it, at most.

        Siblings are spread over the interval.
        """
        if self.tier is None or not self.sees:
            return self.interval / self.checks
        # A look may come while a round is under way; then the next but one wakes the check.
        return min(self.interval, 2 * (self.tier + LOOK) + HEALTHY[1] + 1.0)

    @property
    def bound(self) -> float:
        """From the start of an outage to its confirmation, at most, without noise."""
        waits = (5.0 + 1.25) + (10.0 + 1.25)
        return self.until_asked + 3 * self.kind.seconds[1] + waits


@dataclass
class Seen:
    """What was confirmed of the outages that there were; all moments are virtual seconds."""

    true: Sequence[tuple[float, float]]
    changes: list[Change] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    lost: list[Outage] = field(default_factory=list)
    """Ended without a change of state."""
    retention: float | None = None
    overlaps: int = 0
    running: set[str] = field(default_factory=set)

    # The ledger's face, as `Memory` knows it.
    def recall(self, outages_since: float) -> Recalled:
        return Recalled()

    def start(self) -> None: ...

    def track(self, check: Check, track: Track, change: Change | None = None) -> None:
        self.changes += [change] if change else []

    def probe(self, check: Check, probe: Probe) -> None:
        self.probes.append(probe)

    def outage(self, outage: Outage) -> None:
        self.lost.append(outage)

    def part(self, labels: tuple[str, str, str], track: Track) -> Outage | None:
        return None

    def retain(self, seconds: float) -> None:
        self.retention = seconds

    def outages(self, check: str = "c0") -> list[Outage]:
        """Those that began, each as it was last told."""
        told: dict[str, Outage] = {}
        for change in self.changes:
            if change.check == check and change.outage:
                told[change.outage.id] = change.outage
        return list(told.values())


def drawn(setting: Setting, count: int, rng: random.Random) -> list[tuple[float, float]]:
    """So many outages: starts and ends, far enough apart to be told one from another."""
    at, found = 10 * setting.interval, []
    for _ in range(count):
        start = at + rng.uniform(0.0, setting.interval)
        end = start + 20.0 + rng.expovariate(1 / 300.0)
        found.append((start, end))
        at = end + 11 * setting.interval + 60.0  # no relapse
    return found


def watched(
    setting: Setting,
    outages: Sequence[tuple[float, float]],
    seed: int,
    meddle: Callable[[VirtualTime], None] = lambda _: None,
) -> Seen:
    """Let the product watch `outages` happen; `meddle` gets the clocks half-way."""
    rng = random.Random(seed)
    seen = Seen(outages)
    starts = [start for start, _ in outages]

    def is_down(at: float) -> bool:
        place = bisect_right(starts, at) - 1
        return place >= 0 and at < outages[place][1]

    async def attempt(_client: Client, check: Check, _rng: random.Random) -> Attempt:
        seen.overlaps += check.name in seen.running
        seen.running.add(check.name)
        began = now()
        bad = is_down(began.mono) or rng.random() < setting.noise
        await asyncio.sleep(rng.uniform(*(setting.kind.seconds if bad else HEALTHY)))
        seen.running.discard(check.name)
        verdict = (Verdict.FAILED, setting.kind.reason) if bad else (Verdict.OK, None)
        return Attempt(check.name, began, now(), *verdict)

    async def look(_client: Client, check: Check) -> Attempt:
        began = now()
        bad = setting.sees and is_down(began.mono)
        await asyncio.sleep(rng.uniform(0.01, LOOK))
        verdict = (Verdict.FAILED, Reason.CONNECT) if bad else (Verdict.LIMITED, Reason.NO_KEY)
        return Attempt(check.name, began, now(), *verdict)

    async def main(clocks: VirtualTime) -> Seen:
        end = outages[-1][1] + 10 * setting.interval + 200.0
        async with Client() as client:
            service = Service(client, None, lambda views: Metrics("sim", views), rng, Memory(seen))
            service.apply(Config(checks_of(setting), guard_targets=()))
            async with asyncio.TaskGroup() as group:
                task = group.create_task(service.run())
                await asyncio.sleep(end / 2)
                meddle(clocks)
                await asyncio.sleep(end / 2)
                service.stop()
                await task
        return seen

    with (
        mock.patch.object(service_module, "attempt", attempt),
        mock.patch.object(service_module, "reach", look),
    ):
        return run(main)


def checks_of(setting: Setting) -> tuple[Check, ...]:
    tier = setting.tier and Reachability(setting.tier, "http://127.0.0.1:9/")
    return tuple(
        chat_check(name=f"c{number}", interval=setting.interval, reachability=tier or None)
        for number in range(setting.checks)
    )


@dataclass(frozen=True)
class Detection:
    """The `place`-th outage as it was told of one check; seconds after it truly began, or ended."""

    place: int
    started: float
    detected: float
    recovered: float | None


@dataclass(frozen=True)
class Result:
    """What all checks told of the outages that there were."""

    first: Sequence[Detection]
    """Of each outage that any check told, the soonest."""
    missed: int
    """Outages that lasted longer than the bound, and no check told them."""
    invented: int
    """Outages told that there were not, or that were told twice of one check."""


def result(setting: Setting, seen: Seen) -> Result:
    """Match what was told with what happened."""
    told: dict[int, list[Detection]] = {}
    invented = 0
    for check in {change.check for change in seen.changes}:
        places: set[int] = set()
        for outage in seen.outages(check):
            found = _matched(setting, seen, outage)
            if found is None or found.place in places:
                invented += 1
            else:
                places.add(found.place)
                told.setdefault(found.place, []).append(found)
    long = {n for n, (start, end) in enumerate(seen.true) if end - start > setting.bound}
    first = [min(them, key=lambda one: one.detected) for _, them in sorted(told.items())]
    return Result(first, len(long - told.keys()), invented)


def _matched(setting: Setting, seen: Seen, outage: Outage) -> Detection | None:
    """Which outage that was.  A failure of chance just before it may be the first of its streak."""
    place = bisect_right([start for start, _ in seen.true], outage.confirmed.mono) - 1
    if place < 0:
        return None
    start, end = seen.true[place]
    if not start - setting.bound < outage.started.mono < end:
        return None
    back = [
        change.at.mono - end
        for change in seen.changes
        if change.outage and change.outage.id == outage.id and change.outage.ended
    ]
    detected, began = outage.confirmed.mono - start, outage.started.mono - start
    return Detection(place, began, detected, min(back, default=None))
