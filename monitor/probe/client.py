"""What all attempts share: sessions, resolver, TLS contexts.  One `Client` per process."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.resolver import AsyncResolver
from yarl import URL

from monitor.dialects.signals import Request
from monitor.model import Check, Tls
from monitor.probe.poll import PollClock
from monitor.probe.wire import StampedTLS, current, open_socket, stamping

_FAMILIES = {"any": socket.AF_UNSPEC, "4": socket.AF_INET, "6": socket.AF_INET6}

HEADER_LIMIT = 64 * 1024
"""Bytes of one header line; some healthy pages send policies past aiohttp's default of 8 KiB."""


class StampedResolver(AbstractResolver):
    """c-ares through aiodns, so that a name which never resolves holds up nothing but itself.

    (The C library's resolver blocks a thread per name, and a handful of dead names empty the pool.)
    """

    def __init__(self, **options: Any) -> None:
        """`options` are c-ares's; without any, the system's settings hold."""
        self._inner = AsyncResolver(**options)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        wire = current.get()
        if wire is None:
            return await self._inner.resolve(host, port, family)
        loop_time = wire.clock
        wire.dns_started = loop_time()
        found = await self._inner.resolve(host, port, family)
        wire.dns_ended = loop_time()
        return found

    async def close(self) -> None:
        await self._inner.close()


class Client:
    """Opens a new connection for every request; a pooled one can hide an outage.

    Use as an async context manager inside the event loop that it serves.
    """

    def __init__(
        self,
        poll: PollClock | None = None,
        on_exchange: Callable[[Check, Request, Any], None] | None = None,
    ) -> None:
        """`on_exchange` is shown every `Exchange` when it is over, the bytes read included."""
        self.poll = poll
        self.on_exchange = on_exchange
        self._resolver = StampedResolver()
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._contexts: dict[Tls, ssl.SSLContext] = {}
        self._stamping: socket.socket | None = None

    async def __aenter__(self) -> Self:
        self._stamping = stamping()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for session in self._sessions.values():
            await session.close()
        await self._resolver.close()
        if self._stamping:
            self._stamping.close()

    def send(self, check: Check, request: Request) -> Any:
        """The response of `request` as an async context manager; redirects are not followed."""
        return self._session(check.ip).request(
            request.method,
            # aiohttp would write `%3A` in a path as `:`, and a signature would not fit any more.
            URL(request.url, encoded=request.exact),
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
            ssl=self.context(check.tls) if request.url.startswith("https:") else False,
            server_hostname=check.tls.server_name,
            proxy=proxy_of(check.proxy, request.url),
        )

    def context(self, tls: Tls) -> ssl.SSLContext:
        """The TLS context for these settings, made once: loading the CA bundle costs 28 ms.

        Raises OSError or ssl.SSLError where a file cannot be used.
        """
        if tls.server_name is not None:
            tls = Tls(tls.ca_file, tls.cert_file, tls.key_file, None, tls.insecure_skip_verify)
        context = self._contexts.get(tls)
        if context is None:
            context = self._contexts[tls] = _context(tls)
        return context

    def _session(self, ip: str) -> aiohttp.ClientSession:
        session = self._sessions.get(ip)
        if session is None:
            session = self._sessions[ip] = _session(_FAMILIES[ip], self._resolver)
        return session


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.sslobject_class = StampedTLS
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _Connector(aiohttp.TCPConnector):
    """Notes on the attempt's `Wire` when the connection is ready, tunnel and TLS included.

    (A trace configuration could, too, but has aiohttp tell a dozen other things to nobody.)
    """

    async def connect(self, *args: Any, **named: Any) -> Connection:
        connection = await super().connect(*args, **named)
        wire = current.get()
        if wire is not None:
            wire.note_connected()
        return connection


def _session(family: socket.AddressFamily, resolver: AbstractResolver) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=_Connector(
            family=family,
            resolver=resolver,
            socket_factory=open_socket,
            force_close=True,
            use_dns_cache=False,
            limit=0,
        ),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        max_line_size=HEADER_LIMIT,
        max_field_size=HEADER_LIMIT,
    )
    # Else a GET whose connection ends without an answer is asked again, and nobody is told.
    session._retry_connection = False
    return session


def proxy_of(proxy: str | None, url: str) -> str | None:
    """The proxy of one request.  The environment's proxies count only where a check asks."""
    if proxy != "env":
        return proxy
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)
