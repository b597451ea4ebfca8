"""Measuring processes: CPU time, memory, medians, and who runs on which core."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
OURS, OTHERS = 0, 1
"""The core of what is measured, and the core of everything that it talks to."""


def pin(core: int, pid: int = 0) -> None:
    """Keep a process (0: this one) on one core, where the machine has another one beside it."""
    if len(os.sched_getaffinity(0)) > 1 or (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {core})


def cpu_of(pid: int) -> float:
    """User and system seconds that the process `pid` has used, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss_of(pid: int | str = "self", what: str = "VmRSS") -> int:
    """Bytes of memory of a process; `what` may be `VmHWM` for the most it ever had."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    line = next(line for line in status.splitlines() if line.startswith(f"{what}:"))
    return int(line.split()[1]) * 1024


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all are not above."""
    ranked = sorted(values)
    return ranked[max(0, -(-int(share * 1e6) * len(ranked) // 1_000_000) - 1)]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def machine() -> str:
    """What ran this, in one line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if line.startswith("model name")
        ),
        "unknown processor",
    )
    uname = os.uname()
    return f"{os.cpu_count()} × {model}, {uname.sysname} {uname.release.partition('-')[0]}"
