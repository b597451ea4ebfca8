"""Counters and histograms of what happened; every probe passes here, so nothing is looked up.

Which times count: the latency histograms take the last attempt of a round, and only where it was
answered.  A failed attempt has no latency worth the name, and one of ours that is void even less.
Tokens and cost count for every attempt of the round: they were all billed.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

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

_COUNTERS = (
    catalogue.PROBES,
    catalogue.ATTEMPTS,
    catalogue.FAILURES,
    catalogue.OUTAGES,
    catalogue.TOKENS,
    catalogue.COST,
)
_HISTOGRAMS = (
    catalogue.DURATION,
    catalogue.RECOVERY_TIME,
    catalogue.DETECTION_TIME,
    catalogue.FIRST_TOKEN,
    catalogue.FIRST_ANSWER,
    catalogue.PER_OUTPUT_TOKEN,
    catalogue.STALL_TIME,
)


class Families:
    """The families that the cells of all checks belong to."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.counters = {
            spec: Counter(spec.name, spec.help, spec.labels, registry=registry)
            for spec in _COUNTERS
        }
        self.histograms = {spec: histogram(spec, registry) for spec in _HISTOGRAMS}


def histogram(spec: Spec, registry: CollectorRegistry) -> Histogram:
    return Histogram(spec.name, spec.help, spec.labels, registry=registry, buckets=spec.buckets)


class Cells:
    """The series of one check; all exist from the start, at zero, but for an unknown price."""

    def __init__(self, families: Families, check: Check) -> None:
        self._families = families
        self._labels = check.labels3
        self._taken: list[tuple[Counter | Histogram, tuple[str, ...]]] = []
        self._probes = self._counter(catalogue.PROBES)
        self._attempts = self._counter(catalogue.ATTEMPTS)
        self._failures = {
            reason: self._counter(catalogue.FAILURES, reason.value) for reason in Reason
        }
        self._outages = self._counter(catalogue.OUTAGES)
        self._duration = self._histogram(catalogue.DURATION)
        self._recovery = self._histogram(catalogue.RECOVERY_TIME)
        self._detection = self._histogram(catalogue.DETECTION_TIME)
        self._cost = self._counter(catalogue.COST) if check.price else None
        self._chat = _Chat(self) if check.mode is Mode.CHAT else None

    def take_probe(self, probe: Probe) -> None:
        """Count one finished round."""
        last = probe.last
        self._probes.inc()
        self._attempts.inc(len(probe.attempts))
        if last.verdict is not Verdict.OK:
            self._failures[last.reason or Reason.INTERNAL].inc()
        for attempt in probe.attempts:
            self._take_bill(attempt)
        if last.verdict in ANSWERED:
            exemplar = {"probe_id": probe.id}
            self._duration.observe(last.seconds, exemplar)
            if self._chat and not last.phases.doubtful:
                self._chat.take_times(last, exemplar)

    def take_change(self, change: Change) -> None:
        """Count the outage that a change opened or closed."""
        outage = change.outage
        if outage is None:
            return
        if outage.ended is None:
            self._outages.inc()
            self._detection.observe(_detection(outage))
        else:
            self._recovery.observe(max(0.0, outage.seconds(outage.ended)))

    def drop(self) -> None:
        """Take every series of the check out of the families."""
        for family, values in self._taken:
            family.remove(*values)

    def _take_bill(self, attempt: Attempt) -> None:
        if attempt.tokens and self._chat:
            self._chat.take_tokens(attempt.tokens)
        if attempt.cost_usd is not None:
            if self._cost is None:
                self._cost = self._counter(catalogue.COST)
            self._cost.inc(attempt.cost_usd)

    def _counter(self, spec: Spec, *more: str) -> Counter:
        family, values = self._families.counters[spec], (*self._labels, *more)
        self._taken.append((family, values))
        return family.labels(*values)

    def _histogram(self, spec: Spec) -> Histogram:
        family = self._families.histograms[spec]
        self._taken.append((family, self._labels))
        return family.labels(*self._labels)


class _Chat:
    """What only a chat has: tokens and their clocks."""

    def __init__(self, cells: Cells) -> None:
        self._first_token = cells._histogram(catalogue.FIRST_TOKEN)
        self._first_answer = cells._histogram(catalogue.FIRST_ANSWER)
        self._per_token = cells._histogram(catalogue.PER_OUTPUT_TOKEN)
        self._stall = cells._histogram(catalogue.STALL_TIME)
        self._input, self._output, self._reasoning, self._cached = (
            cells._counter(catalogue.TOKENS, direction) for direction in catalogue.DIRECTIONS
        )

    def take_times(self, attempt: Attempt, exemplar: dict[str, str]) -> None:
        phases = attempt.phases
        if phases.first_token is not None:
            self._first_token.observe(phases.first_token, exemplar)
        if phases.first_answer is not None:
            self._first_answer.observe(phases.first_answer, exemplar)
        if phases.stall is not None:
            self._stall.observe(phases.stall)
        each = time_per_token(phases, attempt.tokens)
        if each is not None:
            self._per_token.observe(each)

    def take_tokens(self, tokens: Tokens) -> None:
        if tokens.input:
            self._input.inc(tokens.input)
        if tokens.output:
            self._output.inc(tokens.output)
        if tokens.reasoning:
            self._reasoning.inc(tokens.reasoning)
        if tokens.cached:
            self._cached.inc(tokens.cached)


def time_per_token(phases: Phases, tokens: Tokens | None) -> float | None:
    """Seconds per output token after the first; None where the stream cannot tell."""
    output = tokens.output if tokens else None
    # A whole answer in one piece has no stream to measure: zero would be a lie.
    if output is None or output < 2 or not phases.stream:
        return None
    return phases.stream / (output - 1)


def _detection(outage: Outage) -> float:
    return max(0.0, outage.confirmed.mono - outage.started.mono)
