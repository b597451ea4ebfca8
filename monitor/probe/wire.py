"""Where time is measured: socket, TLS handshake and name resolution (and `poll`).

aiohttp hands no per-read times out, so one `Wire` per attempt travels in a context variable, and
whoever moves bytes for the attempt notes times on it:

* `StampedSocket` reads through `recvmsg` and takes the kernel's receive time (SO_TIMESTAMPNS) of
  the last byte of each read.  It is exact however late the event loop got round to reading.
* `StampedTLS` is the `sslobject_class` of every TLS context: it sees the handshake begin and end
  and the peer's certificate, also one that fails verification.
* The event loop's `PollClock` bounds from below when the first of several bytes can have arrived.

Without Linux's receive times everything falls back to the monotonic clock at the read.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from monitor.judge.reply import Stamp
from monitor.probe.clock import clock_offset
from monitor.probe.poll import PollClock

SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("qq")
_ANCILLARY = socket.CMSG_SPACE(_TIMESPEC.size)
#: The layout above is that of 64-bit Linux; elsewhere reads are stamped by the monotonic clock.
KERNEL_STAMPS = sys.platform == "linux" and sys.maxsize > 2**32

READ = 64 * 1024
"""Bytes of one read at most.  asyncio asks for 256 KiB, and the kernel gives and takes that memory
anew each time, for the 300 bytes of a token: that costs more than the rest of the read."""
RECORD = 16 * 1024
"""Bytes that one TLS record can hold: what a read of a TLS session needs room for at most."""

CLOCK_MOVED = 1e-3
"""Seconds by which the wall clock may move during an attempt before its stamps are distrusted."""
MAX_DOUBT = 5e-3
"""Seconds of uncertainty above which a token clock is doubtful."""


class Wire:
    """The times of one attempt's connection, in monotonic seconds; None until it happened."""

    __slots__ = (
        "_floor",
        "_offset",
        "_poll",
        "certificate_expires",
        "clock",
        "connected",
        "dns_ended",
        "dns_started",
        "kernel_at",
        "on_connected",
        "previous_read",
        "read_at",
        "sent",
        "started",
        "tls_ended",
        "tls_started",
    )

    def __init__(self, poll: PollClock | None = None) -> None:
        self._poll = poll
        self._offset = clock_offset()
        self.clock = time.monotonic
        self.on_connected: Callable[[], None] | None = None
        self.started = time.monotonic()
        self.dns_started: float | None = None
        self.dns_ended: float | None = None
        self.tls_started: float | None = None
        self.tls_ended: float | None = None
        self.connected: float | None = None
        self.sent: float | None = None
        self.kernel_at: float | None = None
        self.read_at = self.previous_read = self._floor = self.started
        self.certificate_expires: float | None = None

    def note_connected(self) -> None:
        """The connection is ready, TLS included; the request is written next."""
        self.connected = time.monotonic()
        # Asked once and let go: it knows this wire, and a cycle would wait for the collector.
        tell, self.on_connected = self.on_connected, None
        if tell:
            tell()

    def note_read(self, wall: float | None) -> None:
        """A read returned bytes, the last of which the kernel received at `wall` (Unix s)."""
        self.previous_read = self.read_at
        self.read_at = time.monotonic()
        if self._poll:
            # Not in `stamp`: the loop polls once more before the reader hears of the bytes.
            self._floor = self._poll.floor
        self.kernel_at = None if wall is None else wall - self._offset

    def waits(self, answers: int) -> None:
        """An attempt begins (1) or ceases (-1) to wait for a stream whose tokens are timed."""
        if self._poll:
            self._poll.waiting += answers

    @property
    def stalled(self) -> float:
        """Seconds of this attempt in which our own event loop was kept from its work."""
        return self._poll.stalled(self.started) if self._poll else 0.0

    def away(self, at: float) -> float:
        """For how long our own event loop was away from its work at the moment `at`."""
        return self._poll.away(at) if self._poll else 0.0

    @property
    def phase(self) -> str:
        """The layer that is being worked on, in words for people."""
        if self.dns_started is not None and self.dns_ended is None:
            return "name resolution"
        if self.tls_started is not None and self.tls_ended is None:
            return "the TLS handshake"
        return "connecting" if self.sent is None else "the answer"

    def stamp(self) -> Stamp:
        """When the bytes of the last read arrived."""
        read, since, at = self.read_at, self.previous_read, self.kernel_at
        # Before the read before is impossible: the wall clock was set back.
        if at is None or at > read or at < since - CLOCK_MOVED:
            at = read
        return Stamp(at, read, min(max(since, self._floor), at))

    def clock_moved(self) -> bool:
        """Whether the wall clock was stepped since the attempt began: kernel times are off then."""
        return abs(clock_offset() - self._offset) > CLOCK_MOVED

    def doubtful(self, widths: Mapping[str, float]) -> tuple[str, ...]:
        """Which of these clocks, each uncertain by so many seconds, are not to be vouched for."""
        moved = self.clock_moved()
        return tuple(name for name, width in widths.items() if moved or width > MAX_DOUBT)


