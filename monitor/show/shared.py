"""Work that many ask for is done once; and what it made is compressed for those who take that."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Shared:
    """Work that is done at most once at a time for each `key`: who comes later waits for it."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Future[Any]] = {}

    async def run(self, key: str, job: Callable[[], Awaitable[T]]) -> T:
        """What `job` returns, or what the same key's job returns that is running already."""
        while (running := self._running.get(key)) is not None:
            await asyncio.wait([running])
            if not running.cancelled():
                return cast(T, running.result())
        # Whoever comes first works for all; were it to go away, the next one would.
        running = self._running[key] = asyncio.get_running_loop().create_future()
        try:
            result = await job()
        except asyncio.CancelledError:
            running.cancel()
            raise
        except BaseException as error:
            running.set_exception(error)
            running.exception()  # looked at, should nobody else wait
            raise
        else:
            running.set_result(result)
            return result
        finally:
            del self._running[key]


def packed(pieces: Iterable[bytes]) -> bytes:
    """All pieces, compressed; zlib lets other threads work meanwhile."""
    packer = zlib.compressobj(1, wbits=31)
    return b"".join([*map(packer.compress, pieces), packer.flush()])


def takes_gzip(accept_encoding: str) -> bool:
    """Whether this `Accept-Encoding` header allows gzip."""
    for offer in accept_encoding.lower().split(","):
        name, _, rest = offer.partition(";")
        if name.strip() == "gzip":
            quality = rest.replace(" ", "").removeprefix("q=")
            return not quality or quality.strip("0.") != ""
    return False
