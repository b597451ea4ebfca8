"""Azure OpenAI: the chat dialect under other paths, with content filters and words of its own.

Source: Azure's REST reference and "Content filtering" (November 2026): a first chunk without
choices carries what the filter made of the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from monitor.simulator import openai_chat
from monitor.simulator.seam import Answer, Ask, Flavour, Rendered, Trouble
from monitor.simulator.sse import event, packed

_ROUTE = r"/openai/(?:v1|deployments/(?P<model>[^/]+))/chat/completions$"
_DENIED = "Access denied due to invalid subscription key or wrong API endpoint."
_SAFE = {"filtered": False, "severity": "safe"}
_FILTERS = dict.fromkeys(("hate", "self_harm", "sexual", "violence"), _SAFE)

#: Code and message where they are not OpenAI's.
ERRORS: Mapping[Trouble, tuple[str, str]] = {
    Trouble.NO_KEY: ("401", _DENIED),
    Trouble.BAD_KEY: ("401", _DENIED),
    Trouble.NO_MODEL: ("DeploymentNotFound", "The API deployment does not exist."),
    Trouble.NO_ROUTE: ("404", "Resource not found"),
    Trouble.RATE: ("RateLimitReached", "Requests have exceeded the call rate limit."),
    Trouble.SERVER: ("InternalServerError", "Backend returned unexpected response."),
}


def read_ask(body: Any, path: str) -> Ask:
    """Like the chat dialect's, but an old path names the deployment, and the body no model."""
    found = re.search(_ROUTE, path)
    model = found["model"] if found else None
    if model and isinstance(body, dict):
        body = {**body, "model": model}
    return openai_chat.read_ask(body, path)


def render(ask: Ask, answer: Answer, flavour: Flavour) -> Rendered:
    """The chat dialect's answer after the filter's word on the prompt."""
    rendered = openai_chat.render(ask, answer, flavour)
    if not ask.stream:
        return rendered
    filtered = [{"prompt_index": 0, "content_filter_results": _FILTERS}]
    nobody = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
    first = event({**nobody, "prompt_filter_results": filtered})
    return replace(rendered, opening=(first, *rendered.opening))


def error(trouble: Trouble, flavour: Flavour, message: str = "") -> tuple[int, bytes]:
    """Status and body of an error answer."""
    status, body = openai_chat.error(trouble, flavour, message)
    if trouble in ERRORS:
        code, usual = ERRORS[trouble]
        body = packed({"error": {"code": code, "message": message or usual}})
    return status, body


DIALECT = replace(
    openai_chat.DIALECT,
    name="azure-openai",
    route=_ROUTE,
    ask=read_ask,
    render=render,
    error=error,
    lists="/openai/(v1/)?models$",
)
