"""Runs a target on one broken input after the other and keeps those that reach new code."""

from __future__ import annotations

import random
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.fuzz.mutate import mutated
from tests.fuzz.targets import Target

HOUSE = str(Path(__file__).parents[2] / "monitor")
LOOKED_AT = 8
"""Of so many inputs one is watched: watching costs several times the run."""
KEPT = 2000
PATIENCE = 2.0
"""Seconds of CPU that one input may take; some microseconds are normal."""
SLOW = "takes more CPU than"


@dataclass(frozen=True, slots=True)
class Found:
    """An input that broke a promise."""

    target: str
    data: bytes
    told: str
    """Exception, and where it was raised."""
    trace: str = field(compare=False, default="")


@dataclass(slots=True)
class Tally:
    """What a slice of work came to."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    kept: int = 0
    """Inputs that reached new code and were built upon."""
    steps: int = 0
    """Different steps from line to line that were seen."""
    found: list[Found] = field(default_factory=list)


class Watch:
    """Which steps from line to line of the product were taken; `sys.settrace` for one call."""

    def __init__(self) -> None:
        self.steps: set[tuple[CodeType, int, int]] = set()
        self._last: dict[FrameType, int] = {}

    def new_steps(self, run: Callable[[], object]) -> int:
        """How many steps `run` took that were never taken before."""
        before = len(self.steps)
        sys.settrace(self._call)
        try:
            run()
        finally:
            sys.settrace(None)
            self._last.clear()
        return len(self.steps) - before

    def _call(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(HOUSE) else None

    def _line(self, frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "line":
            line = frame.f_lineno
            self.steps.add((frame.f_code, self._last.get(frame, 0), line))
            self._last[frame] = line
        return self._line


def explore(target: Target, seed: str, count: int) -> Tally:
    """`count` inputs, the same ones for the same `seed`."""
    rng = random.Random(f"{seed} {target.name}")
    pool, tally, watch = list(target.seeds), Tally(target.name), Watch()
    seeds, known = len(pool), set[str]()
    started = time.monotonic()
    for number in range(count):
        data = mutated(rng, rng.choice(pool), pool)
        looked_at = number % LOOKED_AT == 0
        fresh, found = _try(target, data, watch if looked_at else None)
        if fresh:
            tally.kept += 1
            if len(pool) < KEPT:
                pool.append(data)
            else:
                pool[rng.randrange(seeds, KEPT)] = data
        if found and found.told not in known:
            known.add(found.told)
            tally.found.append(shrunk(target, found))
    tally.inputs, tally.seconds = count, time.monotonic() - started
    tally.steps = len(watch.steps)
    return tally


def _try(target: Target, data: bytes, watch: Watch | None) -> tuple[int, Found | None]:
    before = time.process_time()
    fresh = 0
    try:
        if watch:
            fresh = watch.new_steps(lambda: target.feed(data))
        else:
            target.feed(data)
    except Exception as error:
        return 0, Found(target.name, data, _where(error), traceback.format_exc(limit=-12))
    spent = time.process_time() - before
    if spent > PATIENCE and not watch:  # being watched is slow
        return fresh, Found(target.name, data, f"{SLOW} {PATIENCE:g} s")
    return fresh, None


def _where(error: BaseException) -> str:
    """Kind and place of an exception: the same bug is told the same way."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if one.filename.startswith(HOUSE)] or list(frames)
    place = ours[-1]
    text = str(error)[:80] if isinstance(error, AssertionError) else ""
    if isinstance(error, RecursionError):  # which line it strikes in is chance
        return f"RecursionError in {Path(place.filename).name}"
    return f"{type(error).__name__} {text} at {Path(place.filename).name}:{place.lineno}"


def shrunk(target: Target, found: Found, tries: int = 400) -> Found:
    """The same finding with less input: pieces are taken out as long as it stays."""
    best, piece = found, max(1, len(found.data) // 2)
    tries = 0 if SLOW in found.told else tries
    while piece and tries:
        at = 0
        while at < len(best.data) and tries:
            tries -= 1
            _, again = _try(target, best.data[:at] + best.data[at + piece :], None)
            if again and again.told == found.told:
                best = again
            else:
                at += piece
        piece //= 2
    return best
