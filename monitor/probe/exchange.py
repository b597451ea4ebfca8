"""One HTTP exchange under its deadlines: moves bytes and stamps times.

What the network does never raises; it becomes a finding.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from monitor.dialects.complaints import shorten
from monitor.dialects.signals import Request
from monitor.judge.reply import Stamp
from monitor.judge.verdict import Finding
from monitor.model import Check, Phases, Reason
from monitor.probe.client import Client
from monitor.probe.deadlines import Deadlines
from monitor.probe.patience import Patience
from monitor.probe.wire import Wire, current

BODY_LIMIT = 4 << 20
"""Bytes of one body that are read at most; a probe asks for a few tokens."""
AT_ONCE = 64 * 1024
"""Bytes that are decompressed at once; a few compressed ones can hold any number."""
SAID_LIMIT = 4096
"""Bytes of a body kept for the evidence: more than is shown, so that no secret is cut in two."""
LATE = 1.0
"""Seconds by which the event loop may be late before a missed deadline is its own fault."""


class Consumer(Protocol):
    """Takes in an answer as it comes."""

    streaming: bool
    """Whether outputs are awaited, or just a body."""

    def head(self, status: int, headers: Mapping[str, str], deadlines: Deadlines) -> None:
        """The response head is there."""

    def body(self, data: bytes, stamp: Stamp, deadlines: Deadlines) -> bool:
        """More of the body; true when enough was seen."""

    def end(self, stamp: Stamp) -> None:
        """The body ended cleanly."""


@dataclass(slots=True)
class Exchange:
    """What came of one exchange; `broken` is set when it did not end by itself."""

    wire: Wire
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    head_at: float | None = None
    sent: float | None = None
    said: bytes = b""
    """The first bytes of the body, for the evidence."""
    reads: list[tuple[Stamp, bytes]] | None = None
    """All that was read of the body, where somebody wants to see it."""
    broken: Finding | None = None

    def connection_phases(self) -> Phases:
        """Phases up to the response head."""
        wire = self.wire
        return Phases(
            dns=_between(wire.dns_started, wire.dns_ended),
            connect=_between(wire.dns_ended or wire.started, wire.tls_started or wire.connected),
            tls=_between(wire.tls_started, wire.tls_ended),
            first_byte=_between(self.sent, self.head_at),
        )


async def exchange(client: Client, check: Check, request: Request, consumer: Consumer) -> Exchange:
    """Send `request` and feed the answer to `consumer` until it has enough, ends or times out.

    Cancellation passes through; everything that the network can do becomes `broken`.
    """
    wire = Wire(client.poll)
    token = current.set(wire)
    result = Exchange(wire, reads=[] if client.on_exchange else None)
    deadlines = Deadlines(check.timeout, wire.started, consumer.streaming)
    scope = Patience(deadlines)
    wire.waits(consumer.streaming)
    try:
        async with scope:
            await _converse(client, check, request, consumer, result, deadlines, scope)
    except TimeoutError as error:
        result.broken = _expired(deadlines, wire) if scope.expired() else blame(error, wire)
    except (aiohttp.ClientError, OSError, HttpProcessingError, UndecodableError) as error:
        result.broken = blame(error, wire)
    finally:
        wire.waits(-consumer.streaming)
        current.reset(token)
        if client.on_exchange:
            client.on_exchange(check, request, result)
    return result


async def _converse(
    client: Client,
    check: Check,
    request: Request,
    consumer: Consumer,
    result: Exchange,
    deadlines: Deadlines,
    scope: Patience,
) -> None:
    wire = result.wire

    def connected() -> None:
        deadlines.sent = wire.connected
        scope.renew()

    wire.on_connected = connected
    async with client.send(check, request) as response:
        # Frozen here: closing TLS sends once more.
        result.sent = deadlines.sent = wire.sent
        result.head_at = deadlines.head = wire.stamp().at
        result.status = response.status
        result.headers = {name.lower(): value for name, value in response.headers.items()}
        consumer.head(response.status, result.headers, deadlines)
        scope.renew()
        try:
            await _read(response, consumer, result, deadlines, scope)
        finally:
            _drop(response)


async def _read(
    response: aiohttp.ClientResponse,
    consumer: Consumer,
    result: Exchange,
    deadlines: Deadlines,
    scope: Patience,
) -> None:
    decode = Decoding(result.headers.get("content-encoding", ""))
    progress = deadlines.progress
    size = 0
    while data := await response.content.readany():
        stamp = result.wire.stamp()
        size += len(data)
        for plain in decode(data):
            if result.reads is not None:
                result.reads.append((stamp, plain))
            if len(result.said) < SAID_LIMIT:
                result.said = (result.said + plain)[:SAID_LIMIT]
            if consumer.body(plain, stamp, deadlines):
                return
            if max(size, decode.size) > BODY_LIMIT:
                said = f"a body of more than {BODY_LIMIT} bytes"
                result.broken = Finding(Reason.TOO_LARGE, said, "the size of the body")
                return
        if progress is None and deadlines.progress is not None:
            # Only the first output can bring the deadline nearer; later ones move it on.
            progress = deadlines.progress
            scope.renew()
    consumer.end(result.wire.stamp())


def _drop(response: aiohttp.ClientResponse) -> None:
    """Close at once: a polite TLS goodbye to an endpoint that hangs would keep the socket open."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()
    response.close()


