"""The latency of a day as a line.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.show import words
from monitor.show.past import SLOTS, Latency

HEIGHT = 32
"""Units of the picture; its width is `SLOTS - 1`."""


@dataclass(frozen=True, slots=True)
class Line:
    """Half-hour medians of 24 hours, drawn and told."""

    path: str
    """The line; it breaks where nothing was answered."""
    area: str
    """What lies under it."""
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
    heights = [None if v is None else round(HEIGHT * (1 - v / top), 1) for v in latency.slots]
    path, area = [], []
    for begin, stretch in _stretches(heights):
        path.append(_drawn(begin, stretch))
        last = begin + max(len(stretch) - 1, 0.5)
        area.append(f"{_drawn(begin, stretch)}L{last:g} {HEIGHT}H{begin}z")
    return Line(
        "".join(path), "".join(area), words.latency(latency.p50), words.latency(latency.p95),
        words.latency(top),
    )  # fmt: skip


def _stretches(heights: Sequence[float | None]) -> list[tuple[int, list[float]]]:
    """Values that follow each other without a hole, each with the place of its first."""
    found: list[tuple[int, list[float]]] = []
    hole = True
    for place, height in enumerate(heights):
        if height is not None:
            if hole:
                found.append((place, []))
            found[-1][1].append(height)
        hole = height is None
    return found


def _drawn(begin: int, stretch: Sequence[float]) -> str:
    if len(stretch) == 1:
        # A single half-hour is a dash, or nobody would see it.
        at = min(begin, SLOTS - 1.5)
        return f"M{at:g} {stretch[0]:g}h.5"
    points = " ".join(f"{begin + step} {height:g}" for step, height in enumerate(stretch))
    return f"M{points}"
