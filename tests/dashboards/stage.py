"""The story on stage: simulated providers with a script, the product, a Prometheus that scrapes it.

Everything runs for real and fast: a question and a scrape each second.  The providers act in a
thread of their own and keep account of what they answered, which is the truth of the story.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.simulator import Scene, Script, SimulatedProvider
from tests.dashboards import shipped
from tests.dashboards.truth import Asked, Life, life
from tests.prometheus import Prometheus, prometheus
from tests.serving import free_port

SCRAPE = "1s"
PACE = 1.0
"""Seconds between two scrapes, and between two questions."""
LENGTH = 80.0
RESTART = 62.0
KEY = "key-of-the-story"
USUAL = {"first_token": 0.05, "gap": 0.005}


@dataclass(frozen=True)
class Role:
    """One check and what its provider does; scenes are in seconds from the start of the story."""

    name: str
    provider: str
    """A preset's name; empty where there is none."""
    model: str = ""
    """Empty for a page for people."""
    scenes: tuple[Scene, ...] = ()

    @property
    def script(self) -> Script:
        return Script(self.scenes, usual=USUAL)

    @property
    def path(self) -> str:
        return "/v1/chat/completions" if self.model else "/web"


FOREVER = 3_600.0
SLOW = {"first_token": 0.8}

#: Two outages with their ends, one that nobody has seen the end of, a slow spell, a refused key, a
#: page behind a bad gateway, and two that are well all along, one of them beside a sick sibling.
CAST = (
    Role("gpt-4.1", "openai", "gpt-4.1", (Scene(10, 18, "fast_503"), Scene(36, 40, "server_500"))),
    Role("gpt-mini", "openai", "gpt-4.1-mini"),
    Role("claude", "anthropic", "haiku", (Scene(10, 30, "slow_first_token", params=SLOW),)),
    Role("grok", "xai", "grok-4.3", (Scene(12, 26, "auth_401"),)),
    Role("deepseek", "deepseek", "deepseek-chat", (Scene(50, FOREVER, "stall"),)),
    Role("own", "vllm", "qwen3"),
    Role("web", "", "", (Scene(20, 28, "edge_502"),)),
)


def checks(urls: dict[str, str]) -> dict[str, Any]:
    """The story's `checks.yaml` as a document."""
    return {
        "guard": False,
        "defaults": {
            "interval": "1s",
            "timeout": {
                "connect": "1s",
                "first_byte": "1s",
                "first_token": "1500ms",
                "idle": "1s",
                "total": "3s",
            },
            "slow": {"first_token": "400ms"},
            "confirm": {"recheck": "300ms"},
        },
        "checks": [_check(role, urls[role.name]) for role in CAST],
    }


def _check(role: Role, url: str) -> dict[str, Any]:
    check: dict[str, Any] = {"name": role.name, "labels": {"team": "search"}}
    if role.provider:
        check["provider"] = role.provider
    if not role.model:
        return {**check, "type": "web", "url": f"{url}/web"}
    more = {"protocol": "openai-chat", "url": f"{url}/v1", "model": role.model, "api_key": KEY}
    price = {"input": 0.15, "output": 0.6}
    return {**check, **more, "price": price, "reachability": False}


# --------------------------------------------------------------------------------- providers


class Providers:
    """The cast, each on a port of its own, in another thread."""

    def __init__(self) -> None:
        self.urls: dict[str, str] = {}
        self.began = 0.0
        """When the scripts began, Unix seconds."""
        self._acting: dict[str, SimulatedProvider] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Providers:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def begin(self) -> None:
        """The scripts, from their start; until then all are well."""
        self._call(self._begin())

    def asked(self, role: Role) -> list[Asked]:
        """The questions that the check asked, without the free looks at its provider's front."""
        shift = time.time() - time.monotonic()

        async def copied() -> list[Asked]:
            return [
                Asked(seen.received + shift, seen.behaviour)
                for seen in self._acting[role.name].requests
                if seen.path == role.path
            ]

        return self._call(copied())

    async def _start(self) -> None:
        for role in CAST:
            provider = SimulatedProvider(
                Script(usual=USUAL), key=KEY if role.model else None, models=(role.model,)
            )
            await provider.start()
            self._acting[role.name] = provider
            self.urls[role.name] = provider.url

    async def _begin(self) -> None:
        for role in CAST:
            await self._acting[role.name].behave(role.script)
        self.began = time.time()

    async def _stop(self) -> None:
        for provider in self._acting.values():
            await provider.stop()

    def _call(self, work: Any) -> Any:
        done: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(30)


