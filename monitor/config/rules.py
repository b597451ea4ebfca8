"""Kinds of scalar values: how each is read, what was expected, and how editors check it.

A rule takes what the YAML held and returns the value we work with, or raises `Unfit` with the words
for "expected …".  A text that came from a variable may stand for a number or a switch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from monitor import duration
from monitor.config.errors import hint, kind
from monitor.config.variables import FromVariable

Schema = dict[str, Any]
_VARIABLE: Schema = {"type": "string", "pattern": r"\$\{"}


class Unfit(ValueError):
    """`expected` completes "expected …"; `seen`, if given, is safe and better than the value."""

    def __init__(self, expected: str, seen: str | None = None) -> None:
        super().__init__(expected)
        self.expected = expected
        self.seen = seen


@dataclass(frozen=True, eq=False)
class Rule:
    """Ties a reading function and its JSON Schema to a type, as pydantic wants it."""

    read: Callable[[Any], Any]
    schema: Schema

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(
        self, _core: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> Schema:
        return dict(self.schema)

    def _checked(self, value: Any) -> Any:
        try:
            return self.read(value)
        except Unfit as unfit:
            context = {"expected": unfit.expected, "seen": unfit.seen or ""}
            raise PydanticCustomError("unfit", "{expected}", context) from None


def text(expected: str, longest: int = 4096) -> Rule:
    """Any text that is not empty, of several lines if need be."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise Unfit(f"{expected}{quoted(value)}")
        if not 1 <= len(value) <= longest:
            raise Unfit(f"{expected} of 1 to {longest} characters", f"{len(value)} characters")
        return str(value)

    return Rule(read, {"type": "string", "minLength": 1, "maxLength": longest})


def line(expected: str, longest: int, *, least: int = 1, keep: bool = False) -> Rule:
    """One line of printable text; `keep` lets later messages know that it came from a variable."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise Unfit(f"{expected}{quoted(value)}")
        if not least <= len(value) <= longest:
            bounds = f"{expected} of {least} to {longest} characters"
            raise Unfit(bounds, f"{len(value)} characters")
        if not value.isprintable():
            raise Unfit(f"{expected} without control characters", kind(value))
        return value if keep else str(value)

    return Rule(read, {"type": "string", "minLength": least, "maxLength": longest})


def quoted(value: Any) -> str:
    """Advice for what YAML took for a number or a truth value."""
    return " (put it in quotes)" if isinstance(value, bool | int | float) else ""


def whole(low: int, high: int) -> Rule:
    """A whole number within bounds, both included."""
    expected = f"a whole number from {low} to {high}"

    def read(value: Any) -> int:
        if isinstance(value, FromVariable) and value.isascii() and value.isdigit():
            value = int(value) if len(value) < 20 else value
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Unfit(expected)
        return value

    return Rule(read, or_variable({"type": "integer", "minimum": low, "maximum": high}))


def number(expected: str, fits: Callable[[float], bool], **schema: Any) -> Rule:
    """A finite number that `fits`."""

    def read(value: Any) -> float:
        if isinstance(value, FromVariable):
            value = _float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unfit(expected)
        if not math.isfinite(value) or not fits(value):
            raise Unfit(expected)
        return float(value)

    return Rule(read, or_variable({"type": "number", **schema}))


def _float(value: FromVariable) -> float | FromVariable:
    try:
        return float(value)
    except ValueError:
        return value


def switch() -> Rule:
    """True or false, in any of YAML's words."""
    words = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}

    def read(value: Any) -> bool:
        if isinstance(value, str):
            value = words.get(value.lower(), value)
        if not isinstance(value, bool):
            raise Unfit("on or off (true or false)")
        return value

    return Rule(read, or_variable({"enum": [True, False, "on", "off", "yes", "no"]}))


def off() -> Rule:
    """Only `off`, which YAML reads as false."""

    def read(value: Any) -> bool:
        if value is False or (isinstance(value, str) and value.lower() == "off"):
            return False
        raise Unfit("a mapping or off")

    return Rule(read, or_variable({"enum": [False, "off"]}))


def choice(*values: str) -> Rule:
    """One of a few words."""
    expected = "one of " + ", ".join(values) if len(values) > 1 else values[0]

    def read(value: Any) -> str:
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise Unfit(expected)
        if str(value) not in values:
            raise Unfit(expected + hint(str(value), values))
        return str(value)

    spelled: list[Any] = [*values, *(int(value) for value in values if value.isdigit())]
    return Rule(read, or_variable({"enum": spelled}))


def pattern(expression: re.Pattern[str], expected: str) -> Rule:
    """A text of a given shape."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not expression.fullmatch(value):
            raise Unfit(expected + quoted(value))
        return str(value)

    return Rule(read, or_variable({"type": "string", "pattern": f"^{expression.pattern}$"}))


def via(read_text: Callable[[str], Any], expected: str, **schema: Any) -> Rule:
    """A text that another module reads; its ValueError says what was expected."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise Unfit(expected)
        try:
            return read_text(value)
        except ValueError as error:
            raise Unfit(str(error)) from None

    return Rule(read, {"type": "string", **schema})


def length(least: float = 0.001, most: float = duration.LONGEST) -> Rule:
    """A duration of at least `least` seconds."""
    bounds = f" of at least {duration.spelled(least)}" if least >= 1 else " longer than zero"
    if most < duration.LONGEST:
        bounds += f" and at most {duration.spelled(most)}"

    def read(value: Any) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise Unfit(f"a duration with a unit, such as {value if 0 < value < 1e6 else 60}s")
        try:
            seconds = duration.seconds(value if isinstance(value, str) else "")
        except ValueError as error:
            raise Unfit(str(error)) from None
        if not least <= seconds <= most:
            raise Unfit("a duration" + bounds)
        return seconds

    return Rule(read, or_variable({"type": "string", "pattern": f"^{duration.PATTERN}$"}))


def or_variable(schema: Schema) -> Schema:
    """Editors must not underline `${…}` where a number or a word belongs."""
    return {"anyOf": [schema, dict(_VARIABLE)]}
