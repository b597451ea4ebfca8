"""Durations as people write them: `500ms`, `15s`, `1h30m`, `30d`; and moments.  Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

#: One pattern for the loader and for the JSON Schema: largest unit first, each at most once.
PATTERN = r"(?=\d)(?:\d{1,9}d)?(?:\d{1,9}h)?(?:\d{1,9}m(?!s))?(?:\d{1,9}s)?(?:\d{1,9}ms)?"
UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
LONGEST = 3650 * 86400.0

_WHOLE = re.compile(PATTERN)
_PARTS = re.compile(r"(\d+)([a-z]+)", re.ASCII)


def seconds(text: str) -> float:
    """The length in seconds; ValueError says what was expected instead."""
    if not text.isascii() or not _WHOLE.fullmatch(text):
        raise ValueError("a duration such as 500ms, 15s, 2m, 1h30m or 30d")
    total = sum(int(number) * UNITS[unit] for number, unit in _PARTS.findall(text))
    if total > LONGEST:
        raise ValueError(f"a duration of at most {spelled(LONGEST)}")
    return total


def since(text: str, now: float) -> float:
    """Unix seconds of what lies so long before `now`, or of a moment in ISO 8601 (without an
    offset: UTC).  ValueError says what was expected instead."""
    try:
        return now - seconds(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        wanted = "a duration such as 30d, or a moment such as 2026-11-24T08:00:00Z"
        raise ValueError(wanted) from None


def spelled(length: float) -> str:
    """Seconds as a duration, for messages: `90.0` is `1m30s`."""
    left = round(length * 1000)
    words = ""
    for unit, size in UNITS.items():
        count, left = divmod(left, round(size * 1000))
        words += f"{count}{unit}" if count else ""
    return words or "0s"
