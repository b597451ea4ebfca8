"""Counters and histograms of what happened to one check: plain numbers, and what they count.

Which times count: the latency histograms take the last attempt of a round, and only where it was
answered.  A failed attempt has no latency worth the name, and one of ours that is void even less.
Tokens and cost count for every attempt of the round: they were all billed.
"""

from __future__ import annotations

from typing import NamedTuple

from monitor.model import (
    Attempt,
    Change,
    Check,
    Mode,
    Outage,
    Phases,
    Probe,
    Reason,
    Tokens,
    Verdict,
)
from monitor.show import catalogue
from monitor.show.catalogue import Spec

ANSWERED = frozenset({Verdict.OK, Verdict.SLOW, Verdict.WRONG})


class Exemplar(NamedTuple):
    """The last probe that fell into a bucket: its id, what was observed, and when (Unix time)."""

    probe_id: str
    value: float
    at: float


class Histogram:
    """How many observations fell into each bucket, and their sum."""

    __slots__ = ("bounds", "counts", "exemplars", "sum")

    def __init__(self, spec: Spec) -> None:
        self.bounds = spec.buckets
        self.counts = [0] * (len(spec.buckets) + 1)
        """By bucket, not cumulative; the last one is for all above the largest bound."""
        self.sum = 0.0
        self.exemplars: dict[int, Exemplar] = {}
        """By place of the bucket."""

    def observe(self, value: float, probe_id: str | None = None, at: float = 0.0) -> None:
        """Count `value`; with `probe_id`, as the probe to look at for its bucket."""
        place = 0
        for bound in self.bounds:
            if value <= bound:
                break
            place += 1
        self.counts[place] += 1
        self.sum += value
        if probe_id is not None:
            self.exemplars[place] = Exemplar(probe_id, value, at)


class Cells:
    """Everything that is counted of one check; all of it is there from the start, at zero."""

    __slots__ = (
        "attempts",
        "chat",
        "cost",
        "detection",
        "duration",
        "failures",
        "outages",
        "probes",
        "recovery",
    )

    def __init__(self, check: Check) -> None:
        self.probes = self.attempts = self.outages = 0
        self.failures: dict[Reason, int] = {}
        """Of the reasons that occurred."""
        self.cost = 0.0 if check.price else None
        """US dollars; None while no price is known."""
        self.duration = Histogram(catalogue.DURATION)
        self.recovery = Histogram(catalogue.RECOVERY_TIME)
        self.detection = Histogram(catalogue.DETECTION_TIME)
        self.chat = ChatCells() if check.mode is Mode.CHAT else None

    def take_probe(self, probe: Probe) -> None:
        """Count one finished round."""
        last = probe.last
        self.probes += 1
        self.attempts += len(probe.attempts)
        if last.verdict is not Verdict.OK:
            reason = last.reason or Reason.INTERNAL
            self.failures[reason] = self.failures.get(reason, 0) + 1
        for attempt in probe.attempts:
            self._take_bill(attempt)
        if last.verdict in ANSWERED:
            self.duration.observe(last.seconds, probe.id, last.ended.wall)
            if self.chat:
                self.chat.take_times(last, probe.id)

    def take_change(self, change: Change) -> None:
        """Count the outage that a change opened or closed."""
        outage = change.outage
        if outage is None:
            return
        if outage.ended is None:
            self.outages += 1
            self.detection.observe(_detection(outage))
        else:
            self.recovery.observe(max(0.0, outage.seconds(outage.ended)))

    def _take_bill(self, attempt: Attempt) -> None:
        if attempt.tokens and self.chat:
            self.chat.take_tokens(attempt.tokens)
        if attempt.cost_usd is not None:
            self.cost = (self.cost or 0.0) + attempt.cost_usd


class ChatCells:
    """What only a chat has: tokens and their clocks."""

    __slots__ = ("first_answer", "first_token", "per_token", "stall", "tokens")

    def __init__(self) -> None:
        self.first_token = Histogram(catalogue.FIRST_TOKEN)
        self.first_answer = Histogram(catalogue.FIRST_ANSWER)
        self.per_token = Histogram(catalogue.PER_OUTPUT_TOKEN)
        self.stall = Histogram(catalogue.STALL_TIME)
        self.tokens = dict.fromkeys(catalogue.DIRECTIONS, 0)

    def take_times(self, attempt: Attempt, probe_id: str) -> None:
        """Count the clocks of an answer; one that may be wrong is left out, never booked."""
        phases, at, doubtful = attempt.phases, attempt.ended.wall, attempt.phases.doubtful
        if phases.first_token is not None and "first_token" not in doubtful:
            self.first_token.observe(phases.first_token, probe_id, at)
        if phases.first_answer is not None and "first_answer" not in doubtful:
            self.first_answer.observe(phases.first_answer, probe_id, at)
        if phases.stall is not None and "stall" not in doubtful:
            self.stall.observe(phases.stall)
        each = time_per_token(phases, attempt.tokens)
        if each is not None and "stream" not in doubtful:
            self.per_token.observe(each)

    def take_tokens(self, tokens: Tokens) -> None:
        for direction in self.tokens:
            self.tokens[direction] += getattr(tokens, direction) or 0


def time_per_token(phases: Phases, tokens: Tokens | None) -> float | None:
    """Seconds per output token after the first; None where the stream cannot tell."""
    output = tokens.output if tokens else None
    # A whole answer in one piece has no stream to measure: zero would be a lie.
    if output is None or output < 2 or not phases.stream:
        return None
    return phases.stream / (output - 1)


def _detection(outage: Outage) -> float:
    return max(0.0, outage.confirmed.mono - outage.started.mono)
