"""Steps and the `$__` variables, as the data source computes them from range, width and intervals."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.grafana.boards import DAY, HOUR, MINUTE, SECOND, UNITS, USUAL_POINTS, Query
from tests.grafana.variables import UnknownVariable, Variable, expand

#: Steps are rounded to these; the first number is up to where the second is taken.  Milliseconds.
NICE = (
    (10, 1), (15, 10), (35, 20), (75, 50), (150, 100), (350, 200), (750, 500),
    (1_500, SECOND), (3_500, 2 * SECOND), (7_500, 5 * SECOND), (12_500, 10 * SECOND),
    (17_500, 15 * SECOND), (25_000, 20 * SECOND), (45_000, 30 * SECOND),
    (90_000, MINUTE), (210_000, 2 * MINUTE), (450_000, 5 * MINUTE), (750_000, 10 * MINUTE),
    (1_050_000, 15 * MINUTE), (1_500_000, 20 * MINUTE), (2_700_000, 30 * MINUTE),
    (5_400_000, HOUR), (9_000_000, 2 * HOUR), (16_200_000, 3 * HOUR), (32_400_000, 6 * HOUR),
    (86_400_000, 12 * HOUR), (604_800_000, DAY), (1_814_400_000, 7 * DAY),
    (3_628_800_000, 30 * DAY),
)  # fmt: skip
MOST_POINTS = 11_000
"""Prometheus refuses more in one series."""


@dataclass(frozen=True)
class Span:
    """A range of time, milliseconds."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Plan:
    """A query as it goes to Prometheus: milliseconds, and an expression without variables."""

    query: Query
    expr: str
    span: Span
    step: int

    @property
    def at(self) -> int:
        return self.span.end

    @property
    def aligned(self) -> Span:
        """The range of a range query: whole multiples of its step."""
        return Span(
            self.span.start // self.step * self.step, self.span.end // self.step * self.step
        )

    @property
    def whole(self) -> Span:
        """The same up to the end of the step that is on, as Grafana will ask when it is over."""
        return Span(self.aligned.start, -(-self.span.end // self.step) * self.step)


def plan(
    query: Query, span: Span, scrape: str, variables: Mapping[str, Variable] | None = None
) -> Plan:
    """How `query` is asked for `span` by a data source whose scrape interval is `scrape`."""
    span = overridden(query, span)
    expr = expand(query.expr, variables or {}, query.scoped)
    wanted = expand(query.min_step, variables or {}, query.scoped)
    least = expand(query.min_interval, variables or {}, query.scoped)
    asked = frontend_interval(span, query.max_points, least or scrape)
    if wanted.strip("${}") in ("__rate_interval", "__interval"):
        minimum = asked
    else:
        minimum = milliseconds(wanted) if wanted else asked
    step = max(stepped(span, query.max_points, minimum), rounded(span.length / MOST_POINTS))
    base = milliseconds(scrape)
    if wanted.strip("${}") == "__rate_interval":
        step = rate = rate_interval(step, base)
    else:
        step *= query.factor
        if wanted.strip("${}") == "__interval":
            base = step
        elif wanted:
            base = milliseconds(wanted)
        rate = rate_interval(asked, base)
    return Plan(query, built_in(expr, span, step, rate), span, step)


def overridden(query: Query, span: Span) -> Span:
    """The panel's own range, where it has one."""
    start, end = span.start, span.end
    if query.time_from:
        start = end - milliseconds(query.time_from.removeprefix("now-"))
    shift = milliseconds(query.time_shift.removeprefix("now-")) if query.time_shift else 0
    return Span(start - shift, end - shift)


def frontend_interval(span: Span, points: int, least: str) -> int:
    """What the panel asks for: a nice interval for its width, not under the least one."""
    return max(rounded(span.length / points), milliseconds(least.lstrip(">")))


def stepped(span: Span, points: int, minimum: int) -> int:
    wanted = span.length / (points or USUAL_POINTS)
    return minimum if wanted < minimum else rounded(wanted)


def rate_interval(interval: int, scrape: int) -> int:
    """At least four scrapes, so that a missed one leaves two samples to make a rate from."""
    return max(interval + scrape, 4 * scrape)


def rounded(interval: float) -> int:
    return next((nice for bound, nice in NICE if interval <= bound), 365 * DAY)


def milliseconds(text: str) -> int:
    """`15s`, `1m30s`, `500ms`; a bare number means seconds."""
    text = text.strip().lstrip("<>=")
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return int(float(text) * SECOND)
    parts = re.findall(r"(\d+)(ms|[smhdwy])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"seen interval {text!r}, expected one such as 30s")
    return sum(int(number) * UNITS[unit] for number, unit in parts)


def built_in(expr: str, span: Span, step: int, rate: int) -> str:
    seconds = math.floor(span.length / SECOND + 0.5)
    values = (
        ("__interval_ms", str(step)),
        ("__interval", short(step)),
        ("__range_ms", str(span.length)),
        ("__range_s", str(seconds)),
        ("__range", f"{seconds}s"),
        ("__rate_interval_ms", str(rate)),
        ("__rate_interval", exact(rate)),
        ("__from", str(span.start)),
        ("__to", str(span.end)),
    )
    for edge, moment in (("from", span.start), ("to", span.end)):
        expr = expr.replace(f"${{__{edge}:date:seconds}}", str(moment // SECOND))
    for name, value in values:  # a longer name comes before the shorter one that it begins with
        expr = expr.replace(f"${name}", value).replace(f"${{{name}}}", value)
    left = re.search(r"\$\{?__\w+", expr)
    if left:
        raise UnknownVariable(f"{left[0]} in {expr}")
    return expr


def short(interval: int) -> str:
    """In the greatest unit that fits, and what is left over left away: 90 s is `1m`."""
    for unit in ("y", "d", "h", "m", "s"):
        if interval >= UNITS[unit]:
            return f"{interval // UNITS[unit]}{unit}"
    return f"{max(1, interval)}ms"


def exact(interval: int) -> str:
    """In hours, minutes and seconds, as Go writes it: `1m30s`."""
    if interval < SECOND:
        return f"{interval}ms"
    hours, rest = divmod(interval, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds = f"{rest / SECOND:g}s"
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + seconds
