"""AWS's binary event stream: bytes in, events out; no I/O.

A frame is: its length (4 bytes, big endian), the headers' length (4), the CRC32 of these eight
bytes, the headers, the payload, the CRC32 of all that.  A header is: the name's length (1), the
name, a type (1), a value whose length the type tells.

An event is named `event:messageStop`, `exception:throttlingException` or `error:InternalFailure`,
from the headers that say what the frame is.  Bytes that are no frame give one last event named
`BROKEN`: what came before it must not depend on how the bytes were cut into reads.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import ClassVar

from monitor.dialects.sse import LIMIT, Event, TooLargeError

BROKEN = "broken"

_PRELUDE = struct.Struct("!III")
_SUM = 4
_SMALLEST = _PRELUDE.size + _SUM
#: Bytes of a header's value by its type: true, false, byte, short, int, long, …, time, UUID.
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_STRING = 7
_COUNTED = {6, _STRING}


class EventStream:
    """A decoder of one response body."""

    media: ClassVar[str] = "application/vnd.amazon.eventstream"

    __slots__ = ("_broken", "_held", "_limit")

    def __init__(self, limit: int = LIMIT) -> None:
        self._held = bytearray()
        self._limit = limit
        self._broken = False

    @property
    def pending(self) -> bytes:
        """The beginning of a frame that has not fully come."""
        return bytes(self._held)

    def feed(self, data: bytes) -> list[Event]:
        """The events completed by `data`; raises TooLargeError past the bound."""
        events: list[Event] = []
        if not self._broken:
            self._held += data
        while not self._broken and (frame := self._next()) is not None:
            events.append(frame)
        return events

    def finish(self) -> list[Event]:
        """Events that the end of the body completes: none, half a frame is truncation."""
        return []

    def _next(self) -> Event | None:
        held = self._held
        if len(held) < _PRELUDE.size:
            return None
        size, headers_size, checksum = _PRELUDE.unpack_from(held)
        if zlib.crc32(held[:8]) != checksum:
            return self._fail("the checksum of a frame's beginning is wrong")
        if size < _SMALLEST + headers_size:
            return self._fail("a frame shorter than its headers")
        if size > self._limit:
            raise TooLargeError(f"a frame of more than {self._limit} bytes")
        if len(held) < size:
            return None
        frame = bytes(held[:size])
        del held[:size]
        if zlib.crc32(frame[:-_SUM]) != int.from_bytes(frame[-_SUM:], "big"):
            return self._fail("the checksum of a frame is wrong")
        return self._event(frame[_PRELUDE.size : -_SUM], headers_size)

    def _event(self, content: bytes, headers_size: int) -> Event:
        try:
            headers = dict(_headers(content[:headers_size]))
        except (IndexError, KeyError, UnicodeDecodeError):
            return self._fail("headers of a frame that do not decode")
        payload = content[headers_size:]
        kind = headers.get(":message-type", "event")
        if kind == "error":
            payload = headers.get(":error-message", "").encode()
            return Event(f"error:{headers.get(':error-code', '')}", payload)
        return Event(f"{kind}:{headers.get(f':{kind}-type', '')}", payload)

    def _fail(self, why: str) -> Event:
        self._broken = True
        self._held.clear()
        return Event(BROKEN, why.encode())


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    """The headers that are strings; raises IndexError or KeyError on what is no header."""
    at = 0
    while at < len(data):
        name_end = at + 1 + data[at]
        name, kind = data[at + 1 : name_end], data[name_end]
        at = name_end + 1
        if kind in _COUNTED:
            size = data[at] * 256 + data[at + 1]
            at += 2
        else:
            size = _SIZES[kind]
        value = data[at : at + size]
        at += size
        if at > len(data):
            raise IndexError(at)
        if kind == _STRING:
            yield name.decode(), value.decode()
