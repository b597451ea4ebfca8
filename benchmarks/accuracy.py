"""How wrong is the time of the first token?  Our stamp minus the server's, of the whole product.

The product runs as it does in earnest: event loop, client, ledger, metrics, service; its checks
stream from the endpoint of `truth`, each for some four seconds, all of them most of the time.  What
is held against the server's stamp is what the metrics are told: the moment the request was sent
plus `first_token`.  Times that the product itself calls doubtful are left out, as they are of its
histograms, and counted.

The peers are what a user would write: the moment at which the client hands the first content over.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.measure import OTHERS, OURS, pin, quantile
from benchmarks.peers import NAMES, STAMPED, asker, missing
from benchmarks.table import Row
from benchmarks.truth import SENT, Endpoint, truth
from monitor.ledger import Ledger
from monitor.model import ChatExpect, Check, Config, Expecting, Mode, Probe, Tls, Verdict
from monitor.probe.client import Client
from monitor.probe.clock import now
from monitor.probe.poll import PollClock
from monitor.run.memory import Memory
from monitor.run.service import Service
from monitor.show.metrics import Metrics
from monitor.show.server import build_app
from monitor.show.views import StateView

BUSY = 1.1
"""A check's interval, as a multiple of the time that its answer takes."""
CLOCK = "µs"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the product, or of a peer, in a process of its own."""

    who: str
    url: str
    ca: str | None
    streams: int
    """How many answers stream at the same time."""
    gap: int
    """Milliseconds between two chunks."""
    rounds: int
    """How many answers of each check count, once all are at it."""
    length: float = 4.0
    """Seconds that each answer takes."""
    idle: int = 0
    """Checks beside those that stream: asked once a minute."""
    serve: bool = False
    """Whether the product's own HTTP server runs."""

    @property
    def interval(self) -> float:
        return self.length * BUSY

    @property
    def checks(self) -> int:
        return round(self.streams * BUSY)

    def model(self, draw: random.Random) -> str:
        """A script for the endpoint: the first token at a random moment, chunks up to `length`."""
        first = round(draw.uniform(0.125, 0.75) * self.length * 1000)
        chunks = round((self.length * 1000 - first) / self.gap) + 1
        return f"n{chunks}-f{first}-g{self.gap}"


@dataclass(slots=True)
class Seen:
    """What one run gave; errors in seconds."""

    errors: list[float] = field(default_factory=list)
    doubtful: int = 0
    at_once: float = 0.0
    """Answers that streamed at the same time, on average."""
    pause: float = 0.0
    """The longest that the garbage collector took."""
    failed: int = 0

    def micro(self, share: float) -> float:
        return quantile(self.errors, share) * 1e6 if self.errors else math.nan


# ------------------------------------------------------------------------------------- the table


def rows(quick: bool) -> Iterator[Row]:
    """The product's errors with their goals, then the peers' of the same minutes."""
    for scheme in ("plain", "TLS"):
        with truth(tls=scheme == "TLS") as endpoint:
            few = _run(endpoint, 300, quick)
            yield _row(few, 300, scheme, 0.5, 20.0)
            yield _row(few, 300, scheme, 0.99, 100.0)
            many = few if quick else _run(endpoint, 1000, quick)
            yield _row(many, 1000, scheme, 0.99, 250.0)
            both = len(few.errors) + len(many.errors) + few.doubtful + many.doubtful
            share = 100 * (few.doubtful + many.doubtful) / both
            yield Row(f"left out as doubtful, {scheme}", share, "%")
            worst = max([*few.errors, *many.errors], default=math.nan) * 1e3
            yield Row(f"worst that was not left out, {scheme}", worst, "ms", 5.0)
            what = f"longest garbage collection, 1,000 streams, {scheme}"
            yield Row(what, many.pause * 1e3, "ms")
            if not quick:
                what = f"of 1,000 checks streaming at any time, {scheme}"
                yield Row(what, many.at_once, "", 900, more=True)
    with truth() as endpoint:
        scraped = _scraped(endpoint, quick)
        what = "first token off, 1,000 checks scraped every second, p99"
        yield Row(what, scraped.micro(0.99), CLOCK, 1000.0)
        yield from _beside_the_peers(endpoint, quick)


