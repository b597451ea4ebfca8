"""The event loop's poll as a clock: what it reports came after it last looked.

A poll that sleeps says nothing of when it was woken: the thread may have waited for a processor or
for the interpreter's lock since.  So while answers stream it never sleeps for long without a look.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from typing import Any

STALL = 0.1
"""Seconds without a poll from which on they count as lost."""
NAP = 2e-3
"""Seconds that a poll sleeps at a time while somebody waits for an answer."""


class PollClock(selectors.DefaultSelector):
    """The event loop's selector, noting when it polls and how long callbacks kept it away."""

    def __init__(self) -> None:
        super().__init__()
        self.returned = self.floor = self._looked = time.monotonic()
        """`floor`: what the last poll reported came no earlier."""
        self.waiting = 0
        """How many attempts wait for a stream that is to be timed."""
        self._busiest = 0.0
        self._stalls: deque[tuple[float, float]] = deque(maxlen=64)

    def select(self, timeout: float | None = None) -> Any:
        entered = time.monotonic()
        busy = entered - self.returned
        if busy > self._busiest:
            self._busiest = busy
        if busy > STALL:
            self._stalls.append((entered, busy))
        end = None if timeout is None else entered + timeout
        while self.waiting and (timeout is None or timeout > NAP):
            ready = self._look(entered, NAP)
            if ready:
                return ready
            # Nothing had come by the end of the nap, however late we woke from it.
            self._looked = min(entered + NAP, self.returned)
            entered = self.returned
            timeout = None if end is None else max(0.0, end - entered)
        return self._look(entered, timeout)

    def _look(self, entered: float, timeout: float | None) -> Any:
        ready = super().select(timeout)
        self.floor, self._looked = self._looked, entered
        self.returned = entered if timeout == 0 else time.monotonic()
        return ready

    def stalled(self, since: float) -> float:
        """Seconds after `since` that were lost to stretches of more than `STALL` without a poll."""
        return sum(max(0.0, min(busy, end - since)) for end, busy in self._stretches())

    def away(self, at: float) -> float:
        """Length of the stretch without a poll that was on at `at` or just over; 0.0 for none.

        What came before such a stretch was read; what came in it may still wait to be.
        """
        near = (busy for end, busy in self._stretches() if end - busy <= at <= end + STALL)
        return max(near, default=0.0)

    def _stretches(self) -> list[tuple[float, float]]:
        """End and length of the latest stretches of more than `STALL`, the present one included."""
        now = time.monotonic()
        stretches = [*self._stalls, (now, now - self.returned)]
        return [(end, busy) for end, busy in stretches if busy > STALL]

    def busiest(self) -> float:
        """The longest stretch (s) without a poll since the last call."""
        longest, self._busiest = self._busiest, 0.0
        return longest
