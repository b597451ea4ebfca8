"""The dashboard file is what its script writes, and asks only for metrics that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

from grafana import build

ROOT = Path(__file__).parent.parent


def test_the_files_are_what_the_script_writes() -> None:
    for name, text in build.written().items():
        seen = (ROOT / "grafana" / "dashboards" / name).read_text("utf-8")
        assert seen == text, f"run python3 -m grafana.build: {name} is stale"


def test_every_metric_asked_for_is_documented() -> None:
    known = set(re.findall(r"aichat_[a-z_]+", (ROOT / "docs" / "metrics.md").read_text("utf-8")))
    for text in build.written().values():
        for metric in set(re.findall(r"aichat_[a-z_]+", text)) - {"aichat_"}:
            base = re.sub(r"_(bucket|sum|count)$", "", metric)
            assert metric in known or base in known, metric


def test_every_panel_says_what_it_shows_and_overlaps_none() -> None:
    for text in build.written().values():
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(text)["panels"]:
            assert panel["title"] and panel["description"].endswith(".")
            grid = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(grid["x"], grid["x"] + grid["w"])
                for y in range(grid["y"], grid["y"] + grid["h"])
            }
            assert not cells & taken
            assert max(x for x, _ in cells) < 24
            taken |= cells
