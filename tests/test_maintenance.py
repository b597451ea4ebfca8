"""Maintenance windows: when they are open, over daylight saving and midnight too."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from monitor.judge.maintenance import opened, shut
from monitor.model import Window

ONCE = Window(start=1000.0, end=2000.0)
BERLIN = "Europe/Berlin"


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def weekly(days: str, at: str, hours: float, zone: str = "UTC") -> Window:
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    return Window(
        zone=zone,
        days=tuple(names.index(day) for day in days.split()),
        at=at,
        seconds=hours * 3600,
    )


@pytest.mark.parametrize(
    ("now", "since", "closed"),
    [(999.9, None, None), (1000, 1000, None), (1999.9, 1000, None), (2000, None, 2000)],
)
def test_a_single_window(now: float, since: float | None, closed: float | None) -> None:
    assert opened([ONCE], now) == since
    assert shut([ONCE], now) == closed


def test_windows_that_touch_or_overlap_are_one() -> None:
    windows = [ONCE, Window(start=2000.0, end=2500.0), Window(start=1500.0, end=2100.0)]
    assert opened(windows, 2400.0) == 1000.0
    assert opened([*windows, Window(start=2600.0, end=2700.0)], 2650.0) == 2600.0


# 2026: clocks in Berlin go forward on 29 March at 02:00 and back on 25 October at 03:00.
@pytest.mark.parametrize(
    ("window", "now", "since"),
    [
        (weekly("tue", "02:00", 1), "2026-11-24T02:00", "2026-11-24T02:00"),
        (weekly("tue", "02:00", 1), "2026-11-24T03:00", None),
        (weekly("mon", "23:00", 3), "2026-11-24T01:59", "2026-11-23T23:00"),
        (weekly("mon", "23:00", 3, BERLIN), "2026-11-23T22:00", "2026-11-23T22:00"),
        (weekly("mon", "23:00", 3, BERLIN), "2026-07-20T21:00", "2026-07-20T21:00"),
        # a night with a skipped hour: three hours are three hours
        (weekly("sat", "23:00", 5, BERLIN), "2026-03-29T02:59", "2026-03-28T22:00"),
        (weekly("sat", "23:00", 5, BERLIN), "2026-03-29T03:00", None),
        # 02:30 does not exist that night: it opens at 03:30 local, 01:30 UTC
        (weekly("sun", "02:30", 1, BERLIN), "2026-03-29T01:29", None),
        (weekly("sun", "02:30", 1, BERLIN), "2026-03-29T01:30", "2026-03-29T01:30"),
        # 02:30 exists twice: the first counts, 00:30 UTC
        (weekly("sun", "02:30", 1, BERLIN), "2026-10-25T00:30", "2026-10-25T00:30"),
        (weekly("sun", "02:30", 1, BERLIN), "2026-10-25T01:30", None),
        # east of UTC the local day begins the day before
        (weekly("wed", "00:30", 1, "Pacific/Auckland"), "2026-11-24T11:45", "2026-11-24T11:30"),
        # open for ever: as far back as anybody looks
        (weekly("mon tue", "12:00", 168), "2026-11-24T12:30", "2026-11-17T12:00"),
    ],
)
def test_a_weekly_window(window: Window, now: str, since: str | None) -> None:
    assert opened([window], utc(now)) == (since and utc(since))


def test_a_weekly_window_says_when_it_closed() -> None:
    assert shut([weekly("tue", "02:00", 1)], utc("2026-11-24T05:00")) == utc("2026-11-24T03:00")
