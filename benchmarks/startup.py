"""From nothing to at work: imports, idle memory, readiness, the configuration, and a reload.

All in processes of their own.  A reload is judged from outside: how long a request that needs no
work at all has to wait at worst while 10,000 checks are loaded and followed.
"""

from __future__ import annotations

import json
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import OTHERS, OURS, median, pin, rss_of
from benchmarks.product import (
    Product,
    checks_yaml,
    endpoints,
    environment,
    folder,
    monitor,
    running,
)
from benchmarks.table import Row

IMPORTS = "import monitor.cli, monitor.run.app"
SDKS = {"openai", "anthropic", "google.genai", "cohere", "boto3", "botocore", "ollama", "httpx"}
FEW, MANY = 20, 10_000


def rows(quick: bool) -> Iterator[Row]:
    pin(OTHERS)
    rounds, many = (1, 300) if quick else (7, MANY)
    yield from _imports(rounds)
    with folder() as home, endpoints() as port:
        yield from _ready(home, port, rounds)
        yield from _validate(home, many)
        yield from _reload(home, port, many)


def _imports(rounds: int) -> Iterator[Row]:
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(_cpu_of_python(IMPORTS))
        theirs.append(_cpu_of_python("import openai"))
    known = [cost for cost in theirs if cost is not None]
    cost = median([cost for cost in ours if cost is not None])
    yield Row("CPU of all imports of `monitor run`", cost, "s", 0.3)
    peer = median(known) if known else None
    yield Row("the same beside one SDK", cost, "s", 1.0, "import openai", peer)
    told = f"{IMPORTS}; import sys; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", told], env=environment(), capture_output=True, text=True, check=True
    ).stdout.split()
    yield Row("SDKs of vendors imported", len(SDKS & set(modules)), "", 0)


def _cpu_of_python(code: str) -> float | None:
    """CPU of what `code` adds to a bare interpreter; None where it fails."""
    asked = f"import time; began = time.process_time(); {code}; print(time.process_time() - began)"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_on_our_core,
    )
    return float(done.stdout) if done.returncode == 0 else None


def _on_our_core() -> None:
    pin(OURS)


def _ready(home: Path, port: int, rounds: int) -> Iterator[Row]:
    path = home / "few.yaml"
    path.write_text(checks_yaml(FEW, port))
    waits, costs = [], []
    for _ in range(rounds):
        with running(path) as product:
            waits.append(product.ready_after)
            costs.append(product.cpu())
            time.sleep(2.0)
            rss = rss_of(product.pid)
    yield Row(f"`monitor run` ready with {FEW} checks", median(waits), "s", 1.0)
    yield Row("CPU until then", median(costs), "s")
    yield Row("its RSS 2 s later", rss / 2**20, "MiB", 60.0)


def _validate(home: Path, count: int) -> Iterator[Row]:
    path = home / "validated.yaml"
    good = checks_yaml(count, 9)
    path.write_text(good)
    size = f"{count:,} checks, {len(good) / 1e6:.1f} MB"
    cost, code, _ = _validated(path)
    if code != 0:
        raise RuntimeError(f"monitor validate refused the file: {code}")
    yield Row(f"CPU of `monitor validate`: {size}", cost, "s", 6.0)
    lines = good.splitlines()
    wrong = [
        number
        for number in (10, len(lines) // 2, len(lines) - 10)
        for number in [_spoil(lines, number)]
    ]
    path.write_text("\n".join(lines))
    cost, code, errors = _validated(path)
    told = [error["line"] for error in errors]
    yield Row("CPU of the same with three errors", cost, "s", 6.0)
    right = len(set(wrong) & set(told)) if code == 2 and len(told) == len(wrong) else 0
    yield Row("errors that name their line", right, "of 3", 3, more=True)


def _spoil(lines: list[str], at: int) -> int:
    """Make the next timeout from line `at` (from 0) on wrong; its line, from 1."""
    while "timeout:" not in lines[at]:
        at += 1
    lines[at] = lines[at].replace("total: 20s", "total: soon")
    return at + 1


def _validated(path: Path) -> tuple[float, int, list[dict[str, int]]]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        monitor("validate", "--config", str(path), "--json"),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_on_our_core,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    errors: list[dict[str, int]] = json.loads(done.stdout)["errors"]
    return cost, done.returncode, errors


def _reload(home: Path, port: int, count: int) -> Iterator[Row]:
    path = home / "reloaded.yaml"
    # Asked once an hour: what is measured is the reload.
    text = checks_yaml(count, port, "1h")
    path.write_text(text)
    with running(path) as product:
        time.sleep(2.0)
        with _waiting(product) as quiet:
            time.sleep(3.0)
        for what, changed in (
            ("one of", _touched(text, 1)),
            ("all of", re.sub("/page/", "/moved/", text).replace("/v1/", "/v1/moved/")),
        ):
            path.write_text(changed)
            before = product.cpu()
            with _waiting(product) as waits:
                product.get("/-/reload", "POST")
                time.sleep(0.5)
            cost = product.cpu() - before
            goal = 25.0 if what == "one of" else None
            worst = 1000 * max(waits)
            yield Row(f"longest wait, {what} {count:,} checks reloaded", worst, "ms", goal)
            yield Row("CPU of that reload", cost, "s")
        yield Row("longest wait without a reload", 1000 * max(quiet), "ms")


def _touched(text: str, number: int) -> str:
    return re.sub(f"(/page/{number}\n)", r"\1    slo: 0.9\n", text, count=1)


@contextmanager
def _waiting(product: Product) -> Iterator[list[float]]:
    """How long requests have to wait, one after the other, while the block runs."""
    waits: list[float] = []
    done = threading.Event()

    def ask() -> None:
        with socket.create_connection(("127.0.0.1", product.port)) as sock:
            while not done.is_set():
                began = time.monotonic()
                sock.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
                sock.recv(65536)
                waits.append(time.monotonic() - began)
                time.sleep(0.001)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield waits
    finally:
        done.set()
        thread.join()
