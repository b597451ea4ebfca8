"""Hears how the checks stand, and has every target told of it; nothing here holds up a probe.

What hears (`stands`, `ended`, `gone`, `follow`) only notes things down.  One task looks at what was
noted and decides (`plan.step`), one task a target delivers (`channel`), one keeps the book.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path

from monitor.judge.track import Track
from monitor.model import Check, Moment, NotifyTarget, Outage, State
from monitor.notify import book
from monitor.notify.channel import RESULTS, Channel, Result
from monitor.notify.message import Message, message
from monitor.notify.plan import Event, Notice, Scene, Told, step
from monitor.notify.send import Outcome

log = logging.getLogger("monitor.notify")

GRACE = 3.0
"""Seconds that what waits is given at a stop."""
LEAST_GRACE = 0.5
LOOK_EVERY = 1.0
SLICE = 50
"""Providers that are looked at before the event loop gets its turn."""
_CLAIMS = {State.UP, State.DEGRADED, State.DOWN}

Counts = dict[tuple[str, str, str], int]
"""Messages by target, event and result."""


@dataclass(frozen=True, slots=True)
class _Stand:
    """Where a check stands."""

    state: State
    outage: Outage | None


class Notifier:
    """Tells the targets that it is to `follow`, while it runs."""

    def __init__(
        self,
        data_dir: Path,
        clock: Callable[[], Moment],
        send: Callable[[NotifyTarget, Message], Awaitable[Outcome]],
        rng: random.Random,
        monitor: str,
    ) -> None:
        self._path = data_dir / book.FILE
        self._clock = clock
        self._send = send
        self._rng = rng
        self._write = partial(message, monitor=monitor)
        self._told = book.read(self._path, clock())
        self._settled = dict(self._told)
        self._due: dict[book.Key, float] = {}
        self._stands: defaultdict[str, dict[str, _Stand]] = defaultdict(dict)
        self._ended: dict[str, Outage] = {}
        self._news: set[str] = {provider for _, provider in self._told}
        self._wake = asyncio.Event()
        self._unsaved = asyncio.Event()
        self._channels: dict[str, Channel] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._targets: tuple[NotifyTarget, ...] = ()
        self._counts: dict[tuple[str, str, str], int] = {}
        self._stopped_at: float | None = None
        self._failing = False

    @property
    def counts(self) -> Counts:
        """Every target, event and result; zeros, too."""
        return self._counts

    # ------------------------------------------------------------------------------- it hears

    def stands(self, check: Check, track: Track) -> None:
        """Where `check` stands now."""
        self._stands[check.provider][check.name] = _Stand(track.state, track.outage)
        self._look_at(check.provider)

    def ended(self, outage: Outage) -> None:
        """An outage is over, or was lost from sight."""
        if any(one.story and outage.id in one.story.members for one in self._told.values()):
            self._ended[outage.id] = outage
            self._look_at(outage.provider)

    def gone(self, check: Check) -> None:
        """`check` is not watched any more."""
        self._stands[check.provider].pop(check.name, None)
        self._look_at(check.provider)

    def follow(self, targets: tuple[NotifyTarget, ...]) -> None:
        """Tell these from now on; those that stay as they are keep what waits for them."""
        kept = {target.name for target in targets if target in self._targets}
        for name in [name for name in self._channels if name not in kept]:
            del self._channels[name]
            task = self._tasks.pop(name, None)
            if task:
                task.cancel()
        self._targets = targets
        names = {target.name for target in targets}
        self._settled = {key: told for key, told in self._settled.items() if key[0] in names}
        # What waited for a target that is another one now never comes: it is to be told anew.
        self._told = {key: told for key, told in self._told.items() if key[0] in kept} | {
            key: told for key, told in self._settled.items() if key[0] not in kept
        }
        every = [(n, e.value, r) for n in sorted(names) for e in Event for r in RESULTS]
        self._counts = {key: self._counts.get(key, 0) for key in every}
        for target in targets:
            if target.name not in kept:
                channel = Channel(target, self._send, self._write, self._settle, self._rng)
                self._channels[target.name] = channel
                self._launch(target.name)
        self._unsaved.set()
        for provider in list(self._stands):
            self._look_at(provider)

    def _look_at(self, provider: str) -> None:
        self._news.add(provider)
        self._wake.set()

    # -------------------------------------------------------------------------------- it tells

    async def run(self) -> None:
        """Look, decide and deliver, for ever."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for name in self._channels:
                self._launch(name)
            group.create_task(self._decide())
            group.create_task(self._keep_book())

    def stop(self) -> None:
        """The end is near: what cannot be delivered now is left to the next process."""
        if self._stopped_at is None:
            self._stopped_at = self._clock().mono
        for channel in self._channels.values():
            channel.stop()

    async def drain(self) -> None:
        """Wait for what is still on its way, GRACE seconds from `stop` on, and write the book."""
        self.stop()
        assert self._stopped_at is not None
        left = self._stopped_at + GRACE - self._clock().mono
        try:
            async with asyncio.timeout(max(LEAST_GRACE, left)):
                for channel in self._channels.values():
                    await channel.idle.wait()
        except TimeoutError:
            pass  # not settled, and so told by the next process
        await self._save()

    def _launch(self, name: str) -> None:
        if self._group:
            self._tasks[name] = self._group.create_task(self._channels[name].run())

    async def _decide(self) -> None:
        while True:
            due = min(self._due.values(), default=inf)
            pause = None if due == inf else max(0.0, due - self._clock().mono)
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                pass  # something is due
            self._wake.clear()
            try:
                await self._look()
            except Exception:
                log.exception("a bug of ours in deciding what to tell")
            # However many checks change at once, they are looked at once.
            await asyncio.sleep(LOOK_EVERY)

    async def _look(self) -> None:
        now = self._clock()
        providers = self._news | {key[1] for key, due in self._due.items() if due <= now.mono}
        self._news = set()
        for number, provider in enumerate(providers):
            for target in self._targets:
                self._look_for(target, provider, now)
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        self._due = {key: due for key, due in self._due.items() if key in self._told}
        remembered = {id for told in self._told.values() if told.story for id in told.story.members}
        self._ended = {id: outage for id, outage in self._ended.items() if id in remembered}

    def _look_for(self, target: NotifyTarget, provider: str, now: Moment) -> None:
        key = target.name, provider
        told, scene = self._told.get(key, Told()), self._scene(target, provider)
        if not told.story and not scene.open:
            self._due.pop(key, None)
            return
        while True:
            told, notice, self._due[key] = step(told, scene, target, now)
            self._told[key] = told
            if notice:
                self._channels[target.name].put(notice)
            elif self._due[key] > now.mono:
                break

    def _scene(self, target: NotifyTarget, provider: str) -> Scene:
        stands = [
            stand
            for name, stand in self._stands.get(provider, {}).items()
            if target.checks is None or name in target.checks
        ]
        found = [stand.outage for stand in stands if stand.outage]
        found.sort(key=lambda outage: outage.started.wall)
        watched = sum(1 for stand in stands if stand.outage or stand.state in _CLAIMS)
        return Scene(provider, tuple(found), self._ended, watched)

    # -------------------------------------------------------------------------- what was told

    def _settle(self, target: NotifyTarget, notice: Notice, result: Result | None) -> None:
        """A message is done with; `result` is None where the target did not want it."""
        key = target.name, notice.event.value, result or ""
        if key in self._counts:
            self._counts[key] += 1
        self._settled[target.name, notice.provider] = notice.told
        self._unsaved.set()

    async def _keep_book(self) -> None:
        while True:
            await self._unsaved.wait()
            await self._save()
            await asyncio.sleep(LOOK_EVERY)

    async def _save(self) -> None:
        """Off the event loop, for disks may hang; a failure costs no more than a second telling."""
        self._unsaved.clear()
        try:
            await asyncio.to_thread(book.write, self._path, dict(self._settled), self._clock())
            self._failing = False
        except OSError as error:
            if not self._failing:
                fields = {"file": str(self._path), "error": os.strerror(error.errno or 0)}
                log.error("what was told cannot be written", extra={"fields": fields})
            self._failing = True
