"""What the ledger remembers, read for the pages: in a worker thread, and not for every visitor."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from monitor.ledger import Day, LedgerError, Reader, Span
from monitor.ledger.schema import FILE
from monitor.model import State
from monitor.show.past import (
    DAYS,
    HOUR24,
    SLOT,
    SLOTS,
    WEEK,
    CheckPast,
    Labels,
    Latency,
    Past,
    PastDay,
)

FRESH = 30.0
"""Seconds for which one reading serves all who ask."""
LASTING = 300.0
"""Seconds for which it does of what changes slowly and costs most: days that are over, and the
ranks of a day's latencies."""


class Hindsight:
    """Reads the ledger in `data_dir`.  `look` blocks: call it in worker threads."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE
        self._past = Past()
        self._slow = _Slow()
        self._lock = threading.Lock()

    def look(self, now: float) -> Past:
        """What is remembered at Unix time `now`, at most `FRESH` seconds old.

        A ledger that cannot be read is no reason to show no page: what was read before stays, and
        `trouble` says why it grows old.
        """
        with self._lock:  # who comes while it is read has what was read
            if not 0 <= now - self._past.at < FRESH:
                self._past = self._read(now)
            return self._past

    def _read(self, now: float) -> Past:
        try:
            with Reader(self._path) as ledger:
                if not self._slow.serves(now):
                    self._slow = _slow(ledger, now)
                today = ledger.days(_midnight(now))
                spans = ledger.timeline(now - WEEK)
                outages = ledger.outages(now - DAYS * HOUR24)
        except LedgerError as error:
            return Past(now, self._past.checks, self._past.outages, str(error))
        days = [*self._slow.days, *today]
        return Past(now, _checks(now, days, spans, self._slow.latencies), tuple(reversed(outages)))


@dataclass(frozen=True, slots=True)
class _Slow:
    """What is read less often."""

    at: float = 0.0
    days: tuple[Day, ...] = ()
    """Those before today."""
    latencies: Mapping[Labels, Latency] = field(default_factory=dict)

    def serves(self, now: float) -> bool:
        """Whether it is young enough, and of the same day."""
        return 0 <= now - self.at < LASTING and _midnight(now) == _midnight(self.at)


def _slow(ledger: Reader, now: float) -> _Slow:
    midnight = _midnight(now)
    first = midnight - (DAYS - 1) * HOUR24
    return _Slow(
        now,
        tuple(ledger.days(first, midnight - 1)),
        _latencies(ledger.latencies(now - SLOTS * SLOT, SLOT)),
    )


def _midnight(now: float) -> float:
    """Where the UTC day of `now` begins; Unix days have no leap seconds."""
    return now - now % HOUR24


def _checks(
    now: float,
    days: Iterable[Day],
    spans: Iterable[Span],
    latencies: Mapping[Labels, Latency],
) -> dict[Labels, CheckPast]:
    bars: dict[Labels, list[PastDay]] = {}
    for day in days:
        labels = (day.check, day.provider, day.model)
        bars.setdefault(labels, []).append(PastDay(day.day, day.seconds, day.probes, day.bad))
    spans = list(spans)
    last_24h, last_7d = _seconds(spans, now - HOUR24), _seconds(spans, now - WEEK)
    return {
        labels: CheckPast(
            tuple(bars.get(labels, ())),
            last_24h.get(labels, {}),
            last_7d.get(labels, {}),
            latencies.get(labels, Latency()),
        )
        for labels in bars.keys() | last_7d.keys() | latencies.keys()
    }


def _seconds(spans: Iterable[Span], since: float) -> dict[Labels, dict[State, float]]:
    found: dict[Labels, dict[State, float]] = {}
    for span in spans:
        length = span.ended - max(span.started, since)
        if length > 0:
            states = found.setdefault(span.labels, {})
            states[span.state] = states.get(span.state, 0.0) + length
    return found


def _latencies(
    rows: Iterable[tuple[Labels, int | None, float | None, float | None]],
) -> dict[Labels, Latency]:
    slots: dict[Labels, list[float | None]] = {}
    whole: dict[Labels, tuple[float | None, float | None]] = {}
    for labels, slot, median, p95 in rows:
        if slot is None:
            whole[labels] = median, p95
        else:
            # A round of this very moment may lie a hair beyond the last slot.
            slots.setdefault(labels, [None] * SLOTS)[min(slot, SLOTS - 1)] = median
    return {
        labels: Latency(tuple(slots.get(labels, [None] * SLOTS)), *figures)
        for labels, figures in whole.items()
    }
