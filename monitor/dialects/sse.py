"""Server-sent events: bytes in, events out; no I/O.

Follows the WHATWG event stream grammar: LF, CRLF or lone CR ends a line, also when cut between
two reads; one leading byte order mark is dropped; several `data` lines are joined by LF; comments
and unknown fields are noise; a block without data is no event; an unterminated tail is no event.

One addition for a server seen in the wild: llama.cpp builds of 2025 wrote `error: {...}` as a
field of its own (ggml-org/llama.cpp#14566).  It becomes an event named `error`, since a parser
that drops it sees an empty success.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

BOM = b"\xef\xbb\xbf"
LIMIT = 512 * 1024
"""Bytes of one line or event; a probe asks for a few tokens."""
PIECES = 1000
"""Pieces in which a line or event is kept before they are joined: each takes memory of its own,
forty times that of the byte that it may consist of."""


@dataclass(frozen=True, slots=True)
class Event:
    """One dispatched event; `name` is empty where the stream gives none."""

    name: str
    data: bytes


class TooLargeError(Exception):
    """An event or line grew past the bound; the message says which bound."""


class Lines:
    """Splits a byte stream into lines at LF, CRLF or CR; holds at most `limit` bytes back."""

    __slots__ = ("_fragments", "_held", "_limit", "_skip_lf")

    def __init__(self, limit: int) -> None:
        self._fragments: list[bytes] = []
        self._held = 0
        self._limit = limit
        self._skip_lf = False

    @property
    def pending(self) -> bytes:
        """The unterminated tail."""
        return b"".join(self._fragments)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines completed by `data`, without their ends.

        Raises TooLargeError when a line outgrows the limit.
        """
        if self._skip_lf and data:
            # The CR before was a line end already; its LF only now arrived.
            data = data.removeprefix(b"\n")
            self._skip_lf = False
        if not data:
            return []
        self._skip_lf = data.endswith(b"\r")
        size = self._held + len(data)
        lines = data.splitlines()
        tail = lines.pop() if data[-1:] not in (b"\n", b"\r") else b""
        if lines and self._fragments:
            lines[0] = self.pending + lines[0]
            self._fragments.clear()
            self._held = 0
        if tail:
            self._fragments.append(tail)
            self._held += len(tail)
            if len(self._fragments) > PIECES:
                self._fragments = [self.pending]
        if size > self._limit and max(self._held, *map(len, lines), 0) > self._limit:
            raise TooLargeError(f"a line of more than {self._limit} bytes")
        return lines


class SSE:
    """A decoder of one response body."""

    media: ClassVar[str] = "text/event-stream"

    __slots__ = ("_data", "_first", "_limit", "_lines", "_name", "_size")

    def __init__(self, limit: int = LIMIT) -> None:
        self._lines = Lines(limit)
        self._limit = limit
        self._data: list[bytes] = []
        self._size = 0
        self._name = ""
        self._first = True

    @property
    def pending(self) -> bytes:
        """What the end of the body would cut off."""
        return b"\n".join([*self._data, self._lines.pending])

    def feed(self, data: bytes) -> list[Event]:
        """The events completed by `data`; raises TooLargeError past the bound."""
        lines = self._lines.feed(data)
        if self._is_whole(lines):
            return [Event("", lines[0][6:])]
        events: list[Event] = []
        for line in lines:
            if self._first:
                self._first = False
                line = line.removeprefix(BOM)
            if not line:
                self._dispatch(events)
            else:
                self._field(line)
        return events

    def finish(self) -> list[Event]:
        """Events that the end of the body completes: none, an unterminated tail is truncation."""
        return []

    def _is_whole(self, lines: list[bytes]) -> bool:
        """Whether these lines are what nearly every read of a stream is: one event of one line."""
        return (
            len(lines) == 2
            and not lines[1]
            and lines[0].startswith(b"data: ")
            and len(lines[0]) > 6
            and not (self._data or self._name or self._first)
        )

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data" or name == b"error":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._size += len(value)
            if self._size > self._limit:
                raise TooLargeError(f"an event of more than {self._limit} bytes")
            if len(self._data) > PIECES:
                self._data = [b"\n".join(self._data)]
            if name == b"error":
                self._name = "error"
        elif name == b"event":
            self._name = value.removeprefix(b" ").decode("utf-8", "replace")

    def _dispatch(self, events: list[Event]) -> None:
        # A comment and a blank line after an `id:` must not make an empty event
        # (openai/openai-python#2722), so blocks whose data is empty are dropped too; an error
        # that says nothing is one all the same.
        if self._size or self._name == "error":
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            events.append(Event(self._name, data))
        if self._data:
            self._data.clear()
            self._size = 0
        self._name = ""
