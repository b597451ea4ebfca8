"""The service: watches every check, keeps them in step with the configuration, tells everybody.

One event loop, one task per check.  A round that fails for a bug of ours is caught in one place
(`_keep`), logged with its traceback, and that check goes on; the others never notice.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from monitor.judge import maintenance, state
from monitor.judge.lapse import lapsed
from monitor.model import Attempt, Change, Check, Config, Moment
from monitor.probe.client import Client
from monitor.probe.clock import now
from monitor.probe.network import Guard
from monitor.probe.page import reach
from monitor.probe.poll import PollClock
from monitor.run.calm import settle_collector, slices
from monitor.run.memory import Memory
from monitor.run.rounds import Rounds, Watch, attempt
from monitor.run.schedule import first_starts, next_start, phases
from monitor.run.tell import tell_change, tell_lost, tell_probe
from monitor.run.tiers import Tiers, turn
from monitor.run.wanted import probed, same_question
from monitor.show.metrics import Metrics
from monitor.show.views import PageCheck, StateView

log = logging.getLogger("monitor")

DRAIN = 8.0
"""Seconds that running attempts are given at a stop; container engines kill after ten."""
HOUSEKEEPING = 5.0
GUARD_AGAIN = 60.0
GUARD_SOON = 1.0


class Service:
    """All checks of one process.  `apply` a configuration, then `run` until `stop`."""

    def __init__(
        self,
        client: Client,
        poll: PollClock | None,
        metrics_of: Callable[[Callable[[], Iterable[StateView]]], Metrics],
        rng: random.Random,
        memory: Memory,
    ) -> None:
        self._client = client
        self._poll = poll
        self.metrics = metrics_of(self.views)
        self._watches: dict[str, Watch] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._memory = memory
        self._guard = Guard(client, ())

        async def probe(check: Check) -> Attempt:
            return await attempt(client, check, rng)

        async def look(check: Check) -> Attempt:
            return await reach(client, check)

        self._tiers = Tiers(look, self._watches, rng)
        self._rounds = Rounds(
            probe, self._guard, rng, asyncio.sleep, self._attempted, self._tiers.trouble
        )
        self._group: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self._lags: deque[float] = deque(maxlen=60)

    # ---------------------------------------------------------------------------- what is told

    @property
    def ready(self) -> bool:
        return self._group is not None and not self._stopping.is_set()

    def views(self) -> Iterator[StateView]:
        """The state of every check, time booked up to the moment in which it is reached."""
        return (self._view(watch) for watch in list(self._watches.values()))

    def page(self) -> list[PageCheck]:
        """What the built-in page shows of every check."""
        return [
            PageCheck(self._view(watch), watch.last.last if watch.last else None)
            for watch in list(self._watches.values())
        ]

    def _view(self, watch: Watch) -> StateView:
        # Only certain time is shown, so a scrape never shows what a confirmation takes back.
        track, _ = state.tick(watch.track, watch.check, now())
        closed = self._memory.outages(watch.check)
        outages = (*closed, track.outage) if track.outage else closed
        return StateView(watch.check, track.state, track.since, track.seconds, outages)

    # -------------------------------------------------------------------------- configuration

    def apply(self, config: Config) -> None:
        """Follow `config`: unchanged checks keep state, streaks, counters and phase."""
        for _ in self._steps(config):
            pass

    async def follow(self, config: Config) -> None:
        """The same while at work, some checks at a time; never two of these at once."""
        for _ in self._steps(config):
            await asyncio.sleep(0)

    def _steps(self, config: Config) -> Iterator[None]:
        wanted = {check.name: check for check in probed(config)}
        self._memory.retain(config.retention)
        self._memory.keep(config.outage_series)
        self.metrics.keep(config.outage_series)
        for names in slices([name for name in self._watches if name not in wanted]):
            for name in names:
                self._forget(name)
            yield
        if config.guard_targets != self._guard.targets:
            self._guard = self._rounds.guard = Guard(self._client, config.guard_targets)
        new: list[Watch] = []
        for checks in slices([*wanted.values()]):
            new += [self._begun(check) for check in checks if not self._kept(check)]
            yield
        if self._group:
            yield from self._launches(new)
            self._tiers.follow(self._group)

    def _kept(self, check: Check) -> bool:
        """Go on with a check that still asks the same of the same; false where it starts anew."""
        watch = self._watches.get(check.name)
        if watch is None or not same_question(watch.check, check):
            return False
        if watch.check is not check and watch.check != check:
            watch.check = check
            self.metrics.describe(check)
        return True

    def _begun(self, check: Check) -> Watch:
        """`check` from its beginning, or from where an earlier process left it."""
        self._forget(check.name)
        at = now()
        watch = self._watches[check.name] = Watch(check, self._memory.track(check, at), at.mono)
        self.metrics.add(check)
        self._pass_time(watch, at)
        return watch

    def _forget(self, name: str) -> None:
        watch = self._watches.pop(name, None)
        if watch is None:
            return
        task = self._tasks.pop(name, None)
        if task:
            task.cancel()
        self._memory.forget(watch.check, watch.track)
        self._rounds.forget(name)
        self.metrics.remove(name)

    # ------------------------------------------------------------------------------- at work

    async def run(self) -> None:
        """Probe until `stop`; then let running attempts finish for a while."""
        settle_collector()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for _ in self._launches([*self._watches.values()]):
                    await asyncio.sleep(0)
                self._tiers.follow(group)
                chores = [
                    group.create_task(chore())
                    for chore in (self._ask_guard, self._sample_lag, self._housekeeping)
                ]
                await self._stopping.wait()
                self._tiers.stop()
                for chore in chores:
                    chore.cancel()
                await self._drain()
        finally:
            self._group = None

    def stop(self) -> None:
        """Begin a graceful end; `run` returns when it is done."""
        self._stopping.set()

    async def _drain(self) -> None:
        self._rounds.stopping = True
        running = set(self._rounds.in_flight)
        for name, task in self._tasks.items():
            if name not in running:
                task.cancel()
        log.info("stopping", extra={"fields": {"attempts_running": len(running)}})
        tasks = [self._tasks[name] for name in running if name in self._tasks]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=DRAIN)
            for task in late:
                task.cancel()

    def _launches(self, watches: Sequence[Watch]) -> Iterator[None]:
        """Plan the first rounds and begin with those that are due first."""
        checks = [watch.check for watch in watches]
        starts, origins = first_starts(checks), phases(checks)
        at = now().mono
        for watch in watches:
            name = watch.check.name
            watch.first, watch.phase = at + starts[name], at + origins[name]
        for some in slices(sorted(watches, key=lambda watch: watch.first)):
            for watch in some:
                if self._group and not self._stopping.is_set():
                    task = self._group.create_task(self._keep(watch))
                    self._tasks[watch.check.name] = task
            yield

    async def _keep(self, watch: Watch) -> None:
        """The life of one check: sleep to the next start, run a round, tell, repeat."""
        due = watch.first
        while not self._stopping.is_set():
            due = await turn(watch, due)
            delay = max(0.0, now().mono - due)
            try:
                await self._round(watch, delay)
            except Exception:
                log.exception(
                    "a bug of ours in a round", extra={"fields": {"check": watch.check.name}}
                )
            due = next_start(watch.check, watch.track.state, watch.phase, due, now().mono)

    async def _round(self, watch: Watch, delay: float) -> None:
        before = watch.last
        probe = await self._rounds.run(watch, delay)
        if self._watches.get(watch.check.name) is watch:
            self.metrics.observe(watch.check, probe)
            self._memory.probed(watch.check, probe)
            tell_probe(probe, before)

    def _attempted(self, watch: Watch, change: Change | None) -> None:
        if self._watches.get(watch.check.name) is not watch:
            return
        # What the guard said belongs to what it decided: both are seen in the same scrape.
        self.metrics.set_guard(self._guard.up)
        self._memory.attempted(watch.check, watch.track, change)
        if change:
            self.metrics.change(change)
            tell_change(change)

    # -------------------------------------------------------------------------------- chores

    async def _ask_guard(self) -> None:
        """Try the guard at start, soon again while it fails (it protects nobody yet), and on."""
        warned, pause = False, GUARD_SOON
        while True:
            guard = self._guard
            up = await guard.network_up() if guard.targets else None
            self.metrics.set_guard(up)
            if up is False and not warned:
                warned = True
                log.warning(
                    "no guard target answers: outages of checks that never worked cannot be told "
                    "from our own network's",
                    extra={"fields": {"targets": " ".join(guard.targets)}},
                )
            pause = GUARD_AGAIN if up else min(2 * pause, GUARD_AGAIN)
            await asyncio.sleep(pause)

    async def _sample_lag(self) -> None:
        while self._poll is not None:
            await asyncio.sleep(1.0)
            self._lags.append(self._poll.busiest())
            self.metrics.set_lag(max(self._lags))
            self.metrics.set_in_flight(len(self._rounds.in_flight))

    async def _housekeeping(self) -> None:
        while True:
            # Evenly over the time there is, for all in one go would keep the rounds waiting.
            some = [*slices([*self._watches.values()])]
            for watches in some:
                await asyncio.sleep(HOUSEKEEPING / len(some))
                at = now()
                for watch in watches:
                    if self._watches.get(watch.check.name) is watch:
                        self._pass_time(watch, at)
            if not some:
                await asyncio.sleep(HOUSEKEEPING)

    def _pass_time(self, watch: Watch, at: Moment) -> None:
        """What the clock alone changes: maintenance windows, and evidence that grows too old."""
        for change_of in (maintenance.follow, state.tick):
            watch.track, change = change_of(watch.track, watch.check, at)
            if change:
                self._attempted(watch, change)
        watch.track, lost = lapsed(watch.track, watch.check, at)
        if lost:
            self._memory.lost(watch.check, watch.track, lost)
            tell_lost(lost)
