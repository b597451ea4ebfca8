"""Answers as the frames that a panel gets, and what its transformations make of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.grafana.boards import Labels, Query, Spec


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


TRANSFORMATIONS = {"merge": _merge, "organize": _organize}


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
