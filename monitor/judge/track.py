"""What is remembered of one check between attempts, and how its time is booked.  Pure.

Time is booked to a state only when it is certain: from the start of an attempt in flight, or of a
streak that opposes the state, time is pending.  A confirmation books it to the new state in one
step, a refutation to the old one.  So booked seconds never have to be taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from monitor.model import Check, Moment, Outage, State


@dataclass(frozen=True, slots=True)
class Streak:
    """`count` attempts in a row, the first of which started at `start`."""

    count: int
    start: Moment

    def grown(self) -> Streak:
        return Streak(self.count + 1, self.start)


@dataclass(frozen=True, slots=True)
class Track:
    """All that is remembered of one check between attempts."""

    since: Moment
    """Start of the present state."""
    booked: Moment
    """Time up to here is in `seconds`; what follows is pending."""
    state: State = State.UNKNOWN
    seconds: Mapping[State, float] = field(default_factory=lambda: dict.fromkeys(State, 0.0))
    failed: Streak | None = None
    bad: Streak | None = None
    limited: Streak | None = None
    ok: Streak | None = None
    answering: Streak | None = None
    recent: tuple[bool, ...] = ()
    """First attempts of the last rounds that were not confirmed bad anyway: True for a bad one."""
    ever_ok: bool = False
    greeted: bool = False
    """Was `up` since the start or a long silence; until then one `ok` is enough."""
    relapses: int = 0
    """How many outages in a row began soon after the one before had ended."""
    recovered: Moment | None = None
    """When the last outage ended."""
    counted: float = -inf
    """Monotonic seconds: what was before this process is in no `seconds`."""
    in_flight: Moment | None = None
    last_attempt: Moment | None = None
    """End of the last attempt, whatever it showed."""
    last_evidence: Moment | None = None
    """End of the last one that showed something of the endpoint, which a `void` one does not."""
    outage: Outage | None = None
    """The open outage; it outlives `unknown`, `limited` and `maintenance`."""


def begin(now: Moment) -> Track:
    """A check about which nothing is known yet."""
    return Track(since=now, booked=now)


def patience(check: Check) -> float:
    """For how many seconds the last finished attempt vouches for the state."""
    return max(3 * check.interval, 2 * check.timeout.total)


def fallen_silent(track: Track, since: Moment) -> Track:
    """`unknown` from `since` on; what comes next has to confirm a state anew.

    Streaks that began in booked time have been heard.  Those in doubt have not, and go on.
    """

    def unheard(streak: Streak | None) -> Streak | None:
        return streak if streak and streak.start.mono >= track.booked.mono else None

    return replace(
        track,
        state=State.UNKNOWN,
        since=since,
        failed=unheard(track.failed),
        bad=unheard(track.bad),
        limited=unheard(track.limited),
        ok=unheard(track.ok),
        answering=unheard(track.answering),
    )


def later(one: Moment, other: Moment) -> Moment:
    return one if one.mono > other.mono else other


def accrued(track: Track, now: Moment, **changes: Any) -> Track:
    """Book certain time to the present state, up to `now` or to where doubt began.

    `changes` of other fields are made in the same step: every attempt passes here three times.
    """
    doubt = pending(track)
    return booked(track, doubt if doubt and doubt.mono < now.mono else now, **changes)


def pending(track: Track) -> Moment | None:
    """Since when the present state is in doubt, or None."""
    starts = [streak.start for streak in _opposing(track) if streak]
    if track.in_flight:
        starts.append(track.in_flight)
    return min(starts, key=lambda moment: moment.mono, default=None)


def _opposing(track: Track) -> tuple[Streak | None, ...]:
    match track.state:
        case State.UP:
            return (track.bad, track.limited)
        case State.DEGRADED:
            return (track.failed, track.limited, track.ok)
        case State.DOWN:
            return (track.answering, track.limited)
        case State.LIMITED:
            return (track.bad, track.ok)
        case State.UNKNOWN:
            return (track.bad, track.limited, track.ok)
        case State.MAINTENANCE:
            return ()


def booked(track: Track, until: Moment, state: State | None = None, **changes: Any) -> Track:
    """Book time up to `until` to `state`, or else the present one; make `changes` as well."""
    if until.mono <= track.booked.mono:
        return replace(track, **changes) if changes else track
    elapsed = max(0.0, until.mono - max(track.booked.mono, track.counted))
    state = state or track.state
    seconds = {**track.seconds, state: track.seconds[state] + elapsed}
    return replace(track, seconds=seconds, booked=until, **changes)
