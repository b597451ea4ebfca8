"""The way to one target: a bounded queue and one task that delivers, with patience, in order."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt
from tenacity.wait import wait_exponential

from monitor.model import NotifyTarget
from monitor.notify.message import Message
from monitor.notify.plan import Event, Notice
from monitor.notify.send import Outcome

log = logging.getLogger("monitor.notify")

ROOM = 100
"""Messages that wait at most; then the oldest goes."""
TRIES = 14
"""With the waits between them about a quarter of an hour."""
WAIT_MAX = 120.0
ASKED_MAX = 300.0
"""The most that a receiver can make us wait for its next try."""

Result = Literal["delivered", "failed", "dropped"]
RESULTS: tuple[Result, ...] = ("delivered", "failed", "dropped")
Settle = Callable[[NotifyTarget, Notice, Result | None], None]
"""Told what became of a message; None where the target did not want to hear of it."""


class Channel:
    """Delivers to `target` what is `put`; `settle` hears what became of each message."""

    def __init__(
        self,
        target: NotifyTarget,
        send: Callable[[NotifyTarget, Message], Awaitable[Outcome]],
        write: Callable[[Notice, NotifyTarget], Message],
        settle: Settle,
        rng: random.Random,
    ) -> None:
        self.target = target
        self._send = send
        self._write = write
        self._settle = settle
        self._rng = rng
        self._waiting: deque[Notice] = deque()
        self._more = asyncio.Event()
        self._stopping = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()

    def put(self, notice: Notice) -> None:
        """Returns at once; where there is no room the oldest message that waits is dropped."""
        if len(self._waiting) >= ROOM:
            self._settle(self.target, self._waiting.popleft(), "dropped")
        self._waiting.append(notice)
        self.idle.clear()
        self._more.set()

    def stop(self) -> None:
        """No more patience: what waits gets one try each."""
        self._stopping.set()

    async def run(self) -> None:
        """Deliver, for ever."""
        while True:
            await self._more.wait()
            while self._waiting:
                notice = self._waiting.popleft()
                try:
                    await self._deliver(notice)
                except Exception:
                    log.exception("a bug of ours in a notification")
                    self._settle(self.target, notice, "failed")
            self._more.clear()
            self.idle.set()

    async def _deliver(self, notice: Notice) -> None:
        if notice.event is not Event.REPEATED and notice.event.value not in self.target.on:
            self._settle(self.target, notice, None)
            return
        message = self._write(notice, self.target)
        outcome = await self._tried(message)
        if outcome.error and outcome.again and self._stopping.is_set():
            return  # not settled: the next process tells it, if it is still so
        self._tell(notice, outcome)
        self._settle(self.target, notice, "failed" if outcome.error else "delivered")

    async def _tried(self, message: Message) -> Outcome:
        retrying = AsyncRetrying(
            retry=retry_if_result(lambda outcome: outcome.again),
            stop=self._has_to_stop,
            wait=self._pause,
            sleep=self._sleep,
            retry_error_callback=_last,
        )
        outcome: Outcome = await retrying(self._send, self.target, message)
        return outcome

    def _has_to_stop(self, state: RetryCallState) -> bool:
        return self._stopping.is_set() or stop_after_attempt(TRIES)(state)

    def _pause(self, state: RetryCallState) -> float:
        """Exponential with jitter; what the receiver asks for comes first."""
        asked = _last(state).wait
        if asked is not None:
            return min(asked, ASKED_MAX)
        pause = wait_exponential(multiplier=1.0, max=WAIT_MAX)(state)
        return pause * self._rng.uniform(0.8, 1.2)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass  # the pause is over, which is what was wanted

    def _tell(self, notice: Notice, outcome: Outcome) -> None:
        fields = {
            "target": self.target.name,
            "event": notice.event.value,
            "provider": notice.provider,
            "error": outcome.error,
        }
        if outcome.error:
            log.error("a notification could not be delivered", extra={"fields": fields})
        else:
            log.info("notified", extra={"fields": fields})


def _last(state: RetryCallState) -> Outcome:
    assert state.outcome is not None
    outcome: Outcome = state.outcome.result()
    return outcome
