"""What `/metrics` costs: CPU beside prometheus_client, and how long the event loop has to wait.

The peer writes the very same series from a registry of its own gauges, counters and histograms.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle, islice
from typing import Any, NamedTuple

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.getter import OPENMETRICS, getter
from benchmarks.measure import OURS, median, pin
from benchmarks.table import Row
from monitor.model import Attempt, Check, Config, Phases, Price, Probe, Tokens, Verdict
from monitor.probe.client import Client
from monitor.probe.clock import now
from monitor.probe.wire import PollClock
from monitor.run.calm import settle_collector
from monitor.run.memory import Memory
from monitor.run.service import Service
from monitor.show.metrics import Metrics
from monitor.show.server import build_app
from tests.making import chat_check

CHANGED = 4
"""One check in so many was probed since the last scrape: scrapes every 15 s, probes every 60 s."""


class Figures(NamedTuple):
    """Seconds and bytes of a monitor of one size."""

    ours: float
    theirs: float
    waits: dict[str, float]
    """The longest wait of the event loop, by who writes the page and how it is sent."""
    size: int


def rows(quick: bool) -> Iterator[Row]:
    for count, goal in ((100, 5.0),) if quick else ((1_000, 5.0), (10_000, 25.0)):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seen = pool.apply(measured, (count, 2 if quick else 8))
        of = f"{count:,} checks"
        ours, theirs = seen.ours * 1e3, seen.theirs * 1e3
        yield Row(f"CPU per scrape, {of}", ours, "ms", 0.15, "generate_latest", theirs)
        for how, wait in seen.waits.items():
            ours_ = not how.startswith("generate_latest")
            yield Row(f"longest wait, {of}, {how}", wait * 1e3, "ms", goal if ours_ else None)
        yield Row(f"size of the page, {of}", seen.size / 1e6, "MB")


def measured(count: int, rounds: int) -> Figures:
    pin(OURS)
    poll = PollClock()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(poll)) as runner:
        return runner.run(_measured(poll, count, rounds))


async def _measured(poll: PollClock, count: int, rounds: int) -> Figures:
    async with Client(poll) as client:
        world = World(client, poll, count)
        size = len(world.service.metrics.render(OPENMETRICS)[0])
        registry = twin(world.service.metrics.render("")[0].decode())
        settle_collector()  # as the service does at its start
        ours, theirs = [], []
        for round in range(rounds):
            world.probe(count // CHANGED)
            ours.append(_cpu(lambda: world.service.metrics.render(OPENMETRICS)))
            if round == 0 or (round == 1 and count < 10_000):
                theirs.append(_cpu(lambda: generate_latest(registry)))
        waits = await _waits(world, poll, registry, rounds)
    return Figures(median(ours), median(theirs), waits, size)


class World:
    """A service of `count` chat checks that were all probed once, and can be probed again."""

    def __init__(self, client: Client, poll: PollClock, count: int) -> None:
        self._rng = random.Random(1)
        self.service = Service(
            client, poll, lambda views: Metrics("bench", views), self._rng, Memory()
        )
        checks = [_check(number) for number in range(count)]
        self.service.apply(Config(tuple(checks), ()))
        self._next = cycle(checks)
        self.probe(count)

    def probe(self, count: int) -> None:
        """Tell the metrics of a good round of each of the next `count` checks."""
        for check in islice(self._next, count):
            self.service.metrics.observe(check, _probe(check, self._rng))

    async def probe_gently(self, count: int) -> None:
        for _ in range(count):
            self.probe(1)
            await asyncio.sleep(0)


async def _waits(
    world: World, poll: PollClock, registry: CollectorRegistry, rounds: int
) -> dict[str, float]:
    count = sum(1 for _ in world.service.views())
    longest: dict[str, float] = {}
    ways = [("plain", "", "identity"), ("gzip", "", "gzip")] * rounds
    async with _listening(world, registry) as url, getter() as reader:
        # The peer comes last: what it leaves behind is not to be cleared up on our time.
        for how, path, encoding in (*ways, ("generate_latest in a thread", "peer/", "identity")):
            await world.probe_gently(count // CHANGED)
            poll.busiest()
            await reader.get(f"{url}/{path}metrics", encoding)
            longest[how] = max(longest.get(how, 0.0), poll.busiest())
    return longest


@asynccontextmanager
async def _listening(world: World, registry: CollectorRegistry) -> AsyncIterator[str]:
    """The product's own HTTP surface, and beside it the library's writing in a worker thread."""

    async def theirs(_request: web.Request) -> web.Response:
        return web.Response(body=await asyncio.to_thread(generate_latest, registry))

    service = world.service
    app = build_app(
        scrape=service.metrics.scrape, ready=lambda: True, views=service.page, version="bench"
    )
    app.router.add_get("/peer/metrics", theirs)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def twin(page: str) -> CollectorRegistry:
    """prometheus_client's own metrics with the series of `page`: what it would have to write."""
    registry = CollectorRegistry()
    for family in text_string_to_metric_families(page):
        if not family.name.startswith("aichat_") or not family.samples:
            continue
        labels = sorted({name for sample in family.samples for name in sample.labels} - {"le"})
        if family.type == "histogram":
            bounds = {s.labels["le"] for s in family.samples if s.name.endswith("_bucket")}
            buckets = sorted(map(float, bounds))
            histogram = Histogram(family.name, "x", labels, registry=registry, buckets=buckets)
            for sample in family.samples:
                if sample.name.endswith("_sum"):
                    _child(histogram, labels, sample.labels).observe(sample.value)
            continue
        kind = Counter if family.type == "counter" else Gauge
        metric = kind(family.name, "x", labels, registry=registry)
        for sample in family.samples:
            _child(metric, labels, sample.labels).inc(sample.value)
    return registry


def _child(metric: Any, names: Sequence[str], values: dict[str, str]) -> Any:
    return metric.labels(*(values[name] for name in names)) if names else metric


def _check(number: int) -> Check:
    provider = f"provider-{number % 20}"
    return chat_check(
        name=f"{provider}-check-{number}",
        provider=provider,
        model=f"model-{number % 7}",
        url=f"https://api.provider-{number % 20}.example/v1",
        price=Price(1.0, 2.0),
        interval=60.0,
    )


def _probe(check: Check, rng: random.Random) -> Probe:
    start, first = now(), rng.uniform(0.2, 2.0)
    phases = Phases(
        dns=0.01,
        connect=rng.random() / 10,
        tls=rng.random() / 10,
        first_byte=first,
        first_token=first,
        first_answer=first,
        stream=rng.random(),
        stall=rng.random() / 2,
    )
    attempt = Attempt(
        check.name,
        start,
        start.plus(first + 1.0),
        Verdict.OK,
        phases=phases,
        tokens=Tokens(input=20, output=8, reasoning=0, cached=0),
        cost_usd=0.001,
        model=check.model,
        headroom={"requests": rng.random()},
        certificate_expires=start.wall + 86400.0,
    )
    return Probe(f"{rng.getrandbits(64):016x}", check.name, (attempt,))


def _cpu(job: Callable[[], object]) -> float:
    began = time.process_time()
    job()
    return time.process_time() - began
