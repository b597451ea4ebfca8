"""OpenAI's Responses API, also spoken by DeepSeek, DashScope, Ollama and gateways.

An event names itself twice, in `event:` and in `type`.  `response.created` and `in_progress` come
at once and prove nothing.  One of `response.completed`, `.incomplete` and `.failed` ends the
answer; there is no `[DONE]`, and one that a gateway adds means nothing (it does not make a cut
answer whole).  Rate limits and overload come as `response.failed` or `error` under a 200, seen
even after all of the text (several clients of 2025 and 2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.dialects.complaints import complaint
from monitor.dialects.events import count, dig, identity, output, unpack, word
from monitor.dialects.explain import explain_in_band
from monitor.dialects.request import bearer, chat_headers, merge, under
from monitor.dialects.signals import (
    Channel,
    Done,
    Ending,
    Finish,
    Problem,
    Request,
    Signal,
    Usage,
)
from monitor.dialects.sse import Event
from monitor.model import Check, Reason, Tokens

#: Deltas that carry output; a refusal is an answer.
DELTAS: Mapping[str, Channel] = {
    "response.output_text.delta": Channel.ANSWER,
    "response.refusal.delta": Channel.ANSWER,
    "response.reasoning_text.delta": Channel.REASONING,
    "response.reasoning_summary_text.delta": Channel.REASONING,
}

#: Why a response is incomplete.
ENDINGS: Mapping[str, Ending] = {
    "max_output_tokens": Ending.LENGTH,
    "content_filter": Ending.FILTERED,
}


def build(check: Check, prompt: str) -> Request:
    """The request of one attempt; `check.body` is merged last, null removes a key."""
    body: dict[str, Any] = {
        "model": check.model,
        "input": prompt,
        "stream": True,
        "max_output_tokens": check.max_tokens,
    }
    url = under(check.url, "/responses")
    return Request("POST", url, chat_headers(check, bearer(check)), merge(body, check.body))


def read(event: Event) -> list[Signal]:
    """The signals in one event; raises ValueError where it does not decode."""
    if event.data.startswith(b"[DONE]"):
        return []
    document = unpack(event)
    if isinstance(document, Problem):
        return [document]
    kind = word(document.get("type")) or event.name
    if kind in DELTAS:
        return output(document.get("delta"), DELTAS[kind])
    response = document.get("response")
    if not isinstance(response, dict):
        return []
    signals = _facts(response)
    if kind == "response.failed" or response.get("error"):
        signals.append(_failed(response))
    elif kind in {"response.completed", "response.incomplete"}:
        signals += _ended(kind, response)
    return signals


def _facts(response: dict[str, Any]) -> list[Signal]:
    signals = identity(response.get("model"), response.get("id"))
    usage = response.get("usage")
    if isinstance(usage, dict):
        signals.append(Usage(_tokens(usage)))
    return signals


def _ended(kind: str, response: dict[str, Any]) -> list[Signal]:
    why = word(dig(response, "incomplete_details", "reason"))
    status = word(response.get("status")) or kind.removeprefix("response.")
    if why:
        ending = ENDINGS.get(why, Ending.BROKEN)
    else:
        whole = kind == "response.completed" and status == "completed"
        ending = Ending.COMPLETE if whole else Ending.BROKEN
    return [Finish(ending, why or status), Done()]


def _failed(response: dict[str, Any]) -> Problem:
    found = complaint(response)
    if found is None:
        return Problem(Reason.STREAM_ERROR, "the response failed, and no word on why")
    return explain_in_band(found, streaming=True)


def _tokens(usage: Mapping[str, Any]) -> Tokens:
    return Tokens(
        input=count(usage.get("input_tokens")),
        output=count(usage.get("output_tokens")),
        reasoning=count(dig(usage, "output_tokens_details", "reasoning_tokens")),
        cached=count(dig(usage, "input_tokens_details", "cached_tokens")),
    )
