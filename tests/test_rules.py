"""Recording rules, alerts, their runbooks and the Alertmanager that comes with them."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from monitor.cli import _parser as parser
from tests.alertmanager import Alertmanager, alertmanager, needs_alertmanager
from tests.prometheus import needs_prometheus
from tests.serving import free_port

ROOT = Path(__file__).parent.parent
HOME = ROOT / "prometheus"
RULES = sorted((HOME / "rules").glob("*.yml"))
UNITS = sorted((HOME / "tests").glob("*.yml"))
PAGES = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
DOCS = [*PAGES, ROOT / "docs" / "alerts.md"]

T = TypeVar("T")

HEADINGS = [
    "## Them, us or the monitor?",
    "## Check first",
    "## Do",
    "## When it is false",
]


@functools.cache
def groups() -> list[dict[str, Any]]:
    return [group for file in RULES for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for group in groups() for rule in group["rules"] if "alert" in rule]


NAMES = sorted({rule["alert"] for rule in alerts()})
each_alert = pytest.mark.parametrize("name", NAMES)
each_unit = pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
each_doc = pytest.mark.parametrize("path", DOCS, ids=lambda path: path.stem)


@functools.cache
def units() -> list[dict[str, Any]]:
    return [one for path in UNITS for one in yaml.safe_load(path.read_text("utf-8"))["tests"]]


def asked(name: str) -> list[dict[str, Any]]:
    """What the unit tests expect of an alert, moment by moment."""
    expected = [one for unit in units() for one in unit.get("alert_rule_test", [])]
    return [one for one in expected if one["alertname"] == name]


def done(*command: object, timeout: float = 60) -> str:
    """Run it; what it printed is the message if it failed."""
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, timeout=timeout)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


# ---------------------------------------------------------------------------- Prometheus' own word


@needs_prometheus
def test_promtool_finds_nothing_wrong_with_the_rules() -> None:
    done("promtool", "check", "rules", "--lint=all", "--lint-fatal", *RULES)


@needs_prometheus
def test_promtool_accepts_the_configuration_and_finds_the_rules_through_it() -> None:
    said = done("promtool", "check", "config", HOME / "prometheus.yml")
    assert f"{len(RULES)} rule files found" in said


@needs_prometheus
@each_unit
@pytest.mark.timeout(300)
def test_the_rules_do_what_their_unit_tests_say(path: Path) -> None:
    done("promtool", "test", "rules", path, timeout=280)


@needs_alertmanager
def test_amtool_accepts_the_alertmanager() -> None:
    done("amtool", "check-config", HOME / "alertmanager.yml")


@needs_alertmanager
def test_amtool_accepts_the_receivers_that_are_commented_out(tmp_path: Path) -> None:
    head, receivers = (HOME / "alertmanager.yml").read_text("utf-8").split("\nreceivers:\n")
    shown = re.sub(r"^    # webhook_configs:\n(    #   .*\n)+", "", receivers, flags=re.M)
    shown = re.sub(r"^    # ", "    ", shown, flags=re.M)
    assert shown.count("_file: /etc/alertmanager/secrets/") == 3
    (tmp_path / "all.yml").write_text(f"{head}\nreceivers:\n{shown}")
    done("amtool", "check-config", tmp_path / "all.yml")


# ------------------------------------------------------------------------------- nothing is missing


@each_alert
def test_each_alert_has_a_runbook_and_a_row(name: str) -> None:
    page = (ROOT / "docs" / "runbooks" / f"{name}.md").read_text("utf-8")
    assert page.startswith(f"# {name}\n")
    assert re.findall(r"^## .*$", page, re.M) == HEADINGS
    table = (ROOT / "docs" / "alerts.md").read_text("utf-8")
    severities = {rule["labels"]["severity"] for rule in alerts() if rule["alert"] == name}
    row = f"| `{name}` | {', '.join(sorted(severities))} | "
    assert table.count(row) == 1, row
    assert f"[page](runbooks/{name}.md) |" in table


def test_each_runbook_belongs_to_an_alert() -> None:
    assert [page.stem for page in PAGES] == NAMES


@each_alert
def test_each_alert_is_seen_to_fire_and_to_keep_silent(name: str) -> None:
    moments = asked(name)
    assert any(one["exp_alerts"] for one in moments)
    if name != "AIChatWatchdog":
        assert any(not one["exp_alerts"] for one in moments)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"AIChatWatchdog", "AIChatMonitorOffline"}))
def test_each_alert_is_seen_where_the_monitor_is_away(name: str) -> None:
    """In a unit test with a hole in the data; but for those that speak of it, or always."""
    holes = [unit for unit in units() if re.search(r"values: .*stale", yaml.dump(unit, width=9999))]
    spoken = [yaml.dump(unit["alert_rule_test"]) for unit in holes if "alert_rule_test" in unit]
    assert any(f"alertname: {name}\n" in one for one in spoken)


def test_alerts_say_who_is_told_what_and_where_to_look() -> None:
    for rule in alerts():
        assert re.fullmatch(r"AIChat([A-Z][a-z]+)+", rule["alert"])
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        told = rule["annotations"]
        assert set(told) == {"summary", "description", "runbook_url", "dashboard_url"}
        assert told["summary"].endswith(".") and "{{" not in told["summary"]
        assert "\n" not in told["description"], "a line indented deeper keeps its line break"
        assert told["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"
        assert told["dashboard_url"].startswith("/d/aichat-")


def test_each_recorded_series_is_documented_and_tested() -> None:
    text = (ROOT / "docs" / "alerts.md").read_text("utf-8")
    tested = "".join(path.read_text("utf-8") for path in UNITS)
    for rule in (rule for group in groups() for rule in group["rules"] if "record" in rule):
        level, metric, operation = rule["record"].split(":")
        whole, window = re.fullmatch(r"(.+?)(\d+[mhd])?", operation).groups()  # type: ignore[union-attr]
        assert f"`{level}:{metric}:{whole}{window or ''}" in text or (
            f"`{level}:{metric}:{whole}" in text and f"{window}`" in text
        ), rule["record"]
        assert rule["record"] in tested, rule["record"]


def test_the_four_windows_of_uptime_and_coverage_ask_the_same() -> None:
    """Unit tests over 90 days would be slow; what holds for a day holds for them by their text."""
    asks: dict[str, set[str]] = {"uptime": set(), "coverage": set()}
    for rule in (rule for group in groups() for rule in group["rules"] if "record" in rule):
        found = re.fullmatch(r"check:aichat_(uptime|coverage):ratio_(\d+)d", rule["record"])
        if found:
            kind, days = found[1], int(found[2])
            text = rule["expr"].replace(f"[{days}d]", "[W]")
            seconds = "86400" if days == 1 else f"({days} * 86400)"
            asks[kind].add(text.replace(f"/ {seconds},", "/ S,"))
    assert {kind: len(texts) for kind, texts in asks.items()} == {"uptime": 1, "coverage": 1}


def test_the_seven_windows_of_downtime_ask_the_same() -> None:
    """Also the shortest, of which less than half is known for two minutes only."""
    asks = {}
    for rule in (rule for group in groups() for rule in group["rules"] if "record" in rule):
        if found := re.fullmatch(r"check:aichat_downtime:ratio_rate(\d+[mhd])", rule["record"]):
            asks[found[1]] = rule["expr"].replace(f"[{found[1]}]", "[W]")
    assert set(asks) == {"5m", "30m", "1h", "2h", "6h", "1d", "3d"}
    assert len(set(asks.values())) == 1


def test_every_metric_asked_for_is_documented() -> None:
    known = set(re.findall(r"aichat_[a-z_]+", (ROOT / "docs" / "metrics.md").read_text("utf-8")))
    recorded = {rule["record"] for group in groups() for rule in group["rules"] if "record" in rule}
    texts = [path.read_text("utf-8") for path in (*RULES, *UNITS, *DOCS)]
    for text in texts:
        for series in re.findall(r"check:aichat_[a-z_]+:[a-z_]+\d+[mhd]", text):
            assert series in recorded, series
        for metric in set(re.findall(r"(?<!:)\baichat_[a-z_]+", text)):
            base = re.sub(r"_(bucket|sum|count)$", "", metric)
            assert metric in known or base in known, metric


# Unit tests that depend on recorded series must name the order of all groups: promtool takes those
# left out first, and what they read is then as old as the step.
def test_unit_tests_that_name_an_order_name_all_groups() -> None:
    for path in UNITS:
        unit = yaml.safe_load(path.read_text("utf-8"))
        order = unit.get("group_eval_order")
        files = [(path.parent / name).resolve() for name in unit["rule_files"]]
        names = [g["name"] for f in files for g in yaml.safe_load(f.read_text("utf-8"))["groups"]]
        assert order is None or order == names, path.name


# --------------------------------------------------------------------------- what the pages tell


def fenced(path: Path, language: str) -> Iterator[str]:
    """Lines of the page's blocks in that language."""
    for block in re.findall(rf"```{language}\n(.*?)```", path.read_text("utf-8"), re.S):
        yield from block.splitlines()


