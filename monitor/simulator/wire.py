"""HTTP/1.1 by hand: requests are read within limits, answers are written honestly or not.

It is done by hand because no HTTP server library lets a handler cut a chunked body, reset the
connection or answer with something that is not HTTP.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 1024 * 1024

_READ = 64 * 1024


class GoneError(Exception):
    """The client left."""


class UnreadableError(Exception):
    """A request that is no request, or too large; `status` is what to tell the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; header names are in lower case, `path` is without the query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def wants_close(self) -> bool:
        return self.headers.get("connection", "").lower() == "close"

    def json(self) -> Any:
        """The body as JSON; raises ValueError where it is none."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


class Inbox:
    """What the client sends: taken piece by piece, or read ahead to see it leave."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._buffer = bytearray()

    async def until(self, mark: bytes, limit: int, status: int) -> bytes:
        """Everything before `mark`, which is dropped."""
        while (end := self._buffer.find(mark)) < 0 and len(self._buffer) <= limit:
            await self._fill()
        if not 0 <= end <= limit:
            raise UnreadableError(status, f"expected at most {limit} bytes here")
        taken = self._take(end)
        self._take(len(mark))
        return taken

    async def exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._fill()
        return self._take(size)

    async def see_off(self) -> None:
        """Raises `GoneError` once the client closes; what it sends before is kept for later."""
        while len(self._buffer) < HEAD_LIMIT:
            await self._fill()

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    async def _fill(self) -> None:
        data = await self._reader.read(_READ)
        if not data:
            raise GoneError
        self._buffer += data


async def read_request(inbox: Inbox) -> Request:
    """The next request of a connection; raises `GoneError` or `UnreadableError`."""
    lines = (await inbox.until(b"\r\n\r\n", HEAD_LIMIT, 431)).decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise UnreadableError(400, f"seen {lines[0][:80]!r}, expected an HTTP/1.1 request line")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    path = words[1].partition("?")[0]
    return Request(words[0].upper(), path, headers, await _read_body(inbox, headers))


async def _read_body(inbox: Inbox, headers: Mapping[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _read_chunks(inbox)
    return await inbox.exactly(_size(headers.get("content-length", "0"), 10))


async def _read_chunks(inbox: Inbox) -> bytes:
    body = b""
    while True:
        line = await inbox.until(b"\r\n", 1024, 400)
        size = _size(line.partition(b";")[0].decode("latin-1"), 16)
        if size + len(body) > BODY_LIMIT:
            raise UnreadableError(413, f"expected a body of at most {BODY_LIMIT} bytes")
        if not size:
            break
        body += await inbox.exactly(size)
        await inbox.until(b"\r\n", 0, 400)
    while await inbox.until(b"\r\n", 8192, 431):
        pass  # trailers say nothing to us
    return body


def _size(text: str, base: int) -> int:
    try:
        size = int(text, base)
    except ValueError:
        size = -1
    if size < 0:
        raise UnreadableError(400, f"seen {text[:40]!r}, expected a length")
    if size > BODY_LIMIT:
        raise UnreadableError(413, f"expected a body of at most {BODY_LIMIT} bytes")
    return size


class Line:
    """What goes out: heads, chunks and raw bytes, in any order, right or wrong.

    `complete` says whether the last answer came to its proper end; a connection whose answer did
    not is closed, which is how a chunked body gets cut.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._chunked = False
        self.complete = False

    async def head(
        self, status: int, headers: Mapping[str, str], length: int | None = None
    ) -> None:
        """A response head; without `length` the body is chunked."""
        self.complete = False
        self._chunked = length is None
        framing = (
            ("Transfer-Encoding", "chunked") if length is None else ("Content-Length", str(length))
        )
        fields = [("Date", formatdate(usegmt=True)), *headers.items(), framing]
        lines = [f"HTTP/1.1 {status} {_phrase(status)}", *(f"{n}: {v}" for n, v in fields)]
        await self.raw("\r\n".join([*lines, "", ""]).encode())

    async def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A whole answer of known length."""
        await self.head(status, headers, len(body))
        await self.raw(body)
        self.complete = True

    async def send(self, data: bytes) -> None:
        """A part of the body; an empty one is nothing, for an empty chunk would end the body."""
        if data:
            await self.raw(
                f"{len(data):x}\r\n".encode() + data + b"\r\n" if self._chunked else data
            )

    async def end(self) -> None:
        """The last chunk: the body is whole."""
        if self._chunked:
            await self.raw(b"0\r\n\r\n")
        self.complete = True

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def reset(self) -> None:
        """Close with RST instead of FIN: a socket that must not linger has nothing to say."""
        sock = self._writer.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unassigned"
