"""Variables put into a query, escaped as Grafana's Prometheus data source does it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

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
