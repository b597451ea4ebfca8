"""Writes `dashboards/*.json`: `python3 -m grafana.build`, after a change; a test keeps both equal.

Classic dashboard JSON for Grafana 10 to 13.  What is asked stands in `queries`, what a panel looks
like in `panels`, and which panels there are in `outages`, `check` and `compare`.
"""

from __future__ import annotations

import json
from pathlib import Path

from grafana import check, compare, outages

OUT = Path(__file__).parent / "dashboards"
DASHBOARDS = {
    "outages.json": outages.build,
    "check.json": check.build,
    "compare.json": compare.build,
}


def written() -> dict[str, str]:
    """File name to content."""
    return {name: json.dumps(build(), indent=1) + "\n" for name, build in DASHBOARDS.items()}


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for name, text in written().items():
        (OUT / name).write_text(text, encoding="utf-8")
