"""The scalar values of `checks.yaml`, each a `Rule`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import regex

from monitor.config import urls, windows
from monitor.config.rules import Rule, Schema, Unfit, number, pattern, quoted, text, via

#: Labels that `aichat_check_info` or the check metrics have already, or that Prometheus sets.
RESERVED_LABELS = frozenset(
    (
        "check",
        "provider",
        "model",
        "state",
        "reason",
        "phase",
        "direction",
        "limit",
        "protocol",
        "host",
        "group",
        "mode",
        "job",
        "instance",
        "le",
    )
)

_NAME = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9._-]{1,64}")
_LABEL = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]{0,63}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_RANGE = re.compile(r"(?P<low>[1-5][0-9][0-9])(?:-(?P<high>[1-5][0-9][0-9]))?")
_HEADER_TEXT = re.compile(r"[\t\x20-\x7e\x80-\uffff]*")


def read_label(value: Any) -> str:
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        raise Unfit("a label name of letters, digits and _ that does not begin with a digit or __")
    if value in RESERVED_LABELS:
        raise Unfit("a label name that the monitor does not use itself")
    return value


def read_header(value: Any) -> str:
    if not isinstance(value, str) or not _HEADER.fullmatch(value):
        raise Unfit("header names of letters, digits and -")
    return value


def read_header_text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit("a text" + quoted(value))
    if not _HEADER_TEXT.fullmatch(value):
        raise Unfit("a text without control characters")
    return str(value)


@lru_cache(maxsize=1024)
def read_regex(expression: str) -> str:
    """A pattern that compiles; checked once however many checks use it."""
    try:
        regex.compile(expression)
    except (regex.error, RecursionError, OverflowError) as error:
        said = re.sub("'[^']*'", "…", str(error))
        raise ValueError(f"a regular expression ({said})") from None
    return expression


def read_json(value: Any) -> Any:
    """Data that JSON can say."""
    for item in _values(value):
        if isinstance(item, float) and not math.isfinite(item):
            raise Unfit("numbers that JSON has", "a number that is not finite")
        if isinstance(item, int) and abs(item) >= 2**63:
            raise Unfit("numbers of at most 63 bits", "a longer number")
    return value


def _values(value: Any) -> Iterator[Any]:
    yield value
    for inner in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _values(inner)


def read_json_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unfit("a mapping")
    made: dict[str, Any] = read_json(value)
    return made


def read_status(value: Any) -> tuple[tuple[int, int], ...]:
    """`200`, `"200-299"`, or a list of such, as inclusive ranges."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise Unfit("at least one status", "an empty list")
    return tuple(_range(item) for item in items)


def _range(item: Any) -> tuple[int, int]:
    match = _RANGE.fullmatch(str(item))
    low = int(match["low"]) if match else 0
    high = int(match["high"] or low) if match else 0
    if not low or low > high:
        raise Unfit('a status such as 200, a range such as "200-299", or a list of them')
    return low, high


_STATUS: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 100, "maximum": 599},
        {"type": "string", "pattern": r"^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$|\$\{"},
    ]
}

KEY = text("a text such as ${DEEPSEEK_API_KEY}")
NAME = pattern(_NAME, "letters, digits, '.', '_' or '-', at most 64 of them")
LABEL_NAME = Rule(read_label, {"type": "string", "pattern": f"^{_LABEL.pattern}$"})
HEADER_NAME = Rule(read_header, {"type": "string"})
HEADER_TEXT = Rule(read_header_text, {"type": "string"})
REGEX = via(read_regex, "a regular expression", minLength=1, format="regex")
BARE_URL = via(urls.read_bare, urls.ADDRESS, minLength=1)
URL = via(urls.read_url, urls.ADDRESS, minLength=1)
TARGET = via(urls.read_target, urls.TARGET, minLength=1)
PROXY = via(urls.read_proxy, "a proxy's address or env", minLength=1)
ZONE = via(windows.read_zone, "a time zone", minLength=1)
CLOCK = via(windows.read_clock, "a time of day such as 02:00", minLength=1)
MOMENT = via(windows.read_moment, "a moment such as 2026-12-01T02:00", minLength=1)
JSON = Rule(read_json, {})
JSON_OBJECT = Rule(read_json_object, {"type": "object"})
STATUS = Rule(
    read_status, {"anyOf": [*_STATUS["anyOf"], {"type": "array", "items": _STATUS, "minItems": 1}]}
)
DOLLARS = number("US dollars, 0 or more", lambda value: value >= 0, minimum=0)
SHARE = number(
    "a share between 0 and 1, such as 0.995",
    lambda value: 0 < value < 1,
    exclusiveMinimum=0,
    exclusiveMaximum=1,
)
