"""What the rest of the product tells this room about a check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.model import Attempt, Check, Moment, Outage, State


@dataclass(frozen=True, slots=True)
class StateView:
    """The confirmed state of one check at the moment of asking."""

    check: Check
    state: State
    since: Moment
    seconds: Mapping[State, float]
    """Time booked to each state since the process began, up to now."""
    outages: tuple[Outage, ...] = ()
    """The open one and the closed ones still remembered, in any order."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the provider's own status page says that concerns a check."""

    state: str
    """One of `catalogue.DECLARED`."""
    at: float
    """Unix time at which it was read."""


@dataclass(frozen=True, slots=True)
class PageCheck:
    """One check as the page shows it: what we say, what the last attempt saw, what they say."""

    view: StateView
    last: Attempt | None = None
    claim: Claim | None = None
    """None where the provider's own status page is not read."""
