"""Maintenance windows: local times of people in, moments out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from monitor.model import Window

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK = 7 * 86400.0

_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


def read_zone(name: str) -> str:
    """A zone name that this machine knows; ValueError where it does not."""
    try:
        return ZoneInfo(name).key
    except (KeyError, OSError, ValueError):
        raise ValueError("a time zone such as Europe/Berlin or UTC") from None


def read_clock(text: str) -> str:
    """A time of day, `HH:MM`."""
    if not _CLOCK.fullmatch(text):
        raise ValueError("a time of day such as 02:00")
    return text


def read_moment(text: str) -> datetime:
    """A date and time; without an offset it is local time of the window's zone."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("a moment such as 2026-12-01T02:00") from None


def window(raw: Mapping[str, Any]) -> Window:
    """The window that a valid mapping describes; ValueError where it never opens."""
    zone = raw.get("zone", "UTC")
    if "days" in raw:
        days = tuple(sorted({DAYS.index(day) for day in raw["days"]}))
        return Window(zone=zone, days=days, at=raw["at"], seconds=raw["duration"])
    start, end = (_unix(raw[key], zone) for key in ("start", "end"))
    if end <= start:
        raise ValueError("seen an 'end' that is not after 'start'")
    return Window(zone=zone, start=start, end=end)


def _unix(moment: datetime, zone: str) -> float:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
    try:
        return aware.timestamp()
    except (OverflowError, OSError):  # the first and the last day of the calendar
        raise ValueError("seen a moment outside of the calendar") from None
