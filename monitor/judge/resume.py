"""How a check goes on after a restart: what a Track is as plain data, and what it is worth later.

Pure.  Only wall clock readings outlive a process, so every moment that was loaded is placed anew on
the monotonic clock of the present one.  A wall clock that was set back meanwhile would put evidence
into the future; then everything is moved back together, so that lengths stay true and nothing is
older or younger than it was beside the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from monitor.judge.lapse import abandoned, horizon, lapsed
from monitor.judge.track import Streak, Track, begin, fallen_silent, patience
from monitor.model import Change, Check, Moment, Outage, State


def identity(check: Check) -> str:
    """A digest of what a check's state is about; a check that asks otherwise starts from nothing.

    A digest, because a URL may hold what must not be stored.
    """
    about = (*check.labels3, check.mode, check.url, check.protocol)
    return sha256(json.dumps(about).encode()).hexdigest()[:16]


# ----------------------------------------------------------------------------- as plain data


def dumped(track: Track) -> dict[str, Any]:
    """What a later process needs of `track`, JSON-able.

    Without the open outage, which is kept in full elsewhere, and without an attempt in flight and
    the seconds counted, which end with the process.
    """

    def plain(streak: Streak | None) -> list[float] | None:
        return [streak.count, streak.start.wall] if streak else None

    return {
        "state": track.state.value,
        "since": track.since.wall,
        "booked": track.booked.wall,
        "failed": plain(track.failed),
        "bad": plain(track.bad),
        "limited": plain(track.limited),
        "ok": plain(track.ok),
        "answering": plain(track.answering),
        "recent": [int(bad) for bad in track.recent],
        "ever_ok": track.ever_ok,
        "greeted": track.greeted,
        "relapses": track.relapses,
        "recovered": track.recovered.wall if track.recovered else None,
        "last_attempt": track.last_attempt.wall if track.last_attempt else None,
        "last_evidence": track.last_evidence.wall if track.last_evidence else None,
    }


def loaded(plain: Mapping[str, Any], outage: Outage | None = None) -> Track | None:
    """The Track in `plain`, its monotonic readings worthless until `rebased`; None if it is none.

    Keys that are missing have their defaults and unknown ones are ignored, so that neighbouring
    versions read each other's.
    """
    try:
        return Track(
            since=_moment(plain["since"]),
            booked=_moment(plain["booked"]),
            state=State(plain["state"]),
            recent=tuple(bool(bad) for bad in plain.get("recent", ())),
            ever_ok=bool(plain.get("ever_ok", False)),
            greeted=bool(plain.get("greeted", False)),
            relapses=int(plain.get("relapses", 0)),
            recovered=_perhaps(plain.get("recovered")),
            last_attempt=_perhaps(plain.get("last_attempt")),
            last_evidence=_perhaps(plain.get("last_evidence")),
            failed=_streak(plain.get("failed")),
            bad=_streak(plain.get("bad")),
            limited=_streak(plain.get("limited")),
            ok=_streak(plain.get("ok")),
            answering=_streak(plain.get("answering")),
            outage=outage,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _moment(wall: Any) -> Moment:
    return Moment(float(wall), float(wall))


def _perhaps(wall: Any) -> Moment | None:
    return None if wall is None else _moment(wall)


def _streak(plain: Any) -> Streak | None:
    if plain is None:
        return None
    count, start = plain
    return Streak(int(count), _moment(start))


# --------------------------------------------------------------------------- on another clock


def rebased(moment: Moment, now: Moment) -> Moment:
    """`moment`'s wall clock reading on the monotonic clock of `now`."""
    return Moment(moment.wall, now.mono + (moment.wall - now.wall))


def rebased_outage(outage: Outage, now: Moment) -> Outage:
    return replace(
        outage,
        started=rebased(outage.started, now),
        confirmed=rebased(outage.confirmed, now),
        ended=rebased(outage.ended, now) if outage.ended else None,
    )


