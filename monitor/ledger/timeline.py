"""The timeline as it is told: spans with the times cut out in which nobody looked.  Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from operator import itemgetter

from monitor.ledger.records import Labels, Span, utc_day
from monitor.model import State

Pause = tuple[float, float]


def pauses(runs: Sequence[tuple[float, float]]) -> list[Pause]:
    """Between the last sign of life of one monitor and the start of the next.

    `runs` are starts and last signs of life, in order.  Where the wall clock was set back between
    two of them there is no pause to be seen.
    """
    found: list[Pause] = []
    alive = runs[0][1] if runs else 0.0
    for started, last_sign in runs[1:]:
        if started > alive:
            found.append((alive, started))
        alive = max(alive, last_sign)
    return found


def told(spans: Iterable[Span], idle: Sequence[Pause]) -> Iterator[Span]:
    """`spans`, ordered by check and start, `unknown` within `idle`.

    Neighbours that come to be in one state are told as one.
    """
    last: Span | None = None
    for span in spans:
        for piece in _cut(span, idle):
            if last and _goes_on(last, piece):
                last = replace(last, ended=piece.ended)
                continue
            if last:
                yield last
            last = piece
    if last:
        yield last


def _goes_on(last: Span, piece: Span) -> bool:
    return (last.labels, last.state, last.ended) == (piece.labels, piece.state, piece.started)


def _cut(span: Span, idle: Sequence[Pause]) -> Iterator[Span]:
    at = span.started
    if span.state is not State.UNKNOWN:
        first = bisect_right(idle, at, key=itemgetter(1))
        for start, end in takewhile(lambda pause: pause[0] < span.ended, islice(idle, first, None)):
            start, end = max(start, at), min(end, span.ended)
            if start > at:
                yield replace(span, started=at, ended=start)
            yield Span(*span.labels, State.UNKNOWN, start, end)
            at = end
    if at < span.ended or span.started == span.ended:
        yield replace(span, started=at)


def clipped(spans: Iterable[Span], since: float, until: float) -> Iterator[Span]:
    """What of `spans` lies between the two moments."""
    for span in spans:
        started, ended = max(span.started, since), min(span.ended, until)
        if started < ended:
            yield replace(span, started=started, ended=ended)


def seconds_of_days(spans: Iterable[Span]) -> dict[tuple[Labels, str], dict[State, float]]:
    """How long each check was in which state on which UTC day."""
    found: dict[tuple[Labels, str], dict[State, float]] = {}
    for span in spans:
        at = span.started
        while at < span.ended:
            end = min(_next_midnight(at), span.ended)
            states = found.setdefault((span.labels, utc_day(at)), {})
            states[span.state] = states.get(span.state, 0.0) + end - at
            at = end
    return found


def _next_midnight(wall: float) -> float:
    day = datetime.fromtimestamp(wall, UTC).date() + timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