def _row(seen: Seen, streams: int, scheme: str, share: float, goal: float) -> Row:
    what = f"first token off, {streams:,} streams, {scheme}, p{share * 100:.0f}"
    return Row(what, seen.micro(share), CLOCK, goal)


def _beside_the_peers(endpoint: Endpoint, quick: bool) -> Iterator[Row]:
    for streams in (30,) if quick else (30, 100):
        ours = _run(endpoint, streams, quick)
        for who in STAMPED:
            theirs = None if missing(who) else _run(endpoint, streams, quick, who)
            for share in (0.5, 0.99):
                what = f"first token off, {streams} streams, p{share * 100:.0f}"
                their = theirs.micro(share) if theirs else None
                yield Row(what, ours.micro(share), CLOCK, None, NAMES[who], their)


def _run(endpoint: Endpoint, streams: int, quick: bool, who: str = "ours") -> Seen:
    run = _planned(endpoint, streams, quick, who=who)
    with _process(run) as process:
        return _result(process)


def _planned(endpoint: Endpoint, streams: int, quick: bool, **more: Any) -> Run:
    run = Run(url=endpoint.url, ca=endpoint.ca, streams=streams, gap=100, rounds=3, **more)
    if streams > 300:
        # At ten chunks a second each it would be a benchmark of throughput.
        run = replace(run, gap=250, rounds=2)
    if quick:
        run = replace(run, streams=5, idle=5, gap=50, rounds=1, length=0.4)
    return run


def _scraped(endpoint: Endpoint, quick: bool) -> Seen:
    """The same while somebody reads `/metrics` every second, of a thousand checks."""
    run = _planned(endpoint, 300, quick, who="ours", idle=670, serve=True)
    cores = os.sched_getaffinity(0)
    with _process(run) as process:
        assert process.stdout is not None
        page = process.stdout.readline().strip()
        pin(OTHERS)
        try:
            while process.poll() is None:
                with suppress(OSError):  # it has just stopped
                    urllib.request.urlopen(page, timeout=30).read()
                time.sleep(1.0)
        finally:
            os.sched_setaffinity(0, cores)
        return _result(process)


@contextmanager
def _process(run: Run) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.accuracy", json.dumps(asdict(run))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _result(process: subprocess.Popen[str]) -> Seen:
    assert process.stdout is not None
    seen = Seen(**json.loads(process.stdout.readline()))
    if seen.failed:
        raise RuntimeError(f"{seen.failed} answers went wrong: the figures mean nothing")
    return seen


# ----------------------------------------------------------------------------- the product at work


class _Watched(Metrics):
    """The product's metrics, and beside them what it was told against what is true."""

    since = math.inf
    """Probes that begin from this moment on count."""

    def __init__(self, views: Callable[[], Iterable[StateView]], asked: Mapping[str, Any]) -> None:
        super().__init__("benchmark", views)
        self._exchanges = asked
        self.seen = Seen()
        self.busy = 0.0

    def observe(self, check: Check, probe: Probe) -> None:
        super().observe(check, probe)
        last = probe.last
        if last.started.mono < self.since or check.name.startswith("idle"):
            return
        self.busy += last.seconds
        if last.verdict is not Verdict.OK or last.phases.first_token is None:
            self.seen.failed += 1
        elif "first_token" in last.phases.doubtful:
            self.seen.doubtful += 1
        else:
            exchange = self._exchanges[check.name]
            body = b"".join(data for _, data in exchange.reads)
            sent = SENT.search(body)
            assert sent is not None
            stamped = exchange.sent + last.phases.first_token
            self.seen.errors.append(stamped - int(sent[1]) / 1e9)


