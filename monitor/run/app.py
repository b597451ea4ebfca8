"""From a configuration to a running service: event loop, HTTP, signals, a clean end."""

from __future__ import annotations

import asyncio
import logging
import random
import resource
import signal
import socket
from collections.abc import Callable, Iterable

from monitor import __version__
from monitor.ledger import Ledger
from monitor.model import Config
from monitor.notify.notifier import Notifier
from monitor.notify.send import Sender
from monitor.probe.client import Client
from monitor.probe.clock import now
from monitor.probe.poll import PollClock
from monitor.run.hindsight import Hindsight
from monitor.run.listen import bound, listening
from monitor.run.lock import DataDir
from monitor.run.memory import Memory
from monitor.run.reload import Reloader
from monitor.run.service import Service
from monitor.run.settings import Settings
from monitor.run.wanted import probed
from monitor.show.metrics import Metrics
from monitor.show.server import build_app
from monitor.show.views import StateView

log = logging.getLogger("monitor")


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
    async with Client(poll) as client, Sender(lambda: now().wall) as sender:
        notifier = Notifier(settings.data_dir, now, sender.send, random.Random(), __version__)
        service = _service(config, client, poll, ledger, notifier, settings.revision)
        service.metrics.reloaded(True, now().wall)
        reloader = _reloader(config, load, settings, service, notifier)
        hindsight = Hindsight(settings.data_dir)
        app = build_app(
            scrape=service.metrics.scrape,
            ready=lambda: service.ready,
            views=service.page,
            reload=reloader.reload if settings.lifecycle and reloader else None,
            version=__version__,
            past=lambda: hindsight.look(now().wall),
            vantage=socket.gethostname(),
        )
        async with bound(settings.listen) as sockets, asyncio.TaskGroup() as group:
            _on_signals(service, notifier, reloader, group)
            helpers = [
                group.create_task(settings.web.watch()),
                group.create_task(notifier.run()),
            ]
            if reloader:
                helpers.append(group.create_task(reloader.watch()))
            settings.web.tell()
            async with listening(app, sockets, settings.web, group):
                url = settings.listen.link(settings.web.scheme)
                log.info("serving", extra={"fields": {"url": url}})
                await service.run()
            await notifier.drain()
            for helper in helpers:
                helper.cancel()
    log.info("stopped")


def _service(
    config: Config,
    client: Client,
    poll: PollClock,
    ledger: Ledger,
    notifier: Notifier,
    revision: str,
) -> Service:
    """The checks of `config`, going on from where an earlier process left them."""
    memory = Memory(ledger, notifier)
    memory.keep(config.outage_series)
    memory.recall(probed(config), now())

    def metrics(views: Callable[[], Iterable[StateView]]) -> Metrics:
        return Metrics(
            __version__,
            views,
            revision=revision,
            ledger_errors=lambda: ledger.errors,
            notifications=lambda: notifier.counts,
        )

    service = Service(client, poll, metrics, random.Random(), memory)
    service.apply(config)
    notifier.follow(config.notify)
    return service


def _reloader(
    config: Config,
    load: Callable[[], Config],
    settings: Settings,
    service: Service,
    notifier: Notifier,
) -> Reloader | None:
    if settings.config_path is None:
        return None

    async def apply(config: Config) -> None:
        await service.follow(config)
        notifier.follow(config.notify)

    def done(good: bool) -> None:
        service.metrics.reloaded(good, now().wall)

    return Reloader(settings.config_path, load, apply, done, config)


def _on_signals(
    service: Service, notifier: Notifier, reloader: Reloader | None, group: asyncio.TaskGroup
) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        service.stop()
        notifier.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if reloader:
        loop.add_signal_handler(signal.SIGHUP, lambda: group.create_task(reloader.reload()))


def _raise_file_limit() -> None:
    """Every probe in flight holds a socket; the soft limit of 1024 is a relic of select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
