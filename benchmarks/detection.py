"""How long until an outage is told: 1,000 random outages a setting, in virtual time.

`python -m benchmarks.detection [--outages N] [--seed S]`
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
from collections.abc import Sequence

from tests.detecting import FAST, HANGING, Setting, drawn, result, watched

SETTINGS: tuple[tuple[str, Setting], ...] = (
    ("15 s", Setting(15.0)),
    ("60 s", Setting(60.0)),
    ("5 min", Setting(300.0)),
    ("60 s, attempts hang 30 s", Setting(60.0, HANGING)),
    ("60 s, free look 15 s sees it", Setting(60.0, FAST, tier=15.0)),
    ("5 min, free look 15 s sees it", Setting(300.0, FAST, tier=15.0)),
    ("5 min, hang, free look sees it", Setting(300.0, HANGING, tier=15.0)),
    ("5 min, free look blind to it", Setting(300.0, FAST, tier=15.0, sees=False)),
    ("5 min, 5 siblings, first", Setting(300.0, FAST, checks=5)),
)
HEAD = (
    *("setting", "bound", "median", "p99", "max", "beyond"),
    *("start off", "over median", "over p99", "missed", "invented"),
)


def row(name: str, setting: Setting, count: int, seed: int) -> tuple[str, ...]:
    seen = watched(setting, drawn(setting, count, random.Random(seed)), seed)
    told = result(setting, seen)
    detected = sorted(one.detected for one in told.first)
    starts = sorted(abs(one.started) for one in told.first)
    over = sorted(one.recovered for one in told.first if one.recovered is not None)
    late = sum(one > setting.bound for one in detected)
    figures = (setting.bound, at(detected, 0.5), at(detected, 0.99), detected[-1])
    return (
        name,
        *(f"{figure:.1f} s" for figure in figures),
        str(late),
        f"{at(starts, 0.5):.1f} s",
        f"{at(over, 0.5):.1f} s",
        f"{at(over, 0.99):.1f} s",
        str(told.missed),
        str(told.invented),
    )


def at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--outages", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    logging.disable(logging.WARNING)
    print(f"| {' | '.join(HEAD)} |\n|---{'|--:' * (len(HEAD) - 1)}|")
    for number, (name, setting) in enumerate(SETTINGS, start=1):
        print(f"[{number}/{len(SETTINGS)}] {name}", file=sys.stderr, flush=True)
        print(f"| {' | '.join(row(name, setting, options.outages, options.seed))} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
