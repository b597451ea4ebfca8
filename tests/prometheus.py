"""A real Prometheus on loopback, for tests that ask it what our series say."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.serving import free_port, program

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
    server = Prometheus(port)
    with program(command, server.url, folder / "prometheus.log"):
        yield server
