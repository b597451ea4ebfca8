"""One round of one check: an attempt, rechecks while its meaning is open, each one told.

Nothing is retried silently: every attempt goes through the state machine and is kept.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt
from tenacity.wait import wait_exponential

from monitor.judge import state
from monitor.judge.company import Company, excused
from monitor.judge.keys import KeyRing
from monitor.judge.track import Track
from monitor.model import Attempt, Change, Check, Mode, Probe, Reason, Verdict
from monitor.probe.chat import chat
from monitor.probe.client import Client
from monitor.probe.clock import now
from monitor.probe.page import reach, web

log = logging.getLogger("monitor.round")

RECHECK_MAX = 30.0


async def attempt(client: Client, check: Check, rng: random.Random) -> Attempt:
    """One attempt, whatever the check's mode; an exception of ours becomes `void`/`internal`."""
    started = now()
    try:
        if check.mode is Mode.CHAT:
            return await chat(client, check, rng)
        if check.mode is Mode.WEB:
            return await web(client, check)
        if check.reachability is not None:
            return await reach(client, check)
    except Exception as error:
        log.exception("a bug of ours in a probe", extra={"fields": {"check": check.name}})
        detail = f"{type(error).__name__}, see the log"
        return Attempt(check.name, started, now(), Verdict.VOID, Reason.INTERNAL, detail)
    detail = f"{check.key_name or 'the key'} is not set, and reachability is off"
    return Attempt(check.name, started, now(), Verdict.LIMITED, Reason.NO_KEY, detail)


@dataclass(slots=True)
class Watch:
    """One check under watch: what is asked, and what is remembered of the answers."""

    check: Check
    track: Track
    first: float
    """When the first round is due, monotonic seconds."""
    phase: float = 0.0
    """Origin of the grid of the later ones; see `schedule`."""
    last: Probe | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to bring the next round forward."""
    hurried: float = -math.inf
    """When a round was last brought forward, monotonic seconds."""
    extra: float = math.inf
    """When that round is to begin."""
    due: float = math.inf
    """When the next round is due otherwise."""
    waiting: bool = False
    """Between two rounds, and so of an ear for `wake`."""


class Blame(Protocol):
    """Who tells our own dead network from a dead provider."""

    async def to_blame(self, check: Check, reason: Reason | None, *, ever_ok: bool) -> bool: ...


class Rounds:
    """Runs rounds of checks."""

    def __init__(
        self,
        probe: Callable[[Check], Awaitable[Attempt]],
        guard: Blame,
        rng: random.Random,
        sleep: Callable[[float], Awaitable[None]],
        on_attempt: Callable[[Watch, Change | None], None],
        on_trouble: Callable[[Watch], None] = lambda _watch: None,
    ) -> None:
        """`on_attempt` hears of every attempt taken in, with the change that it confirmed, if any;
        `on_trouble` of the first sign of trouble."""
        self.guard = guard
        self._keys = KeyRing()
        self._company = Company()
        self.in_flight: set[str] = set()
        """Names of the checks with an attempt under way."""
        self.stopping = False
        """Set at the end of the service: attempts finish, rechecks no longer begin."""
        self._probe = probe
        self._rng = rng
        self._sleep = sleep
        self._on_attempt = on_attempt
        self._on_trouble = on_trouble

    def forget(self, name: str) -> None:
        """The check is gone: it is no witness any more."""
        self._keys.forget(name)
        self._company.forget(name)

    async def run(self, watch: Watch, delay: float = 0.0) -> Probe:
        """One round of `watch`, which began `delay` seconds late; its track is kept up to date."""
        attempts = [await self._attempt(watch, first=True)]
        # Most rounds end here, and need no machinery for more.
        if self._open(watch, attempts[0]):
            await self._recheck(watch, attempts)
        ident = f"{self._rng.getrandbits(64):016x}"
        watch.last = Probe(ident, watch.check.name, tuple(attempts), delay)
        return watch.last

    async def _recheck(self, watch: Watch, attempts: list[Attempt]) -> None:
        """Add attempts to the first of `attempts` until their meaning is settled."""
        begun = iter(attempts[:])

        async def once() -> Attempt:
            # The first attempt counts as one and has its advice heeded, but is over.
            seen = next(begun, None)
            if seen is None:
                seen = await self._attempt(watch, first=False)
                attempts.append(seen)
            return seen

        check = watch.check
        confirm = check.confirm
        retrying = AsyncRetrying(
            retry=retry_if_result(lambda seen: self._open(watch, seen)),
            stop=_advised_to_wait_longer(check.interval)
            | stop_after_attempt(max(confirm.down, confirm.degraded)),
            wait=_advised(confirm.recheck, self._rng),
            sleep=self._sleep,
            retry_error_callback=lambda call: call.outcome.result() if call.outcome else None,
        )
        await retrying(once)

    def _open(self, watch: Watch, seen: Attempt) -> bool:
        return not self.stopping and state.wants_recheck(watch.track, seen.verdict)

    async def _attempt(self, watch: Watch, *, first: bool) -> Attempt:
        watch.track = state.attempt_begins(watch.track, now())
        self.in_flight.add(watch.check.name)
        try:
            seen = self._keys.judged(watch.check, await self._probe(watch.check))
            seen = await self._blamed(watch, seen, first=first)
            watch.track, change = state.attempt_ends(watch.track, watch.check, seen, first=first)
        finally:
            self.in_flight.discard(watch.check.name)
            if watch.track.in_flight:
                # Cancelled half-way: the time is no longer in doubt.
                watch.track = replace(watch.track, in_flight=None)
        self._on_attempt(watch, change)
        if state.trouble_begins(watch.track, seen):
            self._on_trouble(watch)
        return seen

    async def _blamed(self, watch: Watch, seen: Attempt, *, first: bool) -> Attempt:
        """`seen`, or the same as our own network's failure where the guard says so."""
        check, track = watch.check, watch.track
        suspect = self._company.suspect(check, seen)
        if not suspect or not state.would_blame(track, check, seen, first=first):
            return seen
        ours = await self.guard.to_blame(check, seen.reason, ever_ok=track.ever_ok)
        return excused(seen) if ours else seen


def _advice(call: RetryCallState) -> float | None:
    seen = call.outcome.result() if call.outcome else None
    return seen.retry_after if isinstance(seen, Attempt) else None


class _advised_to_wait_longer(stop_after_attempt):
    """Stop where the provider asks for more patience than one interval."""

    def __init__(self, interval: float) -> None:
        self._interval = interval

    def __call__(self, retry_state: RetryCallState) -> bool:
        advice = _advice(retry_state)
        return advice is not None and advice > self._interval


class _advised(wait_exponential):
    """Back off with jitter, and never less than the provider asks for.

    The jitter is drawn from our own generator: tenacity's would be the process's, and nothing that
    happened could be played again.
    """

    def __init__(self, recheck: float, rng: random.Random) -> None:
        self._longest = max(RECHECK_MAX, recheck)
        super().__init__(multiplier=recheck, max=self._longest)
        self._recheck = recheck
        self._rng = rng

    def __call__(self, retry_state: RetryCallState) -> float:
        jittered = super().__call__(retry_state) + self._rng.uniform(0.0, self._recheck / 4)
        return max(min(jittered, self._longest), _advice(retry_state) or 0.0)
