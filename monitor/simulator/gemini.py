"""Google Gemini: `streamGenerateContent` with `alt=sse`, and `generateContent`; no I/O.

Source: Gemini's API reference (November 2026).  Lines end in CRLF, and no marker follows the chunk
that has a `finishReason`: so that one is the marker here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from monitor.simulator.reading import cap_of, question_of, request_of
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

_ROUTE = r"/v1(?:beta)?/models/(?P<model>[^/:]+):(?P<verb>streamGenerateContent|generateContent)$"
_CRLF = b"\r\n"
_KINDS = "type.googleapis.com/google.rpc."

#: A lack of capacity at the end of an answer has no word of its own; `OTHER` comes nearest.
FINISH: Mapping[Ending, str] = {
    Ending.STOP: "STOP",
    Ending.LENGTH: "MAX_TOKENS",
    Ending.FILTERED: "SAFETY",
    Ending.EXHAUSTED: "OTHER",
}

_QUOTA = "You exceeded your current quota, please check your plan and billing details."
_WAIT = {"@type": f"{_KINDS}RetryInfo", "retryDelay": "2s"}


def _violated(ident: str) -> dict[str, Any]:
    return {"@type": f"{_KINDS}QuotaFailure", "violations": [{"quotaId": ident}]}


def _info(reason: str) -> dict[str, Any]:
    return {"@type": f"{_KINDS}ErrorInfo", "reason": reason, "domain": "googleapis.com"}


#: Number, status, message and details.
ERRORS: Mapping[Trouble, tuple[int, str, str, list[dict[str, Any]]]] = {
    Trouble.NO_KEY: (403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers.", []),
    Trouble.BAD_KEY: (
        400,
        "INVALID_ARGUMENT",
        "API key not valid. Please pass a valid API key.",
        [_info("API_KEY_INVALID")],
    ),
    Trouble.BAD_REQUEST: (400, "INVALID_ARGUMENT", "Invalid value at 'generation_config'.", []),
    Trouble.NO_MODEL: (404, "NOT_FOUND", "models/no-such-model is not found for v1beta.", []),
    Trouble.NO_ROUTE: (404, "NOT_FOUND", "Requested entity was not found.", []),
    Trouble.NO_METHOD: (405, "INVALID_ARGUMENT", "Method not allowed.", []),
    Trouble.RATE: (
        429,
        "RESOURCE_EXHAUSTED",
        _QUOTA,
        [_violated("GenerateRequestsPerMinutePerProjectPerModel"), _WAIT],
    ),
    Trouble.BALANCE: (400, "FAILED_PRECONDITION", "Please enable billing on your project.", []),
    Trouble.QUOTA: (
        429,
        "RESOURCE_EXHAUSTED",
        _QUOTA,
        [_violated("GenerateRequestsPerDayPerProjectPerModel")],
    ),
    Trouble.ENGINE: (503, "UNAVAILABLE", "The model is overloaded. Please try again later.", []),
    Trouble.BUSY: (503, "UNAVAILABLE", "The model is overloaded. Please try again later.", []),
    Trouble.SERVER: (500, "INTERNAL", "An internal error has occurred.", []),
}


def read_ask(body: Any, path: str) -> Ask:
    """What a request asks for; raises ValueError where it is no request."""
    request = request_of(body)
    found = re.search(_ROUTE, path)
    if found is None:
        raise ValueError("the path names no model")
    options = request_of(request.get("generationConfig") or {})
    thinking = options.get("thinkingConfig")
    off = isinstance(thinking, dict) and thinking.get("thinkingBudget") == 0
    return Ask(
        model=found["model"],
        question=question_of(request.get("contents"), parts="parts"),
        stream=found["verb"] == "streamGenerateContent",
        usage=True,
        cap=cap_of(options, "maxOutputTokens"),
        thinking=not off,
    )


def render(ask: Ask, answer: Answer, _flavour: Flavour) -> Rendered:
    """The answer as chunks, or as slices of one object."""
    thoughts: list[dict[str, Any]] = [{"text": text, "thought": True} for text in answer.thoughts]
    pieces: list[dict[str, Any]] = [{"text": text} for text in answer.pieces]
    parts = [*thoughts, *pieces]
    if not ask.stream:
        whole = packed(_chunk(answer, parts, answer.spoken, FINISH[answer.ending]))
        return Rendered("application/json", slices(whole, answer.spoken))
    return Rendered(
        media="text/event-stream",
        pieces=tuple(
            event(_chunk(answer, [part], said + 1), end=_CRLF) for said, part in enumerate(parts)
        ),
        marker=event(_chunk(answer, [], answer.spoken, FINISH[answer.ending]), end=_CRLF),
    )


def _chunk(
    answer: Answer, parts: list[dict[str, Any]], said: int, finish: str | None = None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if not parts:
        candidate["content"] = {"role": "model"}
    if finish:
        candidate["finishReason"] = finish
    thought = min(said, len(answer.thoughts))
    usage = {
        "promptTokenCount": answer.prompt_tokens,
        "candidatesTokenCount": said - thought,
        "totalTokenCount": answer.prompt_tokens + said,
        **({"thoughtsTokenCount": thought} if thought else {}),
    }
    frame = {"modelVersion": answer.model, "responseId": answer.id}
    return {"candidates": [candidate], "usageMetadata": usage, **frame}


def error(trouble: Trouble, _flavour: Flavour, message: str = "") -> tuple[int, bytes]:
    """Status and body of an error answer."""
    return ERRORS[trouble][0], packed(_problem(trouble, message))


def error_event(trouble: Trouble, _flavour: Flavour) -> bytes:
    """The error as an event under a 200 that has long been sent."""
    return event(_problem(trouble, ""), end=_CRLF)


def _problem(trouble: Trouble, message: str) -> dict[str, Any]:
    code, status, usual, details = ERRORS[trouble]
    said: dict[str, Any] = {"code": code, "message": message or usual, "status": status}
    return {"error": {**said, "details": details} if details else said}


def model_list(_flavour: Flavour, models: tuple[str, ...]) -> bytes:
    """The answer of `GET /v1beta/models`."""
    verbs = {"supportedGenerationMethods": ["generateContent"]}
    rows = [{"name": f"models/{name}", "displayName": name, **verbs} for name in models]
    return packed({"models": rows})


def _keep_alive(_ask: Ask) -> bytes:
    # It is not known to send any; a blank line is what every reader of events has to bear.
    return _CRLF


DIALECT = Dialect(
    name="gemini",
    route=_ROUTE,
    method="POST",
    ask=read_ask,
    render=render,
    error=error,
    error_event=error_event,
    keep_alive=_keep_alive,
    model_list=model_list,
    lists="/v1beta/models$",
)
