"""The rows of the ledger as frozen records.  Pure; moments are Unix seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from monitor.model import REASONS, Check, Fault, Probe, Reason, State, Verdict

N = TypeVar("N", int, float)

Labels = tuple[str, str, str]
"""`check, provider, model`: what history belongs to, as in the labels of every metric."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the timeline.  `confirmed` is None where no attempt confirmed its state:
    at the very beginning, and where nobody looked."""

    check: str
    provider: str
    model: str
    state: State
    started: float
    ended: float
    confirmed: float | None = None
    reason: Reason | None = None
    detail: str | None = None

    @property
    def labels(self) -> Labels:
        return (self.check, self.provider, self.model)


@dataclass(frozen=True, slots=True)
class Day:
    """One UTC day of one check; `bad` rounds are those that were the provider's fault."""

    check: str
    provider: str
    model: str
    day: str
    """`YYYY-MM-DD`."""
    seconds: Mapping[State, float] = field(default_factory=dict)
    """Of the timeline; the states that were not seen are not in it."""
    probes: int = 0
    bad: int = 0
    cost_usd: float | None = None
    """None where no price was known."""


@dataclass(frozen=True, slots=True)
class Result:
    """One round: verdict and times of its last attempt, tokens and money of all of them."""

    check: str
    provider: str
    model: str
    started: float
    verdict: Verdict
    reason: Reason | None
    attempts: int
    first_token: float | None
    total: float
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None

    @property
    def labels(self) -> Labels:
        return (self.check, self.provider, self.model)

    @property
    def bad(self) -> bool:
        return self.reason is not None and REASONS[self.reason][0] is Fault.PROVIDER


def result_of(check: Check, probe: Probe) -> Result:
    last, attempts = probe.last, probe.attempts
    used = [attempt.tokens for attempt in attempts if attempt.tokens]
    return Result(
        *check.labels3,
        started=attempts[0].started.wall,
        verdict=last.verdict,
        reason=last.reason,
        attempts=len(attempts),
        first_token=last.phases.first_token,
        total=last.seconds,
        input_tokens=total(tokens.input for tokens in used),
        output_tokens=total(tokens.output for tokens in used),
        cost_usd=total(attempt.cost_usd for attempt in attempts),
    )


def total(figures: Iterable[N | None]) -> N | None:
    """The sum of those that are known; None where none is."""
    known = [figure for figure in figures if figure is not None]
    return sum(known[1:], known[0]) if known else None


def utc_day(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).date().isoformat()
