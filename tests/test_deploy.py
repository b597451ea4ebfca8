"""What runs the monitor elsewhere says what it should: Dockerfile, compose file, provisioning."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor import __version__, healthcheck
from monitor.run.address import Address
from tests import image
from tests.serving import END, always, free_port, head, serving
from tests.test_cli import running, until

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROMETHEUS: dict[str, Any] = yaml.safe_load((ROOT / "prometheus/compose.yml").read_text("utf-8"))
PROVISIONING = ROOT / "grafana/provisioning"

each_service = pytest.mark.parametrize("name", SERVICES)


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's, as (name, rest), with continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    found = (line.partition(" ") for line in text.splitlines() if line.strip())
    return [(name, re.sub(r"\s+", " ", rest).strip()) for name, _, rest in found]


def said(name: str) -> list[str]:
    return [rest for this, rest in instructions() if this == name]


def binds(service: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Source, target and mode of what is mounted from the tree."""
    parts = [str(volume).split(":") for volume in service.get("volumes", [])]
    return [(p[0], p[1], p[2] if len(p) > 2 else "rw") for p in parts if p[0].startswith(".")]


def ignored(path: str) -> bool:
    """As `.dockerignore` has it: the last line that matches the path or a folder above it."""
    parents = [path, *(str(folder) for folder in Path(path).parents)]
    result = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").split():
        pattern = line.removeprefix("!").removeprefix("**/")
        names = [Path(p).name for p in parents] if "**/" in line else parents
        if any(fnmatch(name, pattern) for name in names):
            result = not line.startswith("!")
    return result


# The image


def test_both_stages_share_one_base_of_a_patch_release() -> None:
    name = image.base_of(DOCKERFILE)
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+\.\d+-slim-[a-z]+", name)
    assert [rest.split()[0] for rest in said("FROM")] == ["${BASE}"] * 2


def test_the_image_runs_as_a_number_from_a_list_and_keeps_its_data_apart() -> None:
    assert said("USER") == ["65532:65532"]
    assert [json.loads(*said(name)) for name in ("ENTRYPOINT", "CMD")] == [["monitor"], ["run"]]
    assert said("VOLUME") == ["/data"]
    assert said("STOPSIGNAL") == ["SIGTERM"]
    last = [name for name, _ in instructions()][::-1]
    assert "RUN" not in last[: last.index("USER")], "what follows USER cannot be run at build time"


