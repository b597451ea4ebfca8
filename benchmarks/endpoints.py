"""The endpoints that the product is set upon: a page, a chat, and answers that mean harm.

`python -m benchmarks.endpoints` prints its port and serves on loopback until its standard input is
closed.  `GET /starts` tells when connections came; everything under `/v1/` is a chat, everything
under `/hostile/NAME` one of `HOSTILE`, all else a small page.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator

from benchmarks.measure import OTHERS, pin

SLOT = 0.1
"""Seconds within which connections count as simultaneous."""
FLOOD = 100 << 20


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    said = {"id": "bench", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(said).encode() + b"\n\n"


def _answer(kind: str, body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{more}Connection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


PAGE = _answer("text/html", b"<title>hello</title>" + b"." * 400)
CHAT = _answer(
    "text/event-stream",
    _event({"role": "assistant", "content": ""})
    + _event({"content": "hello"})
    + _event({}, "stop")
    + b"data: [DONE]\n\n",
)

_OPEN = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: "
_STREAM = _OPEN + b"text/event-stream\r\n\r\n"
_JSON = _OPEN + b"application/json\r\n\r\n"


def _again(head: bytes, piece: bytes) -> Iterator[bytes]:
    yield head
    for _ in range(FLOOD // len(piece)):
        yield piece


def _bomb() -> Iterator[bytes]:
    squeeze = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    yield _OPEN + b"text/html\r\nContent-Encoding: gzip\r\n\r\n"
    for _ in range(FLOOD >> 20):
        yield squeeze.compress(bytes(1 << 20))
    yield squeeze.flush()


HOSTILE = {
    "comments": lambda: _again(_STREAM, b": keep-alive\n\n" * 1000),
    "line": lambda: _again(_STREAM + b"data: ", b"x" * 65536),
    "events": lambda: _again(_STREAM, _event({"content": "a"}) * 100),
    "json": lambda: _again(_JSON, b'{"a": "' + b"x" * 65536),
    "page": lambda: _again(_OPEN + b"text/html\r\n\r\n", b"<p>hello" * 8192),
    "bomb": _bomb,
    "headers": lambda: _again(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"x" * 1000 + b"\r\n"),
    "header": lambda: _again(b"HTTP/1.1 200 OK\r\nX-A: ", b"x" * 65536),
}
"""By name: what is sent, 100 MB of it unless the client goes away before."""


class Endpoint(asyncio.Protocol):
    """One connection: reads one request, answers, closes."""

    def __init__(self, starts: Counter[int]) -> None:
        self._starts = starts
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._came = int(time.monotonic() / SLOT)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        path = head.split(b" ", 2)[1].decode()
        if path == "/starts":
            told = json.dumps(sorted(self._starts.items())).encode()
            self._transport.write(_answer("application/json", told))
            self._transport.close()
            return
        self._starts[self._came] += 1
        name = path.split("/")[2] if path.startswith("/hostile/") else ""
        if name:
            self._flood = HOSTILE[name]()
            self.resume_writing()
        else:
            self._transport.write(CHAT if path.startswith("/v1/") else PAGE)
            self._transport.close()

    _flood: Iterator[bytes] = iter(())
    _paused = False

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        while not self._paused and not self._transport.is_closing():
            piece = next(self._flood, None)
            if piece is None:
                return self._transport.close()
            self._transport.write(piece)
        return None


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def _main() -> None:
    loop = asyncio.get_running_loop()
    starts: Counter[int] = Counter()
    server = await loop.create_server(lambda: Endpoint(starts), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    pin(OTHERS)
    asyncio.run(_main())