@each_doc
def test_commands_of_the_pages_exist(path: Path) -> None:
    for line in fenced(path, "sh"):
        program, *words = shlex.split(line)
        if program == "monitor":
            parser({}).parse_args(words)


@needs_prometheus
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_queries_of_the_pages_can_be_asked(path: Path, tmp_path: Path) -> None:
    queries = list(fenced(path, "promql"))
    assert queries
    rules = [{"record": f"asked:query:n{n}", "expr": line} for n, line in enumerate(queries)]
    file = tmp_path / "asked.yml"
    file.write_text(yaml.dump({"groups": [{"name": "asked", "rules": rules}]}))
    done("promtool", "check", "rules", file)


@each_doc
def test_links_of_the_pages_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", path.read_text("utf-8")):
        assert (path.parent / link).exists(), link


# ------------------------------------------------------------------------- what Alertmanager mutes


def fired(name: str, **changed: str) -> dict[str, str]:
    """Labels of an alert as the rules give them, which the unit tests hold them to."""
    firing = [one for moment in asked(name) for one in moment["exp_alerts"]]
    labels = {str(key): str(value) for key, value in firing[0]["exp_labels"].items()}
    labels.pop("vantage", None)
    return {"alertname": name, **labels, **changed}


def burn(long_window: str, **changed: str) -> dict[str, str]:
    severity = "critical" if long_window in {"1h", "6h"} else "warning"
    return fired("AIChatErrorBudgetBurn", long_window=long_window, severity=severity, **changed)


