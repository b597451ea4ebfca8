"""One try to deliver one message; what came of it is a value, and never names the address.

A webhook is posted to from the event loop.  Apprise is blocking: each target has one thread of its
own at most, which nobody waits for longer than TIMEOUT.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from threading import Thread
from types import TracebackType
from typing import Self

import aiohttp

from monitor import __version__
from monitor.model import Moment, NotifyTarget
from monitor.notify.message import Message, trial

TIMEOUT = 15.0
"""Seconds for one try."""
AGENT = f"ai-chat-outage-monitor/{__version__}"

_LATER = {408, 425, 429, 500, 502, 503, 504}
_STATUS = re.compile(r"error=(\d{3})\b")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a try.  `error` is None where the message was taken."""

    error: str | None = None
    again: bool = False
    """Whether a later try may do better."""
    wait: float | None = None
    """Seconds that we were asked to wait."""


class Sender:
    """Delivers to any target; an asynchronous context manager."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._session: aiohttp.ClientSession | None = None
        self._threads: dict[str, Thread] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # Messages are rare: a kept connection would mostly be found dead.
            connector=aiohttp.TCPConnector(force_close=True),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            headers={"User-Agent": AGENT},
        )
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._session:
            await self._session.close()

    async def send(self, target: NotifyTarget, message: Message) -> Outcome:
        """One try."""
        if target.kind == "webhook":
            return await self._post(target.url.reveal(), message)
        return await self._hand_over(target, message)

    async def _post(self, url: str, message: Message) -> Outcome:
        assert self._session is not None
        try:
            async with self._session.post(url, json=message.data, allow_redirects=False) as answer:
                if answer.status < 300:
                    return Outcome()
                again = answer.status in _LATER
                wait = _seconds(answer.headers.get("Retry-After"), self._wall()) if again else None
                return Outcome(f"HTTP {answer.status}", again, wait)
        except TimeoutError:
            return Outcome(f"no answer within {TIMEOUT:g} s", again=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(_told(error), again=not isinstance(error, ValueError))

    async def _hand_over(self, target: NotifyTarget, message: Message) -> Outcome:
        before = self._threads.get(target.name)
        if before and before.is_alive():
            return Outcome("the try before still hangs", again=True)
        done: Future[Outcome] = Future()
        url = target.url.reveal()
        # No executor: at the end of the process one would wait for a service that hangs.
        thread = Thread(
            target=_through_apprise, args=(url, message, done), name="apprise", daemon=True
        )
        self._threads[target.name] = thread
        thread.start()
        try:
            async with asyncio.timeout(TIMEOUT):
                return await asyncio.wrap_future(done)
        except TimeoutError:
            return Outcome(f"no answer within {TIMEOUT:g} s", again=True)


async def try_out(targets: Sequence[NotifyTarget], at: Moment) -> list[Outcome]:
    """One try of a test message to each target, all at the same time."""
    async with Sender(lambda: at.wall) as sender:
        return list(
            await asyncio.gather(
                *(sender.send(target, trial(target, __version__, at)) for target in targets)
            )
        )


def _through_apprise(url: str, message: Message, done: Future[Outcome]) -> None:
    """In a thread of its own; `done` may have been given up meanwhile."""
    try:
        outcome = _apprise(url, message)
    except Exception as error:
        # Its text may hold the address.
        outcome = Outcome(f"Apprise failed: {type(error).__name__}")
    if done.set_running_or_notify_cancel():
        done.set_result(outcome)


def _apprise(url: str, message: Message) -> Outcome:
    try:
        import apprise
    except ImportError:
        return Outcome("Apprise is not installed")
    ears = _Ears()
    log = logging.getLogger("apprise")
    log.propagate = False  # what it logs may hold parts of the address
    log.addHandler(ears)
    try:
        known = apprise.Apprise(asset=apprise.AppriseAsset(app_id="AI chat outage monitor"))
        if not known.add(url):
            return Outcome("Apprise does not know such an address")
        kinds = {"resolved": apprise.NotifyType.SUCCESS, "test": apprise.NotifyType.INFO}
        taken = known.notify(
            body=message.text,
            title=message.title,
            notify_type=kinds.get(message.event, apprise.NotifyType.FAILURE),
            body_format=apprise.NotifyFormat.TEXT,
        )
    finally:
        log.removeHandler(ears)
    if taken:
        return Outcome()
    heard = f", HTTP {ears.status}" if ears.status else ""
    again = ears.status is None or ears.status in _LATER
    return Outcome(f"the service did not take it{heard}", again)


class _Ears(logging.Handler):
    """Hears of a failure only its HTTP status; what else Apprise logs may hold the address."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.status: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        found = _STATUS.search(record.getMessage())
        if found:
            self.status = int(found[1])


def _told(error: Exception) -> str:
    """In our words: those of the libraries hold the address."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the name cannot be resolved"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "no secure connection can be made"
    number = error.errno if isinstance(error, OSError) else None
    if number:
        return f"no connection ({os.strerror(number)})"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed without an answer"
    return f"no answer ({type(error).__name__})"


def _seconds(retry_after: str | None, wall: float) -> float | None:
    """`Retry-After` as seconds or as a date; None where there is none that makes sense."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - wall)
    except (ValueError, TypeError, OverflowError):
        return None
