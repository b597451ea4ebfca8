"""Connections from outside: how many, from whom, and how long each may take over what it does.

A client owes us something most of the time: its handshake and the head of a request within seconds,
the taking of the answer within a minute.  One that does not pay is cut off, so that nobody can hold
memory and places for nothing.  The HTTP library limits none of this but the time between requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

log = logging.getLogger("monitor.http")

BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 21\r\n\r\ntoo many connections\n"
)
OUT_OF_MEANS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
TELL_EVERY = 60.0
"""Seconds between two lines that say that clients are refused."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are seconds."""

    connections: int = 200
    per_client: int = 150
    """Of one address; less than all, so that one client leaves places for the others."""
    head: float = 10.0
    """For the TLS handshake and the head of the first request; then for each later head from its
    first byte on."""
    answer: float = 60.0
    """From there until the client has taken the answer."""
    idle: float = 75.0
    """Between two requests; longer than most scrape intervals."""
    request: int = 65_536
    """Bytes of one request, body included; nothing that is read here comes near."""


class Connections:
    """Accepts, counts and watches connections."""

    def __init__(
        self,
        tls: Callable[[], ssl.SSLContext | None] = lambda: None,
        admits: Callable[[asyncio.BaseTransport], bool] = lambda _transport: True,
        limits: Limits = Limits(),
    ) -> None:
        self.limits = limits
        self._tls = tls
        self._admits = admits
        self._open: Counter[str] = Counter()
        self._guests: dict[asyncio.Protocol, Guest] = {}
        self._told = float("-inf")

    @property
    def open(self) -> int:
        """How many there are, those in their handshake included."""
        return self._open.total()

    async def accept(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        group: asyncio.TaskGroup,
    ) -> None:
        """Take connections for ever; each speaks a `protocol` and lives in a task of `group`."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                conn, address = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno in OUT_OF_MEANS:
                    log.error("cannot accept", extra={"fields": {"error": error.strerror}})
                    await asyncio.sleep(1)  # until others have given something back
                continue
            client = client_of(str(address[0]))
            if self._has_place(client):
                self._open[client] += 1
                group.create_task(self._attend(conn, client, protocol()))
            else:
                self._refuse(conn, client)
            await asyncio.sleep(0)  # a flood of clients must not hold up all else

    def abort(self) -> None:
        """Cut off whoever is still there."""
        for guest in list(self._guests.values()):
            guest.abort()

    @web.middleware
    async def answered_in_time(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The outermost middleware: it knows when an answer begins and when it has been taken."""
        guest = self._guests.get(request.protocol)
        if guest is None:
            return await handler(request)
        guest.expect("answer", self.limits.answer)
        try:
            try:
                response = await handler(request)
            except web.HTTPException as refusal:
                await _finish(request, refusal)
                raise
            except ConnectionError:
                if not guest.gone.is_set():
                    raise
                return web.Response()  # the client has gone away: no error, and nobody reads it
            await _finish(request, response)
            return response
        finally:
            guest.expect("idle", self.limits.idle)

    async def _attend(self, conn: socket.socket, client: str, inner: asyncio.Protocol) -> None:
        """One connection, from its acceptance to its end."""
        loop = asyncio.get_running_loop()
        guest = self._guests[inner] = Guest(inner, self._admits, self.limits)
        try:
            async with asyncio.timeout(self.limits.head) as guest.deadline:
                await loop.connect_accepted_socket(lambda: guest, conn, ssl=self._tls())
                await guest.gone.wait()
        except OSError:
            pass  # it failed the handshake, or was too slow
        except Exception:
            log.exception("a bug of ours in a connection")
        finally:
            guest.deadline = None
            guest.abort()
            del self._guests[inner]
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    def _has_place(self, client: str) -> bool:
        limits = self.limits
        return self.open < limits.connections and self._open[client] < limits.per_client

    def _refuse(self, conn: socket.socket, client: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told >= TELL_EVERY:
            self._told = now
            fields = {"client": client, "open": self.open}
            log.warning("too many connections", extra={"fields": fields})
        with conn:
            if self._tls() is not None:
                return
            with contextlib.suppress(OSError):
                conn.recv(self.limits.request)  # what is left unread would void the answer
            with contextlib.suppress(OSError):
                conn.send(BUSY)
                conn.shutdown(socket.SHUT_WR)


class Guest(asyncio.Protocol):
    """Hands everything on to the HTTP library's protocol, and keeps the connection's deadline."""

    def __init__(
        self,
        inner: asyncio.Protocol,
        admits: Callable[[asyncio.BaseTransport], bool],
        limits: Limits,
    ) -> None:
        self.deadline: asyncio.Timeout | None = None
        self.gone = asyncio.Event()
        self._inner = inner
        self._admits = admits
        self._limits = limits
        self._transport: asyncio.WriteTransport | None = None
        self._admitted = False
        self._doing = "head"
        self._received = 0

    def expect(self, what: str, seconds: float) -> None:
        """The connection does `what` from now on, and has so long for it."""
        self._doing = what
        if what == "idle":
            self._received = 0
        if self.deadline and not self.deadline.expired():
            self.deadline.reschedule(asyncio.get_running_loop().time() + seconds)

    def abort(self) -> None:
        """End it at once; what has not been sent is forgotten."""
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._admitted = self._admits(transport)
        if not self._admitted:
            self.abort()
            return
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self._admitted:
            return
        if self._doing == "idle":
            self.expect("head", self._limits.head)
        self._received += len(data)
        if self._received > self._limits.request:
            self.abort()
            return
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self.gone.set()
        if self._admitted:
            self._inner.connection_lost(error)


async def _finish(request: web.Request, response: web.StreamResponse) -> None:
    """Send all of it here and now; the library sends nothing twice."""
    try:
        await response.prepare(request)
        await response.write_eof()
    except ConnectionError:
        pass  # the client has gone away; the library will see that, too


def client_of(host: str) -> str:
    """Who an address belongs to: of IPv6 a whole /64, since everybody has so many."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))
