"""What the ledger remembers, as the pages tell it.  Pure; moments are Unix seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.model import Outage, State

Labels = tuple[str, str, str]
"""`check, provider, model`."""

DAYS = 90
SLOTS = 48
"""Stretches of half an hour that the latency of a day is shown in."""
SLOT = 1800.0
HOUR24, WEEK = 86400.0, 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Share:
    """Uptime over a stretch of time, and for how much of that stretch it speaks."""

    uptime: float | None
    """Of the time that was judged; None where none was."""
    coverage: float
    """Judged time by the length of the stretch, 0 to 1."""


def share(seconds: Mapping[State, float], length: float) -> Share:
    """Uptime by the seconds in each state; only up, degraded and down are judgements."""
    good = seconds.get(State.UP, 0.0) + seconds.get(State.DEGRADED, 0.0)
    judged = good + seconds.get(State.DOWN, 0.0)
    return Share(good / judged if judged > 0 else None, min(1.0, judged / length))


@dataclass(frozen=True, slots=True)
class PastDay:
    """One UTC day of one check."""

    day: str
    """`YYYY-MM-DD`."""
    seconds: Mapping[State, float]
    """Without the states that were not seen; of today so far."""
    probes: int
    bad: int
    """Rounds that were bad through the provider's fault."""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long good answers took in the last 24 hours: to the first token, of a web page in all."""

    slots: tuple[float | None, ...] = (None,) * SLOTS
    """Medians (s) of half-hours, oldest first; None where nothing was answered."""
    p50: float | None = None
    p95: float | None = None


@dataclass(frozen=True, slots=True)
class CheckPast:
    """What is remembered of one check."""

    days: tuple[PastDay, ...] = ()
    """The last `DAYS` UTC days, today included, oldest first; those nobody looked are left out."""
    last_24h: Mapping[State, float] = field(default_factory=dict)
    last_7d: Mapping[State, float] = field(default_factory=dict)
    latency: Latency = Latency()

    def shares(self) -> tuple[Share, Share, Share]:
        """Uptime of 24 hours, 7 days and 90 days."""
        good = down = 0.0
        is_good, is_down = (State.UP, State.DEGRADED), State.DOWN
        for day in self.days:
            # Ninety days of a thousand checks: to compare is cheaper than to look up.
            for state, seconds in day.seconds.items():
                if state in is_good:
                    good += seconds
                elif state is is_down:
                    down += seconds
        return (
            share(self.last_24h, HOUR24),
            share(self.last_7d, WEEK),
            share({State.UP: good, State.DOWN: down}, DAYS * HOUR24),
        )


@dataclass(frozen=True, slots=True)
class Past:
    """What is remembered of all checks, as it was at `at`."""

    at: float = 0.0
    checks: Mapping[Labels, CheckPast] = field(default_factory=dict)
    outages: tuple[Outage, ...] = ()
    """Those of the last `DAYS` days, newest first, with their evidence; both places of a moment
    have the wall clock's reading."""
    trouble: str | None = None
    """Why the ledger could not be read, in one sentence; None where it could."""

    def of(self, labels: Labels) -> CheckPast:
        return self.checks.get(labels) or CheckPast()
