"""Ollama's own chat: one JSON object a line, errors as plain strings, no keys; no I/O.

Source: Ollama's `docs/api.md` and the behaviour of its server (November 2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
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
from monitor.simulator.sse import packed

#: A server of one's own filters nothing and runs out of nothing but tokens.
FINISH: Mapping[Ending, str] = {
    Ending.STOP: "stop",
    Ending.LENGTH: "length",
    Ending.FILTERED: "stop",
    Ending.EXHAUSTED: "stop",
}

#: Keys, money and rates exist in its cloud only.
ERRORS: Mapping[Trouble, tuple[int, str]] = {
    Trouble.NO_KEY: (401, "unauthorized"),
    Trouble.BAD_KEY: (401, "unauthorized"),
    Trouble.BAD_REQUEST: (400, "invalid options: num_predict"),
    Trouble.NO_MODEL: (404, "model 'no-such-model' not found"),
    Trouble.NO_ROUTE: (404, "404 page not found"),
    Trouble.NO_METHOD: (405, "405 method not allowed"),
    Trouble.RATE: (429, "too many requests"),
    Trouble.BALANCE: (402, "this model requires a subscription, upgrade for access"),
    Trouble.QUOTA: (429, "you have reached your weekly usage limit, upgrade for higher limits"),
    Trouble.ENGINE: (503, "server busy, please try again.  maximum pending requests exceeded"),
    Trouble.BUSY: (503, "server busy, please try again.  maximum pending requests exceeded"),
    Trouble.SERVER: (500, "llama runner process has terminated: exit status 2"),
}


def read_ask(body: Any, _path: str) -> Ask:
    """What a request body asks for; raises ValueError where it is no request."""
    request = request_of(body)
    return Ask(
        model=model_of(request),
        question=question_of(request.get("messages")),
        stream=request.get("stream") is not False,
        usage=True,
        cap=cap_of(request_of(request.get("options") or {}), "num_predict"),
        thinking=request.get("think") is not False,
    )


def render(ask: Ask, answer: Answer, _flavour: Flavour) -> Rendered:
    """The answer as lines, or as slices of one object; the last line is finish and marker."""
    thoughts = [{"content": "", "thinking": text} for text in answer.thoughts]
    pieces = [{"content": text} for text in answer.pieces]
    if not ask.stream:
        message = {"content": "".join(answer.pieces)}
        if answer.thoughts:
            message["thinking"] = "".join(answer.thoughts)
        whole = packed(_line(answer, message, _ended(answer)))
        return Rendered("application/json; charset=utf-8", slices(whole, answer.spoken))
    return Rendered(
        media="application/x-ndjson",
        pieces=tuple(packed(_line(answer, part)) + b"\n" for part in (*thoughts, *pieces)),
        marker=packed(_line(answer, {"content": ""}, _ended(answer))) + b"\n",
    )


def _line(
    answer: Answer, message: Mapping[str, Any], ended: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "model": answer.model,
        "created_at": datetime.fromtimestamp(answer.created, UTC).isoformat(),
        "message": {"role": "assistant", **message},
        "done": ended is not None,
        **(ended or {}),
    }


def _ended(answer: Answer) -> dict[str, Any]:
    return {
        "done_reason": FINISH[answer.ending],
        "total_duration": 400_000_000,
        "load_duration": 20_000_000,
        "prompt_eval_count": answer.prompt_tokens,
        "prompt_eval_duration": 100_000_000,
        "eval_count": answer.spoken,
        "eval_duration": 30_000_000 * answer.spoken,
    }


def error(trouble: Trouble, _flavour: Flavour, message: str = "") -> tuple[int, bytes]:
    """Status and body of an error answer."""
    status, usual = ERRORS[trouble]
    return status, packed({"error": message or usual})


def error_event(trouble: Trouble, flavour: Flavour) -> bytes:
    """The error as a line under a 200 that has long been sent."""
    return error(trouble, flavour)[1] + b"\n"


def model_list(_flavour: Flavour, models: tuple[str, ...]) -> bytes:
    """The answer of `GET /api/tags`."""
    return packed({"models": [{"name": name, "model": name, "size": 1} for name in models]})


def _keep_alive(_ask: Ask) -> bytes:
    # It sends none; an empty line is what readers of lines have to bear.
    return b"\n"


DIALECT = Dialect(
    name="ollama",
    route="/api/chat$",
    method="POST",
    ask=read_ask,
    render=render,
    error=error,
    error_event=error_event,
    keep_alive=_keep_alive,
    model_list=model_list,
    lists="/api/tags$",
    needs_key=False,
)
