"""AWS Bedrock, ConverseStream: binary frames (see `event_stream`) that hold JSON.

`metadata`, after `messageStop`, is the true last event.  Trouble in a started stream comes as an
exception frame under the 200.

A key is a Bedrock API key, sent as it is, or AWS credentials, `access key:secret[:session token]`,
with which the edge signs the request (a signature needs a clock; here there is none).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from monitor.dialects.complaints import Complaint, decode, loose_complaint
from monitor.dialects.event_stream import BROKEN, EventStream
from monitor.dialects.events import count, dig, finish, output, total
from monitor.dialects.explain import explain_in_band
from monitor.dialects.request import bearer, chat_headers, in_path, merge, under
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
from monitor.model import Check, Secret, Tokens

ENDINGS: Mapping[str, Ending] = {
    "end_turn": Ending.COMPLETE,
    "stop_sequence": Ending.COMPLETE,
    "tool_use": Ending.COMPLETE,
    "max_tokens": Ending.LENGTH,
    "model_context_window_exceeded": Ending.LENGTH,
    "guardrail_intervened": Ending.FILTERED,
    "content_filtered": Ending.FILTERED,
}


class Credentials(NamedTuple):
    """AWS credentials; long-lived ones have no token."""

    access_key: str
    secret_key: Secret
    token: Secret | None


def credentials(check: Check) -> Credentials | None:
    """The AWS credentials that a check's key is, or None where it is a Bedrock API key."""
    key = check.api_key.reveal() if check.api_key and check.protocol == "bedrock" else ""
    found = re.fullmatch(r"(A[A-Z0-9]{15,127}):([^:\s]+)(?::([^:\s]+))?", key)
    if found is None:
        return None
    return Credentials(found[1], Secret(found[2]), Secret(found[3]) if found[3] else None)


def build(check: Check, prompt: str) -> Request:
    """The request of one attempt; `check.body` is merged last, null removes a key."""
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": [{"text": prompt}]}],
        "inferenceConfig": {"maxTokens": check.max_tokens},
    }
    own = {} if credentials(check) else bearer(check)
    url = under(check.url, f"/model/{in_path(check.model)}/converse-stream")
    headers = chat_headers(check, own, accept=EventStream.media)
    return Request("POST", url, headers, merge(body, check.body))


def read(event: Event) -> list[Signal]:
    """The signals in one event; raises ValueError where it does not decode."""
    if event.name == BROKEN:
        raise ValueError(event.data.decode())
    kind, _, name = event.name.partition(":")
    if kind != "event":
        return [_failed(name, event.data)]
    document = decode(event.data)
    match name:
        case "contentBlockDelta":
            thought = dig(document, "delta", "reasoningContent", "text")
            said = output(dig(document, "delta", "text"))
            return output(thought, Channel.REASONING) or said
        case "messageStop":
            return finish(dig(document, "stopReason"), ENDINGS)
        case "metadata":
            return [*_usage(dig(document, "usage")), Done()]
    return []


def _failed(name: str, payload: bytes) -> Problem:
    try:
        found = loose_complaint(decode(payload))
    except ValueError:
        found = None
    said = found.message if found else payload.decode("utf-8", "replace")
    return explain_in_band(Complaint((name.lower(),), said or name), streaming=True)


def _usage(usage: Any) -> list[Signal]:
    """What was used; `inputTokens` leaves out what was read from or written to the cache."""
    if not isinstance(usage, dict):
        return []
    fresh, cached = count(usage.get("inputTokens")), count(usage.get("cacheReadInputTokens"))
    written = count(usage.get("cacheWriteInputTokens"))
    whole = None if fresh is None else total(fresh, cached, written)
    return [Usage(Tokens(input=whole, output=count(usage.get("outputTokens")), cached=cached))]
