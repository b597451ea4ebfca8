"""A real Prometheus on loopback, for tests that ask it what our series say."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.serving import free_port

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="prometheus and promtool are not installed",
)


class Prometheus:
    """Answers PromQL; `query` gives the samples of an instant vector as (labels, value)."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def query(self, expression: str, at: float) -> list[tuple[dict[str, str], float]]:
        asked = urlencode({"query": expression, "time": f"{at:.3f}"})
        with urlopen(f"{self.url}/api/v1/query?{asked}", timeout=30) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return [(one["metric"], float(one["value"][1])) for one in found["data"]["result"]]

    def rules(self) -> dict[str, tuple[str, str]]:
        """Every rule that is loaded: its health and its last error."""
        with urlopen(f"{self.url}/api/v1/rules", timeout=30) as answer:
            groups = json.load(answer)["data"]["groups"]
        return {
            f"{group['name']} / {number} / {rule['name']}": (
                rule["health"],
                rule.get("lastError", ""),
            )
            for group in groups
            for number, rule in enumerate(group["rules"])
        }

    def ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


@contextlib.contextmanager
def prometheus(folder: Path, config: Path | None = None) -> Iterator[Prometheus]:
    """One with its data in `folder`; without `config` it scrapes nothing."""
    if config is None:
        config = folder / "empty.yml"
        config.write_text("global: {}\n")
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        server = Prometheus(port)
        deadline = time.monotonic() + 60
        while not server.ready():
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            assert time.monotonic() < deadline, "Prometheus never became ready"
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)
