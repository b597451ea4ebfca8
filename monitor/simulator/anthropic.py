"""Anthropic Messages: requests in, named events and error objects out; no I/O.

Source: Anthropic's API reference, "Streaming messages" and "Errors" (November 2026).
"""

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
from monitor.simulator.sse import packed, typed

#: It has no word for a lack of capacity at the end of an answer; `pause_turn` comes nearest.
FINISH: Mapping[Ending, str] = {
    Ending.STOP: "end_turn",
    Ending.LENGTH: "max_tokens",
    Ending.FILTERED: "refusal",
    Ending.EXHAUSTED: "pause_turn",
}

_LOW = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
_LIMIT = "This request would exceed your organization's rate limit."

#: Status, type and message.
ERRORS: Mapping[Trouble, tuple[int, str, str]] = {
    Trouble.NO_KEY: (401, "authentication_error", "x-api-key header is required"),
    Trouble.BAD_KEY: (401, "authentication_error", "invalid x-api-key"),
    Trouble.BAD_REQUEST: (400, "invalid_request_error", "max_tokens: Field required"),
    Trouble.NO_MODEL: (404, "not_found_error", "model: no-such-model"),
    Trouble.NO_ROUTE: (404, "not_found_error", "Not found"),
    Trouble.NO_METHOD: (405, "invalid_request_error", "Method Not Allowed"),
    Trouble.RATE: (429, "rate_limit_error", _LIMIT),
    Trouble.BALANCE: (400, "invalid_request_error", _LOW),
    Trouble.QUOTA: (402, "billing_error", "You have reached your specified API usage limits."),
    Trouble.ENGINE: (529, "overloaded_error", "Overloaded"),
    Trouble.BUSY: (529, "overloaded_error", "Overloaded"),
    Trouble.SERVER: (500, "api_error", "Internal server error"),
}


def read_ask(body: Any, _path: str) -> Ask:
    """What a request body asks for; raises ValueError where it is no request."""
    request = request_of(body)
    cap = cap_of(request, "max_tokens")
    if cap is None:
        raise ValueError("max_tokens: Field required")
    thinking = request.get("thinking")
    return Ask(
        model=model_of(request),
        question=question_of(request.get("messages")),
        stream=request.get("stream") is True,
        usage=True,
        cap=cap,
        thinking=isinstance(thinking, dict) and thinking.get("type") != "disabled",
    )


def render(ask: Ask, answer: Answer, _flavour: Flavour) -> Rendered:
    """The answer as events, or as slices of one message."""
    if not ask.stream:
        return Rendered("application/json", slices(packed(_message(answer)), answer.spoken))
    begun = {**_message(answer), "content": [], "stop_reason": None}
    begun["usage"] = {**begun["usage"], "output_tokens": 1}
    opening = [typed({"type": "message_start", "message": begun})]
    pieces: list[bytes] = []
    for index, (kind, texts) in enumerate(_blocks(answer)):
        start = typed({"type": "content_block_start", "index": index, "content_block": kind})
        deltas = [_delta(index, kind["type"], text) for text in texts]
        stop = typed({"type": "content_block_stop", "index": index})
        if kind["type"] == "thinking":
            sealed = {"type": "signature_delta", "signature": "c2ltdWxhdGVk"}
            seal = {"type": "content_block_delta", "index": index, "delta": sealed}
            stop = typed(seal) + stop
        if not pieces:
            # Noise before the first token belongs to the opening.
            opening += [start, typed({"type": "ping"})]
        else:
            deltas[0] = start + deltas[0]
        deltas[-1] += stop
        pieces += deltas
    usage = {"output_tokens": answer.spoken}
    ended = {"stop_reason": FINISH[answer.ending], "stop_sequence": None}
    return Rendered(
        media="text/event-stream; charset=utf-8",
        opening=tuple(opening),
        pieces=tuple(pieces),
        closing=(typed({"type": "message_delta", "delta": ended, "usage": usage}),),
        marker=typed({"type": "message_stop"}),
    )


def _blocks(answer: Answer) -> list[tuple[dict[str, Any], tuple[str, ...]]]:
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    text = {"type": "text", "text": ""}
    both = [(thinking, answer.thoughts), (text, answer.pieces)]
    return [(kind, texts) for kind, texts in both if texts]


def _delta(index: int, kind: str, text: str) -> bytes:
    field = "thinking" if kind == "thinking" else "text"
    delta = {"type": f"{field}_delta", field: text}
    return typed({"type": "content_block_delta", "index": index, "delta": delta})


def _message(answer: Answer) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for kind, texts in _blocks(answer):
        content.append({**kind, kind["type"]: "".join(texts)})
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": FINISH[answer.ending],
        "stop_sequence": None,
        "usage": {
            "input_tokens": answer.prompt_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": answer.spoken,
        },
    }


def error(trouble: Trouble, flavour: Flavour, message: str = "") -> tuple[int, bytes]:
    """Status and body of an error answer."""
    return ERRORS[trouble][0], packed(_problem(trouble, message))


def error_event(trouble: Trouble, _flavour: Flavour) -> bytes:
    """The error as an event under a 200 that has long been sent."""
    return typed(_problem(trouble, ""))


def _problem(trouble: Trouble, message: str) -> dict[str, Any]:
    _, kind, usual = ERRORS[trouble]
    return {"type": "error", "error": {"type": kind, "message": message or usual}}


def model_list(_flavour: Flavour, models: tuple[str, ...]) -> bytes:
    """The answer of `GET /v1/models`."""
    rows = [{"type": "model", "id": name, "display_name": name} for name in models]
    ends = {"first_id": models[0], "last_id": models[-1]} if models else {}
    return packed({"data": rows, "has_more": False, **ends})


def _keep_alive(_ask: Ask) -> bytes:
    return typed({"type": "ping"})


DIALECT = Dialect(
    name="anthropic",
    route="/v1/messages$",
    method="POST",
    ask=read_ask,
    render=render,
    error=error,
    error_event=error_event,
    keep_alive=_keep_alive,
    model_list=model_list,
)
