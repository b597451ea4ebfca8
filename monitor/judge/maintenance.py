"""Which maintenance windows are open at a moment.  Pure: moments in, moments out.

Weekly windows begin at a local time of people, so their distance in seconds varies with daylight
saving; how long one stays open is elapsed time.  A beginning that the clocks skip comes later by
what they skip; one that they repeat is the first of the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from monitor.model import Window

LOOK_BACK = 8
"""Days in which a weekly window that is open now, or has just closed, may have begun."""


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