#: The attempt on whose behalf the current task moves bytes.
current: ContextVar[Wire | None] = ContextVar("wire", default=None)


class StampedSocket(socket.socket):
    """A TCP socket that notes on its attempt's `Wire` when it sent and received."""

    def __init__(self, family: int, kind: int, proto: int) -> None:
        super().__init__(family, kind, proto)
        self.wire = current.get()
        if KERNEL_STAMPS:
            with contextlib.suppress(OSError):
                self.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        wire = self.wire
        if wire is None or not KERNEL_STAMPS:
            data = super().recv(size, flags)
            if wire is not None and data:
                wire.note_read(None)
            return data
        data, ancillary, _, _ = self.recvmsg(min(size, READ), _ANCILLARY, flags)
        if data:
            wire.note_read(_stamped(ancillary))
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        wire = self.wire
        if wire is None or not KERNEL_STAMPS:
            count = super().recv_into(buffer, nbytes, flags)
            if wire is not None and count:
                wire.note_read(None)
            return count
        view = memoryview(buffer)[:nbytes] if nbytes else buffer
        count, ancillary, _, _ = self.recvmsg_into([view], _ANCILLARY, flags)
        if count:
            wire.note_read(_stamped(ancillary))
        return count

    def send(self, data: Any, flags: int = 0, /) -> int:
        self._note_send()
        return super().send(data, flags)

    def sendmsg(self, *args: Any) -> int:
        self._note_send()
        return super().sendmsg(*args)

    def _note_send(self) -> None:
        # Before the call: over loopback the answer can be there before the call returns.
        if self.wire is not None:
            self.wire.sent = time.monotonic()


def _stamped(ancillary: list[tuple[int, int, bytes]]) -> float | None:
    """The kernel's receive time among what came with the bytes, Unix seconds."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return float(seconds + nanoseconds / 1e9)
    return None


def open_socket(address: tuple[Any, ...]) -> socket.socket:
    """The connector's `socket_factory`."""
    family, kind, proto, _, _ = address
    sock = StampedSocket(family, kind, proto)
    sock.setblocking(False)
    return sock


def stamping() -> socket.socket:
    """An idle socket that keeps the kernel's receive stamps switched on while it is open.

    Linux switches them on a moment after the first socket asks, and off with the last that did; a
    packet in that moment is stamped only when it is read.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if KERNEL_STAMPS:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return sock


@lru_cache(maxsize=256)
def _expiry(certificate: Any) -> float:
    """When a certificate ends, Unix seconds; an endpoint shows the same one for months."""
    return float(ssl.cert_time_to_seconds(certificate.get_info()["notAfter"]))


class StampedTLS(ssl.SSLObject):
    """A TLS session that notes handshake times and the peer's certificate on the `Wire`."""

    def do_handshake(self) -> None:
        wire = current.get()
        if wire is None:
            return super().do_handshake()
        if wire.tls_started is None:
            wire.tls_started = time.monotonic()
        try:
            super().do_handshake()
        except ssl.SSLWantReadError:
            raise
        except ssl.SSLError:
            wire.certificate_expires = self._unverified_expiry()
            raise
        wire.tls_ended = time.monotonic()
        wire.certificate_expires = self._unverified_expiry()
        return None

    def getpeercert(self, binary_form: bool = False) -> Any:
        # asyncio has every certificate spelled out after its handshake, for nobody.
        return super().getpeercert(binary_form=True) if binary_form else {}

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        # asyncio asks for 256 KiB here as well, and for nothing once more after every record.
        return super().read(min(len, RECORD), buffer)

    def _unverified_expiry(self) -> float | None:
        # The public getpeercert() tells nothing before the handshake is done nor without
        # verification; the chain the peer sent is only reachable on the wrapped object.
        try:
            chain = self._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
            return _expiry(chain[0])
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, ssl.SSLError):
            return None
