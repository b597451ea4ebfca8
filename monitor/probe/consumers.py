"""What takes in an answer: a streamed chat reply, or a page."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.judge.reply import Reply, Stamp
from monitor.probe.deadlines import Deadlines

PAGE_LIMIT = 1 << 20
ERROR_LIMIT = 64 * 1024


class ChatConsumer:
    """Feeds a stream to its `Reply`; anything that is no stream is kept as a page."""

    streaming = True

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.page: bytearray | None = None

    def head(self, status: int, headers: Mapping[str, str], deadlines: Deadlines) -> None:
        if not 200 <= status < 300:
            deadlines.decided = True
            self.page = bytearray()
        elif not self.reply.dialect.streams(headers.get("content-type", "")):
            self.page = bytearray()

    def body(self, data: bytes, stamp: Stamp, deadlines: Deadlines) -> bool:
        if self.page is not None:
            self.page += data[: ERROR_LIMIT - len(self.page)]
            return len(self.page) >= ERROR_LIMIT
        enough = self.reply.feed(data, stamp)
        if self.reply.last_at is not None:
            deadlines.progress = self.reply.last_at.read
        return enough

    def end(self, stamp: Stamp) -> None:
        if self.page is None:
            self.reply.end(stamp)


class PageConsumer:
    """Reads the first `limit` bytes of a page, and keeps them where somebody looks into them."""

    streaming = False

    def __init__(self, limit: int = PAGE_LIMIT, *, wanted: bool = True) -> None:
        """`wanted` says whether anything is demanded of a good page; a bad one is always kept."""
        self._limit = limit
        self._wanted = wanted
        self._size = 0
        self._kept = bytearray()
        self.ended_at: float | None = None

    @property
    def page(self) -> bytes:
        """What was kept."""
        return bytes(self._kept)

    def head(self, status: int, headers: Mapping[str, str], deadlines: Deadlines) -> None:
        """Nothing to decide: every status is an answer."""
        self._wanted = self._wanted or not 200 <= status < 300

    def body(self, data: bytes, stamp: Stamp, deadlines: Deadlines) -> bool:
        if self._wanted:
            self._kept += data[: self._limit - self._size]
        self._size = min(self._limit, self._size + len(data))
        deadlines.progress = stamp.read
        return self._size == self._limit

    def end(self, stamp: Stamp) -> None:
        self.ended_at = stamp.at
