"""Server-sent events as bytes; shared by the dialects that stream them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def packed(value: Mapping[str, Any]) -> bytes:
    """JSON as vendors send it: no spaces, letters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event(value: Mapping[str, Any], *, name: str = "", end: bytes = b"\n") -> bytes:
    """One event; with a name where the vendor gives its events names."""
    first = b"event: " + name.encode() + end if name else b""
    return first + b"data: " + packed(value) + end + end


def typed(value: Mapping[str, Any]) -> bytes:
    """An event that is named like the type of its object, as Anthropic, OpenAI and Cohere do."""
    return event(value, name=str(value["type"]))
