"""OpenAI Responses: requests in, numbered and named events out; no I/O.

Source: OpenAI's API reference, "Streaming events" (November 2026).  Errors are those of the chat
dialect; in a started stream they are `error` events.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from monitor.simulator import openai_chat
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

#: Why an answer is incomplete; a lack of capacity makes it `failed` instead.
INCOMPLETE: Mapping[Ending, str] = {
    Ending.LENGTH: "max_output_tokens",
    Ending.FILTERED: "content_filter",
}


def read_ask(body: Any, _path: str) -> Ask:
    """What a request body asks for; raises ValueError where it is no request."""
    request = request_of(body)
    said = request.get("input")
    reasoning = request.get("reasoning")
    return Ask(
        model=model_of(request),
        question=said if isinstance(said, str) else question_of(said),
        stream=request.get("stream") is True,
        usage=True,
        cap=cap_of(request, "max_output_tokens"),
        thinking=not (isinstance(reasoning, dict) and reasoning.get("effort") == "none"),
    )


def render(ask: Ask, answer: Answer, _flavour: Flavour) -> Rendered:
    """The answer as events, or as slices of one response object."""
    if not ask.stream:
        whole = packed(_response(answer, _status(answer)))
        return Rendered("application/json", slices(whole, answer.spoken))
    numbers = count()

    def told(kind: str, **fields: Any) -> bytes:
        return typed({"type": kind, "sequence_number": next(numbers), **fields})

    begun = _response(answer, "in_progress")
    opening = [
        told("response.created", response=begun),
        told("response.in_progress", response=begun),
    ]
    thoughts, pieces = _deltas(answer, told)
    items = enumerate(_items(answer))
    closing = [told("response.output_item.done", output_index=n, item=item) for n, item in items]
    status = _status(answer)
    end = told(f"response.{status}", response=_response(answer, status))
    return Rendered(
        media="text/event-stream; charset=utf-8",
        opening=tuple(opening),
        pieces=(*thoughts, *pieces),
        closing=tuple(closing),
        marker=end,
    )


def _deltas(answer: Answer, told: Any) -> tuple[list[bytes], list[bytes]]:
    """The thoughts and the words; the first word's bytes also open the message it belongs to."""
    thoughts = [
        told(
            "response.reasoning_summary_text.delta",
            item_id=f"rs_{answer.id}",
            output_index=0,
            summary_index=0,
            delta=text,
        )
        for text in answer.thoughts
    ]
    where = {"item_id": f"msg_{answer.id}", "output_index": int(bool(thoughts))}
    part = {"type": "output_text", "text": "", "annotations": []}
    pieces: list[bytes] = []
    for text in answer.pieces:
        before = b""
        if not pieces:
            item = {**_message(answer), "content": [], "status": "in_progress"}
            place = where["output_index"]
            before = told("response.output_item.added", output_index=place, item=item)
            before += told("response.content_part.added", **where, content_index=0, part=part)
        delta = {"content_index": 0, "delta": text, "logprobs": []}
        pieces.append(before + told("response.output_text.delta", **where, **delta))
    return thoughts, pieces


def _status(answer: Answer) -> str:
    if answer.ending is Ending.EXHAUSTED:
        return "failed"
    return "incomplete" if answer.ending in INCOMPLETE else "completed"


def _response(answer: Answer, status: str) -> dict[str, Any]:
    reason = INCOMPLETE.get(answer.ending) if status == "incomplete" else None
    failed = {"code": "server_is_overloaded", "message": "The server is overloaded right now."}
    done = status != "in_progress"
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "error": failed if status == "failed" else None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "metadata": {},
        "model": answer.model,
        "output": _items(answer) if done else [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": _usage(answer) if done else None,
    }


def _items(answer: Answer) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if answer.thoughts:
        summary = [{"type": "summary_text", "text": "".join(answer.thoughts)}]
        items.append({"id": f"rs_{answer.id}", "type": "reasoning", "summary": summary})
    if answer.pieces:
        items.append(_message(answer))
    return items


def _message(answer: Answer) -> dict[str, Any]:
    part = {"type": "output_text", "text": "".join(answer.pieces), "annotations": []}
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }


def _usage(answer: Answer) -> dict[str, Any]:
    return {
        "input_tokens": answer.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": answer.spoken,
        "output_tokens_details": {"reasoning_tokens": len(answer.thoughts)},
        "total_tokens": answer.prompt_tokens + answer.spoken,
    }


def error_event(trouble: Trouble, flavour: Flavour) -> bytes:
    """The error as an event under a 200 that has long been sent."""
    said = openai_chat.problem(trouble, flavour, "")["error"]
    code = said["code"] or said["type"]
    told = {"code": code, "message": said["message"], "param": None, "sequence_number": 99}
    return typed({"type": "error", **told})


def _keep_alive(_ask: Ask) -> bytes:
    # Not documented; what keeps the connections of other vendors alive.
    return b": keep-alive\n\n"


DIALECT = Dialect(
    name="openai-responses",
    route="/responses$",
    method="POST",
    ask=read_ask,
    render=render,
    error=openai_chat.error,
    error_event=error_event,
    keep_alive=_keep_alive,
    model_list=openai_chat.model_list,
)