#: What fires, what fires beside it, and whether that is muted.
MUTING: list[tuple[dict[str, str], dict[str, str], bool]] = [
    # No monitor: nothing else of the job (and vantage) is told.
    (fired("AIChatMonitorOffline"), fired("AIChatCheckDown"), True),
    (fired("AIChatMonitorOffline"), fired("AIChatProviderDown"), True),
    (fired("AIChatMonitorOffline"), fired("AIChatOwnNetworkDown"), True),
    (fired("AIChatMonitorOffline"), fired("AIChatSpendHigh"), True),
    (fired("AIChatMonitorOffline"), burn("1h"), True),
    (fired("AIChatMonitorOffline", vantage="eu"), fired("AIChatCheckDown", vantage="eu"), True),
    (fired("AIChatMonitorOffline"), fired("AIChatWatchdog"), False),
    # One of several is gone: what the others see is told.
    (fired("AIChatMonitorOffline", scope="one", severity="warning"), fired("AIChatCheckDown"), False),
    (
        fired("AIChatMonitorOffline", vantage="us"),
        fired("AIChatMonitorOffline", scope="one", severity="warning", vantage="eu"),
        False,
    ),
    # A provider: its checks, but not those of others, nor what its status page says.
    (fired("AIChatProviderDown"), fired("AIChatCheckDown"), True),
    (fired("AIChatProviderDown"), fired("AIChatCheckDegraded"), True),
    (fired("AIChatProviderDown"), fired("AIChatSlowFirstToken"), True),
    (fired("AIChatProviderDown"), burn("6h"), True),
    (fired("AIChatProviderDown"), fired("AIChatCheckDown", provider="deepseek"), False),
    (fired("AIChatProviderDown"), fired("AIChatUndeclaredOutage"), False),
    (fired("AIChatCheckDown"), fired("AIChatProviderDown"), False),
    # A check: its own slower words.
    (fired("AIChatCheckDown"), burn("1h"), True),
    (fired("AIChatCheckDown"), fired("AIChatCheckDegraded"), True),
    (fired("AIChatCheckDown"), fired("AIChatCheckDegraded", check="other"), False),
    (fired("AIChatCheckDown"), fired("AIChatCheckDown", check="other"), False),
    (burn("1h"), fired("AIChatCheckDown"), False),
    # Why nothing is known, and that nothing is.
    (fired("AIChatOwnNetworkDown"), fired("AIChatCheckUnknown"), True),
    (fired("AIChatOwnNetworkDown"), fired("AIChatCheckDown"), False),
    (fired("AIChatProbeStale"), fired("AIChatCheckUnknown", check="gpt"), True),
    (fired("AIChatProbeStale"), fired("AIChatCheckUnknown", check="other"), False),
    # The fastest window speaks.
    (burn("1h"), burn("6h"), True),
    (burn("1h"), burn("1d"), True),
    (burn("6h"), burn("3d"), True),
    (burn("1d"), burn("3d"), True),
    (burn("3d"), burn("1d"), False),
    (burn("1d"), burn("6h"), False),
    (burn("6h"), burn("1h"), False),
    (burn("1h"), burn("1d", check="other"), False),
    (burn("1h"), burn("6h", check="other"), False),
    (burn("1d"), burn("3d", check="other"), False),
    (burn("1h"), fired("AIChatModelMismatch"), False),
    # Labels that neither has count as equal: no check, no name in common, no job.
    (fired("AIChatOwnNetworkDown"), fired("AIChatConfigReloadFailed"), False),
    (fired("AIChatMonitorOffline"), fired("AIChatMonitorOffline", scope="one", severity="warning"), False),
    (fired("AIChatMonitorOffline"), fired("AIChatWatchdog", job="aichat"), False),
    # What other people's rules say of the same targets.
    (fired("AIChatMonitorOffline"), {"alertname": "DiskFull", "job": "aichat"}, False),
    (burn("1h"), {**burn("6h"), "alertname": "TheirBudgetBurn"}, False),
    ({**burn("1h"), "alertname": "TheirBudgetBurn"}, burn("6h"), False),
    (burn("1d"), {**burn("3d"), "alertname": "TheirBudgetBurn"}, False),
    ({**burn("1d"), "alertname": "TheirBudgetBurn"}, burn("3d"), False),
]  # fmt: skip

