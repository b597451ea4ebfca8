"""The benchmarks still run, and their tables tell the truth about goals; no time is judged here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.measure import quantile
from benchmarks.table import Row, printed

ROOT = Path(__file__).parent.parent


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_quick_try_prints_rows(name: str) -> None:
    run = [sys.executable, "-m", "benchmarks", name, "--quick"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False, timeout=170)
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(table) > 2
    assert len({line.count("|") for line in table}) == 1


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Row("figure", 5.0, "ms", 5.0), True),
        (Row("figure", 5.1, "ms", 5.0), False),
        (Row("rate", 5.1, "/s", 5.0, more=True), True),
        (Row("rate", 4.9, "/s", 5.0, more=True), False),
        (Row("ratio", 5.0, "ms", 0.5, "peer", 10.0), True),
        (Row("ratio", 5.1, "ms", 0.5, "peer", 10.0), False),
        (Row("paired", 5.0, "ms", 0.5, "peer", 10.0, ratio=0.6), False),
        (Row("no peer", 5.0, "ms", 0.5, "peer"), None),
        (Row("no goal", 5.0, "ms"), None),
    ],
)
def test_a_goal_is_about_the_figure_or_about_the_ratio_to_a_peer(
    row: Row, met: bool | None
) -> None:
    assert row.met is met


def test_a_table_says_what_was_missed_and_what_is_not_at_hand() -> None:
    table = printed([Row("slow", 12_345.6, "ms", 1.0), Row("alone", 1.25, "ms", 0.5, "peer")])
    head, _, slow, alone = table.splitlines()
    assert head.split("|")[1].strip() == "what"
    assert [cell.strip() for cell in slow.split("|")] == [
        *("", "slow", "12,346 ms", "", "", "≤ 1 ms", "MISSED", "")
    ]
    assert "peer not at hand" in alone


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 5), (0.99, 10), (0.9, 9), (0.901, 10), (0.0, 1), (1.0, 10)]
)
def test_a_quantile_is_a_value_that_was_seen(share: float, value: float) -> None:
    assert quantile([*range(10, 0, -1)], share) == value