def _check(run: Run, number: int, draw: random.Random) -> Check:
    return Check(
        name=f"check-{number}" if number < run.checks else f"idle-{number}",
        mode=Mode.CHAT,
        provider=f"provider-{number % 20}",
        url=run.url,
        protocol="openai-chat",
        model=run.model(draw),
        expect=ChatExpect(Expecting.ANY),
        interval=run.interval if number < run.checks else 60.0,
        tls=Tls(ca_file=run.ca),
        guard=False,
    )


async def _ours(run: Run, poll: PollClock, folder: Path) -> Seen:
    exchanges: dict[str, Any] = {}
    draw = random.Random(1)
    checks = tuple(_check(run, number, draw) for number in range(run.checks + run.idle))

    def over(check: Check, _request: object, exchange: Any) -> None:
        exchanges[check.name] = exchange

    ledger = Ledger(folder, now, 86400.0)
    async with AsyncExitStack() as stack:
        stack.callback(ledger.close)
        client = await stack.enter_async_context(Client(poll, over))
        memory = Memory(ledger)
        memory.recall(checks, now())
        made: list[_Watched] = []

        def metrics(views: Callable[[], Iterable[StateView]]) -> Metrics:
            made.append(_Watched(views, exchanges))
            return made[0]

        service = Service(client, poll, metrics, random.Random(2), memory)
        service.apply(Config(checks, guard_targets=()))
        if run.serve:
            await _listen(service, stack)
        async with asyncio.TaskGroup() as group:
            at_work = group.create_task(service.run())
            await asyncio.sleep(1.5 * run.interval)  # until each was asked, and is in its rhythm
            made[0].since = time.monotonic()
            with _pauses() as pauses:
                await asyncio.sleep(run.rounds * run.interval)
            service.stop()
            await at_work
        made[0].seen.pause = max(pauses, default=0.0)
        made[0].seen.at_once = made[0].busy / (run.rounds * run.interval)
    return made[0].seen


@contextmanager
def _pauses() -> Iterator[list[float]]:
    """Seconds that each garbage collection takes meanwhile."""
    took: list[float] = []
    began = 0.0

    def collecting(phase: str, _info: Mapping[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.monotonic()
        elif began:
            took.append(time.monotonic() - began)

    gc.callbacks.append(collecting)
    try:
        yield took
    finally:
        gc.callbacks.remove(collecting)


async def _listen(service: Service, stack: AsyncExitStack) -> None:
    app = build_app(
        scrape=service.metrics.scrape,
        ready=lambda: service.ready,
        views=service.page,
        version="benchmark",
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    sys.stdout.write(f"http://{host}:{port}/metrics\n")
    sys.stdout.flush()


# --------------------------------------------------------------------------------------- the peers


async def _peer(run: Run) -> Seen:
    """Each answer asked for twice, at a random moment of a second; the first time warms up."""
    draw = random.Random(1)
    seen = Seen(at_once=run.streams)
    ask = asker(run.who, run.url)

    async def error(model: str) -> float:
        await asyncio.sleep(draw.random())
        errors: list[float] = []

        def content(text: str) -> None:
            if not errors:
                errors.append(time.monotonic() - int(text[1:]) / 1e9)

        await ask(model, content)
        return errors[0]

    for _ in range(2):
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(error(run.model(draw))) for _ in range(run.streams)]
        seen.errors = [task.result() for task in asked]
    return seen


# ---------------------------------------------------------------------------------- one process


def main() -> None:
    run = Run(**json.loads(sys.argv[1]))
    pin(OURS)
    seen = _product(run) if run.who == "ours" else asyncio.run(_peer(run))
    sys.stdout.write(f"{json.dumps(asdict(seen))}\n")


def _product(run: Run) -> Seen:
    poll = PollClock()
    loop = asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(poll))
    with tempfile.TemporaryDirectory() as folder, loop as runner:
        return runner.run(_ours(run, poll, Path(folder)))


if __name__ == "__main__":
    main()
