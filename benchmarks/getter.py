"""A process that fetches what it is told to, on the other core: a Prometheus that only reads.

Reads lines of `URL ACCEPT-ENCODING`, answers each with a line of bytes and seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from urllib.request import Request, urlopen

from benchmarks.measure import OTHERS, pin

OPENMETRICS = "application/openmetrics-text;version=1.0.0"


class Getter:
    """The process as seen from the event loop that is measured."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def get(self, url: str, encoding: str) -> tuple[int, float]:
        """Bytes of the body as they came over the wire, and seconds until they were all there."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{url} {encoding}\n".encode())
        size, seconds = (await self._process.stdout.readline()).split()
        return int(size), float(seconds)


@contextlib.asynccontextmanager
async def getter() -> AsyncIterator[Getter]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.getter", stdin=pipe, stdout=pipe
    )
    try:
        yield Getter(process)
    finally:
        assert process.stdin
        process.stdin.close()
        await process.wait()


def main() -> None:
    pin(OTHERS)
    for line in sys.stdin:
        url, encoding = line.split()
        began, size = time.monotonic(), 0
        asked = Request(url, headers={"Accept": OPENMETRICS, "Accept-Encoding": encoding})
        with urlopen(asked) as answer:
            while some := answer.read(1 << 20):
                size += len(some)
        print(size, time.monotonic() - began, flush=True)


if __name__ == "__main__":
    main()
