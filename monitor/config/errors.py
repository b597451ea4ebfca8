"""Where a fault stands and what it says: all of them at once, and never a secret in any.

A trail is the way from the top of a file to a value: `("checks", 3, "timeout", "connect")`.
What a message may quote of the file is decided here, by `shown` and `kind`, and nowhere else.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from monitor.config.trail import Trail
from monitor.config.variables import FromVariable

_PLAIN = re.compile(r"[\w.,:;/+@%<>=!?*~()\[\]{}|^\\$ -]{0,48}")
_KEY = re.compile(r"\w[\w.-]{0,47}")
_SUSPECT = re.compile(
    r"(?i)\b(sk|pk|rk|gsk|hf|xai|ghp|aiza)[-_]"  # prefixes that vendors give their keys
    r"|(key|token|secret|passw\w*|bearer|basic)\s*[:= ]|://[^/]*@"
    r"|(?=[\w+/=-]*\d)(?=[\w+/=-]*[a-z])[\w+/=-]{20,}"
)


@dataclass(frozen=True, slots=True, order=True)
class ConfigError:
    """One fault: what was seen and what was expected, at `path` in `line` (from 1) of `file`."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}: {where}{self.message}"


class ConfigErrors(Exception):
    """The configuration cannot be used; `errors` holds every reason, by file and line."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(sorted(errors))
        super().__init__("\n".join(str(error) for error in self.errors))


@dataclass(frozen=True, slots=True)
class Flaw:
    """A fault of a file's text itself; `line` counts from 1."""

    line: int
    trail: Trail
    message: str


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """One parsed file: its name for messages, its data, and the line of each trail in it.

    The data may hold secrets, so there is no repr.
    """

    name: str
    data: Any
    line_of: Callable[[Trail], int] = lambda _trail: 1
    folder: Path = Path()
    flaws: tuple[Flaw, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A value in a document; `place / key` is the value below it."""

    document: Document
    trail: Trail = ()

    def __truediv__(self, key: str | int) -> Place:
        return Place(self.document, (*self.trail, key))

    def below(self, trail: Trail) -> Place:
        return Place(self.document, self.trail + trail)

    @property
    def where(self) -> str:
        return f"{self.document.name}:{self.document.line_of(self.trail)}"


class Findings:
    """Collects the errors and warnings of one load; a place keeps its first error only.

    A second error at the same place is nearly always a consequence of the first.  `known_keys` is
    asked, if there are findings, for words that paths may spell out whatever they look like.
    """

    def __init__(self, known_keys: Callable[[], frozenset[str]] = frozenset) -> None:
        self._known = known_keys
        self._errors: dict[tuple[str, Trail], ConfigError] = {}
        self._warnings: list[ConfigError] = []

    def __bool__(self) -> bool:
        return bool(self._errors)

    def error(self, place: Place, message: str, line: int | None = None) -> None:
        """`line` where the text has the trail twice and the second one is meant."""
        spot = (place.document.name, place.trail)
        if spot not in self._errors:
            self._errors[spot] = self._located(place, message, line)

    def warn(self, place: Place, message: str) -> None:
        self._warnings.append(self._located(place, message))

    @property
    def errors(self) -> tuple[ConfigError, ...]:
        return tuple(self._errors.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(str(warning) for warning in sorted(self._warnings))

    def _located(self, place: Place, message: str, line: int | None = None) -> ConfigError:
        path = dotted(place.trail, self._known())
        line = line or place.document.line_of(place.trail)
        return ConfigError(place.document.name, line, path, message)


def dotted(trail: Trail, known: frozenset[str] = frozenset()) -> str:
    """`checks[3].timeout.connect`; a key that might be a mistyped secret is not spelled out."""
    path = ""
    for part in trail:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += ("." if path else "") + (part if part in known else shown_key(part))
    return path


def shown_key(key: str) -> str:
    """The key itself, or `…` where it looks like a value that lost its key."""
    return key if _KEY.fullmatch(key) and not _SUSPECT.search(key) else "…"


def shown(value: Any) -> str:
    """What was seen, for a message; a text that might be a secret only by its length."""
    if isinstance(value, FromVariable):
        return "the value of " + " and ".join(f"${{{name}}}" for name in value.names)
    if isinstance(value, str):
        harmless = _PLAIN.fullmatch(value) and not _SUSPECT.search(value)
        return f"'{value}'" if harmless else f"a text of {len(value)} characters"
    if isinstance(value, bool):
        return "true" if value else "false (or off)"
    return str(value) if isinstance(value, int | float) else kind(value)


def looks_secret(text: str) -> bool:
    """Whether a part of it looks like a key or a password."""
    return bool(_SUSPECT.search(text))


def kind(value: Any) -> str:
    """The type of what was seen, and nothing of its value."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a truth value"
    names = {str: "a text", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return next((name for type_, name in names.items() if isinstance(value, type_)), "a value")


def hint(word: str, known: Iterable[str]) -> str:
    """`, did you mean 'interval'?` where one of the known words is close, else nothing."""
    return _hint(word, tuple(sorted(known)))


@lru_cache(maxsize=256)
def _hint(word: str, known: tuple[str, ...]) -> str:
    """Remembered, because the same slip may stand in ten thousand checks."""
    close = difflib.get_close_matches(word, known, n=1)
    return f", did you mean '{close[0]}'?" if close else ""