def test_the_health_check_is_a_module_of_ours_without_a_shell() -> None:
    (check,) = said("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command == ["python3", "-I", "-m", "monitor.healthcheck"]
    assert SERVICES["monitor"]["healthcheck"]["test"] == ["CMD", *command]


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    sources = [
        source
        for rest in said("COPY")
        if not rest.startswith("--from=")
        for source in rest.split()[:-1]
    ]
    assert "requirements.lock" in sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not ignored(source), source
    assert not ignored("monitor/config/presets.yaml")


@pytest.mark.parametrize(
    "path", [".git/config", "tests/conftest.py", ".env", "data/ledger.db", "monitor/__pycache__/x"]
)
def test_what_is_no_part_of_the_product_never_reaches_the_builder(path: str) -> None:
    assert ignored(path)


def test_every_library_of_the_image_is_pinned_by_hash() -> None:
    for command in said("RUN"):
        for step in command.split("&&"):
            if "pip install" in step:
                assert "--require-hashes -r requirements.lock" in step or "--no-deps ." in step


def test_one_version_is_told_everywhere() -> None:
    assert f"VERSION={__version__}" in said("ARG")
    assert {SERVICES[name]["image"] for name in ("monitor", "demo")} == {
        f"aichat-monitor:{__version__}"
    }


async def test_the_revision_of_the_image_is_a_label_of_build_info() -> None:
    async with running("demo", MONITOR_REVISION="0123abc") as (_, url):
        await until(f"{url}/metrics", lambda text: 'revision="0123abc"' in text)


# The health check


async def health(port: int, **env: str) -> int:
    return await asyncio.to_thread(healthcheck.main, {"MONITOR_LISTEN": f"0.0.0.0:{port}", **env})


async def test_the_health_check_believes_a_healthy_service_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serving(always(head() + END)) as port:
        assert await health(port) == 0
    async with serving(always(head(503) + END)) as port:
        assert await health(port) == 1
    assert "status 503" in capsys.readouterr().err
    async with serving(always(b"SSH-2.0\r\n")) as port:
        assert await health(port) == 1
    assert await health(free_port()) == 1
    assert healthcheck.main({"MONITOR_LISTEN": "nowhere"}) == 1


async def test_the_health_check_does_not_wait_for_a_service_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(healthcheck, "PATIENCE", 0.1)
    async with serving(always(b"", hold=True)) as port:
        assert await health(port) == 1


async def test_the_health_check_asks_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    async with serving(always(head() + END)) as port:
        assert await health(port) == 0


def test_an_address_is_told_as_one_where_the_service_listens() -> None:
    assert Address.parse(":1").url == "http://127.0.0.1:1/"
    assert Address.parse("0.0.0.0:1").url == "http://127.0.0.1:1/"
    assert Address.parse("[::]:1").url == "http://[::1]:1/"
    assert Address.parse("monitor.example:1").url == "http://monitor.example:1/"


# The compose file


def test_the_compose_file_follows_the_schema_of_the_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*command, str(ROOT / "compose.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "version" not in COMPOSE


@each_service
def test_every_image_is_pinned_to_a_full_version(name: str) -> None:
    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


@each_service
def test_every_port_is_bound_to_this_machine(name: str) -> None:
    ports = SERVICES[name]["ports"]
    assert ports
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)


def test_no_two_services_want_the_same_port() -> None:
    ports = [port.rpartition(":")[0] for one in SERVICES.values() for port in one["ports"]]
    assert len(ports) == len(set(ports))


@each_service
def test_every_service_is_hardened_restarted_and_asked_for_its_health(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert not {"privileged", "cap_add", "network_mode", "pid", "user"} & set(service)


@each_service
def test_what_is_mounted_exists_and_cannot_be_written(name: str) -> None:
    for source, target, mode in binds(SERVICES[name]):
        assert (ROOT / source).exists(), source
        assert mode == "ro", target


def test_every_volume_is_declared_and_used() -> None:
    used = {
        str(volume).split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not str(volume).startswith(".")
    }
    assert used == set(COMPOSE["volumes"])


def test_keys_come_from_a_file_that_nobody_has_to_have_and_git_ignores() -> None:
    assert SERVICES["monitor"]["env_file"] == [{"path": ".env", "required": False}]
    assert ".env" in (ROOT / ".gitignore").read_text("utf-8").split()
    assert "API_KEY" not in json.dumps(SERVICES)


def test_the_demo_comes_without_the_real_monitor_and_after_the_dashboards() -> None:
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["demo"]
    started, wanted = set(), ["demo"]
    while wanted:
        name = wanted.pop()
        started.add(name)
        wanted += SERVICES[name].get("depends_on", {})
    assert started == {"demo", "grafana", "prometheus", "alertmanager"}
    assert SERVICES["demo"]["depends_on"]["grafana"] == {"condition": "service_healthy"}
    assert "env_file" not in SERVICES["demo"]


# What Prometheus and Grafana are given


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
@pytest.mark.parametrize("name", ["compose.yml", "prometheus.yml"])
def test_prometheus_takes_its_configuration(name: str) -> None:
    command = ["promtool", "check", "config", str(ROOT / "prometheus" / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_prometheus_of_compose_looks_where_its_services_are() -> None:
    (scraped,) = PROMETHEUS["scrape_configs"]
    assert scraped["job_name"] == "aichat"
    (found,) = scraped["dns_sd_configs"]
    assert found["names"] == ["monitor.", "demo."]
    for name in found["names"]:
        (port,) = SERVICES[name.rstrip(".")]["ports"]
        assert port.endswith(f":{found['port']}")
    (alertmanager,) = PROMETHEUS["alerting"]["alertmanagers"]
    (target,) = alertmanager["static_configs"][0]["targets"]
    assert target.partition(":")[0] in SERVICES
    mounted = {target: source for source, target, _ in binds(SERVICES["prometheus"])}
    assert mounted == {"/etc/prometheus": "./prometheus"}
    assert "--config.file=/etc/prometheus/compose.yml" in SERVICES["prometheus"]["command"]


def test_both_prometheus_configurations_differ_only_in_where_things_are() -> None:
    other = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text("utf-8"))
    for same in ("global", "rule_files"):
        assert PROMETHEUS.get(same) == other.get(same)
    assert [one["job_name"] for one in other["scrape_configs"]] == ["aichat"]


def test_grafana_finds_its_data_source_and_dashboards() -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources/prometheus.yaml").read_text("utf-8"))[
        "datasources"
    ]
    assert (source["uid"], source["type"]) == ("prometheus", "prometheus")
    host, port = source["url"].removeprefix("http://").split(":")
    assert SERVICES[host]["ports"] == [f"127.0.0.1:{port}:{port}"]
    every = PROMETHEUS["global"]["scrape_interval"]
    assert source["jsonData"] == {"timeInterval": every, "httpMethod": "POST"}

    (provider,) = yaml.safe_load((PROVISIONING / "dashboards/aichat.yaml").read_text("utf-8"))[
        "providers"
    ]
    assert (provider["disableDeletion"], provider["allowUiUpdates"]) == (True, False)
    mounted = {target: source for source, target, _ in binds(SERVICES["grafana"])}
    assert mounted["/etc/grafana/provisioning"] == "./grafana/provisioning"
    folder = provider["options"]["path"]
    assert mounted[folder] == "./grafana/dashboards"

    env = SERVICES["grafana"]["environment"]
    home = env["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].removeprefix(f"{folder}/")
    seen = json.loads((ROOT / "grafana/dashboards" / home).read_text("utf-8"))
    assert seen["uid"] == "aichat-outages"


def test_dashboards_ask_the_data_source_that_is_provisioned() -> None:
    for path in (ROOT / "grafana/dashboards").glob("*.json"):
        board = json.loads(path.read_text("utf-8"))
        asked = {v["query"] for v in board["templating"]["list"] if v["type"] == "datasource"}
        assert asked == {"prometheus"}, path
        uids = set(re.findall(r'"uid": ?"([^"]*)"', path.read_text("utf-8")))
        assert uids <= {"${datasource}", "-- Grafana --", "grafana", "prometheus", board["uid"]}


def test_grafana_lets_everybody_look_nobody_in_and_calls_nobody() -> None:
    env = SERVICES["grafana"]["environment"]
    assert env["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert env["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert env["GF_AUTH_BASIC_ENABLED"] == "false"
    for off in ("REPORTING_ENABLED", "CHECK_FOR_UPDATES", "CHECK_FOR_PLUGIN_UPDATES"):
        assert env[f"GF_ANALYTICS_{off}"] == "false"
    assert all(isinstance(value, str) for value in env.values())


# The test of the image


def test_the_image_test_says_why_it_skips(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert image.main() == 0
    assert capsys.readouterr().out == (
        "image-test skipped: debootstrap, buildah, podman, runc not installed\n"
    )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert image.main() == 0
    assert "needs root" in capsys.readouterr().out
