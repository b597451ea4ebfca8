"""Which deadline is next, and what its expiry means.  Pure: times come in as arguments.

`connect` runs from the start of the attempt to a connection that is ready, TLS included;
`first_byte` and `first_token` from the request written; `idle` from one output to the next;
`total` over all.  Bytes that are no output (keep-alives, pings, empty deltas) move none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.model import Reason, Timeouts

ERROR_BODY = 5.0
"""Seconds granted to the body of an answer whose status has already decided."""


@dataclass(slots=True)
class Deadlines:
    """The clocks of one attempt, in monotonic seconds."""

    limits: Timeouts
    started: float
    streaming: bool
    """Whether outputs are awaited (a chat), or just a body (a page)."""
    sent: float | None = None
    head: float | None = None
    progress: float | None = None
    """The last output, or of a page the last read."""
    decided: bool = False
    """The status has decided; the body is only read for its words."""

    def next(self) -> tuple[float, Reason]:
        """When the attempt ends unless something happens, and the reason it then has."""
        return min(self._stage(), (self.started + self.limits.total, Reason.TOTAL_TIMEOUT))

    def _stage(self) -> tuple[float, Reason]:
        limits = self.limits
        if self.sent is None:
            return self.started + limits.connect, Reason.CONNECT_TIMEOUT
        if self.decided and self.head is not None:
            return self.head + min(ERROR_BODY, limits.idle), Reason.IDLE_TIMEOUT
        if self.progress is not None:
            return self.progress + limits.idle, Reason.IDLE_TIMEOUT
        first_token = self.sent + limits.first_token, Reason.FIRST_TOKEN_TIMEOUT
        if self.head is None:
            first_byte = self.sent + limits.first_byte, Reason.FIRST_BYTE_TIMEOUT
            return min(first_byte, first_token) if self.streaming else first_byte
        if self.streaming:
            return first_token
        return self.head + limits.idle, Reason.IDLE_TIMEOUT
