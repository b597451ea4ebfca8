"""Chat protocols: build a request, read an event; one file each, one line in `DIALECTS`.

To add one: copy `openai_chat.py`, write `build` and `read`, add a line below and a folder of
transcripts under `tests/transcripts/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from monitor.dialects import openai_chat
from monitor.dialects.signals import Request, Signal
from monitor.dialects.sse import SSE, Event
from monitor.model import Check


class Framing(Protocol):
    """Bytes in, events out."""

    def feed(self, data: bytes) -> list[Event]: ...

    def finish(self) -> list[Event]: ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """One chat protocol.  `media` is the content type that a healthy answer has."""

    name: str
    media: str
    framing: Callable[[], Framing]
    build: Callable[[Check, str], Request]
    read: Callable[[Event], list[Signal]]
    marker: str
    """What ends a complete answer, in words for people."""

    def streams(self, content_type: str) -> bool:
        """Whether an answer of this content type is worth reading as a stream.

        The right one is; so are none and the nondescript ones, since every official SDK reads
        those.  A type that says it is something else is believed.
        """
        media = content_type.partition(";")[0].strip().lower()
        return media in {self.media, "", "text/plain", "application/octet-stream"}


DIALECTS: Mapping[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            "openai-chat", "text/event-stream", SSE, openai_chat.build, openai_chat.read, "[DONE]"
        ),
    )
}
