"""Cohere Chat v2: requests in, typed events and flat error objects out; no I/O.

Source: Cohere's API reference, "Chat with Streaming" (November 2026).
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

#: What went wrong on their side at the end of an answer is `ERROR`, whatever it was.
FINISH: Mapping[Ending, str] = {
    Ending.STOP: "COMPLETE",
    Ending.LENGTH: "MAX_TOKENS",
    Ending.FILTERED: "ERROR_TOXIC",
    Ending.EXHAUSTED: "ERROR",
}

_TRIAL = "You are using a Trial key, which is limited to 20 API calls / minute."
_MONTH = "You are using a Trial key, which is limited to 1000 API calls / month."

ERRORS: Mapping[Trouble, tuple[int, str]] = {
    Trouble.NO_KEY: (401, "no api key supplied"),
    Trouble.BAD_KEY: (401, "invalid api token"),
    Trouble.BAD_REQUEST: (400, "invalid request: max_tokens must be positive"),
    Trouble.NO_MODEL: (404, "model 'no-such-model' not found, make sure the name is correct"),
    Trouble.NO_ROUTE: (404, "invalid request: not found"),
    Trouble.NO_METHOD: (405, "method not allowed"),
    Trouble.RATE: (429, _TRIAL),
    Trouble.BALANCE: (402, "Please add or update your payment method to continue"),
    Trouble.QUOTA: (429, _MONTH),
    Trouble.ENGINE: (503, "The service is overloaded, please try again later"),
    Trouble.BUSY: (503, "The service is overloaded, please try again later"),
    Trouble.SERVER: (500, "internal server error"),
}


def read_ask(body: Any, _path: str) -> Ask:
    """What a request body asks for; raises ValueError where it is no request."""
    request = request_of(body)
    thinking = request.get("thinking")
    return Ask(
        model=model_of(request),
        question=question_of(request.get("messages")),
        stream=request.get("stream") is True,
        usage=True,
        cap=cap_of(request, "max_tokens"),
        thinking=not (isinstance(thinking, dict) and thinking.get("type") == "disabled"),
    )


def render(ask: Ask, answer: Answer, _flavour: Flavour) -> Rendered:
    """The answer as events, or as slices of one object; `message-end` is finish and marker."""
    if not ask.stream:
        return Rendered("application/json", slices(packed(_whole(answer)), answer.spoken))
    empty: dict[str, Any] = {"role": "assistant", "content": [], "tool_plan": ""}
    start = _event("message-start", {"message": empty | {"tool_calls": [], "citations": []}})
    pieces: list[bytes] = []
    blocks = [("thinking", answer.thoughts), ("text", answer.pieces)]
    for index, (kind, texts) in enumerate((k, t) for k, t in blocks if t):
        begun = {"message": {"content": {"type": kind, kind: ""}}}
        deltas = [
            _event("content-delta", {"message": {"content": {kind: text}}}, index=index)
            for text in texts
        ]
        deltas[0] = _event("content-start", begun, index=index) + deltas[0]
        deltas[-1] += typed({"type": "content-end", "index": index})
        pieces += deltas
    ended = {"finish_reason": FINISH[answer.ending], "usage": _usage(answer)}
    return Rendered(
        media="text/event-stream",
        opening=(start.replace(b"{", b'{"id":"%s",' % answer.id.encode(), 1),),
        pieces=tuple(pieces),
        marker=_event("message-end", ended),
    )


def _event(kind: str, delta: Mapping[str, Any], **more: Any) -> bytes:
    return typed({"type": kind, **more, "delta": delta})


def _whole(answer: Answer) -> dict[str, Any]:
    content = [{"type": "text", "text": "".join(answer.pieces)}] if answer.pieces else []
    if answer.thoughts:
        content.insert(0, {"type": "thinking", "thinking": "".join(answer.thoughts)})
    return {
        "id": answer.id,
        "finish_reason": FINISH[answer.ending],
        "message": {"role": "assistant", "content": content},
        "usage": _usage(answer),
    }


def _usage(answer: Answer) -> dict[str, Any]:
    counts = {
        "input_tokens": answer.prompt_tokens,
        "output_tokens": answer.spoken,
    }
    return {"billed_units": counts, "tokens": counts}


def error(trouble: Trouble, _flavour: Flavour, message: str = "") -> tuple[int, bytes]:
    """Status and body of an error answer."""
    status, usual = ERRORS[trouble]
    return status, packed({"message": message or usual})


def error_event(trouble: Trouble, _flavour: Flavour) -> bytes:
    """The end of an answer that broke: there is no other error under a 200."""
    delta = {"finish_reason": "ERROR", "error": ERRORS[trouble][1]}
    return _event("message-end", delta)


def model_list(_flavour: Flavour, models: tuple[str, ...]) -> bytes:
    """The answer of `GET /v1/models`."""
    return packed({"models": [{"name": name, "endpoints": ["chat"]} for name in models]})


def _keep_alive(_ask: Ask) -> bytes:
    # Not documented; what keeps the connections of other vendors alive.
    return b": keep-alive\n\n"


DIALECT = Dialect(
    name="cohere",
    route="/v2/chat$",
    method="POST",
    ask=read_ask,
    render=render,
    error=error,
    error_event=error_event,
    keep_alive=_keep_alive,
    model_list=model_list,
)
