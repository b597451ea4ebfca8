"""From a configuration to a running service: event loop, HTTP, signals, a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import resource
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from monitor import __version__
from monitor.ledger import Ledger
from monitor.model import Config
from monitor.probe.client import Client
from monitor.probe.clock import now
from monitor.probe.wire import PollClock
from monitor.run.address import Address
from monitor.run.hindsight import Hindsight
from monitor.run.lock import DataDir
from monitor.run.memory import Memory
from monitor.run.reload import Reloader
from monitor.run.service import Service, probed
from monitor.show.metrics import Metrics
from monitor.show.server import build_app
from monitor.show.views import StateView

log = logging.getLogger("monitor")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line decided."""

    listen: Address
    data_dir: Path
    lifecycle: bool = False
    config_path: Path | None = None
    """The file to follow; None where there is none to reload (the demo)."""
    revision: str = ""
    """What this was built from, as the image's build was told."""


def serve(config: Config, load: Callable[[], Config], settings: Settings) -> None:
    """Run the service until SIGTERM or SIGINT.

    Raises DataDirError where the data directory is in use, OSError where the address is.
    """
    data_dir = DataDir(settings.data_dir)
    poll = PollClock()
    ledger = Ledger(settings.data_dir, now, config.retention)
    try:
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(poll)) as runner:
            runner.run(_serve(config, load, settings, poll, ledger))
    finally:
        ledger.close()
        data_dir.close()


async def _serve(
    config: Config,
    load: Callable[[], Config],
    settings: Settings,
    poll: PollClock,
    ledger: Ledger,
) -> None:
    _raise_file_limit()
    async with Client(poll) as client:
        service = _service(config, client, poll, ledger, settings.revision)
        service.metrics.reloaded(True, now().wall)
        reloader = _reloader(config, load, settings, service)
        hindsight = Hindsight(settings.data_dir)
        app = build_app(
            scrape=service.metrics.scrape,
            ready=lambda: service.ready,
            views=service.page,
            past=lambda: hindsight.look(now().wall),
            reload=reloader.reload if settings.lifecycle and reloader else None,
            version=__version__,
        )
        async with _listening(app, settings.listen), asyncio.TaskGroup() as group:
            _on_signals(service, reloader, group)
            watcher = group.create_task(reloader.watch()) if reloader else None
            log.info("serving", extra={"fields": {"url": settings.listen.url}})
            await service.run()
            if watcher:
                watcher.cancel()
    log.info("stopped")


def _service(
    config: Config, client: Client, poll: PollClock, ledger: Ledger, revision: str
) -> Service:
    """The checks of `config`, going on from where an earlier process left them."""
    memory = Memory(ledger)
    memory.keep(config.outage_series)
    memory.recall(probed(config), now())

    def metrics(views: Callable[[], Iterable[StateView]]) -> Metrics:
        return Metrics(__version__, views, revision=revision, ledger_errors=lambda: ledger.errors)

    service = Service(client, poll, metrics, random.Random(), memory)
    service.apply(config)
    return service


def _reloader(
    config: Config, load: Callable[[], Config], settings: Settings, service: Service
) -> Reloader | None:
    if settings.config_path is None:
        return None

    def done(good: bool) -> None:
        service.metrics.reloaded(good, now().wall)

    return Reloader(settings.config_path, load, service.apply, done, config)


def _on_signals(service: Service, reloader: Reloader | None, group: asyncio.TaskGroup) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    if reloader:
        loop.add_signal_handler(signal.SIGHUP, lambda: group.create_task(reloader.reload()))


@contextlib.asynccontextmanager
async def _listening(app: web.Application, listen: Address) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, listen.host, listen.port).start()
        yield
    finally:
        await runner.cleanup()


def _raise_file_limit() -> None:
    """Every probe in flight holds a socket; the soft limit of 1024 is a relic of select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