# ------------------------------------------------------------------------------- the product


class Product:
    """`monitor run` as a process, which can be stopped, started again and killed."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._folder = folder
        self._log = folder / "monitor.log"
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "checks.yaml").write_text(json.dumps(config, indent=2), encoding="utf-8")

    def __enter__(self) -> Product:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop()

    def start(self) -> None:
        command = [
            *(sys.executable, "-m", "monitor", "run"),
            *("--config", str(self._folder / "checks.yaml")),
            *("--data-dir", str(self._folder / "data")),
            *("--listen", self.address),
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=shipped.ROOT)

    def stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """As a power failure does: nothing is said to anybody."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(20)
        self._process = None

    def last_words(self) -> str:
        return self._log.read_text(errors="replace")[-2_000:]


# --------------------------------------------------------------------------------- the stage


@dataclass
class Story:
    """What has been played, for tests to ask about."""

    server: Prometheus
    product: Product
    providers: Providers
    away: list[tuple[float, float]] = field(default_factory=list)

    def lives(self, now: float) -> list[Life]:
        """The truth as of `now`, by check."""
        names = {
            labels["check"]: labels["provider"]
            for labels, _ in self.server.query(
                "group by (check, provider) (aichat_outages_total)", now
            )
        }
        return [
            life(
                role.name,
                names[role.name],
                [one for one in self.providers.asked(role) if one.at <= now],
                self.away,
                now,
            )
            for role in CAST
        ]

    def seen_since(self) -> float:
        """When Prometheus first knew how long the checks had been up: what was before is lost."""
        first = "max(min_over_time(timestamp(check:aichat_known_seconds:sum)[10m:1s]))"
        found = self.value(first)
        assert found is not None
        return found

    def value(self, expression: str) -> float | None:
        """Of the one series that there is now; None without one."""
        found = self.server.query(expression, time.time())
        return found[0][1] if len(found) == 1 else None


@contextlib.contextmanager
def played(folder: Path) -> Iterator[Story]:
    """The whole story; within the block the monitor is at work and one outage is still on."""
    with contextlib.ExitStack() as stack:
        providers = stack.enter_context(Providers())
        product = Product(folder, checks(providers.urls))
        config = shipped.hastened(folder, product.address, SCRAPE)
        server = stack.enter_context(prometheus(folder, config))
        stack.enter_context(product)
        story = Story(server, product, providers)
        all_up = f"count(check:aichat_state:code == 3) == {len(CAST)}"
        wait_for("every check to be up", lambda: story.value(all_up), 40, product.last_words)
        # An uptime, too: it is recorded from what is recorded, and needs a few scrapes.
        wait_for("an uptime", lambda: story.value("count(check:aichat_uptime:ratio_90d)"), 20)
        providers.begin()
        until(providers.began + RESTART)
        _restarted(story)
        until(providers.began + LENGTH)
        yield story


def _restarted(story: Story) -> None:
    stopped = time.time()
    story.product.stop()
    gone = time.time()
    # It is scraped while running attempts finish, and what it counted after that nobody knows.
    seen = story.server.query(
        "max(max_over_time(timestamp(check:aichat_known_seconds:sum)[10s:100ms]))", gone
    )
    story.product.start()
    again = f"aichat_config_last_reload_success_timestamp_seconds > {stopped:.3f}"
    back = wait_for("the monitor again", lambda: story.value(again), 20, story.product.last_words)
    story.away.append((seen[0][1], back))


def wait_for(
    what: str, condition: Callable[[], Any], seconds: float, more: Callable[[], str] = str
) -> Any:
    """Look again and again; fails saying `what` did not happen in time, and `more`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s: {what}\n{more()}")


def until(moment: float) -> None:
    """The script is played by the clock, and so is this."""
    wait_for(f"the clock to show {moment}", lambda: time.time() >= moment, moment - time.time() + 5)
