"""One request with the means to answer it, well or badly: what every behaviour gets."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from monitor.simulator import mind
from monitor.simulator.seam import Answer, Ask, Dialect, Flavour, Rendered, Trouble
from monitor.simulator.wire import Line


@dataclass(frozen=True, slots=True)
class Params:
    """What can be set about a behaviour.  Times are in seconds at speed 1."""

    first_token: float = 0.25
    """From the response head to the first token."""
    gap: float = 0.03
    """Between two tokens."""
    jitter: float = 0.0
    """0.3 varies both of the above by up to 30 % either way."""
    answer: str = "{reply}"
    """What the model says; `{reply}` stands for the right answer."""
    model: str = ""
    """The model that answers; empty for the one asked for."""
    tokens: int = 1
    """How many come before things go wrong."""
    every: float = 1.0
    """Between two keep-alives."""
    after: float | None = None
    """When a silence ends with the connection; None means never."""
    retry_after: float = 2.0
    size: int = 100_000_000
    """Bytes of what is too large."""


@dataclass(slots=True)
class Seen:
    """A request as it came, for tests to look at; the key is not kept."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    """The JSON of the body, None where there is none."""
    behaviour: str
    received: float
    """Monotonic seconds at the end of the request."""
    first_token: float | None = None
    """Monotonic seconds just before the first token was written."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """The request's meaning on one side, the wire on the other, time and chance between them."""

    ask: Ask
    dialect: Dialect
    flavour: Flavour
    params: Params
    line: Line
    seen: Seen
    rng: random.Random
    speed: float = 1.0

    async def pause(self, seconds: float) -> None:
        """Simulated time: `speed` makes it shorter."""
        await asyncio.sleep(seconds / self.speed)

    async def rest(self) -> None:
        """Silence: for `after` seconds, or until the client has had enough."""
        if self.params.after is None:
            await asyncio.get_running_loop().create_future()
        else:
            await self.pause(self.params.after)

    async def head(self, status: int, media: str, more: Mapping[str, str] | None = None) -> None:
        """A response head in the vendor's dress; the body is chunked."""
        await self.line.head(status, self._headers(media, more))

    async def whole(
        self, status: int, media: str, body: bytes, more: Mapping[str, str] | None = None
    ) -> None:
        """A whole answer of known length."""
        await self.line.answer(status, self._headers(media, more), body)

    async def refuse(
        self, trouble: Trouble, more: Mapping[str, str] | None = None, message: str = ""
    ) -> None:
        """An error answer in the dialect's shape."""
        status, body = self.dialect.error(trouble, self.flavour, message)
        said = {**self.dialect.error_headers(trouble), **(more or {})}
        await self.whole(status, self.dialect.error_media, body, said)

    def answer(self, *, aloud: bool | None = None) -> Answer:
        """What the model would say; `aloud` forces it to think, or not to."""
        thinks = self.flavour.thinks if aloud is None else aloud
        said = mind.think(self.ask, self.params.answer, aloud=thinks, rng=self.rng)
        return replace(said, model=self.params.model or said.model)

    def render(self, answer: Answer | None = None) -> Rendered:
        return self.dialect.render(self.ask, answer or self.answer(), self.flavour)

    async def begin(self, rendered: Rendered, count: int | None = None) -> None:
        """A good head and the first `count` tokens (all of them by default)."""
        await self.head(200, rendered.media, self._chat_headers())
        for event in rendered.opening:
            await self.line.send(event)
        for place, piece in enumerate(rendered.pieces[:count]):
            await self._beat(self.params.gap if place else self.params.first_token)
            await self.say(piece)

    async def say(self, token: bytes) -> None:
        if self.seen.first_token is None:
            self.seen.first_token = time.monotonic()
        await self.line.send(token)

    async def close_answer(self, rendered: Rendered) -> None:
        """Finish and usage, without the marker."""
        for event in rendered.closing:
            await self.line.send(event)

    async def recite(self, rendered: Rendered) -> None:
        """The answer from head to marker."""
        await self.begin(rendered)
        await self.close_answer(rendered)
        await self.line.send(rendered.marker)
        await self.line.end()

    async def keep_alive(self) -> None:
        """Keep-alives for `after` seconds or for ever; their rhythm is not documented anywhere."""
        after = self.params.after
        try:
            async with asyncio.timeout(None if after is None else after / self.speed):
                while True:
                    await self.line.send(self.dialect.keep_alive(self.ask))
                    await self.pause(self.params.every)
        except TimeoutError:
            pass  # DeepSeek gives up on a request that waited too long

    def ray(self) -> str:
        """An id such as an edge puts on its pages."""
        return f"{self.rng.getrandbits(64):016x}"

    async def _beat(self, seconds: float) -> None:
        spread = self.params.jitter * (2 * self.rng.random() - 1)
        await self.pause(seconds * (1 + spread))

    def _chat_headers(self) -> Mapping[str, str]:
        return self.flavour.chat_headers if self.dialect.needs_key else {}

    def _headers(self, media: str, more: Mapping[str, str] | None) -> dict[str, str]:
        ident = f"{self.rng.getrandbits(128):032x}"
        own = {**self.flavour.headers, self.flavour.request_id: ident, "Content-Type": media}
        return own | dict(more or {})
