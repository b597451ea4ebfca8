"""Chat protocols: build a request, read an event; one file each, one line in `DIALECTS`.

To add one: copy `openai_chat.py`, write `build` and `read`, add a line below and a folder of
transcripts under `tests/transcripts/`.  A cousin of another one is a `replace` of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

from monitor.dialects import (
    anthropic,
    azure_openai,
    bedrock,
    cohere,
    gemini,
    ollama,
    openai_chat,
)
from monitor.dialects import openai_responses as responses
from monitor.dialects.event_stream import EventStream
from monitor.dialects.loose_sse import LooseSSE
from monitor.dialects.ndjson import NDJSON
from monitor.dialects.signals import Request, Signal
from monitor.dialects.sse import SSE, Event
from monitor.model import Check, Reason


class Framing(Protocol):
    """Bytes in, events out."""

    media: ClassVar[str]
    """The content type of what it reads."""

    @property
    def pending(self) -> bytes:
        """What the end of the body would cut off."""

    def feed(self, data: bytes) -> list[Event]: ...

    def finish(self) -> list[Event]: ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """One chat protocol."""

    name: str
    framing: type[Framing]
    build: Callable[[Check, str], Request]
    read: Callable[[Event], list[Signal]]
    marker: str
    """What ends a complete answer, in words for people."""
    ends_by_eof: bool = False
    """There is no terminal marker: a finish reason and the clean end of the body stand for it."""
    statuses: Mapping[int, Reason] = field(default_factory=dict)
    """HTTP statuses that mean something of their own in this dialect."""

    @property
    def media(self) -> str:
        """The content type that a healthy answer has."""
        return self.framing.media

    def streams(self, content_type: str) -> bool:
        """Whether an answer of this content type is worth reading as a stream.

        The right one is; so are none and the nondescript ones, since every official SDK reads
        those.  A type that says it is something else is believed.
        """
        media = content_type.partition(";")[0].strip().lower()
        return media in {self.media, "", "text/plain", "application/octet-stream"}


_OPENAI_CHAT = Dialect("openai-chat", SSE, openai_chat.build, openai_chat.read, "[DONE]")

DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        _OPENAI_CHAT,
        replace(_OPENAI_CHAT, name="azure-openai", build=azure_openai.build),
        Dialect("openai-responses", SSE, responses.build, responses.read, "response.completed"),
        Dialect("anthropic", SSE, anthropic.build, anthropic.read, "message_stop"),
        Dialect("gemini", LooseSSE, gemini.build, gemini.read, "a finishReason", ends_by_eof=True),
        Dialect("ollama", NDJSON, ollama.build, ollama.read, "done: true"),
        Dialect("cohere", SSE, cohere.build, cohere.read, "message-end", statuses=cohere.STATUSES),
        Dialect("bedrock", EventStream, bedrock.build, bedrock.read, "metadata"),
    )
}
