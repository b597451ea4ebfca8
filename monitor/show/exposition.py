"""Which format a scrape gets: Prometheus text 0.0.4, or OpenMetrics 1.0.0 for those who ask.

The header comes from anybody, so nothing of it is ever echoed and nothing in it can raise.
"""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    """A format by the content type it is sent with."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


_TEXT_TYPES = frozenset({"text/plain", "text/*", "*/*"})


def choose(accept: str) -> Format:
    """What to answer to this `Accept` header; text unless OpenMetrics is liked at least as well."""
    text = openmetrics = 0.0
    for offer in accept[:2048].split(","):
        kind, _, rest = offer.partition(";")
        options = _options(rest)
        if kind.strip().lower() in _TEXT_TYPES:
            text = max(text, _quality(options))
        elif _is_openmetrics(kind, options):
            openmetrics = max(openmetrics, _quality(options))
    return Format.OPENMETRICS if openmetrics > 0 and openmetrics >= text else Format.TEXT


def _is_openmetrics(kind: str, options: dict[str, str]) -> bool:
    named = kind.strip().lower() == "application/openmetrics-text"
    return named and options.get("version", "1.0.0") == "1.0.0"


def _options(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip(' "') for name, _, value in pairs}


def _quality(options: dict[str, str]) -> float:
    try:
        value = float(options.get("q", "1"))
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0
