"""What a benchmark reports: rows of figures beside their goals, and how they are printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEAD = ("what", "ours", "peer", "ratio", "goal", "")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.  With a peer the goal is about the ratio ours ÷ peer, else about ours."""

    what: str
    ours: float
    unit: str
    goal: float | None = None
    """The largest figure, or ratio, that is good enough; the smallest where `more` is better."""
    peer: str = ""
    theirs: float | None = None
    """The peer's figure of the same run, in the same unit; None where it cannot be had."""
    more: bool = False
    """Whether more is better."""
    ratio: float | None = None
    """The median of the paired ratios, where that is not ours ÷ theirs."""

    @property
    def judged(self) -> float | None:
        """What the goal is about; None where the peer could not be measured."""
        if not self.peer:
            return self.ours
        if self.ratio is not None or self.theirs is None:
            return self.ratio
        return self.ours / self.theirs

    @property
    def met(self) -> bool | None:
        """Whether the goal was met; None where there is none, or nothing to hold it against."""
        if self.goal is None or self.judged is None:
            return None
        return self.judged >= self.goal if self.more else self.judged <= self.goal

    def words(self) -> tuple[str, ...]:
        peer = self.peer and f"{self.peer} {_figure(self.theirs, self.unit)}"
        ratio = f"{self.judged:.2f} ×" if self.peer and self.judged is not None else ""
        sign, unit = ("≥" if self.more else "≤"), ("×" if self.peer else self.unit)
        goal = "" if self.goal is None else f"{sign} {_figure(self.goal, unit)}"
        mark = {True: "met", False: "MISSED", None: ""}[self.met]
        return self.what, _figure(self.ours, self.unit), peer, ratio, goal, mark


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "not at hand"
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{digits} {unit}".rstrip()


def printed(rows: Iterable[Row]) -> str:
    """The rows as an aligned table that is Markdown, too."""
    words = [HEAD, *(row.words() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*words, strict=True)]
    lines = [_line(row, widths) for row in words]
    return "\n".join([lines[0], _line(["-" * width for width in widths], widths), *lines[1:]])


def _line(words: Sequence[str], widths: Sequence[int]) -> str:
    cells = (word.ljust(width) for word, width in zip(words, widths, strict=True))
    return f"| {' | '.join(cells)} |"
