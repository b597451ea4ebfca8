"""A long history made the product's own way: attempts into the judge, its changes into the ledger.

Where nothing changes nothing is asked, so that ninety days of fifty checks take seconds.  Outages
are random but for one of exactly two minutes, so that it is known what has to be seen.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from monitor.judge import state
from monitor.judge.track import Track, begin
from monitor.ledger.batch import Queue
from monitor.ledger.writer import Writer
from monitor.model import Check, Moment, Reason
from tests.ledgers import attempt_of
from tests.making import chat_check

DAY = 86_400.0
PROVIDERS = ("anthropic", "deepseek", "groq", "mistral", "openai", "own", "xai")
REASONS = (Reason.OVERLOADED, Reason.SERVER_ERROR, Reason.FIRST_TOKEN_TIMEOUT, Reason.CONNECT)
RECHECK = 15.0
TROUBLES = {"D": 0.75, "S": 0.15, "L": 0.10}
"""How many of the troubles are outages, slow spells, refusals of our account."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One check answers with `letter` (see tests.ledgers) from `start` to `end`, Unix seconds."""

    letter: str
    start: float
    end: float
    reason: Reason | None = None


@dataclass
class Truth:
    """What happened, by name of check."""

    start: float
    end: float
    short: str
    """The check that has the outage of two minutes, as its only one on those two days."""
    short_start: float
    troubles: dict[str, list[Trouble]] = field(default_factory=dict)

    @property
    def short_end(self) -> float:
        return self.short_start + 120.0

    def outages(self, check: str) -> list[Trouble]:
        return [one for one in self.troubles[check] if one.letter == "D"]


def drawn(end: float, checks: int, days: int, seed: int) -> Truth:
    """Some thirty troubles a check, of two minutes to a few hours, none within minutes of another."""
    rng = random.Random(seed)
    start = end - days * DAY
    middle = start + days * DAY / 2 + 7_777.0
    truth = Truth(start, end, "chat-07", middle)
    for number in range(checks):
        name = f"chat-{number:02d}"
        own: list[Trouble] = []
        at = start + rng.expovariate(1 / (2 * DAY))
        while at < end - DAY / 4:
            letter = rng.choices([*TROUBLES], [*TROUBLES.values()])[0]
            length = min(max(120.0, rng.lognormvariate(6.3, 1.1)), 6 * 3600.0)
            own.append(
                Trouble(letter, at, at + length, rng.choice(REASONS) if letter == "D" else None)
            )
            at += length + 1_200.0 + rng.expovariate(1 / (2.5 * DAY))
        if name == truth.short:
            own = [one for one in own if one.end < middle - DAY or one.start > middle + DAY]
            own.append(Trouble("D", middle, middle + 120.0, Reason.OVERLOADED))
            own.sort(key=lambda one: one.start)
        truth.troubles[name] = own
    return truth


def checks_of(truth: Truth) -> dict[str, Check]:
    return {
        name: chat_check(
            name=name, provider=PROVIDERS[number % len(PROVIDERS)], model=f"model-{number % 9}"
        )
        for number, name in enumerate(truth.troubles)
    }


def write(path: Path, truth: Truth) -> None:
    """The ledger of a monitor that lived through `truth` without a restart."""
    queue = Queue()
    began = Moment(truth.start, 0.0)
    writer = Writer(path, queue, 30 * DAY, began.wall)
    checks = checks_of(truth)
    tracks = {name: begin(began) for name in checks}
    attempts = sorted(
        (at, name, letter, reason)
        for name, troubles in truth.troubles.items()
        for at, letter, reason in asked(truth, troubles)
    )
    now = began
    for _, group in groupby(attempts, key=lambda one: int((one[0] - truth.start) / DAY)):
        for at, name, letter, reason in group:
            now = began.plus(at - truth.start)
            tracks[name] = _attempted(queue, checks[name], tracks[name], now, letter, reason)
        writer.turn(now)
    writer.close(now.plus(1.0))


def asked(truth: Truth, troubles: list[Trouble]) -> Iterator[tuple[float, str, Reason | None]]:
    """The attempts that matter: the first of a trouble and its rechecks, its end, the last of all."""
    yield truth.start, "U", None
    for one in troubles:
        for number in range(3):
            yield one.start + number * RECHECK, one.letter, one.reason
        for number in range(2):
            yield one.end + number * RECHECK, "U", None
    yield truth.end - 2.0, "U", None


def _attempted(
    queue: Queue, check: Check, track: Track, now: Moment, letter: str, reason: Reason | None
) -> Track:
    track = state.attempt_begins(track, now)
    seen = attempt_of(check, letter, now)
    seen = replace(seen, reason=reason) if reason else seen
    track, change = state.attempt_ends(track, check, seen, first=True)
    queue.track(check, track, change)
    return track
