"""The latency of a day as a line.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from monitor import words
from monitor.show.past import SLOTS, Latency

HEIGHT = 64
"""Units of the picture; its width is `SLOTS - 1`."""


@dataclass(frozen=True, slots=True)
class Line:
    """Half-hour medians of 24 hours, drawn and told."""

    path: str
    """The line; it breaks where nothing was answered."""
    p50: str
    p95: str
    top: str
    """What the upper edge stands for; the lower one is zero."""


def line(latency: Latency) -> Line | None:
    """None where nothing was answered in 24 hours."""
    seen = [value for value in latency.slots if value is not None]
    if not seen:
        return None
    top = max(seen) * 1.1 or 1.0
    heights = [None if v is None else round(HEIGHT * (1 - v / top)) for v in latency.slots]
    path = "".join(_drawn(begin, stretch) for begin, stretch in _stretches(heights))
    p50, p95 = words.latency(latency.p50), words.latency(latency.p95)
    return Line(path, p50, p95, words.latency(top))


def _stretches(heights: Sequence[int | None]) -> list[tuple[int, list[int]]]:
    """Values that follow each other without a hole, each with the place of its first."""
    found: list[tuple[int, list[int]]] = []
    hole = True
    for place, height in enumerate(heights):
        if height is not None:
            if hole:
                found.append((place, []))
            found[-1][1].append(height)
        hole = height is None
    return found


def _drawn(begin: int, heights: Sequence[int]) -> str:
    if len(heights) == 1:
        # A single half-hour is a dash, or nobody would see it.
        return f"M{min(begin, SLOTS - 2.5):g} {heights[0]}h1.5"
    # Steps from point to point are shorter to write than places.
    steps = (later - height for height, later in pairwise(heights))
    return f"M{begin} {heights[0]}l" + " ".join(f"1 {step}" for step in steps).replace(" -", "-")
