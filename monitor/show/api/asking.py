"""What a request asks for: query parameters, each checked; what is wrong becomes a problem.  Pure.

Problems are those of RFC 9457.  None of them repeats more of a request than its first characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from monitor import duration, words
from monitor.show.past import DAYS, HOUR24

LIMIT, LARGEST_LIMIT = 100, 1000
SINCE = "30d"
REPEATED = 80
"""Characters of a wrong value that are said back."""


class Problem(Exception):
    """An answer that is an error: its status, and what a client needs to know."""

    def __init__(self, status: HTTPStatus, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {
            "type": "about:blank",
            "title": status.phrase,
            "status": status.value,
            "detail": detail,
            **more,
        }


def _bad(parameter: str, seen: str, expected: str) -> Problem:
    seen = words.printable(seen if len(seen) <= REPEATED else f"{seen[:REPEATED]}…")
    return Problem(
        HTTPStatus.BAD_REQUEST,
        f"{parameter}: seen {seen!r}, expected {expected}",
        parameter=parameter,
        seen=seen,
        expected=expected,
    )


def unknown_check(parameter: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "No check has this name.", parameter=parameter)


@dataclass(frozen=True, slots=True)
class OutagesAsked:
    """Which outages `/api/v1/outages` shall tell."""

    since: float
    """Unix seconds."""
    check: str | None
    limit: int


def outages_asked(query: Mapping[str, list[str]], now: float) -> OutagesAsked:
    """Raises Problem."""
    given = single(query, ("since", "check", "limit"))
    return OutagesAsked(
        _since(given.get("since", SINCE), now), given.get("check"), _limit(given.get("limit"))
    )


def single(query: Mapping[str, list[str]], known: tuple[str, ...]) -> dict[str, str]:
    """The one value of each parameter, all of which have to be `known`.  Raises Problem."""
    for name, values in query.items():
        if name not in known:
            raise _bad("query", name, f"no parameter but {', '.join(known)}" if known else "none")
        if len(values) > 1:
            raise _bad(name, values[1], "it once")
    return {name: values[0] for name, values in query.items()}


def _since(text: str, now: float) -> float:
    try:
        since = duration.since(text, now)
    except ValueError as error:
        raise _bad("since", text, str(error)) from None
    if since < now - DAYS * HOUR24:
        raise _bad("since", text, f"at most {DAYS}d ago; `monitor outages` tells older ones")
    return since


def _limit(text: str | None) -> int:
    if text is None:
        return LIMIT
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= LARGEST_LIMIT:
        return int(text)
    raise _bad("limit", text, f"a whole number from 1 to {LARGEST_LIMIT}")
