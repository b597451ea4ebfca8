"""A server of everything a stranger may do on purpose, in a process of its own.

`python -m tests.hostility FOLDER` serves until its input ends.  It prints two ports, one for
HTTP and one that behaves before or during TLS; the path's first part names the behaviour.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import trustme

MIB = 1 << 20
BLOCK = 64 * 1024
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
OPEN = HEAD + b"Connection: close\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
TICK = 0.03
"""Seconds between the bytes of a drip; deadlines are as much shorter as in real life."""


def event(**delta: object) -> bytes:
    finish = delta.pop("finish", None)
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"model": "m-1", "choices": [choice]}).encode() + b"\n\n"


ROLE, TOKEN = event(role="assistant", content=""), event(content="14")
TAIL = event(finish="stop") + b"data: [DONE]\n\n"
GOOD = ROLE + TOKEN + TAIL


def usage(number: bytes) -> bytes:
    said = b'data: {"choices":[],"usage":{"prompt_tokens":%s,"completion_tokens":3}}\n\n' % number
    return OPEN + ROLE + TOKEN + event(finish="stop") + said + b"data: [DONE]\n\n"


def forever(first: bytes, again: bytes, every: float = 0.0) -> Callable[[], Iterator[bytes]]:
    """`again` without end: as fast as it is read, or every so often."""

    def said() -> Iterator[bytes]:
        yield first
        while True:
            if every:
                time.sleep(every)
            yield again

    return said


def drip(data: bytes) -> Callable[[], Iterator[bytes]]:
    def said() -> Iterator[bytes]:
        for at in range(len(data)):
            yield data[at : at + 1]
            time.sleep(TICK)

    return said


def bomb(wbits: int, encoding: bytes) -> Callable[[], Iterator[bytes]]:
    """A hundred megabytes of one event line in a hundred kilobytes."""

    def said() -> Iterator[bytes]:
        yield HEAD + b"Content-Encoding: " + encoding + b"\r\nConnection: close\r\n\r\n"
        packer = zlib.compressobj(9, wbits=wbits)
        packed = packer.compress(b"data: ") + b"".join(
            packer.compress(b"0" * MIB) for _ in range(100)
        )
        yield packed + packer.flush()

    return said


def once(data: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter((data,))


def refused(status: bytes, body: bytes, headers: bytes = b"") -> Callable[[], Iterator[bytes]]:
    head = b"HTTP/1.1 %s X\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
    return once(head % (status, headers, len(body)) + body)


BIG = b"1" + b"0" * 400
DEEP = b"[" * 10_000 + b"]" * 10_000

SAYS: dict[str, Callable[[], Iterator[bytes]]] = {
    "good": once(OPEN + GOOD),
    "endless-stream": forever(OPEN, TOKEN * 200),
    "endless-comments": forever(OPEN, b": keep-alive\n\n" * 2000),
    "endless-event": forever(OPEN, b"data: x\n" * 4000),
    "endless-thinking": forever(OPEN, event(reasoning_content="hm " * 50) * 100),
    "byte-drip": drip(OPEN + GOOD * 50),
    "byte-drip-of-the-body": forever(OPEN + ROLE, b":", TICK),
    "token-drip": forever(OPEN, TOKEN, TICK),
    "one-line-of-100-mb": forever(OPEN + b"data: ", b"x" * BLOCK),
    "gzip-bomb": bomb(31, b"gzip"),
    "deflate-bomb": bomb(15, b"deflate"),
    "deep-json": once(OPEN + b"data: " + DEEP + b"\n\n"),
    "deep-json-page": refused(b"500", DEEP),
    "deep-error": refused(b"500", b'{"error":{"message":' + b"[" * 990 + b"]" * 990 + b"}}"),
    "ten-to-the-400": once(usage(BIG)),
    "1e400": once(usage(b"1e400")),
    "5000-digits": once(usage(b"9" * 5000)),
    "wait-1e400": refused(b"503", b"{}", b"Retry-After: 1e400\r\n"),
    "wait-ten-to-the-400": refused(b"429", b"{}", b"Retry-After: " + BIG + b"\r\n"),
    "bad-utf8-in-text": once(OPEN + ROLE + TOKEN.replace(b'14"', b'14 \xff\xfe\xc3"') + TAIL),
    "bad-utf8-in-name": once(OPEN + TOKEN.replace(b"choices", b"choi\xffces")),
    "nul-bytes": once(OPEN + b"\0" * 100_000),
    "header-flood": forever(HEAD, (b"X-Flood: " + b"a" * 1000 + b"\r\n") * 60),
    "tiny-header-flood": forever(HEAD, b"a:\r\n" * 10_000),
    "one-endless-header": forever(HEAD + b"X-Flood: ", b"a" * BLOCK),
    "headers-that-never-end": forever(HEAD, b"X-More: to come\r\n", TICK),
    "endless-status-line": forever(b"HTTP/1.1 200 ", b"O" * BLOCK),
    "endless-100-continue": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "slow-103-hints": forever(b"", b"HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n", TICK),
    "endless-chunk-extension": forever(CHUNKED + b"5;", b"e" * BLOCK),
    "endless-chunk-size": forever(CHUNKED, b"0" * BLOCK),
    "endless-trailers": forever(CHUNKED + b"0\r\n", b"T: x\r\n" * 5000),
    "byte-chunks": forever(CHUNKED, b"1\r\n:\r\n" * 5000),
    "length-too-long": once(HEAD + b"Content-Length: 99999\r\n\r\n" + GOOD[:200]),
    "length-too-short": once(HEAD + b"Content-Length: 150\r\n\r\n" + GOOD),
    "length-negative": once(HEAD + b"Content-Length: -5\r\n\r\n" + GOOD),
    "length-twice": once(HEAD + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\n" + GOOD),
    "length-and-chunked": once(CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n" + b"5\r\nhello\r\n"),
    "length-of-exabytes": once(HEAD + b"Content-Length: 9999999999999999999\r\n\r\n" + ROLE),
    "error-without-end": forever(
        b"HTTP/1.1 500 X\r\nContent-Type: application/json\r\n\r\n{", b'"a":1,' * 1000
    ),
    "page-without-end": forever(
        b"HTTP/1.1 200 X\r\nContent-Type: text/html\r\n\r\n<html>", b"<p>" * 10_000
    ),
    "redirect-loop": once(
        b"HTTP/1.1 302 X\r\nLocation: /redirect-loop/v1/chat/completions\r\nContent-Length: 0\r\n\r\n"
    ),
    "redirect-to-nowhere": once(b"HTTP/1.1 302 X\r\nLocation: //[::1\r\nContent-Length: 0\r\n\r\n"),
    "http-2-preface": once(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9),
    "websocket": once(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x05hello"),
    "silence": lambda: _rest(),
}  # fmt: skip


def _rest() -> Iterator[bytes]:
    time.sleep(30)
    yield b""


# ------------------------------------------------------------------------------------- serving


def answer(connection: socket.socket) -> None:
    asked = b""
    while b"\r\n\r\n" not in asked:
        got = connection.recv(BLOCK)
        if not got:
            return
        asked += got
    name = asked.split(b" ", 2)[1].split(b"/")[1].decode()
    for piece in SAYS[name]():
        connection.sendall(piece)
    # What is still unread of the request would turn the close into a reset.
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(1.0)
    while connection.recv(BLOCK):
        pass


class Tls:
    """What goes wrong before there is anything to say: by the server name that is asked for."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        old = datetime(2019, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)
        self.contexts = {
            "good.localhost": _context(authority.issue_cert("good.localhost")),
            "expired.localhost": _context(
                authority.issue_cert("expired.localhost", not_before=old[0], not_after=old[1])
            ),
            "wrong.localhost": _context(authority.issue_cert("elsewhere.example")),
            "unknown.localhost": _context(trustme.CA().issue_cert("unknown.localhost")),
        }

    def answer(self, connection: socket.socket) -> None:
        hello = connection.recv(BLOCK, socket.MSG_PEEK)
        name = next(
            (n for n in (*self.contexts, "stall", "drip", "junk") if n.encode() in hello), ""
        )
        if name == "stall":
            time.sleep(30)
        elif name == "drip":
            for byte in b"\x16\x03\x03\x40\x00" + b"\x02" * 1000:
                connection.sendall(bytes([byte]))
                time.sleep(TICK)
        elif name == "junk":
            connection.sendall(b"\x16\x03\x03" + b"\xff" * 10_000)
        else:
            context = self.contexts[name]
            with context.wrap_socket(connection, server_side=True) as secured:
                answer(secured)


def _context(issued: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    return context


def listen(handle: Callable[[socket.socket], None]) -> int:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def served(connection: socket.socket) -> None:
        try:
            with connection:
                handle(connection)
        except (OSError, KeyError):
            pass  # the client had enough, which is the point

    def loop() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=served, args=(connection,), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()
    return int(listener.getsockname()[1])


if __name__ == "__main__":
    print(listen(answer), listen(Tls(Path(sys.argv[1])).answer), flush=True)
    sys.stdin.read()
