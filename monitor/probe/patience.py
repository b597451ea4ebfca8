"""Ends an attempt at its next deadline, and is only told of deadlines that come sooner.

Every token moves a deadline on.  To set a timer anew each time costs as much as to decode the
token, so the timer stays, and looks when it fires whether the deadline has moved meanwhile.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from monitor.probe.deadlines import Deadlines


class Patience:
    """An `asyncio.timeout` for `deadlines`; `renew` it when one may have come sooner."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._scope = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self.renew()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        await self._scope.__aexit__(kind, error, tb)

    def renew(self) -> None:
        """Set the timer to the deadline that is next by now."""
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadlines.next()[0], self._look)

    def expired(self) -> bool:
        """Whether a deadline ended the attempt."""
        return self._scope.expired()

    def _look(self) -> None:
        due = self._deadlines.next()[0]
        if due > self._loop.time():
            self.renew()
        else:
            self._scope.reschedule(due)  # which is over: the attempt ends now
