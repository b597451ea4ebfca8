"""HTML that providers and their edges show: the web front as a dialect, error and wall pages."""

from __future__ import annotations

from html import escape
from typing import Any

from monitor.simulator.seam import Answer, Ask, Dialect, Flavour, Rendered, Trouble, slices

MEDIA = "text/html; charset=utf-8"
STATUS = {
    Trouble.NO_KEY: 401,
    Trouble.BAD_KEY: 401,
    Trouble.BAD_REQUEST: 400,
    Trouble.NO_MODEL: 404,
    Trouble.NO_ROUTE: 404,
    Trouble.NO_METHOD: 405,
    Trouble.RATE: 429,
    Trouble.BALANCE: 402,
    Trouble.QUOTA: 429,
    Trouble.ENGINE: 429,
    Trouble.BUSY: 503,
    Trouble.SERVER: 500,
}


def page(title: str, text: str) -> bytes:
    """A small whole HTML page."""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
        f"</head>\n<body><h1>{title}</h1><p>{text}</p></body>\n</html>\n"
    ).encode()


FRONT = page("Simulated Chat", "Ask me anything.")
LOGIN = page("Sign in", "Please sign in to continue.")


def bad_gateway(ray: str) -> bytes:
    """What an edge like Cloudflare shows when the provider behind it does not answer."""
    return page("502 Bad gateway", f"The web server reported a bad gateway error. Ray ID: {ray}")


def wall(ray: str) -> bytes:
    """A bot wall: solvable by a browser with a person, not by a monitor."""
    script = '<script src="/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1"></script>'
    return page("Just a moment...", f"Checking that you are human. {script} Ray ID: {ray}")


def _ask(_body: Any, _path: str) -> Ask:
    return Ask()


def _render(_ask: Ask, answer: Answer, _flavour: Flavour) -> Rendered:
    return Rendered(MEDIA, slices(FRONT, max(4, len(answer.pieces))) if answer.pieces else ())


def _error(trouble: Trouble, _flavour: Flavour, message: str = "") -> tuple[int, bytes]:
    name = trouble.name.replace("_", " ").lower()
    text = escape(message or f"Sorry: {name}.")
    return STATUS[trouble], page(f"Error {STATUS[trouble]}", text)


def _error_event(trouble: Trouble, flavour: Flavour) -> bytes:
    return _error(trouble, flavour)[1]


def _keep_alive(_ask: Ask) -> bytes:
    return b"<!-- wait -->\n"


#: The page people chat on; behaviours apply to it as to an API.
DIALECT = Dialect(
    name="web",
    route="/web$",
    method="GET",
    ask=_ask,
    render=_render,
    error=_error,
    error_event=_error_event,
    keep_alive=_keep_alive,
    lists="(?!)",
    error_media=MEDIA,
    needs_key=False,
)
