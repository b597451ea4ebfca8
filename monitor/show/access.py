"""Who may ask, and how often: basic authentication, a rate limit, headers of the operator's choice.

What holds at the moment is asked for with every request, so that a reload acts at once.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import bcrypt
from aiohttp import web
from aiohttp.typedefs import Handler

from monitor.show.shared import Shared

CHALLENGE = 'Basic realm="monitor", charset="UTF-8"'

AT_ONCE = 2
"""Passwords checked at the same time; a check is meant to be slow, and takes a processor."""
REMEMBERED = 1024
"""Verdicts."""
LONGEST = 72
"""Bytes that bcrypt looks at; whoever made the hash cut the password off there, too."""


class RateLimit(Protocol):
    """At most one request each `interval` seconds in the long run, `burst` of them at once."""

    @property
    def interval(self) -> float: ...
    @property
    def burst(self) -> int: ...


class Rules(Protocol):
    """What is asked of requests at the moment."""

    @property
    def users(self) -> Mapping[str, str]: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def rate(self) -> RateLimit | None: ...


class Passwords:
    """Verdicts on names and passwords: found in worker threads, remembered by a keyed digest.

    No password outlives its request, and an unknown name costs as much as a wrong password.
    """

    def __init__(self, check: Callable[[bytes, bytes], bool] = bcrypt.checkpw) -> None:
        self._check = check
        self._key = secrets.token_bytes(32)
        self._verdicts: OrderedDict[str, bool] = OrderedDict()
        self._shared = Shared()
        self._workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="bcrypt")

    async def right(self, users: Mapping[str, str], name: str, password: bytes) -> bool:
        """Whether `users` has this name with this password."""
        known = users.get(name)
        stored = (known or _decoy(users.values())).encode()
        digest = self._digest(name.encode(), stored, password)
        verdict = self._verdicts.get(digest)
        if verdict is None:

            async def ask() -> bool:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(
                    self._workers, self._check, password[:LONGEST], stored
                )

            # Many connections of one client bring the same password at the same time.
            verdict = await self._shared.run(digest, ask) and known is not None
            self._verdicts[digest] = verdict
            if len(self._verdicts) > REMEMBERED:
                self._verdicts.popitem(last=False)
        self._verdicts.move_to_end(digest)
        return verdict

    def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _digest(self, *parts: bytes) -> str:
        """Only this process can make it, so that how long a look-up takes tells nobody anything."""
        whole = b"".join(len(part).to_bytes(4) + part for part in parts)
        return hmac.digest(self._key, whole, "sha256").hex()


def _decoy(hashes: Iterable[str]) -> str:
    """What an unknown name is checked against: matches nothing, and costs what the others do."""
    cost = max((stored.split("$")[2] for stored in hashes), default="10")
    return f"$2b${cost}$" + "." * 53


class Bucket:
    """Tokens that refill with time; each request takes one."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._tokens = float("inf")
        self._at = now()

    def take(self, limit: RateLimit) -> bool:
        now = self._now()
        earned = (now - self._at) / limit.interval
        self._tokens = min(float(limit.burst), self._tokens + earned)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def protect(app: web.Application, rules: Callable[[], Rules], passwords: Passwords) -> None:
    """Let only those requests in that the rules of the moment allow."""
    bucket = Bucket()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        now = rules()
        if now.rate and not bucket.take(now.rate):
            return web.Response(text="too many requests\n", status=429)
        if now.users and not await _welcome(request, now.users, passwords):
            headers = {"WWW-Authenticate": CHALLENGE}
            return web.Response(text="name and password, please\n", status=401, headers=headers)
        return await handler(request)

    async def dress(_request: web.Request, response: web.StreamResponse) -> None:
        for name, value in rules().headers.items():
            if value:
                response.headers[name] = value
            else:
                response.headers.popall(name, None)

    app.middlewares.insert(0, guard)
    app.on_response_prepare.append(dress)


async def _welcome(request: web.Request, users: Mapping[str, str], passwords: Passwords) -> bool:
    credentials = _credentials(request.headers.get("Authorization", ""))
    return credentials is not None and await passwords.right(users, *credentials)


def _credentials(header: str) -> tuple[str, bytes] | None:
    """Name and password of an `Authorization` header; None where it holds none that we read."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (name.decode(), password) if colon else None
    except (binascii.Error, UnicodeError, ValueError):
        return None
