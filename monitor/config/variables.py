"""`${VAR}`, `${VAR:-default}` and `$$` in the text values of a file that is parsed already.

Values are put in after parsing, so that nothing in a variable can become a key or a list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from monitor.config.trail import Trail

_DOLLAR = re.compile(
    r"\$(?:(?P<literal>\$)"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<fallback>:-(?P<default>(?:(?!\$\{)[^}])*))?\}"
    r"|(?P<broken>\{))"
)

BROKEN = "seen a broken ${…}, expected ${NAME} or ${NAME:-default} ($$ for a dollar sign)"


class FromVariable(str):
    """A text that came from variables; `names` says which, messages must not say what."""

    names: tuple[str, ...]

    def __new__(cls, text: str, names: tuple[str, ...]) -> FromVariable:
        made = super().__new__(cls, text)
        made.names = names
        return made


@dataclass(frozen=True, slots=True)
class Expansion:
    """A text with its variables put in; `unset` ones count as empty, `fault` is a sentence."""

    text: str
    names: tuple[str, ...]
    unset: tuple[str, ...]
    fault: str | None


def expand(text: str, env: Mapping[str, str]) -> Expansion:
    """Puts the variables in; like the shell, a default also stands in for an empty variable."""
    names: list[str] = []
    unset: list[str] = []
    faults: list[str] = []

    def put(match: re.Match[str]) -> str:
        if match["literal"]:
            return "$"
        if match["broken"]:
            faults.append(BROKEN)
            return ""
        name = match["name"]
        names.append(name)
        value = env.get(name)
        if match["fallback"]:
            value = value or match["default"]
        elif value is None:
            unset.append(name)
        if value is not None and not _is_text(value):
            faults.append(f"the value of ${{{name}}} is not UTF-8, expected text")
        return value or ""

    expanded = _DOLLAR.sub(put, text)
    fault = faults[0] if faults else None
    return Expansion(expanded, tuple(names), tuple(unset), fault)


def _is_text(value: str) -> bool:
    """Bytes that are not UTF-8 arrive in the environment as lone surrogates; NUL is no text."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


Complain = Callable[[Trail, str], None]


def fill(value: Any, env: Mapping[str, str], complain: Complain, trail: Trail = ()) -> Any:
    """The data with variables put into each text value; `complain(trail, message)` hears faults."""
    if isinstance(value, str):
        return _filled(value, env, complain, trail) if "$" in value else value
    if isinstance(value, dict):
        return {key: fill(item, env, complain, (*trail, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, env, complain, (*trail, at)) for at, item in enumerate(value)]
    return value


def _filled(text: str, env: Mapping[str, str], complain: Complain, trail: Trail) -> str:
    done = expand(text, env)
    if done.fault:
        complain(trail, done.fault)
    elif done.unset:
        name = done.unset[0]
        complain(trail, f"seen ${{{name}}}, which is not set, expected it or ${{{name}:-default}}")
    return FromVariable(done.text, done.names) if done.names else done.text
