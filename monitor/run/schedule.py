"""When rounds start: pure arithmetic on monotonic seconds.

After a start or a reload every check is asked as soon as may be.  From then on it has a grid
(phase + n intervals) that it keeps for life.  The next start is computed from the grid, never from
"end plus interval", so a slow answer does not shift the rhythm; starts that were missed meanwhile
are skipped, not made up for.  The grids of one provider's checks are spread over the interval: the
first of them to see trouble wakes the others, so that five siblings see it five times sooner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import sha256

from monitor.model import Check, State

STARTS_PER_SECOND = 20.0
"""First starts are spread at this pace, so that a start or reload is no thundering herd."""


def first_starts(checks: Sequence[Check]) -> dict[str, float]:
    """Seconds from now until each check's first round, by name.

    Neighbours in the file often share a provider; the order of a hash parts them.
    """
    order = sorted(checks, key=lambda check: sha256(check.name.encode()).digest())
    pace = len(order) / STARTS_PER_SECOND
    return {
        check.name: (rank / len(order)) * min(pace, check.interval)
        for rank, check in enumerate(order)
    }


def phases(checks: Sequence[Check]) -> dict[str, float]:
    """Seconds from now to the origin of each check's grid, by name.

    It lies half an interval around the first start, so that the second round, an interval after the
    origin, is never hard on the first one's heels.
    """
    families: dict[str, list[Check]] = {}
    for check in sorted(checks, key=lambda check: check.name):
        families.setdefault(check.provider, []).append(check)
    found: dict[str, float] = {}
    for provider, family in families.items():
        share, size = _share(provider), len(family)
        for rank, check in enumerate(family):
            found[check.name] = (((rank / size + share) % 1.0) - 0.5) * check.interval
    return found


def _share(name: str) -> float:
    """Of the interval: what keeps providers with one check each from asking all at once."""
    return int.from_bytes(sha256(name.encode()).digest()[:4], "big") / 2**32


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
