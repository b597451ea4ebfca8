"""`monitor once`: every check probed one time, now, with progress and a table or JSON."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence

from monitor import terminal
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
from monitor.terminal import Cell, Column, Look, Progress
from monitor.trace import Tape

SPREAD = 1.0
"""Seconds over which the starts are spread at most; colliding starts would distort the times."""
START_GAP = 0.05

COLUMNS = (
    Column("name", gives=True),
    Column("verdict"),
    Column("reason"),
    Column("first token", right=True, spare=1),
    Column("total", right=True, spare=2),
    Column("tokens", right=True, spare=3),
    Column("cost", right=True, spare=4),
)
_PAINT = {Verdict.OK: terminal.GREEN, Verdict.FAILED: terminal.RED, Verdict.VOID: terminal.DIM}


class Tapes(dict[str, list[Tape]]):
    """Recordings of the exchanges of every check, by its name."""

    def record(self, check: Check, request: Request, seen: Exchange) -> None:
        self.setdefault(check.name, []).append(Tape(request, seen))


async def probe_all(
    config: Config,
    checks: Sequence[Check],
    poll: PollClock,
    progress: Progress,
    tapes: Tapes | None = None,
) -> list[Attempt]:
    """One attempt at each of `checks`, all at the same time, in the order given.

    `tapes`, if given, gets a recording of every exchange.
    """
    waiting = dict.fromkeys(check.name for check in checks)
    rng = random.Random()
    async with Client(poll, tapes.record if tapes is not None else None) as client:
        guard = Guard(client, config.guard_targets)

        async def one(rank: int, check: Check) -> Attempt:
            await asyncio.sleep(rank * min(START_GAP, SPREAD / len(checks)))
            seen = await attempt(client, check, rng)
            if seen.verdict is Verdict.FAILED and seen.reason in NETWORK_REASONS:
                ours = await guard.to_blame(check, seen.reason, ever_ok=False)
                seen = excused(seen) if ours else seen
            del waiting[check.name]
            progress.show(_so_far(len(checks), waiting))
            return seen

        progress.show(_so_far(len(checks), waiting))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(rank, check)) for rank, check in enumerate(checks)]
        finally:
            progress.clear()
    return [task.result() for task in tasks]


def table(attempts: Sequence[Attempt], look: Look) -> str:
    """The result for people: aligned columns, then a line for each check that was not ok."""
    lines = [terminal.table(COLUMNS, [_row(seen) for seen in attempts], look)]
    bad = [seen for seen in attempts if seen.verdict is not Verdict.OK]
    notes = [f"{seen.check}: {terminal.one_line(seen.detail)}" for seen in bad if seen.detail]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def exit_code(attempts: Sequence[Attempt]) -> int:
    return 0 if all(seen.verdict is Verdict.OK for seen in attempts) else 1


def _row(seen: Attempt) -> tuple[Cell, ...]:
    tokens = seen.tokens or Tokens()
    used = "" if tokens.input is None else f"{tokens.input}+{tokens.output or 0}"
    return (
        Cell(seen.check),
        Cell(seen.verdict.value, _PAINT.get(seen.verdict, terminal.YELLOW)),
        Cell(seen.reason.value if seen.reason else ""),
        Cell(_seconds(seen.phases.first_token)),
        Cell(_seconds(seen.seconds)),
        Cell(used),
        Cell("" if seen.cost_usd is None else f"${seen.cost_usd:.7f}"),
    )


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f} s"


def _so_far(total: int, waiting: Iterable[str]) -> str:
    names = list(waiting)
    return f"{total - len(names)} of {total} probed, waiting for {', '.join(names)}"
