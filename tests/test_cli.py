"""The command line as users meet it: real processes, exit codes, what is printed where."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from monitor import __version__
from monitor.cli import main
from monitor.simulator import SimulatedProvider
from tests.serving import free_port, serving
from tests.test_notify import Receiver

ROOT = Path(__file__).parent.parent
KEY = "sk-canary-of-the-command-line"


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MONITOR_")}
    return {**kept, "SIM_KEY": KEY, **more}


async def monitor(*arguments: str, **env: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "monitor", *arguments, env=environment(**env), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def checks(path: Path, url: str, *names: str, **more: Any) -> Path:
    """A `checks.yaml` of chats with one provider, which answers as the path in `names` says."""
    entries = [
        {"name": name, "url": f"{url}/as/{name}/v1", "model": "m", "api_key": "${SIM_KEY}",
         "price": {"input": 1, "output": 2}, "interval": "1s", **more}
        for name in names
    ]  # fmt: skip
    path.write_text(json.dumps({"checks": entries, "guard": False}))
    return path


@pytest.fixture
async def provider() -> AsyncIterator[SimulatedProvider]:
    async with SimulatedProvider("healthy", key=KEY, speed=50) as running:
        yield running


async def test_the_version_is_told() -> None:
    assert await monitor("--version") == (0, f"monitor {__version__}\n", "")


async def test_the_schema_is_the_shipped_one() -> None:
    code, out, _ = await monitor("schema")
    assert code == 0
    assert out == (ROOT / "checks.schema.json").read_text("utf-8")


async def test_once_prints_a_table_and_its_exit_code_tells(
    provider: SimulatedProvider, tmp_path: Path
) -> None:
    config = checks(tmp_path / "c.yaml", provider.url, "healthy", "quota_402")
    code, out, err = await monitor("once", "--config", str(config))
    assert code == 1
    first, second = out.splitlines()[1:3]
    assert first.split()[:2] == ["healthy", "ok"]
    assert second.split()[:3] == ["quota_402", "limited", "quota"]
    assert "quota_402: HTTP 402: Insufficient Balance" in out
    assert err == "", "progress is for terminals"
    assert "\033" not in out
    assert (await monitor("once", "healthy", "--config", str(config)))[0] == 0
    assert KEY not in out + err


async def test_a_terminal_sees_progress_and_colours_and_is_left_clean(
    provider: SimulatedProvider, tmp_path: Path
) -> None:
    config = checks(tmp_path / "c.yaml", provider.url, "healthy", "quota_402")
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "monitor", "once", "--config", str(config), cwd=ROOT,
        env=environment(TERM="xterm", NO_COLOR="", COLUMNS="55"), stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    await process.wait()
    said = b""
    with contextlib.suppress(OSError):  # which is how the end of it is told
        while piece := os.read(ours, 65536):
            said += piece
    os.close(ours)
    shown = said.decode()
    assert "0 of 2 probed, waiting for healthy, quota_402" in shown
    assert "\033[32mok\033[0m" in shown and "\033[33mlimited\033[0m" in shown
    _, _, table = shown.rpartition("\r\033[K")
    assert "probed" not in table and "quota_402" in table
    assert "cost" not in table, "there was no room for it"


async def test_notify_test_tells_which_target_took_the_message(tmp_path: Path) -> None:
    token = "canary-of-the-address"
    receiver = Receiver((200, {}))
    config = tmp_path / "c.yaml"
    async with serving(receiver) as port:
        targets = [
            {"name": "good", "webhook": f"http://127.0.0.1:{port}/{token}"},
            {"name": "chat", "apprise": f"json://127.0.0.1:{port}/{token}"},
            {"name": "dead", "webhook": f"http://127.0.0.1:{free_port()}/{token}"},
        ]
        config.write_text(json.dumps({"checks": [{"provider": "deepseek"}], "notify": targets}))
        code, out, err = await monitor("notify-test", "--config", str(config))
        assert code == 1
        assert [line.split()[:3] for line in out.splitlines()[1:]] == [
            ["good", "webhook", "ok"], ["chat", "apprise", "ok"], ["dead", "webhook", "no"],
        ]  # fmt: skip
        assert token not in out + err and "127.0.0.1" not in out + err
        assert (await monitor("notify-test", "good", "--config", str(config)))[0] == 0
    events = [json.loads(got.partition(b"\r\n\r\n")[2]).get("event") for got in receiver.got]
    assert sorted(map(str, events)) == ["None", "test", "test"]
    code, _, err = await monitor("notify-test", "nobody", "--config", str(config))
    assert code == 2 and "nobody" in err and "good" in err
    assert (await monitor("notify-test", "--config", str(tmp_path / "none.yaml")))[0] == 2


async def test_the_service_counts_notifications_from_zero_and_stops_with_a_dead_target(
    provider: SimulatedProvider, tmp_path: Path
) -> None:
    config = checks(tmp_path / "c.yaml", provider.url, "healthy")
    document = json.loads(config.read_text())
    document["notify"] = [{"name": "ops", "webhook": f"http://127.0.0.1:{free_port()}/"}]
    config.write_text(json.dumps(document))
    data = tmp_path / "data"
    async with running("run", "--config", str(config), "--data-dir", str(data)) as (process, url):
        series = 'aichat_notifications_total{event="opened",result="delivered",target="ops"} 0.0'
        text = await until(f"{url}/metrics", lambda page: series in page)
        assert text.count("aichat_notifications_total{") == 12
        process.terminate()
        await process.communicate()
    assert process.returncode == 0
    assert not (data / "notified.json").exists(), "nothing was told"


async def test_once_as_json_has_the_documented_shape(
    provider: SimulatedProvider, tmp_path: Path
) -> None:
    config = checks(tmp_path / "c.yaml", provider.url, "healthy", "fast_503")
    code, out, _ = await monitor("once", "--json", "--config", str(config))
    good, bad = json.loads(out)["checks"]
    assert code == 1
    assert list(good) == [
        "name", "provider", "model", "verdict", "reason", "detail", "status",
        "first_token_seconds", "first_answer_token_seconds", "total_seconds", "tokens", "cost_usd",
    ]  # fmt: skip
    assert (good["verdict"], good["reason"], good["status"]) == ("ok", None, 200)
    assert good["tokens"]["input"] > 0
    assert good["cost_usd"] > 0
    assert 0 < good["first_token_seconds"] <= good["total_seconds"]
    assert (bad["verdict"], bad["reason"], bad["status"]) == ("failed", "overloaded", 503)
    assert bad["first_token_seconds"] is None
    assert bad["tokens"] == {"input": None, "output": None, "reasoning": None, "cached": None}


async def test_a_trace_beside_json_leaves_stdout_to_machines(
    tmp_path: Path, provider: SimulatedProvider
) -> None:
    config = checks(tmp_path / "checks.yaml", provider.url, "healthy")
    _, out, err = await monitor("once", "--json", "--trace", "--config", str(config))
    assert json.loads(out)["checks"][0]["name"] == "healthy"
    assert "= decided by:" in err
    _, out, _ = await monitor("once", "--trace", "--config", str(config))
    assert "= decided by:" in out


async def test_once_names_a_check_that_does_not_exist(tmp_path: Path) -> None:
    config = checks(tmp_path / "c.yaml", "http://127.0.0.1:9", "healthy")
    code, out, err = await monitor("once", "nope", "--config", str(config))
    assert (code, out) == (2, "")
    assert "nope" in err and "healthy" in err


async def test_validate_prices_the_schedule(tmp_path: Path) -> None:
    config = checks(tmp_path / "c.yaml", "http://127.0.0.1:9", "healthy")
    code, out, _ = await monitor("validate", "--config", str(config))
    assert code == 0
    assert "$2.7648" in out  # 86,400 rounds of 24 tokens in at 1 and 4 out at 2 dollars a million
    code, out, _ = await monitor("validate", "--json", "--config", str(config))
    assert json.loads(out) == {"errors": [], "checks": 1, "cost_usd_per_day": 2.7648}


async def test_validate_tells_every_error_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text("checks:\n  - provider: deepsek\n  - {provider: openai, intervall: 5}\n")
    code, out, err = await monitor("validate", "--config", str(config))
    assert (code, out) == (2, "")
    assert f"{config}:2: checks[0].provider: " in err
    assert f"{config}:3: checks[1].intervall: " in err
    code, out, _ = await monitor("validate", "--json", "--config", str(config))
    assert code == 2
    assert [error["line"] for error in json.loads(out)["errors"]] == [2, 3]
    assert (await monitor("run", "--config", str(config)))[0] == 2
    assert (await monitor("once", "--config", str(config)))[0] == 2


async def test_the_shipped_example_is_valid() -> None:
    assert (await monitor("validate", "--config", "checks.yaml"))[0] == 0


async def test_a_bad_option_or_environment_twin_is_refused(tmp_path: Path) -> None:
    assert (await monitor("run", "--listen", "here"))[0] == 2
    code, _, err = await monitor("run", MONITOR_LISTEN="here")
    assert code == 2
    assert "HOST:PORT" in err
    assert (await monitor("schema", MONITOR_PORT="tcp://10.0.0.1:9817", MONITOR_LISTEN=""))[0] == 0


@contextlib.asynccontextmanager
async def running(
    *arguments: str, **env: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`monitor` with these arguments and a free address; waits until it is ready."""
    url = f"http://127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "monitor", *arguments, "--listen", url.removeprefix("http://"),
        env=environment(**env), cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        await until(f"{url}/-/ready", lambda _: True)
        yield process, url
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def until(url: str, good: Any) -> str:
    """The body of `url` once it answers 200 with a body that is good."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url) as answer:
                    text = await answer.text()
                    if answer.status == 200 and good(text):
                        return text
            await asyncio.sleep(0.05)


async def test_run_serves_reloads_and_stops_cleanly(
    provider: SimulatedProvider, tmp_path: Path
) -> None:
    config = checks(
        tmp_path / "c.yaml", provider.url, "healthy", "fast_503", confirm={"recheck": "100ms"}
    )
    data = str(tmp_path / "data")
    arguments = ("run", "--config", str(config), "--data-dir", data, "--enable-lifecycle")
    async with running(*arguments) as (process, url), aiohttp.ClientSession() as session:
        text = await until(f"{url}/metrics", lambda t: 'state="down"} 1.0' in t)
        assert 'aichat_check_up{check="fast_503",model="m",provider="127.0.0.1"} 0.0' in text
        assert 'reason="overloaded"' in text
        await until(f"{url}/", lambda t: "fast_503" in t)

        code, _, err = await monitor(*arguments, "--listen", f"127.0.0.1:{free_port()}")
        assert code == 2
        assert "another monitor is using it" in err

        config.write_text("checks: [{provider: nobody}]\n")
        async with session.post(f"{url}/-/reload") as answer:
            assert answer.status == 500
            assert "checks[0].provider" in await answer.text()
        text = await until(f"{url}/metrics", lambda _: True)
        assert "aichat_config_last_reload_successful 0.0" in text
        assert 'check="healthy"' in text, "the old configuration stays"

        checks(config, provider.url, "healthy")
        text = await until(f"{url}/metrics", lambda t: "last_reload_successful 1.0" in t)
        assert 'check="fast_503"' not in text, "a change of the file is noticed without a signal"

        process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.wait_for(process.communicate(), 10)
        assert process.returncode == 0
        assert KEY not in out.decode() + text
        assert "Traceback" not in out.decode()


async def test_reload_by_request_is_off_unless_enabled_and_by_signal_always_on(
    provider: SimulatedProvider, tmp_path: Path
) -> None:
    config = checks(tmp_path / "c.yaml", provider.url, "healthy")
    arguments = ("run", "--config", str(config), "--data-dir", str(tmp_path / "data"))
    async with running(*arguments) as (process, url), aiohttp.ClientSession() as session:
        async with session.post(f"{url}/-/reload") as answer:
            assert answer.status == 403
        checks(config, provider.url, "healthy", "empty")
        process.send_signal(signal.SIGHUP)
        await until(f"{url}/metrics", lambda t: 'check="empty"' in t)


async def test_a_taken_address_is_told_and_exit_2(tmp_path: Path) -> None:
    config = checks(tmp_path / "c.yaml", "http://127.0.0.1:9", "healthy")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, _, err = await monitor(
            "run", "--config", str(config), "--data-dir", str(tmp_path / "d"), "--listen", address
        )
    assert code == 2
    assert "cannot listen" in err
    assert "Traceback" not in err


async def test_the_demo_shows_an_outage_begin_and_end() -> None:
    async with running("demo", "--speed", "8") as (process, url):
        opened = 'aichat_outage_end_timestamp_seconds{check="deepseek"'
        await until(f"{url}/metrics", lambda t: any(
            line.startswith(opened) and not line.endswith(" 0.0") for line in t.splitlines()
        ))  # fmt: skip
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 15)
        assert process.returncode == 0


async def test_simulate_plays_a_behaviour_and_refuses_what_it_does_not_know() -> None:
    ask = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    async with (
        running_simulator("fast_503") as url,
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json=ask) as answer,
    ):
        assert answer.status == 503
    code, _, err = await monitor("simulate", "no_such_behaviour")
    assert code == 2
    assert "no_such_behaviour" in err


@contextlib.asynccontextmanager
async def running_simulator(scenario: str) -> AsyncIterator[str]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "monitor", "simulate", scenario, "--listen", f"127.0.0.1:{port}",
        env=environment(), cwd=ROOT, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        await asyncio.wait_for(process.stderr.readline(), 30)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        await process.communicate()
        assert process.returncode == 0


async def test_without_any_network_every_check_is_unknown_and_nothing_is_claimed(
    tmp_path: Path,
) -> None:
    alone = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("no right to make a network namespace")
    config = tmp_path / "c.yaml"
    quick = {"interval": "1s", "confirm": {"recheck": "50ms"}}
    config.write_text(
        json.dumps(
            {
                "defaults": {**quick, "reachability": {"interval": "1s"}},
                "checks": [
                    {"provider": "deepseek", "api_key": "${NOT_SET}"},
                    {"name": "keyed", "provider": "openai", "protocol": "openai-chat", "api_key": "${SIM_KEY}"},
                    {"name": "web", "type": "web", "url": "https://chatgpt.com/"},
                ],
            }
        )
    )  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *alone, sys.executable, "-m", "monitor", "run", "--config", str(config), "--log-level", "debug",
        "--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0",
        env=environment(), cwd=ROOT, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    lines: list[str] = []
    rounds = {"deepseek": 0, "keyed": 0, "web": 0}
    async with asyncio.timeout(50):
        # Enough rounds for a streak and for the ratio of a partial outage.
        while min(rounds.values()) < 5:
            line = (await process.stderr.readline()).decode()
            assert line, "\n".join(lines)
            lines.append(line)
            for name in rounds:
                rounds[name] += f"msg=probe check={name} " in line
        process.send_signal(signal.SIGTERM)
        rest = (await process.stderr.read()).decode()
    assert await process.wait() == 0
    text = "".join(lines) + rest
    assert "reason=local_network" in text
    assert "state changed" not in text, "unknown it was, unknown it is"


def test_the_readme_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = set(re.findall(r"^    ([\w-]+)(?: |$)", capsys.readouterr().out, re.MULTILINE))
    readme = (ROOT / "README.md").read_text("utf-8")
    assert {"run", "outages", "schema"} <= listed
    assert set(re.findall(r"^\| `monitor ([\w-]+)", readme, re.MULTILINE)) == listed
