"""The real product as a process of its own: a file of checks, `monitor run`, and what it tells."""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.measure import OURS, cpu_of, pin

CHATS = 5
"""Every fifth check is a chat, the others are pages."""
ADDRESSES = 20
"""So many APIs share the chats."""


def checks_yaml(count: int, port: int, interval: str = "60s") -> str:
    """A file of `count` checks, written out as people do: some 270 bytes each."""
    head = f"defaults: {{interval: {interval}}}\nguard: off\nchecks:\n"
    return head + "".join(_entry(number, port) for number in range(count))


def _entry(number: int, port: int) -> str:
    if number % CHATS == CHATS - 1:
        return f"""\
  - name: chat-{number:05d}
    protocol: openai-chat
    url: http://127.0.0.1:{port}/v1/{number % (CHATS * ADDRESSES)}
    model: model-{number % 7}
    api_key: ${{BENCH_KEY:-none}}
    prompt: Say hello
    expect: {{contains: hello}}
    timeout: {{connect: 3s, total: 20s}}
    slow: {{total: 15s}}
    labels: {{team: search}}
"""
    return f"""\
  - name: page-{number:05d}
    type: web
    url: http://127.0.0.1:{port}/page/{number}
    group: pages of the shop
    expect: {{status: [200, "201-204"], contains: hello}}
    timeout: {{connect: 3s, total: 20s}}
    slow: {{total: 15s}}
    confirm: {{down: 3, recheck: 5s}}
    labels: {{team: shop, tier: gold}}
"""


@cache
def environment() -> dict[str, str]:
    """Of the product's processes: with bytecode at hand, as every installation has it."""
    kept = tempfile.TemporaryDirectory(prefix="bench-bytecode-")
    _KEPT.append(kept)
    env = {name: value for name, value in os.environ.items() if not name.startswith("MONITOR_")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env["PYTHONPYCACHEPREFIX"] = kept.name
    for command in ("run", "validate"):
        subprocess.run(monitor(command, "--help"), env=env, stdout=subprocess.DEVNULL, check=True)
    return env


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def monitor(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "monitor", *arguments]


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        yield Path(name)


@contextmanager
def endpoints() -> Iterator[int]:
    """The port of a process that answers as `benchmarks.endpoints` says."""
    with _ended(
        [sys.executable, "-m", "benchmarks.endpoints"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


@dataclass(frozen=True, slots=True)
class Product:
    """A running `monitor run`."""

    pid: int
    port: int
    ready_after: float
    """Seconds from its start until it said it was ready."""

    def get(self, path: str, method: str = "GET") -> bytes:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            body = answer.read()
            packed = answer.getheader("Content-Encoding") == "gzip"
        finally:
            connection.close()
        return gzip.decompress(body) if packed else body

    def metrics(self) -> dict[str, float]:
        """The series that are not about a check, by their whole name."""
        page = self.get("/metrics").decode()
        lines = re.findall(r'^(aichat_[a-z_]+(?:\{le="[^"]+"\})?) (\S+)$', page, re.MULTILINE)
        return {name: float(value) for name, value in lines}

    def cpu(self) -> float:
        return cpu_of(self.pid)


@contextmanager
def running(config: Path, *arguments: str, patience: float = 60.0) -> Iterator[Product]:
    """`monitor run` on the core of what is measured, ready."""
    port = _free_port()
    words = ("--listen", f"127.0.0.1:{port}", "--log-level", "error", "--enable-lifecycle")
    command = monitor("run", "--config", str(config), *words, *arguments)
    env = environment()
    with folder() as data:
        began = time.monotonic()
        with _ended([*command, "--data-dir", str(data)], env=env) as process:
            pin(OURS, process.pid)
            while not _is_ready(port):
                if process.poll() is not None or time.monotonic() - began > patience:
                    raise RuntimeError(f"monitor run is not ready: {process.poll()}")
                time.sleep(0.002)
            yield Product(process.pid, port, time.monotonic() - began)


def starts_at(port: int) -> list[tuple[int, int]]:
    """How many connections came to the endpoints in each slot, in order."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/starts")
    told: list[tuple[int, int]] = [
        (at, count) for at, count in json.loads(connection.getresponse().read())
    ]
    connection.close()
    return [(slot, number) for slot, number in told]


def _is_ready(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _ended(command: Sequence[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive the block."""
    process: subprocess.Popen[str] = subprocess.Popen(command, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
