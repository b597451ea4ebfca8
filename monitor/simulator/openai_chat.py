"""OpenAI Chat Completions: requests in, chunks and error objects out; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.simulator.reading import cap_of, model_of, question_of, request_of
from monitor.simulator.seam import (
    Answer,
    Ask,
    Dialect,
    Ending,
    Flavour,
    Rendered,
    Trouble,
    slices,
)
from monitor.simulator.sse import event, packed

FINISH: Mapping[Ending, str] = {
    Ending.STOP: "stop",
    Ending.LENGTH: "length",
    Ending.FILTERED: "content_filter",
    Ending.EXHAUSTED: "insufficient_system_resource",
}

_INVALID = "invalid_request_error"
_BUSY = "service_unavailable_error"
_QUOTA = "credit_balance_exhausted"
_LIMIT = "rate_limit_exceeded"

#: status, type, code and message.  DeepSeek's empty purse says `invalid_request_error` for a code,
#: Moonshot's crowded engine says 429: neither the status nor the code alone can be believed.
ERRORS: Mapping[Trouble, tuple[int, str, str | None, str]] = {
    Trouble.NO_KEY: (401, _INVALID, None, "You did not provide an API key."),
    Trouble.BAD_KEY: (401, _INVALID, "invalid_api_key", "Incorrect API key provided."),
    Trouble.BAD_REQUEST: (400, _INVALID, "unsupported_parameter", "Unsupported parameter."),
    Trouble.NO_MODEL: (404, _INVALID, "model_not_found", "The model does not exist."),
    Trouble.NO_ROUTE: (404, _INVALID, "unknown_url", "There is nothing at this URL."),
    Trouble.NO_METHOD: (405, _INVALID, "method_not_supported", "Not with this method."),
    Trouble.RATE: (429, "requests", _LIMIT, "Rate limit reached for requests per minute."),
    Trouble.BALANCE: (402, "unknown_error", _INVALID, "Insufficient Balance"),
    Trouble.QUOTA: (429, "insufficient_quota", _QUOTA, "You exceeded your current quota."),
    Trouble.ENGINE: (429, "engine_overloaded_error", None, "The engine is overloaded right now."),
    Trouble.BUSY: (503, _BUSY, _BUSY, "Service is too busy. Please try again later."),
    Trouble.SERVER: (500, "server_error", None, "The server had an error on your request."),
}


def read_ask(body: Any, _path: str) -> Ask:
    """What a request body asks for; raises ValueError where it is no chat request."""
    request = request_of(body)
    options = request.get("stream_options")
    return Ask(
        model=model_of(request),
        question=question_of(request.get("messages")),
        stream=request.get("stream") is True,
        usage=isinstance(options, dict) and options.get("include_usage") is True,
        cap=cap_of(request, "max_completion_tokens", "max_tokens"),
        thinking=_thinking(request),
    )


def _thinking(body: dict[str, Any]) -> bool:
    # One switch each of DeepSeek, OpenAI and Qwen.
    off = body.get("thinking") == {"type": "disabled"}
    return not (
        off or body.get("reasoning_effort") == "none" or body.get("enable_thinking") is False
    )


def render(ask: Ask, answer: Answer, flavour: Flavour) -> Rendered:
    """The answer as a stream of chunks, or as slices of one JSON object."""
    if not ask.stream:
        whole = packed(completion(answer, flavour))
        return Rendered("application/json", slices(whole, answer.spoken))
    first = _first_delta(answer)
    thoughts = [_chunk(ask, answer, {"reasoning_content": text}) for text in answer.thoughts]
    pieces = [_chunk(ask, answer, {"content": text}) for text in answer.pieces]
    closing = [_chunk(ask, answer, {}, FINISH[answer.ending])]
    if ask.usage or flavour.counts_unasked:
        closing.append(event({**_frame(answer), "choices": [], "usage": usage(answer, flavour)}))
    return Rendered(
        media="text/event-stream",
        opening=(_chunk(ask, answer, first),),
        pieces=(*thoughts, *pieces),
        closing=tuple(closing),
        marker=b"data: [DONE]\n\n",
    )


def completion(answer: Answer, flavour: Flavour) -> dict[str, Any]:
    """The object that answers a request without `stream`."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(answer.pieces)}
    if answer.thoughts:
        message["reasoning_content"] = "".join(answer.thoughts)
    choice = {"index": 0, "message": message, "finish_reason": FINISH[answer.ending]}
    frame = {**_frame(answer), "object": "chat.completion"}
    return {**frame, "choices": [choice], "usage": usage(answer, flavour)}


def usage(answer: Answer, flavour: Flavour) -> dict[str, Any]:
    """Tokens as this vendor counts them."""
    asked, said = answer.prompt_tokens, answer.spoken
    counts: dict[str, Any] = {
        "prompt_tokens": asked,
        "completion_tokens": said,
        "total_tokens": asked + said,
    }
    if flavour.counts_cache:
        counts |= {"prompt_cache_hit_tokens": 0, "prompt_cache_miss_tokens": asked}
    if flavour.counts_details:
        counts["prompt_tokens_details"] = {"cached_tokens": 0}
    # DeepSeek leaves the details out while its model does not think.
    if flavour.counts_details or answer.thoughts:
        counts["completion_tokens_details"] = {"reasoning_tokens": len(answer.thoughts)}
    return counts


def error(trouble: Trouble, flavour: Flavour, message: str = "") -> tuple[int, bytes]:
    """Status and body of an error answer."""
    return ERRORS[trouble][0], packed(problem(trouble, flavour, message))


def error_event(trouble: Trouble, flavour: Flavour) -> bytes:
    """The error as an event under a 200 that has long been sent."""
    return event(problem(trouble, flavour, ""))


def model_list(flavour: Flavour, models: tuple[str, ...]) -> bytes:
    """The answer of `GET /models`."""
    rows = [{"id": name, "object": "model", "owned_by": flavour.owner} for name in models]
    return packed({"object": "list", "data": rows})


def problem(trouble: Trouble, flavour: Flavour, message: str) -> dict[str, Any]:
    """The error object; the text replaces the usual message unless empty."""
    _, kind, code, usual = ERRORS[trouble]
    said = {"message": usual, "type": kind, "param": None, "code": code}
    said |= flavour.errors.get(trouble, {})
    return {"error": {**said, "message": message or said["message"]}}


def _first_delta(answer: Answer) -> dict[str, Any]:
    # A thinking DeepSeek model opens with an empty thought and a null content, others with an
    # empty content: neither is a token.
    if answer.thoughts:
        return {"role": "assistant", "content": None, "reasoning_content": ""}
    return {"role": "assistant", "content": ""}


def _frame(answer: Answer) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": answer.model,
    }


def _chunk(ask: Ask, answer: Answer, delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    chunk = {**_frame(answer), "choices": [choice]}
    return event({**chunk, "usage": None} if ask.usage else chunk)


def _keep_alive(ask: Ask) -> bytes:
    # A queueing DeepSeek sends comments into a stream and blank lines before a JSON body.
    return b": keep-alive\n\n" if ask.stream else b"\n"


DIALECT = Dialect(
    name="openai-chat",
    route="/chat/completions$",
    method="POST",
    ask=read_ask,
    render=render,
    error=error,
    error_event=error_event,
    keep_alive=_keep_alive,
    model_list=model_list,
)
