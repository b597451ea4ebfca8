"""Every query of a dashboard, put to a real Prometheus as Grafana would put it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from tests import grafana
from tests.grafana import (
    ALL,
    SECOND,
    Dashboard,
    Frame,
    Panel,
    Plan,
    Query,
    Series,
    Span,
    UnknownVariable,
    Variable,
)
from tests.prometheus import Prometheus

WIDTH = 1600
"""Pixels of the window."""


@dataclass(frozen=True)
class Answer:
    """What came back for one query; `error` tells why nothing could."""

    query: Query
    expr: str
    instant: tuple[Series, ...] = ()
    ranged: tuple[Series, ...] = ()
    error: str = ""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    step: int = 0

    @property
    def series(self) -> tuple[Series, ...]:
        return self.instant + self.ranged

    def __str__(self) -> str:
        return f"{self.query}\n    {' '.join(self.expr.split())}"


@dataclass(frozen=True)
class Shown:
    """A panel with the answers to all its queries."""

    panel: Panel
    answers: tuple[Answer, ...]

    @property
    def raw(self) -> list[Frame]:
        return grafana.frames([(one.query, one.series) for one in self.answers])

    @property
    def frames(self) -> list[Frame]:
        return grafana.transformed(self.raw, self.panel.spec)

    def asked(self, ref: str) -> str:
        """The expression behind a column."""
        return next((one.expr for one in self.answers if one.query.ref == ref), "")


@dataclass
class Grafana:
    """Asks one Prometheus; `scrape` is the data source's scrape interval."""

    server: Prometheus
    scrape: str = "15s"
    width: int = WIDTH
    whole: bool = False
    """Ask ranges up to the end of the step that is on: a story of a minute may lie within one."""

    # -------------------------------------------------------------------------- variables

    def variables(
        self, board: Dashboard, span: Span, chosen: Mapping[str, Sequence[str]] | None = None
    ) -> tuple[dict[str, Variable], list[Answer]]:
        """The variables as a visitor finds them, but for what is `chosen`; and what was asked."""
        known: dict[str, Variable] = {}
        asked: list[Answer] = []
        for spec in board.variables:
            name = str(spec["name"])
            options = self._options(board, spec, span, known, asked)
            known[name] = Variable(
                name,
                self._chosen(spec, options, (chosen or {}).get(name)),
                options,
                multi=bool(spec.get("multi")),
                include_all=bool(spec.get("includeAll")),
                all_value=spec.get("allValue") or None,
            )
        return known, asked

    def _options(
        self,
        board: Dashboard,
        spec: dict[str, Any],
        span: Span,
        known: Mapping[str, Variable],
        asked: list[Answer],
    ) -> tuple[str, ...]:
        match spec["type"]:
            case "datasource":
                return ("prometheus",)
            case "query":
                answer, options = self._looked_up(board, spec, span, known)
                asked.append(answer)
                return options
            case "custom" | "interval":
                return tuple(part.split(" : ")[-1].strip() for part in spec["query"].split(","))
            case "constant" | "textbox":
                return (str(spec.get("query") or spec.get("current", {}).get("value") or ""),)
        raise grafana.NotUnderstood(f"variable of type {spec['type']!r}")

    def _looked_up(
        self, board: Dashboard, spec: dict[str, Any], span: Span, known: Mapping[str, Variable]
    ) -> tuple[Answer, tuple[str, ...]]:
        said = spec["query"]
        text = str(said["query"] if isinstance(said, dict) else said)
        query = Query(f"{board.title} / variable {spec['name']}", "variable", spec["name"], text)
        try:
            expr = grafana.built_in(
                grafana.expand(text, known, {}), span, SECOND, 4 * grafana.milliseconds(self.scrape)
            )
            found = self._values(expr, span)
        except (OSError, ValueError, UnknownVariable) as error:
            return Answer(query, text, error=told(error)), ()
        regex = re.sub(r"^/|/[a-z]*$", "", spec.get("regex") or "")
        if regex:
            matches = [re.search(regex, value) for value in found]
            found = [one[1] if one.re.groups else one[0] for one in matches if one]
        values = tuple(dict.fromkeys(found))
        series = tuple(Series({spec["name"]: value}, ()) for value in values)
        return Answer(query, expr, series), values

    def _values(self, expr: str, span: Span) -> list[str]:
        times = {"start": span.start // SECOND, "end": -(-span.end // SECOND)}
        labels = re.fullmatch(r"label_values\((?:(.+),)?\s*([a-zA-Z_]\w*)\s*\)", expr.strip(), re.S)
        if labels:
            wanted = {**times, "match[]": labels[1].strip()} if labels[1] else times
            path = f"label/{quote(labels[2])}/values"
            return sorted(str(one) for one in self._get(path, wanted)["data"])
        result = re.fullmatch(r"query_result\((.+)\)", expr.strip(), re.S)
        if not result:
            raise grafana.NotUnderstood(f"variable query {expr!r}")
        data = self._get("query", {"query": result[1], "time": span.end / SECOND})["data"]
        return [
            f"{_series_text(one['metric'])} {one['value'][1]} {round(one['value'][0] * SECOND)}"
            for one in data["result"]
        ]

    @staticmethod
    def _chosen(
        spec: dict[str, Any], options: tuple[str, ...], wanted: Sequence[str] | None
    ) -> tuple[str, ...]:
        if wanted is not None:
            return tuple(wanted) if spec.get("multi") else tuple(wanted[:1])
        current = (spec.get("current") or {}).get("value")
        current = current if isinstance(current, list) else [current]
        if spec.get("includeAll") and (current == [ALL] or current == [None]):
            return (ALL,)
        if current != [None] and set(current) <= set(options):
            return tuple(current)
        return options[:1]

    # ---------------------------------------------------------------------------- queries

    def shown(
        self, board: Dashboard, span: Span, variables: Mapping[str, Variable]
    ) -> Iterator[Shown]:
        """Every panel, asked."""
        values = {one.name: one.options if one.all else one.chosen for one in variables.values()}
        for panel in board.panels(self.width, values):
            answers = tuple(self.ask(query, span, variables) for query in panel.queries)
            yield Shown(panel, answers)

    def annotated(
        self, board: Dashboard, span: Span, variables: Mapping[str, Variable]
    ) -> list[Answer]:
        return [self.ask(query, span, variables) for query in board.annotations()]

    def ask(self, query: Query, span: Span, variables: Mapping[str, Variable]) -> Answer:
        try:
            plan = grafana.plan(query, span, self.scrape, variables)
        except (UnknownVariable, ValueError) as error:
            return Answer(query, query.expr, error=told(error))
        began = time.monotonic()
        try:
            instant, ranged, warnings = self._both(plan)
        except (OSError, ValueError) as error:
            return Answer(query, plan.expr, error=told(error), step=plan.step)
        took = time.monotonic() - began
        return Answer(query, plan.expr, instant, ranged, "", warnings, took, plan.step)

    def _both(self, plan: Plan) -> tuple[tuple[Series, ...], tuple[Series, ...], tuple[str, ...]]:
        instant: tuple[Series, ...] = ()
        ranged: tuple[Series, ...] = ()
        warnings: list[str] = []
        if plan.query.instant:
            found = self._get("query", {"query": plan.expr, "time": plan.at / SECOND})
            instant = read(found["data"])
            warnings += found.get("warnings", [])
        if plan.query.range or not plan.query.instant:
            span = plan.whole if self.whole else plan.aligned
            form = {"start": span.start / SECOND, "end": span.end / SECOND}
            found = self._get(
                "query_range", {"query": plan.expr, **form, "step": plan.step / SECOND}
            )
            ranged = read(found["data"])
            warnings += found.get("warnings", [])
        return instant, ranged, tuple(warnings)

    def _get(self, path: str, form: Mapping[str, Any]) -> dict[str, Any]:
        """POST where Prometheus takes it, as the provisioned data source does."""
        url, body = f"{self.server.url}/api/v1/{path}", urlencode(form)
        asked = (
            Request(f"{url}?{body}") if path.startswith("label") else Request(url, body.encode())
        )
        with urlopen(asked, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


def told(error: Exception) -> str:
    """What went wrong, in Prometheus's own words where it has some."""
    if isinstance(error, HTTPError):
        with error:
            return f"HTTP {error.code}: {error.read().decode(errors='replace')[:500]}"
    return f"{type(error).__name__}: {error}"


def read(data: Mapping[str, Any]) -> tuple[Series, ...]:
    """The data of an answer, whatever its type."""
    kind, result = data["resultType"], data["result"]
    if kind == "scalar":
        return (Series({}, ((float(result[0]), float(result[1])),)),)
    if kind not in ("vector", "matrix"):
        raise ValueError(f"Grafana shows no {kind}")
    return tuple(
        Series(
            one["metric"],
            tuple((float(at), float(value)) for at, value in one.get("values") or [one["value"]]),
        )
        for one in result
    )


def _series_text(labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{k}="{v}"' for k, v in labels.items() if k != "__name__")
    return f"{labels.get('__name__', '')}{{{inside}}}"
