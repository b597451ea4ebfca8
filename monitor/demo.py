"""`monitor demo` and `monitor simulate`: the product on, or just, the simulated providers."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from monitor import config as configuration
from monitor.model import Config
from monitor.run.address import Address
from monitor.show import logs
from monitor.simulator import STORY, Role, SimulatedProvider, load_scenario

log = logging.getLogger("monitor.demo")

KEY = "sim-key-of-the-demo"

#: Seconds at speed 1: short enough that an outage is confirmed while one watches.
INTERVAL, FIRST_TOKEN, IDLE, TOTAL, RECHECK, SLOW = 5.0, 3.0, 2.0, 8.0, 1.0, 1.5


def checks(urls: dict[str, str], speed: float) -> dict[str, Any]:
    """The demo's `checks.yaml` as a document; `urls` are the providers' addresses by name."""
    return {
        "guard": False,
        "defaults": {
            "interval": _duration(max(1.0, INTERVAL / speed)),
            "timeout": {
                "connect": _duration(2 / speed),
                "first_byte": _duration(FIRST_TOKEN / speed),
                "first_token": _duration(FIRST_TOKEN / speed),
                "idle": _duration(IDLE / speed),
                "total": _duration(TOTAL / speed),
            },
            "slow": {"first_token": _duration(SLOW / speed)},
            "confirm": {"recheck": _duration(RECHECK / speed)},
        },
        "checks": [_check(role, urls[role.name]) for role in STORY.values()],
    }


def _check(role: Role, url: str) -> dict[str, Any]:
    if role.web:
        return {"name": role.name, "type": "web", "url": f"{url}/web"}
    check = {"name": role.name, "url": f"{url}/v1", "model": role.model, "api_key": "${DEMO_KEY}"}
    if role.name in configuration.presets():
        return {**check, "provider": role.name, "protocol": "openai-chat"}
    return {**check, "protocol": "openai-chat"}


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"


@contextlib.contextmanager
def stage(speed: float) -> Iterator[tuple[Config, Path]]:
    """The story's providers at work in a thread of their own, and the checks that watch them."""
    with tempfile.TemporaryDirectory(prefix="monitor-demo-") as folder, _acting(speed) as urls:
        path = Path(folder) / "checks.yaml"
        path.write_text(json.dumps(checks(urls, speed), indent=2), encoding="utf-8")
        yield configuration.load(path, {"DEMO_KEY": KEY}), Path(folder)


@contextlib.contextmanager
def _acting(speed: float) -> Iterator[dict[str, str]]:
    """Runs the providers in another thread, whose pauses are then no stalls of the product."""
    ready: Future[tuple[dict[str, str], asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def act() -> None:
        try:
            async with _providers(speed) as urls:
                done = asyncio.Event()
                ready.set_result((urls, asyncio.get_running_loop(), done))
                await done.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    thread = threading.Thread(target=lambda: asyncio.run(act()), name="simulator", daemon=True)
    thread.start()
    urls, loop, done = ready.result()
    try:
        yield urls
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(5)


@contextlib.asynccontextmanager
async def _providers(speed: float) -> AsyncIterator[dict[str, str]]:
    async with contextlib.AsyncExitStack() as stack:
        urls = {}
        for role in STORY.values():
            provider = SimulatedProvider(
                role.script,
                flavour=role.flavour,
                key=None if role.web else KEY,
                models=(role.model,) if role.model else (),
                speed=speed,
            )
            await stack.enter_async_context(provider)
            urls[role.name] = provider.url
        yield urls


def simulate(options: argparse.Namespace) -> int:
    """One simulated provider until SIGTERM or SIGINT; 2 for a scenario that cannot be played."""
    try:
        script = load_scenario(options.scenario)
    except (OSError, ValueError) as error:
        print(f"monitor simulate: {error}", file=sys.stderr)
        return 2
    logs.configure(options.log_level, options.log_format, tuple, sys.stderr)
    provider = SimulatedProvider(script, speed=options.speed)
    try:
        asyncio.run(_simulate(provider, options.listen))
    except OSError as error:
        print(f"monitor simulate: cannot listen on {options.listen.url}: {error}", file=sys.stderr)
        return 2
    return 0


async def _simulate(provider: SimulatedProvider, listen: Address) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await provider.start(listen.host or "0.0.0.0", listen.port)
    try:
        log.info("simulating", extra={"fields": {"url": f"{provider.url}/v1"}})
        await stop.wait()
    finally:
        await provider.stop()
