"""Writes `dashboards/*.json`; run it after a change, a test keeps both equal.

Classic dashboard JSON for Grafana 10 and newer: one datasource variable, `job` and `instance`
variables, no value that a provider chose.  Absence is painted as "No data", never as green.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
PICK = 'job=~"$job",instance=~"$instance",check=~"$check"'

#: Timeline code, text and Okabe-Ito colour of each state; the text is what nobody can mistake.
STATES = {
    6: ("down", "#D55E00"),
    5: ("degraded", "#E69F00"),
    4: ("limited", "#CC79A7"),
    3: ("up", "#009E73"),
    2: ("unknown", "#999999"),
    1: ("maintenance", "#0072B2"),
    0: ("No data", "#4D4D4D"),
}
MAPPINGS = [
    {
        "type": "value",
        "options": {
            str(code): {"text": text, "color": colour, "index": index}
            for index, (code, (text, colour)) in enumerate(STATES.items())
        },
    }
]

CODE = " or ".join(
    f'(aichat_check_state{{{PICK},state="{text}"}} == 1) * {code}'
    for code, (text, _) in STATES.items()
    if code
)
#: The state as a code; a check that was there in the range and is not now is 0, a grey "No data".
STATE = (
    f"max by (check, provider) ({CODE}) or "
    f"0 * group by (check, provider) (last_over_time(aichat_check_state{{{PICK}}}[$__range]))"
)
UPTIME = (
    f'sum by (check) (increase(aichat_check_state_seconds_total{{{PICK},state=~"up|degraded"}}[$__range]))'
    " / "
    f'(sum by (check) (increase(aichat_check_state_seconds_total{{{PICK},state=~"up|degraded|down"}}[$__range])) > 0)'
)
COVERAGE = (
    "clamp_max(sum by (check) (increase("
    f'aichat_check_state_seconds_total{{{PICK},state!="unknown"}}[$__range])) / $__range_s, 1)'
)


def target(expr: str, legend: str, *, instant: bool = False, ref: str = "A") -> dict[str, Any]:
    return {
        "refId": ref,
        "datasource": SOURCE,
        "expr": expr,
        "legendFormat": legend,
        "instant": instant,
        "range": not instant,
        "format": "table" if instant else "time_series",
    }


def panel(
    title: str, kind: str, about: str, at: tuple[int, int, int, int], targets: list[dict[str, Any]],
    *, unit: str = "none", options: dict[str, Any] | None = None, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    x, y, width, height = at
    custom = more.pop("custom", {})
    defaults = {"unit": unit, "custom": custom, "noValue": "No data", **more.pop("defaults", {})}
    return {
        "title": title,
        "type": kind,
        "description": about,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": height},
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
        "options": options or {},
        **more,
    }


def named(name: str, **properties: Any) -> dict[str, Any]:
    """An override of one column."""
    values = [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": values}


def outages() -> dict[str, Any]:
    end = f"aichat_outage_end_timestamp_seconds{{{PICK}}}"
    start = f"aichat_outage_start_timestamp_seconds{{{PICK}}}"
    panels = [
        panel(
            "State", "state-timeline",
            "What is claimed about each check. Grey means that nothing is known; it is never green.",
            (0, 0, 24, 9), [target(STATE, "{{provider}} / {{check}}")],
            defaults={"mappings": MAPPINGS, "color": {"mode": "fixed"}},
            custom={"fillOpacity": 85, "lineWidth": 0, "spanNulls": False},
            options={"mergeValues": True, "showValue": "auto", "rowHeight": 0.85,
                     "legend": {"showLegend": False}, "tooltip": {"mode": "single"}},
        ),
        panel(
            "Outages", "table",
            "Every outage that the monitor remembers: start, end, reason. An end of 1970 is open.",
            (0, 9, 14, 9),
            [target(f"max by (check, provider, outage, reason) ({start}) * 1000", "", instant=True),
             target(f"max by (check, provider, outage, reason) ({end}) * 1000", "", instant=True, ref="B")],
            transformations=[
                {"id": "merge", "options": {}},
                {"id": "organize", "options": {
                    "excludeByName": {"Time": True, "outage": True},
                    "indexByName": {"Value #A": 0, "Value #B": 1, "check": 2, "provider": 3, "reason": 4},
                    "renameByName": {"Value #A": "start", "Value #B": "end"}}},
                {"id": "sortBy", "options": {"sort": [{"field": "start", "desc": True}]}},
            ],
            overrides=[
                named("start", unit="dateTimeAsIso"),
                named("end", unit="dateTimeAsIso", mappings=[
                    {"type": "value", "options": {"0": {"text": "ongoing", "color": "#D55E00"}}}],
                    custom__cellOptions={"type": "color-text"}),
            ],
        ),
        panel(
            "Uptime in range", "bargauge",
            "Time up or degraded over time known. Time that is unknown is in neither; see coverage.",
            (14, 9, 5, 9), [{**target(UPTIME, "{{check}}", instant=True), "format": "time_series"}],
            unit="percentunit",
            defaults={"min": 0, "max": 1, "decimals": 2, "color": {"mode": "fixed", "fixedColor": "#009E73"}},
            options={"orientation": "horizontal", "displayMode": "basic", "reduceOptions": {"calcs": ["lastNotNull"]}},
        ),
        panel(
            "Coverage", "bargauge",
            "How much of the range is known at all; read every uptime with it.",
            (19, 9, 5, 9), [{**target(COVERAGE, "{{check}}", instant=True), "format": "time_series"}],
            unit="percentunit",
            defaults={"min": 0, "max": 1, "decimals": 1, "color": {"mode": "fixed", "fixedColor": "#0072B2"}},
            options={"orientation": "horizontal", "displayMode": "basic", "reduceOptions": {"calcs": ["lastNotNull"]}},
        ),
        panel(
            "Time to first token, 95th percentile", "timeseries",
            "From the request written to the first output, of good answers.",
            (0, 18, 12, 8),
            [target(
                "histogram_quantile(0.95, sum by (le, check) (rate("
                f"aichat_time_to_first_token_seconds_bucket{{{PICK}}}[$__rate_interval])))", "{{check}}")],
            unit="s",
        ),
        panel(
            "Bad rounds by reason", "timeseries",
            "Every round that was not ok, once, under its last reason.",
            (12, 18, 12, 8),
            [target(
                f"sum by (reason) (increase(aichat_probe_failures_total{{{PICK}}}[$__rate_interval])) > 0",
                "{{reason}}")],
            custom={"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal"}},
        ),
    ]  # fmt: skip
    return dashboard("aichat-outages", "AI chat - Outages", panels)


def variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name, "label": label, "type": "query", "datasource": SOURCE,
        "query": {"query": query, "refId": "V"}, "definition": query, "refresh": 2, "sort": 1,
        "multi": True, "includeAll": True, "allValue": ".+",
        "current": {"text": "All", "value": "$__all"},
    }  # fmt: skip


def dashboard(uid: str, title: str, panels: list[dict[str, Any]]) -> dict[str, Any]:
    for number, one in enumerate(panels, 1):
        one["id"] = number
    family = 'aichat_check_state{job=~"$job",instance=~"$instance"}'
    return {
        "id": None, "uid": uid, "title": title, "tags": ["aichat"], "schemaVersion": 39,
        "editable": False, "graphTooltip": 1, "refresh": "1m", "timezone": "browser",
        "time": {"from": "now-24h", "to": "now"}, "panels": panels,
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
            variable("job", "Job", "label_values(aichat_check_state, job)"),
            variable("instance", "Instance", 'label_values(aichat_check_state{job=~"$job"}, instance)'),
            variable("check", "Check", f"label_values({family}, check)"),
        ]},
    }  # fmt: skip


def written() -> dict[str, str]:
    """File name to content."""
    return {"outages.json": json.dumps(outages(), indent=2) + "\n"}


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for name, text in written().items():
        (OUT / name).write_text(text, encoding="utf-8")
