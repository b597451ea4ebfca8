"""A headless Chromium, spoken to in its own DevTools protocol: no driver between."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # CI runs as root in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-port=0",
)
STARTS_WITHIN = 60.0


def binary() -> str | None:
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@contextlib.contextmanager
def browser(path: str) -> Iterator[Path]:
    """A running browser; yields its profile, where it writes down its port."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        quiet = subprocess.DEVNULL
        run = [path, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(run, stdout=quiet, stderr=quiet)
        try:
            yield Path(profile)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Tab:
    """One tab: what it is shown, what it says."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self.complaints: list[str] = []
        """Errors of scripts and everything that the Content-Security-Policy forbade."""
        self.requests: list[str] = []

    async def listen(self) -> None:
        async for message in self._socket:
            told = message.json()
            if answer := self._answers.pop(told.get("id", 0), None):
                answer.set_result(told)
                continue
            about, what = told.get("method"), told.get("params", {})
            if about == "Page.loadEventFired":
                self._loaded.set()
            elif about == "Network.requestWillBeSent":
                self.requests.append(what["request"]["url"])
            elif about == "Log.entryAdded" and what["entry"]["level"] == "error":
                self.complaints.append(what["entry"]["text"])
            elif about == "Runtime.exceptionThrown":
                self.complaints.append(str(what["exceptionDetails"]))

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._answers[number] = answer = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        told = await answer
        assert "error" not in told, told
        return dict(told["result"])

    async def open(self, url: str, *, width: int, height: int = 900, dark: bool = False, ratio: float = 1.0) -> None:  # fmt: skip
        phone = width < 500
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=ratio, mobile=phone,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        await self._loaded.wait()

    async def script(self, allowed: bool) -> None:
        await self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    async def run(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        told = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def key(self, name: str) -> None:
        codes = {"Tab": 9, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39, "Escape": 27}
        for kind in ("rawKeyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent",
                type=kind, key=name, code=name, windowsVirtualKeyCode=codes[name],
            )  # fmt: skip

    async def point(self, x: float, y: float) -> None:
        await self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    async def picture(self, path: Path, *, whole: bool = True) -> None:
        """Writes a PNG of the page, from its top to its end where it is `whole`."""
        shot = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def tab(profile: Path) -> AsyncIterator[Tab]:
    """A new tab of the browser with this profile."""
    async with asyncio.timeout(STARTS_WITHIN):
        while not (port := _port(profile)):
            await asyncio.sleep(0.05)
    async with aiohttp.ClientSession() as session:
        async with session.put(f"http://127.0.0.1:{port}/json/new") as answer:
            about = await answer.json()
        async with session.ws_connect(about["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            opened = Tab(socket)
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(opened.listen())
                for domain in ("Page", "Log", "Runtime", "Network"):
                    await opened.call(f"{domain}.enable")
                await opened.call("Emulation.setFocusEmulationEnabled", enabled=True)
                try:
                    yield opened
                finally:
                    listening.cancel()
        async with session.put(f"http://127.0.0.1:{port}/json/close/{about['id']}"):
            pass


def _port(profile: Path) -> str | None:
    try:
        return (profile / "DevToolsActivePort").read_text("ascii").splitlines()[0]
    except (OSError, IndexError):
        return None
