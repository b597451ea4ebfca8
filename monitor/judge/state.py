"""The state of one check: attempts in, confirmed changes out.  Pure; every moment is an argument.

Streaks of attempts confirm states (`Confirm` holds the lengths):

    failed streak   failed                 broken by ok, slow, wrong       confirms down
    bad streak      failed, slow, wrong    broken by ok                    confirms degraded
    limited streak  limited                broken by all but void          confirms limited
    ok streak       ok                     broken by all others            confirms up
    answering       ok, slow, wrong        broken by all others            ends an outage, degraded

While a maintenance window is open nothing is claimed and no streak grows; an open outage stays
open.

`void` makes the state `unknown` at once and neither extends nor breaks a bad streak, with one
exception: where our own network was to blame, the failures before it prove nothing, so the bad
streaks and the ratio start again.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

from monitor.judge.flapping import relapses, strictness
from monitor.judge.track import (
    Streak,
    Track,
    accrued,
    booked,
    fallen_silent,
    later,
    patience,
    pending,
)
from monitor.model import (
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


def attempt_begins(track: Track, now: Moment) -> Track:
    """From here on time is pending until the attempt has ended."""
    return accrued(track, now, in_flight=now)


def attempt_ends(
    track: Track, check: Check, attempt: Attempt, *, first: bool
) -> tuple[Track, Change | None]:
    """Take in one attempt; `first` tells the first of its round from the rechecks."""
    track = accrued(
        track,
        attempt.started,
        in_flight=None,
        last_attempt=attempt.ended,
        last_evidence=track.last_evidence if attempt.verdict is Verdict.VOID else attempt.ended,
        **({} if track.state is State.MAINTENANCE else _streaks(track, attempt)),
    )
    if track.state is State.MAINTENANCE:
        return accrued(track, attempt.ended), None
    if first:
        track = _remembered(track, check.confirm, attempt.verdict)
    if attempt.verdict is Verdict.OK and _partial(track, check.confirm):
        # One good answer among many bad ones is what a partial outage looks like, no recovery.
        track = replace(track, ok=None)
    claim = _claim(track, check.confirm, attempt)
    if claim is None or claim[0] is track.state:
        return accrued(track, attempt.ended), None
    return _enter(track, check, claim[0], claim[1], attempt)


def tick(track: Track, check: Check, now: Moment) -> tuple[Track, Change | None]:
    """Let time pass: book what is certain; no finished attempt for too long is `unknown`."""
    track = accrued(track, now)
    last = track.last_attempt
    limit = patience(check)
    calm = track.state in {State.UNKNOWN, State.MAINTENANCE}
    if calm or last is None or now.mono - last.mono <= limit:
        return track, None
    doubt = pending(track)
    # What was in doubt stays so: the old state was never confirmed for it.
    since = later(doubt, track.booked) if doubt else now
    change = Change(
        check.name, track.state, State.UNKNOWN, since, now, detail=f"no attempt for {limit:g} s"
    )
    return fallen_silent(track, since), change


def maintain(
    track: Track, check: Check, edge: Moment | None, now: Moment, *, opens: bool
) -> tuple[Track, Change | None]:
    """A maintenance window opened, or the last open one closed, at `edge` (None: by now).

    What was pending stays with the state before; streaks begin again when it is over.
    """
    if opens == (track.state is State.MAINTENANCE):
        return track, None
    since = edge if edge and track.booked.mono < edge.mono < now.mono else track.booked
    track = booked(track, since)
    after = State.MAINTENANCE if opens else State.UNKNOWN
    change = Change(check.name, track.state, after, since, now, detail="a maintenance window")
    return replace(
        track,
        state=after,
        since=since,
        failed=None,
        bad=None,
        limited=None,
        ok=None,
        answering=None,
        recent=(),
    ), change


def would_blame(track: Track, check: Check, attempt: Attempt, *, first: bool) -> bool:
    """Whether `attempt` would make us blame the provider for something new.

    Whatever rule confirms it: a streak of failures, a mixed one, or the ratio of a partial outage.
    """
    if track.state is State.DOWN:
        return False
    _, change = attempt_ends(track, check, attempt, first=first)
    return change is not None and change.after in {State.DOWN, State.DEGRADED}


def trouble_begins(track: Track, attempt: Attempt) -> bool:
    """Whether `attempt`, the last one taken in, is the first sign of trouble."""
    if track.state in {State.DOWN, State.MAINTENANCE}:
        return False
    if attempt.reason is Reason.AUTH:
        return track.limited is not None and track.limited.count == 1
    first = track.failed is not None and track.failed.count == 1
    return attempt.verdict is Verdict.FAILED and first


def wants_recheck(track: Track, verdict: Verdict) -> bool:
    """Whether the last attempt leaves a question open that a quick recheck can settle."""
    if track.state is State.MAINTENANCE:
        return False
    if verdict is Verdict.FAILED:
        return track.state is not State.DOWN
    return verdict is Verdict.WRONG and track.state not in {State.DOWN, State.DEGRADED}


# ---------------------------------------------------------------------------------- the parts


def _streaks(track: Track, attempt: Attempt) -> dict[str, Any]:
    """What `attempt` makes of the streaks: the fields of `track` that change."""

    def grow(streak: Streak | None) -> Streak:
        return streak.grown() if streak else Streak(1, attempt.started)

    match attempt.verdict:
        case Verdict.OK:
            ok, answering = grow(track.ok), grow(track.answering)
            return {"failed": None, "bad": None, "limited": None, "ok": ok, "answering": answering}
        case Verdict.SLOW | Verdict.WRONG:
            bad, answering = grow(track.bad), grow(track.answering)
            return {"failed": None, "bad": bad, "limited": None, "ok": None, "answering": answering}
        case Verdict.FAILED:
            failed, bad = grow(track.failed), grow(track.bad)
            return {"failed": failed, "bad": bad, "limited": None, "ok": None, "answering": None}
        case Verdict.LIMITED:
            return {"limited": grow(track.limited), "ok": None, "answering": None}
        case Verdict.VOID:
            ours = attempt.reason is Reason.LOCAL_NETWORK
            broken = {"failed": None, "bad": None, "recent": ()} if ours else {}
            return {"ok": None, "answering": None, **broken}


def _remembered(track: Track, confirm: Confirm, verdict: Verdict) -> Track:
    if verdict in {Verdict.VOID, Verdict.LIMITED} or track.state is State.DOWN:
        return track
    recent = (*track.recent, verdict is not Verdict.OK)[-confirm.ratio.of :]
    # Where all is well for long, it is the same as before.
    return track if recent == track.recent else replace(track, recent=recent)


def _partial(track: Track, confirm: Confirm) -> bool:
    return sum(track.recent) >= confirm.ratio.bad


def _claim(track: Track, confirm: Confirm, attempt: Attempt) -> tuple[State, Moment] | None:
    """The state that the streaks now confirm, and where it began; None where nothing is new."""
    match attempt.verdict:
        case Verdict.VOID:
            if attempt.reason is Reason.SHUTDOWN:
                return None
            return State.UNKNOWN, pending(track) or attempt.started
        case Verdict.LIMITED:
            long = _long(track.limited, confirm.limited)
            return (State.LIMITED, _start(track.limited)) if long else None
        case Verdict.FAILED if _long(track.failed, confirm.down):
            return State.DOWN, _start(track.failed)
        case Verdict.OK:
            needed = confirm.up * strictness(track) if track.greeted else 1
            if _long(track.ok, needed):
                return State.UP, _start(track.ok)
    if track.state is State.DOWN or track.outage:
        ended = _long(track.answering, confirm.degraded * strictness(track))
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
    since = later(start, track.booked)
    outage = touched = track.outage
    if state is State.DOWN and outage is None:
        # Failures may have been booked as unknown, but never as anything better.
        began = later(start, track.since) if track.state is State.UNKNOWN else since
        outage = touched = _opened(check, began, attempt)
        track = replace(track, relapses=relapses(track, check, began))
    elif state in {State.UP, State.DEGRADED} and outage is not None:
        touched, outage = replace(outage, ended=start), None
        track = replace(track, recovered=start)
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
    settled = replace(
        booked(booked(track, since), attempt.ended, state),
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
