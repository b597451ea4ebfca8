"""The clocks: the one place that reads them."""

from __future__ import annotations

import time

from monitor.model import Moment


def now() -> Moment:
    """This instant on both clocks."""
    return Moment(time.time(), time.monotonic())


def clock_offset() -> float:
    """Wall clock minus monotonic clock in seconds, from the tightest of three readings."""
    best = (1 << 62, 0)
    for _ in range(3):
        before = time.monotonic_ns()
        wall = time.time_ns()
        width = time.monotonic_ns() - before
        best = min(best, (width, wall - before - width // 2))
    return best[1] / 1e9
