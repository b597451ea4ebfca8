"""The state of one check: attempts in, confirmed changes out.  Pure; every moment is an argument.

Streaks of attempts confirm states (`Confirm` holds the lengths):

    failed streak   failed                 broken by ok, slow, wrong       confirms down
    bad streak      failed, slow, wrong    broken by ok                    confirms degraded
    limited streak  limited                broken by all but void          confirms limited
    ok streak       ok                     broken by all others            confirms up
    answering       ok, slow, wrong        broken by all others            ends an outage, degraded

`void` makes the state `unknown` at once and neither extends nor breaks a bad streak, with one
exception: where our own network was to blame, the failures before it prove nothing, so the bad
streaks and the ratio start again.

Time is booked to a state only when it is certain: from the start of an attempt in flight, or of a
streak that opposes the state, time is pending.  A confirmation books it to the new state in one
step, a refutation to the old one.  So booked seconds never have to be taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from math import inf

from monitor.model import (
    NETWORK_REASONS,
    Attempt,
    Change,
    Check,
    Confirm,
    Moment,
    Outage,
    Reason,
    State,
    Verdict,
)


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
    counted: float = -inf
    """Monotonic seconds: what was before this process is in no `seconds`."""
    in_flight: Moment | None = None
    last_evidence: Moment | None = None
    """End of the last finished attempt."""
    outage: Outage | None = None
    """The open outage; it outlives `unknown`, `limited` and `maintenance`."""


def begin(now: Moment) -> Track:
    """A check about which nothing is known yet."""
    return Track(since=now, booked=now)


def attempt_begins(track: Track, now: Moment) -> Track:
    """From here on time is pending until the attempt has ended."""
    return replace(_accrued(track, now), in_flight=now)


def attempt_ends(
    track: Track, check: Check, attempt: Attempt, *, first: bool
) -> tuple[Track, Change | None]:
    """Take in one attempt; `first` tells the first of its round from the rechecks."""
    track = _accrued(track, attempt.started)
    track = _streaks(replace(track, in_flight=None, last_evidence=attempt.ended), attempt)
    if first:
        track = _remembered(track, check.confirm, attempt.verdict)
    if attempt.verdict is Verdict.OK and _partial(track, check.confirm):
        # One good answer among many bad ones is what a partial outage looks like, no recovery.
        track = replace(track, ok=None)
    claim = _claim(track, check.confirm, attempt)
    if claim is None or claim[0] is track.state:
        return _accrued(track, attempt.ended), None
    return _enter(track, check, claim[0], claim[1], attempt)


def tick(track: Track, check: Check, now: Moment) -> tuple[Track, Change | None]:
    """Let time pass: book what is certain; no finished attempt for too long is `unknown`."""
    track = _accrued(track, now)
    last = track.last_evidence
    limit = patience(check)
    if track.state is State.UNKNOWN or last is None or now.mono - last.mono <= limit:
        return track, None
    doubt = _pending(track)
    # What was in doubt stays so: the old state was never confirmed for it.
    since = _later(doubt, track.booked) if doubt else now
    change = Change(
        check.name, track.state, State.UNKNOWN, since, now, detail=f"no attempt for {limit:g} s"
    )
    return fallen_silent(track, since), change


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


def patience(check: Check) -> float:
    """For how many seconds the last finished attempt vouches for the state."""
    return max(3 * check.interval, 2 * check.timeout.total)


def would_blame(track: Track, check: Check, attempt: Attempt, *, first: bool) -> bool:
    """Whether `attempt` would make us blame the provider where our own network may be at fault.

    Whatever rule confirms it: a streak of failures, a mixed one, or the ratio of a partial outage.
    """
    if attempt.reason not in NETWORK_REASONS or track.state is State.DOWN:
        return False
    _, change = attempt_ends(track, check, attempt, first=first)
    return change is not None and change.after in {State.DOWN, State.DEGRADED}


def wants_recheck(track: Track, verdict: Verdict) -> bool:
    """Whether the last attempt leaves a question open that a quick recheck can settle."""
    if verdict is Verdict.FAILED:
        return track.state is not State.DOWN
    return verdict is Verdict.WRONG and track.state not in {State.DOWN, State.DEGRADED}


# ---------------------------------------------------------------------------------- the parts


def _streaks(track: Track, attempt: Attempt) -> Track:
    def grow(streak: Streak | None) -> Streak:
        return streak.grown() if streak else Streak(1, attempt.started)

    match attempt.verdict:
        case Verdict.OK:
            return replace(
                track,
                failed=None,
                bad=None,
                limited=None,
                ok=grow(track.ok),
                answering=grow(track.answering),
            )
        case Verdict.SLOW | Verdict.WRONG:
            return replace(
                track,
                failed=None,
                bad=grow(track.bad),
                limited=None,
                ok=None,
                answering=grow(track.answering),
            )
        case Verdict.FAILED:
            return replace(
                track,
                failed=grow(track.failed),
                bad=grow(track.bad),
                limited=None,
                ok=None,
                answering=None,
            )
        case Verdict.LIMITED:
            return replace(track, limited=grow(track.limited), ok=None, answering=None)
        case Verdict.VOID:
            track = replace(track, ok=None, answering=None)
            ours = attempt.reason is Reason.LOCAL_NETWORK
            return replace(track, failed=None, bad=None, recent=()) if ours else track


def _remembered(track: Track, confirm: Confirm, verdict: Verdict) -> Track:
    if verdict in {Verdict.VOID, Verdict.LIMITED} or track.state is State.DOWN:
        return track
    recent = (*track.recent, verdict is not Verdict.OK)
    return replace(track, recent=recent[-confirm.ratio.of :])


def _partial(track: Track, confirm: Confirm) -> bool:
    return sum(track.recent) >= confirm.ratio.bad


def _claim(track: Track, confirm: Confirm, attempt: Attempt) -> tuple[State, Moment] | None:
    """The state that the streaks now confirm, and where it began; None where nothing is new."""
    match attempt.verdict:
        case Verdict.VOID:
            if attempt.reason is Reason.SHUTDOWN:
                return None
            return State.UNKNOWN, _pending(track) or attempt.started
        case Verdict.LIMITED:
            long = _long(track.limited, confirm.limited)
            return (State.LIMITED, _start(track.limited)) if long else None
        case Verdict.FAILED if _long(track.failed, confirm.down):
            return State.DOWN, _start(track.failed)
        case Verdict.OK:
            needed = confirm.up if track.greeted else 1
            if _long(track.ok, needed):
                return State.UP, _start(track.ok)
    if track.state is State.DOWN or track.outage:
        ended = _long(track.answering, confirm.degraded)
        return (State.DEGRADED, _start(track.answering)) if ended else None
    if attempt.verdict is Verdict.OK:
        return None
    if _long(track.bad, confirm.degraded):
        return State.DEGRADED, _start(track.bad)
    return (State.DEGRADED, attempt.started) if _partial(track, confirm) else None


def _long(streak: Streak | None, needed: int) -> bool:
    return streak is not None and streak.count >= needed


def _start(streak: Streak | None) -> Moment:
    assert streak is not None
    return streak.start


def _enter(
    track: Track, check: Check, state: State, start: Moment, attempt: Attempt
) -> tuple[Track, Change]:
    """Confirm `state` from `start` on: book the pending time, open or close the outage."""
    since = _later(start, track.booked)
    outage = touched = track.outage
    if state is State.DOWN and outage is None:
        # Failures may have been booked as unknown, but never as anything better.
        began = _later(start, track.since) if track.state is State.UNKNOWN else since
        outage = touched = _opened(check, began, attempt)
    elif state in {State.UP, State.DEGRADED} and outage is not None:
        touched, outage = replace(outage, ended=start), None
    else:
        touched = None
    change = Change(
        check.name,
        track.state,
        state,
        since,
        attempt.ended,
        attempt.reason,
        attempt.detail,
        touched,
    )
    by_streak = state is State.DOWN or (
        state is State.DEGRADED and _long(track.bad, check.confirm.degraded)
    )
    booked = _booked(_booked(track, since), attempt.ended, state)
    settled = replace(
        booked,
        state=state,
        since=since,
        outage=outage,
        ever_ok=track.ever_ok or state is State.UP,
        greeted=track.greeted or state is State.UP,
        recent=() if by_streak else track.recent,
    )
    if state is State.LIMITED:
        settled = replace(settled, failed=None, bad=None)
    return settled, change


def _opened(check: Check, start: Moment, attempt: Attempt) -> Outage:
    assert attempt.reason is not None
    # The same outage has the same id after a restart: name and start are all it is made of.
    ident = sha256(f"{check.name} {start.wall:.3f}".encode()).hexdigest()[:12]
    return Outage(
        id=ident,
        check=check.name,
        provider=check.provider,
        model=check.model,
        started=start,
        confirmed=attempt.ended,
        reason=attempt.reason,
        detail=attempt.detail,
        status=attempt.status,
        request_id=attempt.request_id,
        evidence=attempt.evidence,
    )


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


def _pending(track: Track) -> Moment | None:
    """Since when the present state is in doubt, or None."""
    starts = [streak.start for streak in _opposing(track) if streak]
    if track.in_flight:
        starts.append(track.in_flight)
    return min(starts, key=lambda moment: moment.mono, default=None)


def _accrued(track: Track, now: Moment) -> Track:
    """Book certain time to the present state, up to `now` or to where doubt began."""
    doubt = _pending(track)
    return _booked(track, doubt if doubt and doubt.mono < now.mono else now)


def _booked(track: Track, until: Moment, state: State | None = None) -> Track:
    if until.mono <= track.booked.mono:
        return track
    elapsed = max(0.0, until.mono - max(track.booked.mono, track.counted))
    state = state or track.state
    seconds = {**track.seconds, state: track.seconds[state] + elapsed}
    return replace(track, seconds=seconds, booked=until)


def _later(one: Moment, other: Moment) -> Moment:
    return one if one.mono > other.mono else other
