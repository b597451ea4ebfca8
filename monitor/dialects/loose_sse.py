"""Server-sent events amid which a bare JSON document may stand: bytes in, events out; no I/O.

Gemini tells some errors of a running stream without `data:` and pretty-printed over several
lines; Google's own client puts them together by counting braces (googleapis/python-genai,
`_api_client.py`).  Here braces inside strings are not counted.
"""

from __future__ import annotations

import re
from typing import ClassVar

from monitor.dialects.sse import LIMIT, PIECES, SSE, Event, Lines, TooLargeError

#: A JSON string of one line, or what there is of it; possessive, so that no line is scanned twice.
_TEXT = re.compile(rb'"(?:[^"\\]|\\.?)*+(?:"|\Z)')


class LooseSSE:
    """A decoder of one response body."""

    media: ClassVar[str] = SSE.media

    __slots__ = ("_depth", "_document", "_limit", "_lines", "_size", "_sse")

    def __init__(self, limit: int = LIMIT) -> None:
        self._lines = Lines(limit)
        self._sse = SSE(limit)
        self._limit = limit
        self._document: list[bytes] = []
        self._size = 0
        self._depth = 0

    @property
    def pending(self) -> bytes:
        """What the end of the body would cut off."""
        return b"\n".join([*self._document, self._sse.pending, self._lines.pending]).strip()

    def feed(self, data: bytes) -> list[Event]:
        """The events completed by `data`; raises TooLargeError past the bound."""
        events: list[Event] = []
        for line in self._lines.feed(data):
            if self._is_bare(line):
                events += self._grow(line)
            else:
                events += self._sse.feed(line + b"\n")
        return events

    def finish(self) -> list[Event]:
        """A bare document whose last line has no end."""
        tail = self._lines.pending
        if not self._is_bare(tail):
            return []
        self._lines = Lines(self._limit)
        return self._grow(tail)

    def _is_bare(self, line: bytes) -> bool:
        return self._depth > 0 or line[:1] in (b"{", b"[")

    def _grow(self, line: bytes) -> list[Event]:
        self._document.append(line)
        self._size += len(line)
        if self._size > self._limit:
            raise TooLargeError(f"a document of more than {self._limit} bytes")
        if len(self._document) > PIECES:
            self._document = [b"\n".join(self._document)]
        marks = _TEXT.sub(b"", line)
        self._depth += marks.count(b"{") + marks.count(b"[")
        self._depth -= marks.count(b"}") + marks.count(b"]")
        if self._depth > 0:
            return []
        document = b"\n".join(self._document)
        self._document.clear()
        self._size = self._depth = 0
        return [Event("", document)]
