"""The dashboard files are what their script writes, and keep the conventions of good dashboards.

Whether the queries find what they should is proved against a real Prometheus elsewhere; here is
what can be read off the files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grafana import build, panels, queries
from monitor.model import State
from monitor.show import catalogue

ROOT = Path(__file__).parent.parent
DASHBOARDS = {name: json.loads(text) for name, text in build.written().items()}
RECORDED = set(
    re.findall(
        r"record: (\S+)", (ROOT / "prometheus/rules/aichat-recording.yml").read_text("utf-8")
    )
)
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def all_panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Panels and rows, those inside of collapsed rows too."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", ())


PANELS = [
    pytest.param(panel, id=f"{name}:{panel['title']}")
    for name, dashboard in DASHBOARDS.items()
    for panel in all_panels(dashboard)
    if panel["type"] != "row"
]
QUERIES = [
    pytest.param(target["expr"], id=f"{name}:{panel['title']}:{target['refId']}")
    for name, dashboard in DASHBOARDS.items()
    for panel in all_panels(dashboard)
    for target in panel.get("targets", ())
]
every_dashboard = pytest.mark.parametrize("name", DASHBOARDS)
every_panel = pytest.mark.parametrize("panel", PANELS)
every_query = pytest.mark.parametrize("expr", QUERIES)


@every_dashboard
def test_the_file_is_what_the_script_writes(name: str) -> None:
    seen = (ROOT / "grafana" / "dashboards" / name).read_text("utf-8")
    assert seen == build.written()[name], f"run python3 -m grafana.build: {name} is stale"


def test_no_other_file_is_provisioned() -> None:
    assert {path.name for path in (ROOT / "grafana/dashboards").iterdir()} == set(DASHBOARDS)


@every_dashboard
def test_a_dashboard_can_be_provisioned_anywhere(name: str) -> None:
    """No id of one installation, no `__inputs` that only a manual import fills in."""
    dashboard = DASHBOARDS[name]
    assert dashboard["id"] is None
    assert dashboard["uid"].startswith("aichat-")
    assert "__inputs" not in dashboard
    assert not dashboard["editable"]
    assert dashboard["schemaVersion"] == 39


@every_dashboard
def test_every_name_that_a_query_leaves_open_is_a_variable(name: str) -> None:
    dashboard = DASHBOARDS[name]
    known = {found["name"] for found in dashboard["templating"]["list"]}
    assert {"datasource", "job", "instance", "check"} <= known
    asked = json.dumps([dashboard["panels"], dashboard["templating"], dashboard["annotations"]])
    used = set(re.findall(r"\$\{?([a-z]\w*)", asked))
    assert used - {"__"} <= known, used - known


@every_dashboard
def test_job_and_instance_choose_several_or_all(name: str) -> None:
    for found in DASHBOARDS[name]["templating"]["list"]:
        if found["name"] in {"job", "instance"}:
            assert found["multi"]
            assert found["includeAll"]
            assert found["allValue"] == ".+"
            assert found["refresh"] == 2
            assert found["datasource"] == SOURCE


@every_dashboard
def test_outages_and_restarts_are_annotated(name: str) -> None:
    found = DASHBOARDS[name]["annotations"]["list"]
    assert [one["name"] for one in found] == ["Outages", "Restarts"]
    assert all(one["datasource"] == SOURCE for one in found)


@every_dashboard
def test_the_dashboards_lead_to_each_other(name: str) -> None:
    dashboard = DASHBOARDS[name]
    assert dashboard["tags"] == dashboard["links"][0]["tags"] == ["aichat"]
    uids = {found["uid"] for found in DASHBOARDS.values()}
    assert set(re.findall(r"/d/([\w-]+)", json.dumps(dashboard))) <= uids


@every_dashboard
def test_panels_overlap_none_and_fill_the_width(name: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARDS[name]["panels"]:
        for other in ([panel], panel.get("panels", [])):
            for one in other:
                grid = one["gridPos"]
                for x in range(grid["x"], grid["x"] + grid["w"]):
                    for y in range(grid["y"], grid["y"] + grid["h"]):
                        assert (x, y) not in taken, (one["title"], taken.get((x, y)))
                        taken[x, y] = one["title"]
    rows = {y for _, y in taken}
    assert rows == set(range(max(rows) + 1))
    assert {x for x, _ in taken} == set(range(24))
    assert len(taken) == 24 * len(rows)


@every_dashboard
def test_panel_ids_are_unique(name: str) -> None:
    ids = [panel["id"] for panel in all_panels(DASHBOARDS[name])]
    assert len(ids) == len(set(ids))


@every_panel
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["noValue"]
    assert defaults["unit"]
    assert panel["datasource"] == SOURCE


@every_panel
def test_a_time_or_share_has_a_unit(panel: dict[str, Any]) -> None:
    """A bare number is a count, a code with texts, or a table whose columns have units."""
    if panel["fieldConfig"]["defaults"]["unit"] == "none" and panel["type"] != "table":
        texts = panel["fieldConfig"]["defaults"].get("mappings")
        whole = panel["fieldConfig"]["defaults"].get("decimals") == 0
        assert texts or whole or panel["options"].get("textMode") == "name"


@every_panel
def test_queries_of_a_panel_have_names_of_their_own(panel: dict[str, Any]) -> None:
    names = [target["refId"] for target in panel["targets"]]
    assert len(names) == len(set(names)) > 0
    assert all(target["datasource"] == SOURCE for target in panel["targets"])


@every_panel
def test_every_state_has_one_text_and_one_colour_everywhere(panel: dict[str, Any]) -> None:
    """Where a panel maps the codes of states, it is the one mapping; the verdicts have their own."""
    for found in re.findall(r'"mappings": (\[.*?\}\}\])', json.dumps(panel)):
        options = json.loads(found)[0]["options"]
        if "6" in options and "0" in options:
            assert json.loads(found) == panels.mapping(panels.STATES)
        green = {text["text"] for text in options.values() if text["color"] == panels.GREEN}
        assert green <= {"Up", "No", "Loaded", "Answers"}


def test_every_state_has_its_code_text_and_colour() -> None:
    assert set(queries.CODES) == set(State)
    texts = {code: panels.STATES[code][0].lower() for code in queries.CODES.values()}
    assert texts == {code: state for state, code in queries.CODES.items()}
    assert panels.STATES[queries.NO_DATA][0] == "No data"
    colours = [color for _, color in panels.STATES.values()]
    assert len(colours) == len(set(colours))


def test_claims_of_providers_have_all_their_words() -> None:
    assert set(queries.CLAIMS) == set(catalogue.DECLARED)


@every_panel
def test_what_is_claimed_now_is_asked_now(panel: dict[str, Any]) -> None:
    """A stat over a range would show the last green value for hours after the monitor died."""
    if panel["type"] in {"stat", "bargauge", "table"}:
        assert all(target["instant"] and not target["range"] for target in panel["targets"])


@every_query
def test_a_query_keeps_to_the_chosen_monitors(expr: str) -> None:
    for selector in re.findall(r"\b(?:aichat|process|scrape|up)\w*\{([^}]*)\}", expr):
        assert selector.startswith('job=~"$job",instance=~"$instance"'), selector
    # Recorded over many instances: only the job is left to choose by.
    for selector in re.findall(r"\bcheck:aichat_\w+:\w+\{([^}]*)\}", expr):
        assert selector.startswith('job=~"$job"'), selector
    assert not re.search(r"(?<!:)\baichat_(?!build_info)\w+(?![\w{])", expr), (
        "a series without a choice"
    )


def test_the_name_of_one_check_is_no_pattern() -> None:
    """Grafana does not escape a variable with a single value: `gpt-4.1` would match `gpt-4-1`."""
    single = json.dumps(DASHBOARDS["check.json"])
    assert 'check=\\"$check\\"' in single
    assert 'check=~\\"$check' not in single


@every_query
def test_counters_are_asked_for_what_they_gained(expr: str) -> None:
    for found in re.finditer(r"aichat_\w+_(?:total|bucket|sum|count)\{", expr):
        before = expr[: found.start()]
        assert before.endswith(("rate(", "increase(")), expr
    for window in re.findall(r"\brate\([^\[]*\[([^\]]*)\]", expr):
        assert window in {"$__rate_interval", "$__range", "1h"}


@every_query
def test_every_metric_asked_for_exists(expr: str) -> None:
    known = set(re.findall(r"aichat_[a-z_]+", (ROOT / "docs/metrics.md").read_text("utf-8")))
    for recorded in re.findall(r"check:aichat_\w+:\w+", expr):
        assert recorded in RECORDED
    for metric in set(re.findall(r"(?<!:)\baichat_[a-z_]+", expr)):
        assert metric in known or re.sub(r"_(bucket|sum|count)$", "", metric) in known, metric
