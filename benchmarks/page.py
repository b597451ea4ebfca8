"""What the status page costs: CPU of a rendering with its packing, and bytes over the wire.

Every check has ninety days behind it, one in twelve of them with trouble, one check in forty is
down.  Bars and lines are drawn anew only after a reading of the ledger, every thirty seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from benchmarks.measure import OURS, median, pin
from benchmarks.table import Row
from monitor.run.calm import settle_collector
from monitor.show.page import Pages
from monitor.show.server import packed
from tests import scenes

LARGEST, LONGEST = 100.0, 50.0
"""Kilobytes and milliseconds that two hundred checks may cost."""


def rows(quick: bool) -> Iterator[Row]:
    pin(OURS)
    for count in (200,) if quick else (200, 1_000):
        yield from _of(count, goal=count == 200, rounds=3 if quick else 15)


def _of(count: int, *, goal: bool, rounds: int) -> Iterator[Row]:
    scene = scenes.many(count)
    past = [scene.past]
    pages = Pages(lambda: scene.checks, lambda: past[0], lambda: scenes.NOW, "1.2.3")
    pages.overview()  # the templates are compiled once in a process
    settle_collector()  # as the service does at its start

    def shown() -> bytes:
        return packed([pages.overview().encode()])

    def shown_anew() -> bytes:
        past[0] = replace(past[0])
        return shown()

    def of_a_check() -> bytes:
        page = pages.check(scene.checks[0].view.check.name)
        assert page
        return packed([page.encode()])

    of, longest = f"{count:,} checks", LONGEST if goal else None
    yield Row(f"CPU of a page, {of}", _cpu(shown, rounds) * 1e3, "ms", longest)
    anew = _cpu(shown_anew, rounds) * 1e3
    yield Row(f"CPU of a page after a reading, {of}", anew, "ms", longest)
    yield Row(f"CPU of a check's page, {of}", _cpu(of_a_check, rounds) * 1e3, "ms", longest)
    size = len(shown()) / 1e3
    yield Row(f"size over the wire, {of}", size, "kB", LARGEST if goal else None)
    yield Row(f"size unpacked, {of}", len(pages.overview().encode()) / 1e3, "kB")


def _cpu(job: Callable[[], bytes], rounds: int) -> float:
    """The median of CPU seconds."""
    seen = []
    for _ in range(rounds):
        began = time.process_time()
        job()
        seen.append(time.process_time() - began)
    return median(seen)
