"""Google Gemini, `streamGenerateContent` with `alt=sse`.

Events end in CRLF and have no names; there is no terminal marker: the answer is whole when a
chunk with `finishReason` was followed by the end of the body.  A refused prompt has no candidates,
only `promptFeedback.blockReason`.  An error may stand in the stream as `data:`, as a bare
pretty-printed object, or in a one-element list (see `loose_sse`).
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
from monitor.dialects.request import chat_headers, in_path, key_header, merge, under
from monitor.dialects.signals import (
    Channel,
    Ending,
    Finish,
    Problem,
    Request,
    Signal,
    Usage,
)
from monitor.dialects.sse import Event
from monitor.model import Check, Tokens

#: Reasons that lie in what was written, or asked, and not in the service (Gemini API reference).
_CONTENT = (
    "SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII OTHER MODEL_ARMOR IMAGE_SAFETY "
    "IMAGE_PROHIBITED_CONTENT IMAGE_RECITATION IMAGE_OTHER NO_IMAGE MALFORMED_FUNCTION_CALL "
    "UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS"
)

ENDINGS: Mapping[str, Ending] = {
    "STOP": Ending.COMPLETE,
    "MAX_TOKENS": Ending.LENGTH,
    **dict.fromkeys(_CONTENT.split(), Ending.FILTERED),
}


def build(check: Check, prompt: str) -> Request:
    """The request of one attempt; `check.body` is merged last, null removes a key."""
    body: dict[str, Any] = {
        "contents": [{"role": "user", "parts": [{"text": prompt}]}],
        "generationConfig": {"maxOutputTokens": check.max_tokens},
    }
    # In a header, because `?key=` ends up in logs.
    headers = chat_headers(check, key_header(check, "x-goog-api-key"))
    model = in_path(check.model.removeprefix("models/"))
    path = f"/v1beta/models/{model}:streamGenerateContent"
    # Without `alt=sse` the answer is one JSON array in pieces (ankit373/hydra#855).
    return Request("POST", under(check.url, path, alt="sse"), headers, merge(body, check.body))


def read(event: Event) -> list[Signal]:
    """The signals in one event; raises ValueError where it does not decode."""
    chunk = unpack(event)
    if isinstance(chunk, Problem):
        return [chunk]
    signals = identity(chunk.get("modelVersion"), chunk.get("responseId"))
    usage = chunk.get("usageMetadata")
    if isinstance(usage, dict):
        signals.append(Usage(_tokens(usage)))
    return signals + _candidate(dig(chunk, "candidates", 0)) + _blocked(chunk)


def _candidate(candidate: Any) -> list[Signal]:
    parts = dig(candidate, "content", "parts")
    signals: list[Signal] = []
    for part in parts if isinstance(parts, list) else ():
        channel = Channel.REASONING if dig(part, "thought") is True else Channel.ANSWER
        signals += output(dig(part, "text"), channel)
    return signals + finish(dig(candidate, "finishReason"), ENDINGS)


def _blocked(chunk: dict[str, Any]) -> list[Signal]:
    why = word(dig(chunk, "promptFeedback", "blockReason"))
    return [Finish(Ending.FILTERED, why)] if why else []


def _tokens(usage: Mapping[str, Any]) -> Tokens:
    """Sums so far; thoughts are billed as output but counted apart from the candidates."""
    thoughts = count(usage.get("thoughtsTokenCount"))
    return Tokens(
        input=count(usage.get("promptTokenCount")),
        output=total(count(usage.get("candidatesTokenCount")), thoughts),
        reasoning=thoughts,
        cached=count(usage.get("cachedContentTokenCount")),
    )
