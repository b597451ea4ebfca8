"""The event loop's poll as a clock: what it reports cannot have come before it last looked."""

from __future__ import annotations

import contextlib
import os
import selectors
import time
from collections import deque
from collections.abc import Callable
from typing import Any

STALL = 0.1
"""Seconds without a poll from which on they count as lost."""
LOOK = 50e-6
"""Seconds that a poll may take which did not sleep, and those more for each thing it reports."""
LOOK_EACH = 2e-6


class RunQueue:
    """For how long this thread was ready to run and had to wait for a processor (Linux)."""

    def __init__(self) -> None:
        self._file: int | None = None
        self._before = 0
        with contextlib.suppress(OSError):
            self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        self.waited()

    def waited(self) -> float:
        """Seconds since the last call; 0.0 where the kernel does not tell."""
        if self._file is None:
            return 0.0
        total = int(os.pread(self._file, 64, 0).split()[1])
        since, self._before = total - self._before, total
        return since / 1e9

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class PollClock(selectors.DefaultSelector):
    """The event loop's selector, noting when it polls and how long callbacks kept it away."""

    def __init__(self, queued: Callable[[], float] | None = None) -> None:
        """`queued` tells the seconds since its last call for which we wanted a processor."""
        super().__init__()
        self._queue = RunQueue()
        self._queued = queued or self._queue.waited
        self.returned = self._entered = self._looked = time.monotonic()
        self._floor = self._earlier = self.returned
        self._busiest = 0.0
        self._stalls: deque[tuple[float, float]] = deque(maxlen=64)

    def close(self) -> None:
        self._queue.close()
        super().close()

    def select(self, timeout: float | None = None) -> Any:
        entered = time.monotonic()
        busy = entered - self.returned
        if busy > self._busiest:
            self._busiest = busy
        if busy > STALL:
            self._stalls.append((entered, busy))
        ready = super().select(timeout)
        # What this poll reports came after the poll before had looked …
        self._floor = self._earlier = self._looked
        self._entered = self._looked = self.returned = entered
        if timeout == 0:
            return ready
        returned = self.returned = time.monotonic()
        if returned - entered > LOOK:
            queued = self._queued()
            if returned - entered - queued > LOOK + LOOK_EACH * len(ready):
                # … or, where it slept, woke it up: just now, but for the wait for a processor.
                self._floor = self._looked = max(entered, returned - queued)
        return ready

    def since(self, at: float) -> float:
        """The earliest moment at which bytes of which the last came at `at` can have come."""
        return self._floor if at >= self._entered else self._earlier

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
