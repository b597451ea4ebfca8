"""When rounds start: pure arithmetic on monotonic seconds.

Every check has a grid (phase + n intervals) that it keeps for life.  The next start is computed
from the grid, never from "end plus interval", so a slow answer does not shift the rhythm; starts
that were missed meanwhile are skipped, not made up for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import sha256

from monitor.model import Check, State

STARTS_PER_SECOND = 20.0
"""First starts are spread at this pace, so that a start or reload is no thundering herd."""


def phases(checks: Sequence[Check]) -> dict[str, float]:
    """Seconds from now until each check's first round, by name.

    Neighbours in the file often share a provider; the order of a hash parts them.
    """
    order = sorted(checks, key=lambda check: sha256(check.name.encode()).digest())
    pace = len(order) / STARTS_PER_SECOND
    return {
        check.name: (rank / len(order)) * min(pace, check.interval)
        for rank, check in enumerate(order)
    }


def next_start(check: Check, state: State, phase: float, started: float, now: float) -> float:
    """When the next round is due after one that was due at `started`.

    While down, extra rounds come between the grid's points, so that the end is seen sharply.
    """
    grid = _after(phase, check.interval, max(started, now))
    if state is not State.DOWN:
        return grid
    quick = max(check.interval / 4, check.confirm.recheck)
    return min(grid, _after(started, quick, now))


def _after(origin: float, step: float, now: float) -> float:
    """The first of `origin + n * step` (n ≥ 1 …) that lies after `now`."""
    turn = max(1, math.floor((now - origin) / step) + 1)
    due = origin + turn * step
    return due if due > now else due + step  # the quotient may have been rounded down
