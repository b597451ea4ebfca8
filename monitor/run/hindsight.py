"""What the ledger remembers, read for the pages: in a worker thread, and not for every visitor."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
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


class Hindsight:
    """Reads the ledger in `data_dir`.  `look` blocks: call it in worker threads."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE
        self._past = Past()
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
                days = ledger.days(_first_day(now))
                spans = ledger.timeline(now - WEEK)
                latencies = ledger.latencies(now - SLOTS * SLOT, SLOT)
                outages = ledger.outages(now - DAYS * HOUR24)
        except LedgerError as error:
            return Past(now, self._past.checks, self._past.outages, str(error))
        return Past(now, _checks(now, days, spans, latencies), tuple(reversed(outages)))


def _first_day(now: float) -> float:
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today - timedelta(days=DAYS - 1)).timestamp()


def _checks(
    now: float,
    days: Iterable[Day],
    spans: Iterable[Span],
    latencies: Iterable[tuple[Labels, int | None, float | None, float | None]],
) -> dict[Labels, CheckPast]:
    bars: dict[Labels, list[PastDay]] = {}
    for day in days:
        labels = (day.check, day.provider, day.model)
        bars.setdefault(labels, []).append(PastDay(day.day, day.seconds, day.probes, day.bad))
    spans = list(spans)
    last_24h, last_7d = _seconds(spans, now - HOUR24), _seconds(spans, now - WEEK)
    known = _latencies(latencies)
    return {
        labels: CheckPast(
            tuple(bars.get(labels, ())),
            last_24h.get(labels, {}),
            last_7d.get(labels, {}),
            known.get(labels, Latency()),
        )
        for labels in bars.keys() | last_7d.keys() | known.keys()
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
