"""What a check takes at rest, and what an answer that means harm takes while it comes.

At rest: how the real service grows from 1,000 to 10,000 checks once each was asked and the page
was scraped.  Hostile: the larger of what one probe alone allocates at most, on top of what stands,
and of its share when many at once push up the memory of a process that is warm already.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.endpoints import HOSTILE
from benchmarks.measure import OTHERS, OURS, pin, rss_of
from benchmarks.product import checks_yaml, endpoints, environment, folder, running
from benchmarks.table import Row
from monitor.model import Attempt, ChatExpect, Check, Expecting, Mode, Timeouts
from monitor.probe.client import Client
from monitor.run.rounds import attempt

COUNTS, ROUND = (1_000, 10_000), 60.0
AT_ONCE = 16
PAGES = frozenset({"page", "bomb", "headers", "header"})
"""Hostile answers to a web check; the others are answers to a chat."""


def rows(quick: bool) -> Iterator[Row]:
    pin(OTHERS)
    counts, wait = ((20, 120), 1.0) if quick else (COUNTS, ROUND + 4.0)
    yield _at_rest(counts, wait)
    with endpoints() as port:
        for name in list(HOSTILE)[: 2 if quick else None]:
            told = _in_a_process(name, port).split()
            peak, verdict = float(told[0]), " ".join(told[1:])
            yield Row(f"peak of one probe, {ABOUT[name]}: {verdict}", peak / 2**20, "MiB", 1.0)


ABOUT = {
    "comments": "keep-alives for ever",
    "line": "one line of 100 MB",
    "events": "tiny events for ever",
    "json": "100 MB of JSON",
    "page": "100 MB of a page",
    "bomb": "a gzip bomb",
    "headers": "headers for ever",
    "header": "one header of 100 MB",
}


def _at_rest(counts: tuple[int, int], wait: float) -> Row:
    with ExitStack() as stack:
        port = stack.enter_context(endpoints())
        home = stack.enter_context(folder())
        found = []
        for count in counts:
            path = Path(home / f"{count}.yaml")
            path.write_text(checks_yaml(count, port, f"{ROUND:.0f}s"))
            found.append(stack.enter_context(running(path)))
        time.sleep(wait)
        for product in found:
            product.get("/metrics")
        few, many = (rss_of(product.pid) for product in found)
    each = (many - few) / (counts[1] - counts[0])
    return Row(f"a check at rest, of {counts[1]:,}", each / 1024, "KiB", 40.0)


def _in_a_process(name: str, port: int) -> str:
    command = [sys.executable, "-m", "benchmarks.memory", name, str(port)]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


async def _attacked(name: str, port: int) -> str:
    """Bytes that a probe takes at most, and what it makes of the answer."""
    base = f"http://127.0.0.1:{port}"
    harmless = _check(name, base if name in PAGES else f"{base}/v1")
    hostile = _check(name, f"{base}/hostile/{name}")
    rng = random.Random(1)
    async with Client() as client:

        async def together(check: Check) -> list[Attempt]:
            return await asyncio.gather(*(attempt(client, check, rng) for _ in range(AT_ONCE)))

        for _ in range(3):
            await together(harmless)
        before = rss_of("self")
        Path("/proc/self/clear_refs").write_text("5")  # forgets the highest RSS so far
        seen = await together(hostile)
        share = (rss_of("self", "VmHWM") - before) / AT_ONCE
        tracemalloc.start()
        await attempt(client, harmless, rng)
        standing, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        await attempt(client, hostile, rng)
        alone = tracemalloc.get_traced_memory()[1] - standing
    return f"{max(share, alone):.0f} {seen[0].reason or 'ok'}"


def _check(name: str, url: str) -> Check:
    limits = Timeouts(2.0, 2.0, 4.0, 4.0, 4.0)
    if name in PAGES:
        return Check("hostile", Mode.WEB, "bench", url, timeout=limits)
    anything = ChatExpect(Expecting.ANY)
    asked = Check("hostile", Mode.CHAT, "bench", url, timeout=limits, expect=anything)
    return replace(asked, protocol="openai-chat", model="m")


if __name__ == "__main__":
    pin(OURS)
    print(asyncio.run(_attacked(sys.argv[1], int(sys.argv[2]))))
