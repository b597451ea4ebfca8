"""History as OpenMetrics text, for `promtool tsdb create-blocks-from openmetrics`.  Pure.

Every check is sampled each `step` seconds and, to the millisecond, wherever its state changed: so
no outage is too short for a slice of time to see.  Counters begin at 0 where the history begins.
Prometheus forgets a sample after five minutes, so `step` has to be less.

An outage's pair of series is sampled while it is open, hourly, and once when it has ended: ask for
it with `last_over_time` over the range of interest.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from monitor.ledger.records import Labels, Span
from monitor.model import Outage, State

HOURLY = 3600.0
UP = {State.UP: 1, State.DEGRADED: 1, State.DOWN: 0}

Samples = Iterator[tuple[str, str, int]]
"""What follows the family's name, the value, and when, in milliseconds."""


@dataclass(frozen=True, slots=True)
class History:
    """One check, sampled: moments in milliseconds and the index of the span each falls into."""

    labels: Labels
    spans: Sequence[Span]
    outages: Sequence[Outage]
    moments: Sequence[int]
    places: Sequence[int]

    @property
    def end(self) -> float:
        return self.spans[-1].ended


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    type: str
    help: str
    samples: Callable[[History, str], Samples]


def openmetrics(
    spans: Iterable[Span], outages: Iterable[Outage], labels: Mapping[str, str], step: float
) -> Iterator[str]:
    """Lines of a whole exposition; `spans` by check and start, `labels` are put on every series."""
    of_check: dict[Labels, list[Outage]] = {}
    for outage in outages:
        of_check.setdefault((outage.check, outage.provider, outage.model), []).append(outage)
    histories = [
        sampled(key, list(mine), of_check.get(key, ()), step)
        for key, mine in groupby(spans, key=lambda span: span.labels)
    ]
    for family in FAMILIES:
        yield f"# HELP {family.name} {family.help}\n"
        yield f"# TYPE {family.name} {family.type}\n"
        for history in histories:
            common = _pairs(history.labels, labels)
            for series, value, moment in family.samples(history, common):
                yield f"{family.name}{series} {value} {moment / 1000:.3f}\n"
    yield "# EOF\n"


def sampled(labels: Labels, spans: list[Span], outages: Sequence[Outage], step: float) -> History:
    """One check's history with its moments: the whole multiples of `step`, and every change."""
    starts = [_ms(span.started) for span in spans]
    end = _ms(spans[-1].ended)
    width = max(1, _ms(step))
    steady = range(math.ceil(starts[0] / width) * width, end + 1, width)
    moments = sorted({*starts, *steady, end})
    places = [bisect_right(starts, moment) - 1 for moment in moments]
    return History(labels, spans, outages, moments, places)


# ------------------------------------------------------------------------------- the families


def _check_up(history: History, common: str) -> Samples:
    for moment, place in zip(history.moments, history.places, strict=True):
        value = UP.get(history.spans[place].state)
        if value is not None:
            yield f"{{{common}}}", str(value), moment


def _check_state(history: History, common: str) -> Samples:
    for state in State:
        series = f'{{{common},state="{state}"}}'
        for moment, place in zip(history.moments, history.places, strict=True):
            yield series, "1" if history.spans[place].state is state else "0", moment


def _state_seconds(history: History, common: str) -> Samples:
    for state in State:
        series = f'_total{{{common},state="{state}"}}'
        mine = [span.ended - span.started if span.state is state else 0.0 for span in history.spans]
        before = list(accumulate(mine, initial=0.0))
        for moment, place in zip(history.moments, history.places, strict=True):
            span = history.spans[place]
            inside = moment / 1000 - span.started if span.state is state else 0.0
            yield series, f"{before[place] + max(0.0, inside):.3f}", moment


def _state_changed(history: History, common: str) -> Samples:
    for moment, place in zip(history.moments, history.places, strict=True):
        yield f"{{{common}}}", f"{history.spans[place].started:.3f}", moment


def _outages(history: History, common: str) -> Samples:
    confirmed = sorted(_ms(outage.confirmed.wall) for outage in history.outages)
    earlier = bisect_right(confirmed, history.moments[0])
    for moment in history.moments:
        yield f"_total{{{common}}}", str(bisect_right(confirmed, moment) - earlier), moment


def _outage_start(history: History, common: str) -> Samples:
    for outage in history.outages:
        series = _of_outage(common, outage)
        for moment in _of_life(history, outage):
            yield series, f"{outage.started.wall:.3f}", moment


def _outage_end(history: History, common: str) -> Samples:
    for outage in history.outages:
        series, ended = _of_outage(common, outage), outage.ended
        for moment in _of_life(history, outage):
            over = ended is not None and moment >= _ms(ended.wall)
            yield series, f"{ended.wall:.3f}" if ended and over else "0", moment


def _of_life(history: History, outage: Outage) -> list[int]:
    """When a pair is sampled: as soon as it is confirmed, hourly, at its end."""
    first = max(outage.confirmed.wall, history.spans[0].started)
    last = min(outage.ended.wall if outage.ended else math.inf, history.end)
    count = max(0, int((last - first) // HOURLY))
    hours = (first + HOURLY * number for number in range(count + 1))
    return sorted({_ms(first), *map(_ms, hours), _ms(max(first, last))})


FAMILIES = (
    Family("aichat_check_up", "gauge", "1 up or degraded, 0 down.", _check_up),
    Family("aichat_check_state", "gauge", "1 for the state of the check.", _check_state),
    Family("aichat_check_state_seconds", "counter", "Time spent in each state.", _state_seconds),
    Family(
        "aichat_check_state_changed_timestamp_seconds",
        "gauge",
        "When the confirmed state began.",
        _state_changed,
    ),
    Family("aichat_outages", "counter", "Confirmed outages.", _outages),
    Family(
        "aichat_outage_start_timestamp_seconds", "gauge", "When an outage began.", _outage_start
    ),
    Family(
        "aichat_outage_end_timestamp_seconds", "gauge", "When it ended, 0 while open.", _outage_end
    ),
)


def _of_outage(common: str, outage: Outage) -> str:
    return f'{{{common},outage="{outage.id}",reason="{outage.reason}"}}'


def _pairs(labels: Labels, more: Mapping[str, str]) -> str:
    found = {**more, **dict(zip(("check", "provider", "model"), labels, strict=True))}
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in found.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
