"""A dashboard file read: every query of every panel, variable and annotation, and how it is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

Spec = dict[str, Any]
Labels = Mapping[str, str]

SECOND = 1000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
UNITS = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY, "y": 365 * DAY}

USUAL_POINTS = 1_500
ANNOTATION_POINTS = 100


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
