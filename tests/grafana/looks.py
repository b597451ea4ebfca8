"""Text and colour of a value, from mappings, thresholds and overrides; and of no value."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.grafana.answers import Field, NotUnderstood
from tests.grafana.boards import Panel, Spec


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
