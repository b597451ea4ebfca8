"""OpenAI Chat Completions and its many relatives (DeepSeek, Mistral, Groq, vLLM, LiteLLM …).

Quirks that are read here, with the party that shows them:
`content` null, empty or a list of typed parts (Mistral); thinking in `reasoning_content`
(DeepSeek), `reasoning` (Groq, OpenRouter, vLLM) or `thinking`; `choices: []` first (Azure's filter
results) or last (usage); usage in its own chunk, on the finish chunk, in `choices[0]` (Moonshot) or
in `x_groq`; errors under 200 in any shape, at the top, in `choices[0]` or in `x_groq`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.dialects.complaints import complaint
from monitor.dialects.events import count, dig, unpack, word
from monitor.dialects.explain import explain_in_band
from monitor.dialects.request import bearer, chat_headers, merge, under
from monitor.dialects.signals import (
    Channel,
    Done,
    Ending,
    Finish,
    Identity,
    Output,
    Problem,
    Request,
    Signal,
    Usage,
)
from monitor.dialects.sse import Event
from monitor.model import Check, Tokens

ENDINGS: Mapping[str, Ending] = {
    "stop": Ending.COMPLETE,
    "eos": Ending.COMPLETE,
    "eos_token": Ending.COMPLETE,
    "stop_sequence": Ending.COMPLETE,
    "end_turn": Ending.COMPLETE,
    "tool_calls": Ending.COMPLETE,
    "function_call": Ending.COMPLETE,
    "length": Ending.LENGTH,
    "max_tokens": Ending.LENGTH,
    "model_length": Ending.LENGTH,
    "content_filter": Ending.FILTERED,
    "insufficient_system_resource": Ending.OVERLOADED,
}

#: A choice of nothing else hides neither an error nor usage.
_PLAIN = frozenset({"index", "delta", "logprobs", "finish_reason"})
_REASONING = ("reasoning_content", "reasoning", "thinking")


def build(check: Check, prompt: str) -> Request:
    """The request of one attempt; `check.body` is merged last, null removes a key."""
    url = under(check.url, "/chat/completions")
    return Request("POST", url, chat_headers(check, bearer(check)), body(check, prompt))


def body(check: Check, prompt: str) -> bytes:
    """The JSON asked with, the same for all of the family."""
    document: dict[str, Any] = {
        "model": check.model,
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
        check.token_field: check.max_tokens,
    }
    if check.usage_option:
        document["stream_options"] = {"include_usage": True}
    return merge(document, check.body)


def read(event: Event) -> list[Signal]:
    """The signals in one event; raises ValueError where it does not decode."""
    if event.data.startswith(b"[DONE]"):
        return [Done()]
    chunk = unpack(event)
    return [chunk] if isinstance(chunk, Problem) else _chunk(chunk)


def _chunk(chunk: dict[str, Any]) -> list[Signal]:
    signals: list[Signal] = []
    choices = chunk.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(choice, dict):
        _choice(choice, signals)
    usage = chunk.get("usage")
    for holder in (choice, chunk.get("x_groq")):
        if isinstance(holder, dict) and not _PLAIN.issuperset(holder):
            signals += _failed(holder)
            usage = usage or holder.get("usage")
    if isinstance(usage, dict):
        signals.append(Usage(tokens(usage)))
    model = chunk.get("model")
    if isinstance(model, str) and model:
        ident = chunk.get("id")
        signals.append(Identity(model, ident if isinstance(ident, str) and ident else None))
    return signals


def _failed(holder: dict[str, Any]) -> list[Signal]:
    """An error that stands deeper than at the top: in a choice (OpenRouter), in `x_groq`."""
    found = complaint(holder)
    return [explain_in_band(found, streaming=True)] if found else []


def _choice(choice: dict[str, Any], signals: list[Signal]) -> None:
    delta = choice.get("delta")
    if isinstance(delta, dict):
        for name in _REASONING:
            thought = delta.get(name)
            if thought and (text := _text(thought)):
                signals.append(Output(text, Channel.REASONING))
                break
        content = delta.get("content")
        if isinstance(content, list):
            _parts(content, signals)
        elif content and isinstance(content, str):
            signals.append(Output(content))
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            signals.append(Output(refusal))
    finish = choice.get("finish_reason")
    if isinstance(finish, str) and finish:
        signals.append(Finish(ENDINGS.get(finish.lower(), Ending.BROKEN), finish))


def _parts(content: list[Any], signals: list[Signal]) -> None:
    for part in content:
        if not isinstance(part, dict):
            continue
        thinking = _text(part.get("thinking"))
        if thinking:
            signals.append(Output(thinking, Channel.REASONING))
        elif part.get("text") and isinstance(part["text"], str):
            signals.append(Output(part["text"]))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(word(part.get("text")) for part in value if isinstance(part, dict))
    return ""


def tokens(usage: Mapping[str, Any]) -> Tokens:
    """Usage in OpenAI's words; DeepSeek's cache hits are read where the details are missing."""
    cached = dig(usage, "prompt_tokens_details", "cached_tokens")
    if cached is None:
        cached = usage.get("prompt_cache_hit_tokens")
    return Tokens(
        input=count(usage.get("prompt_tokens")),
        output=count(usage.get("completion_tokens")),
        reasoning=count(dig(usage, "completion_tokens_details", "reasoning_tokens")),
        cached=count(cached),
    )