class UndecodableError(Exception):
    """A body in an encoding that cannot be undone."""


class Inflate(Protocol):
    """What `zlib.decompressobj` makes."""

    @property
    def unconsumed_tail(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Decoding:
    """Undoes a `Content-Encoding` that was not asked for; in pieces, so that no bomb unfolds."""

    def __init__(self, name: str) -> None:
        self.size = 0
        name = name.strip().lower()
        self._inflate: Inflate | None = None
        if name in {"gzip", "x-gzip", "deflate"}:
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)
        elif name not in {"", "identity"}:
            seen = shorten(name, 40)
            raise UndecodableError(f"content encoding {seen!r}, though identity was asked for")

    def __call__(self, data: bytes) -> Iterable[bytes]:
        """The plain bytes of `data`: what was compressed a little at a time."""
        return (data,) if self._inflate is None else self._unfolded(self._inflate, data)

    def _unfolded(self, inflate: Inflate, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                plain = inflate.decompress(data, AT_ONCE)
            except zlib.error as error:
                raise UndecodableError(f"a broken compressed body: {error}") from error
            self.size += len(plain)
            if plain:
                yield plain
            data = inflate.unconsumed_tail
            if len(plain) < AT_ONCE:
                return


def _expired(deadlines: Deadlines, wire: Wire) -> Finding:
    when, reason = deadlines.next()
    late = max(wire.clock() - when, wire.away(when))
    if late > LATE:
        said = f"our event loop was {late:.1f} s late"
        return Finding(Reason.STALLED, said, "the event loop's own clock")
    if reason is Reason.CONNECT_TIMEOUT and wire.phase == "name resolution":
        said = f"no address after {deadlines.limits.connect:g} s"
        return Finding(Reason.DNS, said, "`timeout.connect`")
    name = reason.value.removesuffix("_timeout")
    limit = getattr(deadlines.limits, name)
    return Finding(
        reason, f"{_MISSED[reason]} {limit:g} s{_where(reason, wire)}", f"`timeout.{name}`"
    )


_MISSED = {
    Reason.CONNECT_TIMEOUT: "not connected within",
    Reason.FIRST_BYTE_TIMEOUT: "no response head within",
    Reason.FIRST_TOKEN_TIMEOUT: "no output within",
    Reason.IDLE_TIMEOUT: "no further output for",
    Reason.TOTAL_TIMEOUT: "not done within",
}


def _where(reason: Reason, wire: Wire) -> str:
    return f", stuck in {wire.phase}" if reason is Reason.CONNECT_TIMEOUT else ""


def blame(error: BaseException, wire: Wire) -> Finding:
    """The reason for an exception of the network stack."""
    return replace(_blamed(error, wire), rule=f"the network said {type(error).__name__}")


def _blamed(error: BaseException, wire: Wire) -> Finding:
    text = _words(error)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Finding(Reason.DNS, text)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Finding(Reason.CONNECT, f"the proxy answered HTTP {error.status}")
    in_handshake = wire.tls_started is not None and wire.tls_ended is None
    if in_handshake or isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return Finding(Reason.TLS, text)
    if isinstance(error, aiohttp.ClientConnectorError) or wire.connected is None:
        return Finding(Reason.CONNECT, text)
    if _is_malformed(error):
        return Finding(Reason.MALFORMED, f"not what HTTP allows: {text}")
    if isinstance(error, aiohttp.ClientPayloadError):
        return Finding(Reason.TRUNCATED, "the connection ended inside the body")
    return Finding(Reason.TRUNCATED, f"the connection ended early: {text}")


def _is_malformed(error: BaseException) -> bool:
    """Garbage where HTTP was due, as opposed to an answer that just stops."""
    if isinstance(error, (aiohttp.ServerDisconnectedError, ConnectionError)):
        return False
    if isinstance(error, aiohttp.ClientPayloadError):
        words = f"{error} {error.__cause__!r}".lower()
        return "not enough data" not in words and "not completed" not in words
    kinds = (aiohttp.ClientResponseError, HttpProcessingError, UndecodableError)
    return isinstance(error, kinds)


def _words(error: BaseException) -> str:
    """The error in words for people; aiohttp's own name a context object's address."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return shorten(f"{error.host}:{error.port}: {error.certificate_error}")
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        return shorten(f"{error.host}:{error.port}: {cause.strerror or cause}")
    return shorten(str(error) or type(error).__name__)


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(0.0, end - start)
