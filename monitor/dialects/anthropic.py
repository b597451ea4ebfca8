"""Anthropic Messages, also spoken by DeepSeek, Moonshot, Z.ai and gateways.

`message_start` and `ping` come before anything is generated and may come at any time: noise.
`message_stop` is the only clean end.  Errors come as `event: error` under a 200, most of all
`overloaded_error` (Anthropic's docs warn of it).  Unknown events are to be ignored (docs).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.dialects.events import (
    count,
    dig,
    finish,
    identity,
    output,
    total,
    unpack,
    word,
)
from monitor.dialects.request import chat_headers, key_header, merge, under
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
from monitor.model import Check, Tokens

VERSION = "2023-06-01"
"""The only version there is; without the header the answer is a 400."""

ENDINGS: Mapping[str, Ending] = {
    "end_turn": Ending.COMPLETE,
    "stop_sequence": Ending.COMPLETE,
    "tool_use": Ending.COMPLETE,
    "pause_turn": Ending.COMPLETE,
    "max_tokens": Ending.LENGTH,
    "model_context_window_exceeded": Ending.LENGTH,
    "refusal": Ending.FILTERED,
}


def build(check: Check, prompt: str) -> Request:
    """The request of one attempt; `check.body` is merged last, null removes a key."""
    body: dict[str, Any] = {
        "model": check.model,
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
        "max_tokens": check.max_tokens,
    }
    own = {"anthropic-version": VERSION, **key_header(check, "x-api-key")}
    url = under(check.url, "/v1/messages")
    return Request("POST", url, chat_headers(check, own), merge(body, check.body))


def read(event: Event) -> list[Signal]:
    """The signals in one event; raises ValueError where it does not decode."""
    document = unpack(event)
    if isinstance(document, Problem):
        return [document]
    match word(document.get("type")) or event.name:
        case "message_start":
            return _started(document)
        case "content_block_start":
            return _piece(document.get("content_block"))
        case "content_block_delta":
            return _piece(document.get("delta"))
        case "message_delta":
            return _changed(document)
        case "message_stop":
            return [Done()]
    return []


def _started(document: dict[str, Any]) -> list[Signal]:
    message = document.get("message")
    return identity(dig(message, "model"), dig(message, "id")) + _usage(dig(message, "usage"))


def _piece(piece: Any) -> list[Signal]:
    """A block's beginning or a delta; signatures, citations and tool input are no output."""
    thought = output(dig(piece, "thinking"), Channel.REASONING)
    return thought or output(dig(piece, "text"))


def _changed(document: dict[str, Any]) -> list[Signal]:
    why = dig(document, "delta", "stop_reason")
    return _usage(document.get("usage")) + finish(why, ENDINGS)


def _usage(usage: Any) -> list[Signal]:
    """Tokens so far; `input_tokens` leaves out what was read from or written to the cache."""
    if not isinstance(usage, dict):
        return []
    fresh = count(usage.get("input_tokens"))
    cached = count(usage.get("cache_read_input_tokens"))
    written = count(usage.get("cache_creation_input_tokens"))
    tokens = Tokens(
        input=None if fresh is None else total(fresh, cached, written),
        output=count(usage.get("output_tokens")),
        reasoning=count(dig(usage, "output_tokens_details", "thinking_tokens")),
        cached=cached,
    )
    return [Usage(tokens)]
