"""Virtual time: an event loop that jumps to its next timer, and clocks that follow it.

Hours of schedule pass in seconds of computing, in the product's own code.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from unittest import mock

from monitor.probe import clock

T = TypeVar("T")
BEGINNING = 1_795_000_000.0
"""The wall clock at the start, Unix seconds."""


class _Jumping(selectors.SelectSelector):
    """Never waits: what it would have waited for has passed."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing will ever happen in virtual time"
            self.passed += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.passed


class VirtualTime:
    """What the `time` module gives `monitor.probe.clock`; the wall clock may be stepped."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.monotonic = seconds
        self.stepped = 0.0

    def time(self) -> float:
        return BEGINNING + self.monotonic() + self.stepped


def run(main: Callable[[VirtualTime], Coroutine[Any, Any, T]]) -> T:
    """Run `main` to its end in virtual time."""
    loop = VirtualLoop()
    clocks = VirtualTime(loop.time)
    with mock.patch.object(clock, "time", clocks), asyncio.Runner(loop_factory=lambda: loop) as r:
        return r.run(main(clocks))
