"""How long the last word about an endpoint is worth something, and what ends when it is not.  Pure.

`patience` is about the state: without any finished attempt for so long it is `unknown`.  `horizon`
is about an open outage: it stays open through `unknown`, `limited` and `maintenance`, but after so
long without evidence nobody can say that it is still the same one.
"""

from __future__ import annotations

from dataclasses import replace

from monitor.judge.track import Track
from monitor.model import Check, Moment, Outage, State


def horizon(check: Check) -> float:
    """For how many seconds without evidence an outage is taken to be still the same one."""
    return max(3600.0, 10 * check.interval)


def abandoned(track: Track) -> Outage | None:
    """The open outage, ended at the last evidence because nobody watches it any more.

    A running monitor goes on claiming `down` for a while without evidence; that is inside.
    """
    outage = track.outage
    if outage is None:
        return None
    claimed = track.booked if track.state is State.DOWN else track.since
    known = [outage.started, claimed, track.last_evidence or claimed]
    return replace(outage, ended=max(known, key=lambda moment: moment.wall), end_known=False)


def lapsed(track: Track, check: Check, now: Moment) -> tuple[Track, Outage | None]:
    """`track` without its open outage, and that outage ended, where it was lost from sight.

    The state is another matter, and stays; what comes next has to be confirmed from its beginning.
    """
    last = track.last_evidence
    if track.outage is None or last is None or now.mono - last.mono <= horizon(check):
        return track, None
    alone = replace(track, outage=None, failed=None, bad=None, ok=None, answering=None, recent=())
    return alone, abandoned(track)
