"""Which maintenance windows are open at a moment.  Pure: moments in, moments out.

Weekly windows begin at a local time of people, so their distance in seconds varies with daylight
saving; how long one stays open is elapsed time.  A beginning that the clocks skip comes later by
what they skip; one that they repeat is the first of the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from monitor.judge import state
from monitor.judge.track import Track
from monitor.model import Change, Check, Moment, State, Window

LOOK_BACK = 8
"""Days in which a weekly window that is open now, or has just closed, may have begun."""


def follow(track: Track, check: Check, at: Moment) -> tuple[Track, Change | None]:
    """`track` as the check's maintenance windows want it at a moment."""
    if not check.maintenance and track.state is not State.MAINTENANCE:
        return track, None
    since, edge = _edges(check.maintenance, at.wall)
    moment = None if edge is None else at.plus(edge - at.wall)
    return state.maintain(track, check, moment, at, opens=since is not None)


# Many checks share their windows, and are looked at in the same moment.
@lru_cache(maxsize=16)
def _edges(windows: tuple[Window, ...], now: float) -> tuple[float | None, float | None]:
    """Since when a window is open, and when that began or the last one closed."""
    since = opened(windows, now)
    return since, since if since is not None else shut(windows, now)


def opened(windows: Iterable[Window], now: float) -> float | None:
    """Since when (Unix seconds) a window is open without a break, None while all are shut."""
    since = None
    # Backwards, so that one window that ends inside another counts from the earlier beginning.
    for start, end in sorted(_spans(windows, now), reverse=True):
        if start <= (now if since is None else since) < end:
            since = start
    return since


def shut(windows: Iterable[Window], now: float) -> float | None:
    """When the last window closed that closed before `now`, None where none did lately."""
    return max((end for _, end in _spans(windows, now) if end <= now), default=None)


def _spans(windows: Iterable[Window], now: float) -> Iterator[tuple[float, float]]:
    """Beginnings and ends of the windows around `now`."""
    for window in windows:
        if window.start is not None and window.end is not None:
            yield window.start, window.end
        elif window.at is not None and window.seconds is not None:
            yield from _weekly(window, window.at, window.seconds, now)


def _weekly(window: Window, at: str, seconds: float, now: float) -> Iterator[tuple[float, float]]:
    zone = ZoneInfo(window.zone)
    today = datetime.fromtimestamp(now, UTC).astimezone(zone).date()
    for back in range(-1, LOOK_BACK):
        day = today - timedelta(days=back)
        if day.weekday() in window.days:
            start = datetime.combine(day, time.fromisoformat(at), zone).timestamp()
            yield start, start + seconds