#: Nothing mutes across vantages or jobs, whatever it mutes within one.
MUTING += [
    ({**source, label: "elsewhere"}, {**target, label: "here"}, False)
    for source, target, mutes in MUTING
    for label in ("job", "vantage")
    if mutes
]


@pytest.fixture
def shipped(tmp_path: Path) -> Iterator[Alertmanager]:
    """The shipped Alertmanager; only its webhooks go to a port where nobody is."""
    text = (HOME / "alertmanager.yml").read_text("utf-8")
    config = tmp_path / "alertmanager.yml"
    config.write_text(text.replace("127.0.0.1:9099", f"127.0.0.1:{free_port()}"))
    with alertmanager(tmp_path, config) as server:
        yield server


def until(read: Callable[[], T], wanted: Callable[[T], bool], seconds: float = 20) -> T:
    """Ask until it is as wanted; the last answer if it never is."""
    deadline = time.monotonic() + seconds
    while not wanted(found := read()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@needs_alertmanager
def test_what_follows_from_something_worse_is_muted_and_nothing_else(
    shipped: Alertmanager,
) -> None:
    """All pairs at once; each has jobs of its own, for nothing mutes across jobs."""
    posted = []
    for number, (source, target, _) in enumerate(MUTING):
        posted.append({**source, "job": f"{number}-{source.get('job')}", "role": "source"})
        job = {"job": f"{number}-{target['job']}"} if "job" in target else {}
        posted.append({**target, **job, "case": str(number), "role": "target"})
    shipped.post(posted)

    def muted() -> dict[int, bool]:
        told = [one for one in shipped.alerts() if one["labels"]["role"] == "target"]
        return {int(one["labels"]["case"]): bool(one["status"]["inhibitedBy"]) for one in told}

    wanted = {number: mutes for number, (_, _, mutes) in enumerate(MUTING)}
    seen = until(muted, lambda found: found == wanted)
    wrong = [MUTING[number] for number in wanted if seen.get(number) is not wanted[number]]
    assert not wrong


@needs_alertmanager
def test_one_message_tells_of_all_checks_of_a_provider(shipped: Alertmanager) -> None:
    shipped.post(
        [
            fired("AIChatCheckDown", check="a"),
            fired("AIChatCheckDown", check="b"),
            fired("AIChatCheckDown", check="c", provider="deepseek"),
            fired("AIChatCheckDegraded", check="d"),
            fired("AIChatWatchdog"),
        ]
    )

    def messages() -> dict[tuple[str, str, str], int]:
        return {
            (
                group["receiver"]["name"],
                group["labels"]["alertname"],
                group["labels"].get("provider", ""),
            ): len(group["alerts"])
            for group in shipped.groups()
        }

    wanted = {
        ("on-call", "AIChatCheckDown", "openai"): 2,
        ("on-call", "AIChatCheckDown", "deepseek"): 1,
        ("team", "AIChatCheckDegraded", "openai"): 1,
        ("dead-man", "AIChatWatchdog", ""): 1,
    }
    assert until(messages, lambda found: found == wanted) == wanted
