"""Ollama's own chat protocol: one JSON object a line, the last one with `done: true`.

An error before the first line is an answer with a status of its own, `{"error": "text"}`; after
it, a line of that shape under the 200, and no `done: true` follows (`streamResponse` in the
server's `routes.go`).  Durations in the last line are nanoseconds; none is needed here.

A stream is always `application/x-ndjson` (or, before that was set, in 2023, and behind proxies
that lose it, nondescript): `application/json` is what errors and unstreamed answers come as, so it
is no stream, and a whole answer under it says that somebody switched streaming off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.dialects.events import count, dig, finish, identity, output, unpack, word
from monitor.dialects.ndjson import NDJSON
from monitor.dialects.request import bearer, chat_headers, merge, under
from monitor.dialects.signals import (
    Channel,
    Done,
    Ending,
    Problem,
    Request,
    Signal,
    Usage,
)
from monitor.dialects.sse import Event
from monitor.model import Check, Tokens

#: `load` and `unload` answer an empty conversation: a whole answer, and no text in it.
ENDINGS: Mapping[str, Ending] = {
    "stop": Ending.COMPLETE,
    "load": Ending.COMPLETE,
    "unload": Ending.COMPLETE,
    "length": Ending.LENGTH,
}


def build(check: Check, prompt: str) -> Request:
    """The request of one attempt; `check.body` is merged last, null removes a key."""
    body: dict[str, Any] = {
        "model": check.model,
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
        # Models that can think do so unless told not to; the others do not mind being told.
        "think": False,
        "options": {"num_predict": check.max_tokens},
    }
    headers = chat_headers(check, bearer(check), accept=NDJSON.media)
    return Request("POST", under(check.url, "/api/chat"), headers, merge(body, check.body))


def read(event: Event) -> list[Signal]:
    """The signals in one line; raises ValueError where it does not decode."""
    line = unpack(event)
    if isinstance(line, Problem):
        return [line]
    message = line.get("message")
    signals = output(dig(message, "thinking"), Channel.REASONING)
    signals += output(dig(message, "content"))
    signals += identity(line.get("model"))
    if line.get("done") is True:
        signals += _ended(line)
    return signals


def _ended(line: dict[str, Any]) -> list[Signal]:
    # Emulators and the docs' own examples may leave the reason out; `done` itself is the proof.
    why = word(line.get("done_reason")) or "stop"
    tokens = Tokens(
        input=count(line.get("prompt_eval_count")), output=count(line.get("eval_count"))
    )
    return [Usage(tokens), *finish(why, ENDINGS), Done()]
