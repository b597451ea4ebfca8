"""The shipped Prometheus configuration, rules and dashboards; nothing is altered but the pace."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.grafana import Dashboard, read

ROOT = Path(__file__).parent.parent.parent
CONFIG = ROOT / "prometheus" / "prometheus.yml"
RULES = sorted((ROOT / "prometheus" / "rules").glob("*.yml"))
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))

PACE = {"interval", "for", "keep_firing_for"}
"""What a group or a rule says about time."""


def dashboards() -> list[Dashboard]:
    return [read(path) for path in DASHBOARDS]


def hastened(folder: Path, target: str, interval: str) -> Path:
    """Configuration and rules in `folder`: they ask `target`, and every `interval`."""
    config = yaml.safe_load(CONFIG.read_text("utf-8"))
    there = folder / "prometheus" / "rules"
    there.mkdir(parents=True)
    for path in RULES:
        rules = _quickened(yaml.safe_load(path.read_text("utf-8")), interval)
        (there / path.name).write_text(yaml.safe_dump(rules), encoding="utf-8")
    config["global"].update(scrape_interval=interval, evaluation_interval=interval)
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    made = folder / "prometheus" / "prometheus.yml"
    made.write_text(yaml.safe_dump(config), encoding="utf-8")
    return made


def backfilled(folder: Path) -> Path:
    """Dashboards of the past need no scraping and no rules."""
    made = folder / "prometheus.yml"
    made.write_text("global: {}\n", encoding="utf-8")
    return made


def _quickened(rules: dict[str, Any], interval: str) -> dict[str, Any]:
    quick = copy.deepcopy(rules)
    for group in quick["groups"]:
        group["interval"] = interval
        for rule in group["rules"]:
            rule.update(dict.fromkeys(PACE & rule.keys(), interval))
    return quick


def unpaced(document: Any) -> Any:
    """`document` without what `hastened` may change."""
    return _without(document, lambda key: key in PACE | {"scrape_interval", "evaluation_interval"})


def untargeted(config: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = unpaced(config)
    for job in plain["scrape_configs"]:
        del job["static_configs"]
    return plain


def _without(document: Any, goes: Callable[[str], bool]) -> Any:
    if isinstance(document, dict):
        return {k: _without(v, goes) for k, v in document.items() if not goes(k)}
    if isinstance(document, list):
        return [_without(one, goes) for one in document]
    return document


def promtool() -> str:
    return shutil.which("promtool") or "promtool"
