"""A chat endpoint that tells the truth about time: each chunk holds the moment of its own send.

`with truth() as endpoint:` runs it in a process of its own on the other core.  It speaks OpenAI's
chat completions, plain or TLS, straight from one epoll loop: nothing stands between the stamp
(CLOCK_MONOTONIC, the same for all processes of a machine) and `send()`; with TLS the encryption
does, and is part of the error.  The name of the model scripts the stream: `n20-f500-g100` is 20
chunks of content, the first of them 500 ms after the request, then one every 100 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import heapq
import json
import re
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import OTHERS, pin

SENT = re.compile(rb"@(\d+) ")
"""A stamp inside a chunk: nanoseconds of the monotonic clock."""

_SCRIPT = re.compile(r"([nfg])(\d+)")
_CHUNK = (
    '{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk",'
    '"created":1741569952,"model":"truth","service_tier":"default",'
    '"system_fingerprint":"fp_b705f0c291",'
)
_CHOICE = 'data: %s"choices":[{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}]}\n\n'
_ROLE = (_CHOICE % (_CHUNK, '{"role":"assistant","content":""}', "null")).encode()
_BEFORE, _AFTER = (_CHOICE % (_CHUNK, '{"content":"@%d "}', "null")).encode().split(b"%d")
_USAGE = '{"prompt_tokens":9,"completion_tokens":%d,"total_tokens":%d}'


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
) + _chunked(_ROLE)


def _end(tokens: int) -> bytes:
    finish = _CHOICE % (_CHUNK, "{}", '"stop"')
    usage = f'data: {_CHUNK}"choices":[],"usage":{_USAGE % (tokens, tokens + 9)}}}\n\n'
    return _chunked((finish + usage + "data: [DONE]\n\n").encode()) + b"0\r\n\r\n"


class _Stream:
    """One connection, and the answer that runs on it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.shaken = not isinstance(sock, ssl.SSLSocket)
        self.held = b""
        self.left = self.tokens = 0
        self.due = self.gap = 0

    def begin(self, model: str, now: int) -> None:
        script = {"n": 20, "f": 200, "g": 100} | {
            key: int(value) for key, value in _SCRIPT.findall(model)
        }
        self.left = self.tokens = script["n"]
        self.due, self.gap = now + script["f"] * 1_000_000, script["g"] * 1_000_000
        self.sock.send(_HEAD)

    def go_on(self) -> None:
        """Send the next chunk, with the time of this very moment in it."""
        size = len(_BEFORE) + len(_AFTER) + len(str(time.monotonic_ns()))
        before, after = b"%x\r\n%b" % (size, _BEFORE), b"%b\r\n" % _AFTER
        send = self.sock.send
        send(b"%b%d%b" % (before, time.monotonic_ns(), after))
        self.left -= 1
        self.due += self.gap
        if not self.left:
            send(_end(self.tokens))


class _Server:
    def __init__(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._listener, self._tls = listener, tls
        self._poll = select.epoll()
        self._poll.register(listener.fileno(), select.EPOLLIN)
        self._poll.register(sys.stdin.fileno(), select.EPOLLIN)
        self._streams: dict[int, _Stream] = {}
        self._queue: list[tuple[int, int, _Stream]] = []
        self._turn = 0

    def run(self) -> None:
        """Serve until standard input ends: with whoever started this, however that went."""
        while True:
            wait = -1.0
            if self._queue:
                wait = max(0.0, (self._queue[0][0] - time.monotonic_ns()) / 1e9)
            for number, _ in self._poll.poll(wait):
                if number == self._listener.fileno():
                    self._accept()
                elif number in self._streams:
                    self._guarded(self._streams[number], self._hear)
                else:
                    return
            self._send_what_is_due()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls:
                    sock = self._tls.wrap_socket(
                        sock, server_side=True, do_handshake_on_connect=False
                    )
                self._streams[sock.fileno()] = _Stream(sock)
                self._poll.register(sock.fileno(), select.EPOLLIN)

    def _guarded(self, stream: _Stream, work: Callable[[_Stream], None]) -> None:
        try:
            work(stream)
        except (BlockingIOError, ssl.SSLWantReadError):
            pass  # the rest comes later
        except OSError:
            self._drop(stream)

    def _drop(self, stream: _Stream) -> None:
        self._streams.pop(stream.sock.fileno(), None)
        stream.left = 0
        stream.sock.close()

    def _hear(self, stream: _Stream) -> None:
        if not stream.shaken and isinstance(stream.sock, ssl.SSLSocket):
            stream.sock.do_handshake()
            stream.shaken = True
        while True:
            data = stream.sock.recv(65536)
            if not data:
                raise ConnectionError("gone")
            stream.held += data
            head, whole, body = stream.held.partition(b"\r\n\r\n")
            found = re.search(rb"(?i)content-length:\s*(\d+)", head)
            if whole and found and len(body) >= int(found[1]):
                stream.held = b""
                stream.begin(json.loads(body)["model"], time.monotonic_ns())
                self._plan(stream)

    def _plan(self, stream: _Stream) -> None:
        self._turn += 1
        heapq.heappush(self._queue, (stream.due, self._turn, stream))

    def _send_what_is_due(self) -> None:
        # A few at a time: requests must not wait for a burst of chunks.
        for _ in range(64):
            if not self._queue or self._queue[0][0] > time.monotonic_ns():
                return
            _, _, stream = heapq.heappop(self._queue)
            if stream.left:
                self._guarded(stream, _Stream.go_on)
            if stream.left:
                self._plan(stream)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the truth is served; `ca` is the file that vouches for it, None without TLS."""

    url: str
    ca: str | None


@contextlib.contextmanager
def truth(*, tls: bool = False) -> Iterator[Endpoint]:
    """The endpoint while it runs; its process is ended in any case."""
    with tempfile.TemporaryDirectory() as folder:
        files: list[str] = []
        if tls:
            files = _certificate(Path(folder))
        command = [sys.executable, "-m", "benchmarks.truth", *files[1:]]
        pipe = subprocess.PIPE
        server = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            scheme = "https" if tls else "http"
            yield Endpoint(f"{scheme}://127.0.0.1:{port}/v1", files[0] if tls else None)
        finally:
            server.kill()
            server.wait()


def _certificate(folder: Path) -> list[str]:
    """Files of an authority, and of a certificate with its key."""
    import trustme

    authority = trustme.CA()
    ours = authority.issue_cert("127.0.0.1")
    ca, cert = folder / "ca.pem", folder / "cert.pem"
    authority.cert_pem.write_to_path(str(ca))
    ours.private_key_and_cert_chain_pem.write_to_path(str(cert))
    return [str(ca), str(cert)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("certificate", nargs="?")
    options = parser.parse_args()
    pin(OTHERS)
    # A collection between a stamp and its send would be a lie of milliseconds.
    gc.disable()
    tls = None
    if options.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.certificate)
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        listener.setblocking(False)
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        _Server(listener, tls).run()


if __name__ == "__main__":
    main()
