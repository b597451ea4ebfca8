"""The own-network guard at work: tries its targets, remembers what they said."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from monitor.dialects.request import plain_headers
from monitor.dialects.signals import Request
from monitor.model import Check, Mode, Reason, Timeouts
from monitor.probe.client import Client
from monitor.probe.clock import now
from monitor.probe.consumers import PageConsumer
from monitor.probe.exchange import exchange

FRESH = 2.0
"""Seconds for which one answer of the guard serves all who ask."""
_TIMEOUT = Timeouts(connect=4.0, first_byte=4.0, idle=4.0, total=6.0)
_CLUSTER = (".local", ".internal", ".svc", ".localhost", ".cluster.local", ".home.arpa", ".test")


class _Way(NamedTuple):
    """How the network is tried: over which proxy, and whether names have to be looked up."""

    proxy: str | None = None
    named: bool = False


class Guard:
    """Tells our own dead network from a dead provider: all targets must fail for the blame."""

    def __init__(self, client: Client, targets: tuple[str, ...]) -> None:
        self._client = client
        self.targets = targets
        self._lock = asyncio.Lock()
        self._asked_at: dict[_Way, float] = {}
        self._answers: dict[_Way, bool] = {}
        self.ever_passed = False

    @property
    def up(self) -> bool | None:
        """The last answer over a direct connection, None before the first or without targets."""
        return self._answers.get(_Way())

    async def network_up(self, proxy: str | None = None, *, named: bool = False) -> bool:
        """Whether any target answers, over the proxy that the asking check uses.

        With `named` only targets count that have to be looked up by name, if there are any: an
        address that answers says nothing of our name servers.
        """
        way = _Way(proxy, named)
        async with self._lock:
            asked = self._asked_at.get(way)
            if asked is None or now().mono - asked > FRESH:
                self._answers[way] = await self._try_all(way)
                self._asked_at[way] = now().mono
            answer = self._answers[way]
            self.ever_passed = self.ever_passed or answer
            return answer

    async def to_blame(self, check: Check, reason: Reason | None, *, ever_ok: bool) -> bool:
        """Whether a failure of `check`, for `reason`, is our own network's.

        A guard that never passed may stand behind a firewall: it then only speaks for checks
        that never worked either, so that real outages of the others still show.
        """
        if not check.guard or not self.targets or is_private(check.url):
            return False
        if await self.network_up(check.proxy, named=reason is Reason.DNS):
            return False
        return self.ever_passed or not ever_ok

    async def _try_all(self, way: _Way) -> bool:
        named = [target for target in self.targets if not _is_address(target)]
        targets = named if way.named and named else self.targets
        async with asyncio.TaskGroup() as group:
            tries = [group.create_task(self._try(target, way.proxy)) for target in targets]
        return any(task.result() for task in tries)

    async def _try(self, target: str, proxy: str | None) -> bool:
        parts = urlsplit(target)
        tcp = parts.scheme == "tcp"
        if tcp and proxy is None:
            return await _tcp(parts.hostname or "", parts.port or 443)
        if tcp:
            # Through a proxy a connection is a tunnel, which only TLS is given.
            target = urlunsplit(("https", parts.netloc, "/", "", ""))
        check = Check("guard", Mode.WEB, "guard", target, timeout=_TIMEOUT, proxy=proxy)
        request = Request("GET", target, plain_headers(check, {"Accept": "*/*"}))
        seen = await exchange(self._client, check, request, PageConsumer(limit=1024))
        if tcp:
            return seen.wire.tls_started is not None
        # A captive portal answers plain HTTP with a redirect; over TLS it cannot pose as the host.
        limit = 500 if parts.scheme == "https" else 300
        return seen.status is not None and seen.status < limit


async def _tcp(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT.connect):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True


def _is_address(url: str) -> bool:
    try:
        ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    return True


def is_private(url: str) -> bool:
    """Whether the URL's host lies inside our own walls, where internet targets prove nothing."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_CLUSTER)
    return not address.is_global
