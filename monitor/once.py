"""`monitor once`: every check probed one time, now, with progress and a table or JSON."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TextIO

from monitor.dialects.signals import Request
from monitor.judge.company import excused
from monitor.model import (
    NETWORK_REASONS,
    Attempt,
    Check,
    Config,
    Tokens,
    Verdict,
)
from monitor.probe.client import Client
from monitor.probe.exchange import Exchange
from monitor.probe.network import Guard
from monitor.probe.poll import PollClock
from monitor.run.rounds import attempt
from monitor.trace import Tape

SPREAD = 1.0
"""Seconds over which the starts are spread at most; colliding starts would distort the times."""
START_GAP = 0.05

COLUMNS = ("name", "verdict", "reason", "first token", "total", "tokens", "cost")


class Tapes(dict[str, list[Tape]]):
    """Recordings of the exchanges of every check, by its name."""

    def record(self, check: Check, request: Request, seen: Exchange) -> None:
        self.setdefault(check.name, []).append(Tape(request, seen))


async def probe_all(
    config: Config,
    checks: Sequence[Check],
    poll: PollClock,
    progress: TextIO,
    tapes: Tapes | None = None,
) -> list[Attempt]:
    """One attempt at each of `checks`, all at the same time, in the order given.

    `tapes`, if given, gets a recording of every exchange.
    """
    done = 0
    rng = random.Random()
    async with Client(poll, tapes.record if tapes is not None else None) as client:
        guard = Guard(client, config.guard_targets)

        async def one(rank: int, check: Check) -> Attempt:
            nonlocal done
            await asyncio.sleep(rank * min(START_GAP, SPREAD / len(checks)))
            seen = await attempt(client, check, rng)
            if seen.verdict is Verdict.FAILED and seen.reason in NETWORK_REASONS:
                ours = await guard.to_blame(check, seen.reason, ever_ok=False)
                seen = excused(seen) if ours else seen
            done += 1
            print(f"[{done}/{len(checks)}] {_brief(seen)}", file=progress, flush=True)
            return seen

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(rank, check)) for rank, check in enumerate(checks)]
    return [task.result() for task in tasks]


def as_json(check: Check, seen: Attempt) -> dict[str, Any]:
    """One entry of `once --json`; absent values are null."""
    return {
        "name": check.name,
        "provider": check.provider,
        "model": check.model or None,
        "verdict": seen.verdict.value,
        "reason": seen.reason.value if seen.reason else None,
        "detail": seen.detail,
        "status": seen.status,
        "first_token_seconds": seen.phases.first_token,
        "first_answer_token_seconds": seen.phases.first_answer,
        "total_seconds": seen.seconds,
        "tokens": asdict(seen.tokens or Tokens()),
        "cost_usd": seen.cost_usd,
    }


def table(attempts: Sequence[Attempt], *, colour: bool) -> str:
    """The result for people: aligned columns, then a line for each check that was not ok."""
    rows = [COLUMNS, *(_row(seen) for seen in attempts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = [_line(row, widths) for row in rows]
    if colour:
        lines[0] = f"\033[1m{lines[0]}\033[0m"
        lines[1:] = [_painted(line, seen) for line, seen in zip(lines[1:], attempts, strict=True)]
    bad = [seen for seen in attempts if seen.verdict is not Verdict.OK]
    notes = [f"{seen.check}: {seen.detail}" for seen in bad if seen.detail]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def wants_colour(stream: TextIO, no_color: str | None) -> bool:
    return stream.isatty() and not no_color


def exit_code(attempts: Sequence[Attempt]) -> int:
    return 0 if all(seen.verdict is Verdict.OK for seen in attempts) else 1


def _row(seen: Attempt) -> tuple[str, ...]:
    tokens = seen.tokens or Tokens()
    used = "" if tokens.input is None else f"{tokens.input}+{tokens.output or 0}"
    return (
        seen.check,
        seen.verdict.value,
        seen.reason.value if seen.reason else "",
        _seconds(seen.phases.first_token),
        _seconds(seen.seconds),
        used,
        "" if seen.cost_usd is None else f"${seen.cost_usd:.7f}",
    )


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f} s"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if column < 3 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


_PAINT = {Verdict.OK: "32", Verdict.FAILED: "31", Verdict.VOID: "2"}


def _painted(line: str, seen: Attempt) -> str:
    return f"\033[{_PAINT.get(seen.verdict, '33')}m{line}\033[0m"


def _brief(seen: Attempt) -> str:
    reason = f" ({seen.reason})" if seen.reason else ""
    return f"{seen.check}: {seen.verdict}{reason} after {seen.seconds:.2f} s"
