"""A real Alertmanager on loopback, for tests that ask it what it would mute."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.serving import free_port, program

#: Debian's name for it, and its own.
PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")

needs_alertmanager = pytest.mark.skipif(
    not (PROGRAM and shutil.which("amtool")),
    reason="alertmanager and amtool are not installed",
)


class Alertmanager:
    """Takes alerts as Prometheus sends them, and tells what became of each."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def post(self, alerts: list[dict[str, str]]) -> None:
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(f"{self.url}/api/v2/alerts", body, headers), timeout=10) as answer:
            assert answer.status == 200

    def alerts(self) -> list[dict[str, Any]]:
        with urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def groups(self) -> list[dict[str, Any]]:
        with urlopen(f"{self.url}/api/v2/alerts/groups", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found


@contextlib.contextmanager
def alertmanager(folder: Path, config: Path) -> Iterator[Alertmanager]:
    """One with its data in `folder`, on its own: it looks for no peers."""
    port = free_port()
    command = [
        str(PROGRAM),
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    server = Alertmanager(port)
    with program(command, server.url, folder / "alertmanager.log"):
        yield server
