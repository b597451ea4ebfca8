"""10,000 checks at 60 s on one core: are they on time, and what do they cost?

The real `monitor run` watches pages and chats (four to one) that a process on the other core
answers.  Lateness is what the product counts itself: a bucket ends at exactly 50 ms.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from benchmarks.measure import OTHERS, pin, rss_of
from benchmarks.product import Product, checks_yaml, endpoints, folder, running, starts_at
from benchmarks.table import Row

MANY, FEW = 10_000, (0, 100, 1_000)
INTERVAL = 60.0
SCRAPE_EVERY = 15.0
ON_TIME = 'aichat_probe_start_delay_seconds_bucket{le="0.05"}'
ALL = "aichat_probe_start_delay_seconds_count"


def rows(quick: bool) -> Iterator[Row]:
    pin(OTHERS)
    many, few = (200, (0, 20, 60)) if quick else (MANY, FEW)
    window, scraped = (1.5, 1.0) if quick else (45.0, 45.0)
    small = _small(few, window)
    yield from _large(many, window, scraped, small)


def _small(counts: Sequence[int], window: float) -> list[float]:
    """CPU shares of smaller services, all at once: together they are hardly a load."""
    with ExitStack() as stack:
        port = stack.enter_context(endpoints())
        home = stack.enter_context(folder())
        found: list[Product] = []
        for count in counts:
            path = home / f"{count}.yaml"
            # The first is the cost of doing nothing: one check that is asked once in an hour.
            path.write_text(checks_yaml(count or 1, port, "60s" if count else "1h"))
            found.append(stack.enter_context(running(path)))
        time.sleep(min(window, 5.0))
        before = [one.cpu() for one in found]
        time.sleep(window)
        return [(one.cpu() - was) / window for one, was in zip(found, before, strict=True)]


def _large(count: int, window: float, scraped: float, small: Sequence[float]) -> Iterator[Row]:
    with endpoints() as port, folder() as home:
        path = home / "checks.yaml"
        path.write_text(checks_yaml(count, port))
        with running(path) as product:
            began = time.monotonic()
            time.sleep(min(window, 5.0))
            quiet = _share(product, window)
            # In this order: unpacking a large page keeps the endpoints from their core.
            starts = starts_at(port)
            first = product.metrics()
            time.sleep(max(0.0, INTERVAL - (time.monotonic() - began)) if window > 10 else 0.0)
            asked = _share(product, scraped, scrape=True)
            last = product.metrics()
            rss = rss_of(product.pid), rss_of(product.pid, "VmHWM")
    name = f"{count:,} checks"
    on_time = 100 * first[ON_TIME] / first[ALL]
    later = 100 * (last[ON_TIME] - first[ON_TIME]) / (last[ALL] - first[ALL])
    yield Row(f"{name}: rounds that start within 50 ms", on_time, "%", 99.0, more=True)
    yield Row(f"{name}: the same while scraped every 15 s", later, "%", 99.0, more=True)
    yield Row(f"{name}: of one core", 100 * quiet, "%", 60.0)
    yield Row(f"{name}: of one core while scraped", 100 * asked, "%", 60.0)
    yield Row(f"{name}: RSS", rss[0] / 2**20, "MiB", 400.0)
    yield Row(f"{name}: RSS at its highest", rss[1] / 2**20, "MiB", 400.0)
    idle, *busy = small
    counts = [100, 1_000, 10_000] if count == MANY else [20, 60, count]
    costs = [share - idle for share in (*busy, quiet)]
    yield Row("CPU = checks ^ x, less the idle cost: x", _slope(counts, costs), "", 1.1)
    pace = count / INTERVAL * 0.1
    yield Row(
        f"{name}: starts in the busiest 100 ms, evenly {pace:.0f}",
        max(number for _, number in starts),
        "",
        max(10.0, 2 * pace),
    )


def _share(product: Product, window: float, *, scrape: bool = False) -> float:
    """The share of one core that the product takes for `window` seconds."""
    began, before = time.monotonic(), product.cpu()
    due = began
    while (now := time.monotonic()) < began + window:
        if scrape and now >= due:
            product.get("/metrics")
            due += SCRAPE_EVERY
        time.sleep(min(0.05, window))
    return (product.cpu() - before) / (time.monotonic() - began)


def _slope(counts: Sequence[int], costs: Sequence[float]) -> float:
    """Of the straight line through the logarithms, by least squares."""
    x = [math.log(count) for count in counts]
    y = [math.log(max(cost, 1e-6)) for cost in costs]
    middle, level = sum(x) / len(x), sum(y) / len(y)
    rise = sum((a - middle) * (b - level) for a, b in zip(x, y, strict=True))
    return rise / sum((a - middle) ** 2 for a in x)
