"""Newline-delimited JSON: bytes in, one event a line out; no I/O.

Lines end as those of `sse` do; blank ones are noise.  The last line may lack its end if it is
whole: some writers join their lines and leave it out.
"""

from __future__ import annotations

from typing import ClassVar

from monitor.dialects.complaints import decode
from monitor.dialects.sse import BOM, LIMIT, Event, Lines


class NDJSON:
    """A decoder of one response body."""

    media: ClassVar[str] = "application/x-ndjson"

    __slots__ = ("_lines",)

    def __init__(self, limit: int = LIMIT) -> None:
        self._lines = Lines(limit)

    @property
    def pending(self) -> bytes:
        """The unterminated tail."""
        return self._lines.pending

    def feed(self, data: bytes) -> list[Event]:
        """The lines completed by `data`; raises TooLargeError past the bound."""
        lines = (line.removeprefix(BOM) for line in self._lines.feed(data))
        return [Event("", line) for line in lines if line.strip()]

    def finish(self) -> list[Event]:
        """The last line, if it is whole; half of one is truncation and no event."""
        tail = self.pending.removeprefix(BOM)
        try:
            decode(tail)
        except ValueError:
            return []
        return [Event("", tail)]
