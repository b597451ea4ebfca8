"""History as OpenMetrics text, for `promtool tsdb create-blocks-from openmetrics`.  Pure.

Every check is sampled each `step` seconds and, to the millisecond, wherever its state changed: so
no outage is too short for a slice of time to see.  Counters begin at 0 where the history begins.
Prometheus forgets a sample after five minutes, so `step` has to be less.

The series that dashboards read through recording rules (prometheus/rules) are written as well: a
rule evaluated afterwards would see the samples and not what happened between them.

An outage's pair of series is sampled while it is open, hourly, and once when it has ended: ask for
it with `last_over_time` over the range of interest.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, groupby, pairwise, repeat

from monitor.ledger.records import Labels, Span
from monitor.model import Outage, State

HOURLY = 3600.0
UP = {State.UP: "1", State.DEGRADED: "1", State.DOWN: "0"}
GOOD = {State.UP, State.DEGRADED}
KNOWN = {*GOOD, State.DOWN}
SEEN = {*State} - {State.UNKNOWN}
CODES = {
    State.DOWN: "6",
    State.DEGRADED: "5",
    State.LIMITED: "4",
    State.UP: "3",
    State.UNKNOWN: "2",
    State.MAINTENANCE: "1",
}

Samples = Iterator[tuple[str, Iterable[str], Iterable[str]]]
"""What follows the family's name, the values, and as many stamps."""


@dataclass(frozen=True, slots=True)
class History:
    """One check, sampled: moments in milliseconds, and where in them each span begins.

    The stamps are the moments as they end a line: there are millions of lines, of few moments.
    """

    labels: Labels
    spans: Sequence[Span]
    outages: Sequence[Outage]
    moments: Sequence[int]
    stamps: Sequence[str]
    begins: Sequence[int]

    @property
    def end(self) -> float:
        return self.spans[-1].ended

    def runs(self) -> Iterator[tuple[Span, int, int]]:
        """Each span with the slice of moments that fall into it."""
        edges = pairwise((*self.begins, len(self.moments)))
        return ((span, begin, end) for span, (begin, end) in zip(self.spans, edges, strict=True))


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    type: str
    help: str
    samples: Callable[[History, str], Samples]


def openmetrics(
    spans: Iterable[Span], outages: Iterable[Outage], labels: Mapping[str, str], step: float
) -> Iterator[str]:
    """A whole exposition, many lines at a time and each comment by itself.

    `spans` come by check and start; `labels` are put on every series.
    """
    of_check: dict[Labels, list[Outage]] = {}
    for outage in outages:
        of_check.setdefault((outage.check, outage.provider, outage.model), []).append(outage)
    histories = [
        sampled(key, list(mine), of_check.get(key, ()), step)
        for key, mine in groupby(spans, key=lambda span: span.labels)
    ]
    for family in (*FAMILIES, *RECORDED):
        yield f"# HELP {family.name} {family.help}\n"
        yield f"# TYPE {family.name} {family.type}\n"
        for history in histories:
            common = _pairs(history.labels, labels)
            for series, values, stamps in family.samples(history, common):
                head = f"{family.name}{series}"
                both = zip(values, stamps, strict=True)
                yield "".join([f"{head} {value}{stamp}" for value, stamp in both])
    yield "# EOF\n"


def sampled(labels: Labels, spans: list[Span], outages: Sequence[Outage], step: float) -> History:
    """One check's history with its moments: the whole multiples of `step`, and every change."""
    starts = [_ms(span.started) for span in spans]
    end = _ms(spans[-1].ended)
    width = max(1, _ms(step))
    steady = range(math.ceil(starts[0] / width) * width, end + 1, width)
    moments = sorted({*starts, *steady, end})
    places = [bisect_right(starts, moment) - 1 for moment in moments]
    begins = [bisect_left(places, number) for number in range(len(spans))]
    return History(labels, spans, outages, moments, [*map(_stamp, moments)], begins)


# ------------------------------------------------------------------------------- the families


def _check_up(history: History, common: str) -> Samples:
    for span, begin, end in history.runs():
        value = UP.get(span.state)
        if value is not None:
            yield f"{{{common}}}", repeat(value, end - begin), history.stamps[begin:end]


def _check_state(history: History, common: str) -> Samples:
    for state in State:
        values = (
            repeat("1" if span.state is state else "0", end - begin)
            for span, begin, end in history.runs()
        )
        series = f'{{{common},state="{state}"}}'
        yield series, chain.from_iterable(values), history.stamps


def _state_seconds(history: History, common: str) -> Samples:
    for state in State:
        yield f'_total{{{common},state="{state}"}}', _seconds_in(history, {state}), history.stamps


def _seconds_in(history: History, states: Set[State]) -> Iterator[str]:
    """How much of the time up to each moment was spent in one of `states`."""
    sofar = 0.0
    for span, begin, end in history.runs():
        if span.state in states:
            yield from _growing(sofar, span, history.moments[begin:end])
            sofar += span.ended - span.started
        else:
            yield from repeat(f"{sofar:.3f}", end - begin)


def _growing(sofar: float, span: Span, moments: Sequence[int]) -> Iterator[str]:
    for moment in moments:
        yield f"{sofar + max(0.0, moment / 1000 - span.started):.3f}"


def _state_changed(history: History, common: str) -> Samples:
    values = (repeat(f"{span.started:.3f}", end - begin) for span, begin, end in history.runs())
    yield f"{{{common}}}", chain.from_iterable(values), history.stamps


def _outages(history: History, common: str) -> Samples:
    confirmed = sorted(_ms(outage.confirmed.wall) for outage in history.outages)
    earlier = bisect_right(confirmed, history.moments[0])
    values = (str(bisect_right(confirmed, moment) - earlier) for moment in history.moments)
    yield f"_total{{{common}}}", values, history.stamps


def _code(history: History, common: str) -> Samples:
    values = (repeat(CODES[span.state], end - begin) for span, begin, end in history.runs())
    yield f"{{{common}}}", chain.from_iterable(values), history.stamps


def _good_seconds(history: History, common: str) -> Samples:
    yield f"{{{common}}}", _seconds_in(history, GOOD), history.stamps


def _known_seconds(history: History, common: str) -> Samples:
    yield f"{{{common}}}", _seconds_in(history, KNOWN), history.stamps


def _seen_seconds(history: History, common: str) -> Samples:
    yield f"{{{common}}}", _seconds_in(history, SEEN), history.stamps


def _outage_start(history: History, common: str) -> Samples:
    for outage in history.outages:
        stamps = [*map(_stamp, _of_life(history, outage))]
        value = f"{outage.started.wall:.3f}"
        yield _of_outage(common, outage), repeat(value, len(stamps)), stamps


def _outage_end(history: History, common: str) -> Samples:
    for outage in history.outages:
        moments, ended = _of_life(history, outage), outage.ended
        over = math.inf if ended is None else _ms(ended.wall)
        values = (f"{ended.wall:.3f}" if ended and at >= over else "0" for at in moments)
        yield _of_outage(common, outage), values, map(_stamp, moments)


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

#: What prometheus/rules records of the above.
RECORDED = (
    Family("check:aichat_state:code", "unknown", "The state as a number, down 6.", _code),
    Family("check:aichat_good_seconds:sum", "unknown", "Time up or degraded.", _good_seconds),
    Family(
        "check:aichat_known_seconds:sum", "unknown", "Time up, degraded or down.", _known_seconds
    ),
    Family("check:aichat_seen_seconds:sum", "unknown", "Time not unknown.", _seen_seconds),
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


def _stamp(moment: int) -> str:
    return f" {moment / 1000:.3f}\n"
