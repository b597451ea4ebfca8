"""Cohere's chat, version 2.

`message-end` is the end: with a finish reason and the usage, or with `ERROR` and, perhaps, a word
on it in `delta.error`.  A `[DONE]` after it is not read.  Errors before the stream are flat,
`{"id": …, "message": …}`, and tell the trial key's monthly limit under the status of a rate limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.dialects.complaints import complaint
from monitor.dialects.events import count, dig, finish, identity, output, unpack, word
from monitor.dialects.explain import explain_in_band
from monitor.dialects.request import bearer, chat_headers, merge, under
from monitor.dialects.signals import (
    Channel,
    Done,
    Ending,
    Problem,
    Request,
    Signal,
    Usage,
)
from monitor.dialects.sse import Event
from monitor.model import Check, Reason, Tokens

ENDINGS: Mapping[str, Ending] = {
    "COMPLETE": Ending.COMPLETE,
    "STOP_SEQUENCE": Ending.COMPLETE,
    "TOOL_CALL": Ending.COMPLETE,
    "MAX_TOKENS": Ending.LENGTH,
    "ERROR_TOXIC": Ending.FILTERED,
}

#: Elsewhere a 498 is Groq's lack of capacity; Cohere's SDK raises it as an invalid token.
STATUSES: Mapping[int, Reason] = {498: Reason.AUTH}


def build(check: Check, prompt: str) -> Request:
    """The request of one attempt; `check.body` is merged last, null removes a key."""
    body: dict[str, Any] = {
        "model": check.model,
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
        "max_tokens": check.max_tokens,
    }
    url = under(check.url, "/v2/chat")
    return Request("POST", url, chat_headers(check, bearer(check)), merge(body, check.body))


def read(event: Event) -> list[Signal]:
    """The signals in one event; raises ValueError where it does not decode."""
    if event.data.startswith(b"[DONE]"):
        return []
    document = unpack(event)
    if isinstance(document, Problem):
        return [document]
    match word(document.get("type")) or event.name:
        case "message-start":
            return identity(None, document.get("id"))
        case "content-start" | "content-delta":
            content = dig(document, "delta", "message", "content")
            thought = output(dig(content, "thinking"), Channel.REASONING)
            return thought or output(dig(content, "text"))
        case "message-end":
            return _ended(document.get("delta"))
    return []


def _ended(delta: Any) -> list[Signal]:
    found = complaint(delta)
    if found:
        return [explain_in_band(found, streaming=True)]
    why = dig(delta, "finish_reason")
    return [*_usage(dig(delta, "usage")), *finish(why, ENDINGS), Done()]


def _usage(usage: Any) -> list[Signal]:
    """What is billed, which leaves out the chat's frame; where that is not told, what was read."""
    if not isinstance(usage, dict):
        return []
    billed, read = usage.get("billed_units"), usage.get("tokens")
    counts = billed if dig(billed, "input_tokens") is not None else read
    tokens = Tokens(
        input=count(dig(counts, "input_tokens")),
        output=count(dig(counts, "output_tokens")),
        cached=count(usage.get("cached_tokens")),
    )
    return [Usage(tokens)]
