"""Amazon Bedrock: `converse-stream` in AWS's binary event stream, and `converse`; no I/O.

Source: the Bedrock Runtime API reference and "Event stream encoding" (November 2026).  The access
key's id stands for the key; signatures are not verified.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

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
from monitor.simulator.sse import packed

_ROUTE = r"/model/(?P<model>[^/]+)/(?P<verb>converse-stream|converse)$"
_STRING = 7

#: It ends no answer for want of capacity; that comes as an exception.
FINISH: Mapping[Ending, str] = {
    Ending.STOP: "end_turn",
    Ending.LENGTH: "max_tokens",
    Ending.FILTERED: "guardrail_intervened",
    Ending.EXHAUSTED: "end_turn",
}

_TOKEN = "The security token included in the request is invalid."
_SLOW = "Too many requests, please wait before trying again."
_UNPAID = "Model access is denied due to INVALID_PAYMENT_INSTRUMENT: A valid payment is needed."
_READY = "The model is not ready to serve inference requests."

#: Status, name of the exception and message.
ERRORS: Mapping[Trouble, tuple[int, str, str]] = {
    Trouble.NO_KEY: (403, "MissingAuthenticationTokenException", "Missing Authentication Token"),
    Trouble.BAD_KEY: (403, "UnrecognizedClientException", _TOKEN),
    Trouble.BAD_REQUEST: (400, "ValidationException", "maxTokens: must be at least 1"),
    Trouble.NO_MODEL: (404, "ResourceNotFoundException", "Could not resolve the foundation model."),
    Trouble.NO_ROUTE: (404, "UnknownOperationException", "There is nothing at this URL."),
    Trouble.NO_METHOD: (405, "UnknownOperationException", "Not with this method."),
    Trouble.RATE: (429, "ThrottlingException", _SLOW),
    Trouble.BALANCE: (403, "AccessDeniedException", _UNPAID),
    Trouble.QUOTA: (400, "ServiceQuotaExceededException", "Your account's quota is used up."),
    Trouble.ENGINE: (429, "ModelNotReadyException", _READY),
    Trouble.BUSY: (503, "ServiceUnavailableException", "Bedrock is unable to process the request."),
    Trouble.SERVER: (500, "InternalServerException", "An internal server error occurred."),
}


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message: lengths, headers, payload, and a checksum after each half."""
    written = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", _STRING, len(value))
        + value.encode()
        for name, value in headers.items()
    )  # fmt: skip
    prelude = struct.pack(">II", 16 + len(written) + len(payload), len(written))
    prelude += struct.pack(">I", zlib.crc32(prelude))
    body = prelude + written + payload
    return body + struct.pack(">I", zlib.crc32(body))


def _event(name: str, value: Mapping[str, Any]) -> bytes:
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, packed({**value, "p": "abcdefgh"}))


def read_ask(body: Any, path: str) -> Ask:
    """What a request asks for; raises ValueError where it is no request."""
    request = request_of(body)
    found = re.search(_ROUTE, path)
    if found is None:
        raise ValueError("the path names no model")
    return Ask(
        model=unquote(found["model"]),
        question=question_of(request.get("messages")),
        stream=found["verb"] == "converse-stream",
        usage=True,
        cap=cap_of(request_of(request.get("inferenceConfig") or {}), "maxTokens"),
    )


def render(ask: Ask, answer: Answer, _flavour: Flavour) -> Rendered:
    """The answer as messages, or as slices of one object; `metadata` is the last."""
    if not ask.stream:
        return Rendered("application/json", slices(packed(_whole(answer)), answer.spoken))
    pieces: list[bytes] = []
    for index, (kind, texts) in enumerate(_blocks(answer)):
        place = {"contentBlockIndex": index}
        deltas = [
            _event("contentBlockDelta", {**place, "delta": _part(kind, text)}) for text in texts
        ]
        deltas[-1] += _event("contentBlockStop", place)
        pieces += deltas
    return Rendered(
        media="application/vnd.amazon.eventstream",
        opening=(_event("messageStart", {"role": "assistant"}),),
        pieces=tuple(pieces),
        closing=(_event("messageStop", {"stopReason": FINISH[answer.ending]}),),
        marker=_event("metadata", {"usage": _usage(answer), "metrics": {"latencyMs": 400}}),
    )


def _blocks(answer: Answer) -> list[tuple[str, tuple[str, ...]]]:
    both = [("reasoning", answer.thoughts), ("text", answer.pieces)]
    return [(kind, texts) for kind, texts in both if texts]


def _part(kind: str, text: str) -> dict[str, Any]:
    return {"text": text} if kind == "text" else {"reasoningContent": {"text": text}}


def _whole(answer: Answer) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if answer.thoughts:
        said = {"text": "".join(answer.thoughts)}
        content.append({"reasoningContent": {"reasoningText": said}})
    if answer.pieces:
        content.append({"text": "".join(answer.pieces)})
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": FINISH[answer.ending],
        "usage": _usage(answer),
        "metrics": {"latencyMs": 400},
    }


def _usage(answer: Answer) -> dict[str, int]:
    counts = {"inputTokens": answer.prompt_tokens, "outputTokens": answer.spoken}
    return {**counts, "totalTokens": answer.prompt_tokens + answer.spoken}


def error(trouble: Trouble, _flavour: Flavour, message: str = "") -> tuple[int, bytes]:
    """Status and body of an error answer; its name is in a header."""
    status, _, usual = ERRORS[trouble]
    return status, packed({"message": message or usual})


def error_headers(trouble: Trouble) -> Mapping[str, str]:
    """The header that names the exception."""
    return {"x-amzn-ErrorType": ERRORS[trouble][1]}


def error_event(trouble: Trouble, _flavour: Flavour) -> bytes:
    """The error as a message under a 200 that has long been sent."""
    _, name, said = ERRORS[trouble]
    headers = {
        ":exception-type": name[0].lower() + name[1:],
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, packed({"message": said}))


def _keep_alive(_ask: Ask) -> bytes:
    # It is not known to send any; an event of no known type is what clients have to skip.
    return _event("keepAlive", {})


DIALECT = Dialect(
    name="bedrock",
    route=_ROUTE,
    method="POST",
    ask=read_ask,
    render=render,
    error=error,
    error_headers=error_headers,
    error_event=error_event,
    keep_alive=_keep_alive,
    lists="(?!)",
)
