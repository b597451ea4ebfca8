"""An endpoint that goes down again and again has to convince before it counts as recovered.  Pure.

The third outage in quick succession takes twice as many good answers to end, every further one four
times as many.  When it has ended, its end is the first of them: nothing is lost but haste.
"""

from __future__ import annotations

from monitor.judge.track import Track
from monitor.model import Check, Moment

RELAPSE = 10
"""An outage that begins within so many intervals of the last one's end is a relapse."""


def strictness(track: Track) -> int:
    """How many times more good answers than usual end the open outage; 1 where there is none."""
    return (1, 1, 2, 4)[min(track.relapses, 3)] if track.outage else 1


def relapses(track: Track, check: Check, began: Moment) -> int:
    """How many relapses in a row the outage is that began just now."""
    last = track.recovered
    soon = last is not None and began.mono - last.mono <= RELAPSE * check.interval
    return track.relapses + 1 if soon else 0
