"""What Grafana makes of a dashboard file, without Grafana.  Pure: no network, no clock.

Reading: every query of every panel, variable and annotation, with the options that decide how it
is asked.  Asking: the step and the `$__` variables as the Prometheus data source computes them from
the range, the width of the panel and the least intervals; variables expanded as it escapes them.
Showing: which text and which colour a value gets from mappings, thresholds and overrides, and what
stands there when there is no value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

Spec = dict[str, Any]
Labels = Mapping[str, str]

SECOND = 1000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
UNITS = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY, "y": 365 * DAY}

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
USUAL_POINTS = 1_500
ANNOTATION_POINTS = 100


# ----------------------------------------------------------------------------- reading the file


@dataclass(frozen=True)
class Query:
    """One thing that Prometheus is asked, still with its variables."""

    where: str
    """Dashboard, row, panel: what a person has to find in the file."""
    kind: str
    """`panel`, `annotation` or `variable`."""
    ref: str
    expr: str
    instant: bool = False
    range: bool = True
    table: bool = False
    legend: str = ""
    min_step: str = ""
    """The query's own least step; may be `$__interval` or `$__rate_interval`."""
    min_interval: str = ""
    """The panel's least interval."""
    max_points: int = USUAL_POINTS
    factor: int = 1
    time_from: str = ""
    time_shift: str = ""
    scoped: Mapping[str, str] = field(default_factory=dict)
    """Values of variables that hold here alone: a repeated panel's."""

    def __str__(self) -> str:
        return f"{self.where} [{self.ref}]"


@dataclass(frozen=True)
class Panel:
    """A panel with everything that a query or a value needs to know about it."""

    where: str
    spec: Spec
    width: int
    """Pixels."""
    scoped: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return str(self.spec.get("title", ""))

    @property
    def type(self) -> str:
        return str(self.spec["type"])

    @cached_property
    def queries(self) -> list[Query]:
        return [
            self._query(target)
            for target in self.spec.get("targets", ())
            if not target.get("hide") and is_prometheus(target.get("datasource") or self._source)
        ]

    @property
    def _source(self) -> Any:
        return self.spec.get("datasource")

    def _query(self, target: Spec) -> Query:
        instant = bool(target.get("instant"))
        return Query(
            self.where,
            "panel",
            str(target["refId"]),
            str(target["expr"]),
            instant=instant,
            range=bool(target.get("range", not instant)),
            table=target.get("format") == "table",
            legend=str(target.get("legendFormat") or ""),
            min_step=str(target.get("interval") or ""),
            min_interval=str(self.spec.get("interval") or ""),
            max_points=int(self.spec.get("maxDataPoints") or self.width),
            factor=int(target.get("intervalFactor") or 1),
            time_from=str(self.spec.get("timeFrom") or ""),
            time_shift=str(self.spec.get("timeShift") or ""),
            scoped=self.scoped,
        )


@dataclass(frozen=True)
class Dashboard:
    name: str
    """The file's."""
    spec: Spec

    @property
    def title(self) -> str:
        return str(self.spec["title"])

    @property
    def uid(self) -> str:
        return str(self.spec["uid"])

    @property
    def variables(self) -> list[Spec]:
        return list(self.spec.get("templating", {}).get("list", ()))

    def panels(self, width: int, values: Mapping[str, Sequence[str]] | None = None) -> list[Panel]:
        """All that show data, those in collapsed rows too; repeated ones once for each of `values`."""
        return [*self._panels(self.spec["panels"], width, values or {}, (self.title,))]

    def _panels(
        self,
        specs: Sequence[Spec],
        width: int,
        values: Mapping[str, Sequence[str]],
        path: tuple[str, ...],
        scoped: Mapping[str, str] | None = None,
    ) -> Iterator[Panel]:
        for spec in specs:
            row = path
            if spec["type"] == "row":
                path = (path[0], str(spec.get("title", "")))
                row = path
            for more in repeated(spec, values):
                here = {**(scoped or {}), **more}
                if spec["type"] == "row":
                    yield from self._panels(spec.get("panels") or (), width, values, row, here)
                else:
                    share = spec["gridPos"]["w"] / 24
                    title = f"{spec.get('title') or 'untitled'} ({spec['type']})"
                    where = " / ".join([*row, title, *more.values()])
                    yield Panel(where, spec, int(width * share), here)

    def annotations(self) -> list[Query]:
        """Those that ask Prometheus, the switched-off ones too: somebody may switch them on."""
        return [
            Query(
                f"{self.title} / annotation {one['name']}",
                "annotation",
                "Anno",
                str(one.get("expr") or one.get("target", {}).get("expr") or ""),
                legend=str(one.get("titleFormat") or ""),
                min_step=str(one.get("step") or "60s"),
                max_points=ANNOTATION_POINTS,
            )
            for one in self.spec.get("annotations", {}).get("list", ())
            if is_prometheus(one.get("datasource"))
        ]