def _rebased_track(track: Track, now: Moment) -> Track:
    newest = max(track.booked.wall, track.last_attempt.wall if track.last_attempt else 0.0)
    back = max(0.0, newest - now.wall)

    def on(moment: Moment) -> Moment:
        return rebased(replace(moment, wall=moment.wall - back), now)

    def moved(streak: Streak | None) -> Streak | None:
        return replace(streak, start=on(streak.start)) if streak else None

    outage = track.outage
    if outage and back:
        outage = replace(outage, started=on(outage.started), confirmed=on(outage.confirmed))
    return replace(
        track,
        since=on(track.since),
        booked=on(track.booked),
        failed=moved(track.failed),
        bad=moved(track.bad),
        limited=moved(track.limited),
        ok=moved(track.ok),
        answering=moved(track.answering),
        recovered=on(track.recovered) if track.recovered else None,
        last_attempt=on(track.last_attempt) if track.last_attempt else None,
        last_evidence=on(track.last_evidence) if track.last_evidence else None,
        outage=rebased_outage(outage, now) if outage else None,
    )


# --------------------------------------------------------------------------------- going on


@dataclass(frozen=True, slots=True)
class Resumed:
    """A check going on: its track, the change to `unknown` and the outage ended, if any."""

    track: Track
    change: Change | None = None
    ended: Outage | None = None


def resumed(track: Track, check: Check, now: Moment) -> Resumed:
    """`track` as it goes on at `now`, in a process that begins to count here.

    After a short gap the state stands; after a longer one it is `unknown`, while what was in doubt
    and the open outage go on; after a very long one they end, too.  A maintenance window needs no
    evidence: whether it is still open is for the clock to say.
    """
    track = _rebased_track(track, now)
    fresh = replace(begin(now), ever_ok=track.ever_ok, counted=now.mono)
    going = replace(track, in_flight=None, seconds=fresh.seconds, counted=now.mono)
    gap = now.mono - (track.last_attempt or track.booked).mono
    unseen = now.mono - (track.last_evidence or track.booked).mono
    going, ended = lapsed(going, check, now)
    if gap <= patience(check):
        return Resumed(going, ended=ended)
    # Nothing is known from where time was last booked; a doubt that was open then stays open.
    calm = track.state in {State.UNKNOWN, State.MAINTENANCE}
    since = track.since if track.state is State.UNKNOWN else track.booked
    if unseen > horizon(check):
        going = replace(fresh, since=since)
    elif not calm:
        greeted = track.greeted and track.outage is not None
        going = replace(fallen_silent(going, since), greeted=greeted)
    if going.state is track.state:
        return Resumed(going, ended=ended)
    detail = f"no attempt for {gap:.0f} s"
    change = Change(check.name, track.state, State.UNKNOWN, since, now, detail=detail, outage=ended)
    return Resumed(going, change, ended)


# ------------------------------------------------------------------------------ all of them


@dataclass(frozen=True, slots=True)
class Saved:
    """One check as the last process left it; `labels` are `check, provider, model`."""

    labels: tuple[str, str, str]
    identity: str
    track: Track


@dataclass(frozen=True, slots=True)
class Resumption:
    """What a new process makes of the saved checks."""

    tracks: Mapping[str, Track]
    """By name of the check; those that are not in it start from nothing."""
    changes: tuple[Change, ...]
    ended: tuple[Outage, ...]
    """Outages that went on for all we know, but out of sight; those of `gone` are among them."""
    gone: tuple[Saved, ...]
    """Saved, but no longer watched, or asking something else."""


def reconciled(saved: Iterable[Saved], checks: Iterable[Check], now: Moment) -> Resumption:
    """Match what was saved with the checks of today's configuration."""
    wanted = {check.labels3: check for check in checks}
    going: dict[str, Resumed] = {}
    gone: list[Saved] = []
    for one in saved:
        check = wanted.get(one.labels)
        if check is None or identity(check) != one.identity:
            gone.append(one)
        else:
            going[check.name] = resumed(one.track, check, now)
    left = [rebased_outage(outage, now) for one in gone if (outage := abandoned(one.track))]
    return Resumption(
        tracks={name: one.track for name, one in going.items()},
        changes=tuple(one.change for one in going.values() if one.change),
        ended=(*(one.ended for one in going.values() if one.ended), *left),
        gone=tuple(gone),
    )