def read(path: Path) -> Dashboard:
    return Dashboard(path.name, json.loads(path.read_text("utf-8")))


def is_prometheus(source: Any) -> bool:
    """Whether a query with this data source goes to Prometheus, as far as one can see."""
    if isinstance(source, dict):
        return source.get("type") == "prometheus"
    return source is not None and not str(source).startswith("-- ")


def repeated(spec: Spec, values: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """The values of variables for each copy of a panel or row; one without any if it has none."""
    name = spec.get("repeat")
    if not name or name not in values:
        return [{}]
    return [{name: value} for value in values[name]] or [{}]


# ------------------------------------------------------------------------- variables in a query

ALL = "$__all"
_REFERENCE = re.compile(
    r"\$(?P<plain>\w+)"
    r"|\[\[(?P<old>\w+?)(?::(?P<old_format>\w+))?\]\]"
    r"|\$\{(?P<name>\w+)(?:\.(?P<path>[^:^}]+))?(?::(?P<format>[^}]+))?\}"
)


class UnknownVariable(Exception):
    """A reference that nothing replaces: Grafana would send it to Prometheus as it stands."""


@dataclass(frozen=True)
class Variable:
    """A variable with what is chosen; `options` are what could be."""

    name: str
    chosen: tuple[str, ...]
    options: tuple[str, ...] = ()
    multi: bool = False
    include_all: bool = False
    all_value: str | None = None

    @property
    def all(self) -> bool:
        return self.chosen == (ALL,)


def expand(text: str, variables: Mapping[str, Variable], scoped: Mapping[str, str]) -> str:
    """`text` with its variables as the Prometheus data source puts them into PromQL.

    Raises UnknownVariable.
    """

    def value(match: re.Match[str]) -> str:
        name = match["plain"] or match["old"] or match["name"]
        form = match["format"] or match["old_format"]
        if name.startswith("__"):
            return match[0]  # the other half, which knows the step, does these
        if name in scoped:
            return formatted([scoped[name]], form, Variable(name, (), multi=True))
        if name not in variables:
            raise UnknownVariable(f"{match[0]} in {text}")
        known = variables[name]
        if not known.all:
            return formatted(known.chosen, form, known)
        if known.all_value and form not in ("text", "percentencode"):
            return known.all_value  # as it is, whatever the format
        return "All" if form == "text" else formatted(known.options, form, known)

    return _REFERENCE.sub(value, text)


def formatted(values: Sequence[str], form: str | None, variable: Variable) -> str:
    match form:
        case None:
            return _promql(values, variable)
        case "regex":
            escaped = [re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", value) for value in values]
            return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
        case "pipe":
            return "|".join(values)
        case "raw" | "csv" | "text":
            return ",".join(values)
        case "doublequote":
            return ",".join('"' + value.replace('"', r"\"") + '"' for value in values)
        case "queryparam":
            return "&".join(f"var-{variable.name}={quote(value)}" for value in values)
        case "percentencode":
            return quote(",".join(values), safe="")
    raise UnknownVariable(f"format {form!r} of {variable.name}")


def _promql(values: Sequence[str], variable: Variable) -> str:
    """Escaped for a regular expression within a string, where it may be one."""
    if not (variable.multi or variable.include_all):
        return ",".join(values).replace("\\", r"\\").replace("'", r"\'")
    escaped = [
        re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", value.replace("\\", "\\" * 4))
        for value in values
    ]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


# ------------------------------------------------------------------------- intervals and steps


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


# ------------------------------------------------------------------------------ answers as frames


@dataclass(frozen=True)
class Field:
    """A column; `labels` are those of the series whose values it holds."""

    name: str
    values: tuple[Any, ...]
    labels: Labels = field(default_factory=dict)
    number: bool = False
    shown: str = ""
    """The name that a legend gave it."""
    ref: str = ""

    @property
    def title(self) -> str:
        return self.shown or self.name


@dataclass(frozen=True)
class Frame:
    ref: str
    fields: tuple[Field, ...]

    def __len__(self) -> int:
        return max((len(one.values) for one in self.fields), default=0)

    def rows(self) -> list[dict[str, Any]]:
        """By the title of the column."""
        return [{one.title: one.values[place] for one in self.fields} for place in range(len(self))]


@dataclass(frozen=True)
class Series:
    """One series of an answer; samples are (Unix seconds, value)."""

    labels: Labels
    samples: tuple[tuple[float, float], ...]


def frames(queries: Sequence[tuple[Query, Sequence[Series]]]) -> list[Frame]:
    """The answers to a panel's queries as its frames: a table each, or a frame a series."""
    tables = len({query.ref for query, _ in queries if query.table})
    found: list[Frame] = []
    for query, answer in queries:
        if query.table:
            name = f"Value #{query.ref}" if tables > 1 else "Value"
            found.append(_table(query.ref, name, answer))
        else:
            found += [_series(query, one) for one in answer]
    return found


def _table(ref: str, name: str, answer: Sequence[Series]) -> Frame:
    labels = sorted({label for one in answer for label in one.labels})
    rows = [(at, one.labels, value) for one in answer for at, value in one.samples]
    return Frame(
        ref,
        (
            Field("Time", tuple(round(at * 1000) for at, _, _ in rows)),
            *(Field(label, tuple(of.get(label) for _, of, _ in rows)) for label in labels),
            Field(name, tuple(value for _, _, value in rows), number=True, ref=ref),
        ),
    )


def _series(query: Query, one: Series) -> Frame:
    times = tuple(round(at * 1000) for at, _ in one.samples)
    values = tuple(value for _, value in one.samples)
    name = one.labels.get("__name__", "Value")
    shown = legend(query, one.labels)
    return Frame(
        query.ref,
        (Field("Time", times), Field(name, values, one.labels, True, shown, query.ref)),
    )


def legend(query: Query, labels: Labels) -> str:
    """The name that a series has on screen."""
    if query.legend and query.legend != "__auto":
        return re.sub(r"\{\{\s*(.+?)\s*\}\}", lambda found: labels.get(found[1], ""), query.legend)
    pairs = ", ".join(f'{k}="{v}"' for k, v in sorted(labels.items()) if k != "__name__")
    name = labels.get("__name__", "")
    return name + (f"{{{pairs}}}" if pairs else "") or query.expr


# ------------------------------------------------------------------------------ transformations


class NotUnderstood(Exception):
    """A part of a dashboard that this file does not know how Grafana treats."""


def transformed(found: list[Frame], spec: Spec) -> list[Frame]:
    """The frames after the panel's transformations; raises NotUnderstood for one unknown here."""
    for one in spec.get("transformations", ()):
        if one.get("disabled"):
            continue
        step = TRANSFORMATIONS.get(one["id"])
        if step is None:
            raise NotUnderstood(f"transformation {one['id']!r}")
        found = step(found, one.get("options", {}))
    return found


def _merge(found: list[Frame], options: Spec) -> list[Frame]:
    """One table; rows that agree in all the columns they share become one."""
    found = [frame for frame in found if frame.fields]
    if len(found) < 2:
        return found
    columns = {one.title: one for frame in found for one in frame.fields}
    shared = {one.title for frame in found[:1] for one in frame.fields}
    for frame in found[1:]:
        shared &= {one.title for one in frame.fields}
    rows: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for frame in found:
        for row in frame.rows():
            same = rows.setdefault(tuple(row[name] for name in sorted(shared)), [])
            for known in same:
                if all(known.get(name) in (None, value) for name, value in row.items()):
                    known.update(row)
                    break
            else:
                same.append(dict(row))
    return [_frame_of([row for same in rows.values() for row in same], columns)]


def _join(found: list[Frame], options: Spec) -> list[Frame]:
    """By the values of one column; columns of the same name beyond the first are numbered."""
    by = options.get("byField") or "Time"
    outer = options.get("mode", "outer") != "inner"
    columns: dict[str, Field] = {}
    rows: dict[Any, dict[str, Any]] = {}
    count: dict[Any, int] = {}
    joined = [frame for frame in found if any(one.title == by for one in frame.fields)]
    for turn, frame in enumerate(joined, 1):
        names = {}
        for one in frame.fields:
            name = one.title
            while name != by and name in columns:
                name = f"{one.title} {turn}"
                turn += 1
            names[one.title] = name
            columns.setdefault(name, replace(one, name=name, shown=""))
        for row in frame.rows():
            rows.setdefault(row[by], {}).update({names[k]: v for k, v in row.items()})
            count[row[by]] = count.get(row[by], 0) + 1
    kept = [row for key, row in rows.items() if outer or count[key] >= len(joined)]
    return [_frame_of(kept, columns)] if columns else []


def _organize(found: list[Frame], options: Spec) -> list[Frame]:
    """Columns left out and renamed; their order does not matter here."""
    dropped = {name for name, yes in (options.get("excludeByName") or {}).items() if yes}
    kept = {name for name, yes in (options.get("includeByName") or {}).items() if yes}
    renamed = {name: new for name, new in (options.get("renameByName") or {}).items() if new}
    return [
        Frame(
            frame.ref,
            tuple(
                replace(one, shown=renamed.get(one.title, one.title))
                for one in frame.fields
                if one.title not in dropped and (not kept or one.title in kept)
            ),
        )
        for frame in found
    ]


def _filter_by_name(found: list[Frame], options: Spec) -> list[Frame]:
    def named(title: str, rule: Spec) -> bool:
        pattern = rule.get("pattern")
        return title in rule.get("names", ()) or bool(pattern and re.search(pattern, title))

    def stays(one: Field) -> bool:
        include, exclude = options.get("include"), options.get("exclude")
        if include and not named(one.title, include):
            return False
        return not (exclude and named(one.title, exclude))

    return [Frame(frame.ref, tuple(filter(stays, frame.fields))) for frame in found]


def _rename(found: list[Frame], options: Spec) -> list[Frame]:
    """By a regular expression, written as JavaScript does."""
    pattern = re.compile(options["regex"])
    new = re.sub(r"\$(\d)", r"\\\1", options["renamePattern"])
    return [
        Frame(
            frame.ref,
            tuple(replace(one, shown=pattern.sub(new, one.title, count=1)) for one in frame.fields),
        )
        for frame in found
    ]


_SUMS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else math.nan,
}


def _calculate(found: list[Frame], options: Spec) -> list[Frame]:
    """A column more, from two others."""
    if options.get("mode") != "binary":
        raise NotUnderstood(f"calculateField in mode {options.get('mode')!r}")
    binary = options["binary"]
    name = options.get("alias") or "{left} {operator} {right}".format(**binary)

    def side(value: Any, row: dict[str, Any]) -> Any:
        if isinstance(value, dict):
            value = value.get("fixed") or value.get("matcher", {}).get("options")
        return row[value] if value in row else float(value)

    def more(frame: Frame) -> Frame:
        values = []
        for row in frame.rows():
            try:
                left, right = side(binary["left"], row), side(binary["right"], row)
            except (TypeError, ValueError):
                values.append(None)
                continue
            known = left is not None and right is not None
            values.append(_SUMS[binary["operator"]](left, right) if known else None)
        kept = () if options.get("replaceFields") else frame.fields
        return Frame(frame.ref, (*kept, Field(name, tuple(values), number=True)))

    return [more(frame) for frame in found]


def _filter_by_value(found: list[Frame], options: Spec) -> list[Frame]:
    def holds(rule: Spec, row: dict[str, Any]) -> bool:
        value, test = row.get(rule["fieldName"]), rule["config"]
        wanted = test.get("options", {}).get("value")
        match test["id"]:
            case "isNull":
                return value is None
            case "isNotNull":
                return value is not None
            case "greater":
                return value is not None and value > float(wanted)
            case "greaterOrEqual":
                return value is not None and value >= float(wanted)
            case "lower":
                return value is not None and value < float(wanted)
            case "lowerOrEqual":
                return value is not None and value <= float(wanted)
            case "equal":
                return bool(str(value) == str(wanted) or value == wanted)
            case "notEqual":
                return bool(str(value) != str(wanted) and value != wanted)
        raise NotUnderstood(f"filterByValue with {test['id']!r}")

    every = all if options.get("match") == "all" else any
    include = options.get("type", "include") == "include"
    return [
        _frame_of(
            [
                row
                for row in frame.rows()
                if every(holds(rule, row) for rule in options["filters"]) == include
            ],
            {one.title: one for one in frame.fields},
        )
        for frame in found
    ]


def _labels_to_fields(found: list[Frame], options: Spec) -> list[Frame]:
    """Labels become columns, so that series can be merged."""
    if options.get("mode", "columns") != "columns":
        raise NotUnderstood("labelsToFields into rows")
    kept = set(options.get("keepLabels") or ())
    value = options.get("valueLabel")
    made = []
    for frame in found:
        series = next((one for one in frame.fields if one.labels), None)
        if series is None:
            made.append(frame)
            continue
        labels = {k: v for k, v in series.labels.items() if not kept or k in kept}
        shown = labels.pop(value, "") if value else series.name
        columns = tuple(Field(name, (label,) * len(frame)) for name, label in labels.items())
        plain = replace(series, labels={}, shown=shown)
        made.append(
            Frame(frame.ref, (*(one for one in frame.fields if not one.labels), *columns, plain))
        )
    return _merge(made, {})


def _reduced(found: list[Frame], options: Spec) -> list[Frame]:
    """A row a series, with a column for each reducer."""
    names = {"lastNotNull": "Last *", "last": "Last", "mean": "Mean", "max": "Max", "min": "Min", "sum": "Total", "count": "Count"}  # fmt: skip
    numbers = [one for frame in found for one in frame.fields if one.number]
    return [
        Frame(
            "reduce",
            (
                Field("Field", tuple(one.title for one in numbers)),
                *(
                    Field(
                        names[how],
                        tuple(reduced(one.values, how) for one in numbers),
                        number=True,
                    )
                    for how in options["reducers"]
                ),
            ),
        )
    ]


def _grouped(found: list[Frame], options: Spec) -> list[Frame]:
    """Rows of equal keys as one, the other columns aggregated."""
    rules = options["fields"]
    keys = [name for name, rule in rules.items() if rule.get("operation") == "groupby"]
    sums = [
        (name, how)
        for name, rule in rules.items()
        if rule.get("operation") == "aggregate"
        for how in rule["aggregations"]
    ]
    made = []
    for frame in found:
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in frame.rows():
            groups.setdefault(tuple(row.get(key) for key in keys), []).append(row)
        rows = [
            dict(zip(keys, group, strict=True))
            | {f"{n} ({how})": reduced([row.get(n) for row in same], how) for n, how in sums}
            for group, same in groups.items()
        ]
        columns = {one.title: one for one in frame.fields if one.title in keys}
        columns |= {f"{n} ({how})": Field(f"{n} ({how})", (), number=True) for n, how in sums}
        made.append(_frame_of(rows, columns))
    return made


def _as_it_is(found: list[Frame], options: Spec) -> list[Frame]:
    return found


TRANSFORMATIONS = {
    "merge": _merge,
    "joinByField": _join,
    "seriesToColumns": _join,
    "organize": _organize,
    "filterFieldsByName": _filter_by_name,
    "renameByRegex": _rename,
    "calculateField": _calculate,
    "filterByValue": _filter_by_value,
    "labelsToFields": _labels_to_fields,
    "reduce": _reduced,
    "groupBy": _grouped,
    "sortBy": _as_it_is,
    "limit": _as_it_is,
    "convertFieldType": _as_it_is,
}


def _frame_of(rows: Sequence[dict[str, Any]], columns: Mapping[str, Field]) -> Frame:
    return Frame(
        "joined",
        tuple(
            replace(one, values=tuple(row.get(title) for row in rows))
            for title, one in columns.items()
        ),
    )


def reduced(values: Sequence[Any], how: str) -> Any:
    """A column as one value."""
    known = [value for value in values if value is not None and value == value]
    match how:
        case "last":
            return values[-1] if values else None
        case "lastNotNull":
            return known[-1] if known else None
        case "first" | "firstNotNull":
            return known[0] if known else None
        case "mean":
            return sum(known) / len(known) if known else None
        case "sum":
            return sum(known)
        case "max":
            return max(known, default=None)
        case "min":
            return min(known, default=None)
        case "count":
            return len(values)
    raise NotUnderstood(f"reducer {how!r}")


# ------------------------------------------------------------------------- what a value looks like


@dataclass(frozen=True)
class Look:
    text: str
    colour: str

    @property
    def green(self) -> bool:
        return is_green(self.colour)


#: What a field is coloured by where the file does not say.
COLOURED_BY = {
    "timeseries": "palette-classic",
    "barchart": "palette-classic",
    "piechart": "palette-classic",
    "histogram": "palette-classic",
    "state-timeline": "continuous-GrYlRd",
}
STEPS = [{"value": None, "color": "green"}, {"value": 80, "color": "red"}]
"""Grafana's thresholds where the file has none: green is what one gets for saying nothing."""


def settings(panel: Panel, column: Field | None = None) -> Spec:
    """The field's configuration: defaults, then every override that matches."""
    config = panel.spec.get("fieldConfig") or {}
    found = dict(config.get("defaults") or {})
    if column is None:
        return found
    for override in config.get("overrides") or ():
        if _matches(override["matcher"], column):
            for one in override["properties"]:
                found[one["id"]] = one.get("value")
    return found


def _matches(matcher: Spec, column: Field) -> bool:
    wanted = matcher.get("options")
    match matcher["id"]:
        case "byName":
            return bool(wanted in (column.title, column.name))
        case "byRegexp":
            return bool(re.search(re.sub(r"^/|/[a-z]*$", "", wanted), column.title))
        case "byType":
            return bool(wanted == "number") and column.number
        case "byFrameRefID":
            return bool(column.ref == wanted)
        case "byNames":
            return column.title in wanted.get("names", ())
    raise NotUnderstood(f"override by {matcher['id']!r}")


def look(panel: Panel, value: Any, column: Field | None = None) -> Look:
    """Text and colour of a value; None is what stands where there is no value at all."""
    config = settings(panel, column)
    text, colour = _mapped(value, config.get("mappings") or ())
    if text is None and value is None:
        text = str(config.get("noValue") or ("No data" if column is None else ""))
    if text is None:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    if colour is None:
        colour = _coloured(panel, value, config)
    return Look(text, colour)


def _mapped(value: Any, mappings: Sequence[Spec]) -> tuple[str | None, str | None]:
    for mapping in mappings:
        options = mapping["options"]
        result = None
        match mapping["type"]:
            case "value":
                if value is not None:
                    result = options.get(_key(value))
            case "range":
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    low, high = options.get("from"), options.get("to")
                    above = low is None or value >= low
                    if above and (high is None or value <= high):
                        result = options["result"]
            case "regex":
                pattern = re.sub(r"^/|/[a-z]*$", "", options["pattern"])
                if value is not None and re.search(pattern, _key(value)):
                    result = options["result"]
            case "special":
                if _is_special(value, options["match"]):
                    result = options["result"]
            case other:
                raise NotUnderstood(f"mapping {other!r}")
        if result is not None:
            return result.get("text"), result.get("color")
    return None, None


def _key(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_special(value: Any, match: str) -> bool:
    nan = isinstance(value, float) and math.isnan(value)
    return {
        "null": value is None,
        "nan": nan,
        "null+nan": value is None or nan,
        "true": value is True,
        "false": value is False,
        "empty": value == "",
    }[match]


def _coloured(panel: Panel, value: Any, config: Spec) -> str:
    how = config.get("color") or {"mode": COLOURED_BY.get(panel.type, "thresholds")}
    if how["mode"] in ("fixed", "shades"):
        return str(how.get("fixedColor") or "gray")
    if how["mode"] != "thresholds":
        return str(how["mode"])
    thresholds = config.get("thresholds") or {"mode": "absolute", "steps": STEPS}
    number = float(value) if isinstance(value, (int, float)) else -math.inf
    if thresholds.get("mode") == "percentage" and math.isfinite(number):
        low, high = config.get("min") or 0, config.get("max")
        number = 100 * (number - low) / ((100 if high is None else high) - low)
    found = "green"
    for step in thresholds["steps"]:
        if step.get("value") is None or number >= step["value"]:
            found = str(step["color"])
    return found


def is_green(colour: str) -> bool:
    """By name, or by hue: whatever a person would take for "all is well"."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        return "green" in colour.lower()
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return green > 1.15 * red and green > 1.15 * blue
