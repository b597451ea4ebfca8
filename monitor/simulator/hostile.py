"""What no server should do: refuse, hang, reset, flood.  Sizes are made on the fly."""

from __future__ import annotations

import asyncio
import zlib

from monitor.simulator.exchange import Exchange

_BLOCK = 64 * 1024


async def refused(x: Exchange) -> None:
    """Nobody listens on the port.

    A script does that by closing the listening socket.  Where it is forced by path, the request
    is already here, and a reset before the head comes closest.
    """
    x.line.reset()


async def hang(x: Exchange) -> None:
    """The request is taken and never answered."""
    await x.rest()


async def garbage(x: Exchange) -> None:
    """Something that is not HTTP."""
    await x.line.raw(b"\x15\x03\x01\x00\x02\x02\x46 this is no HTTP\r\n\r\n")


async def reset(x: Exchange) -> None:
    """Tokens, then RST."""
    await x.begin(x.render(), x.params.tokens)
    await x.pause(x.params.gap)
    x.line.reset()


async def huge_line(x: Exchange) -> None:
    """One line of `size` bytes."""
    rendered = x.render()
    await x.begin(rendered, 0)
    await x.line.send(rendered.half_token)
    for _ in range(x.params.size // _BLOCK):
        await x.line.send(b"a" * _BLOCK)
        await asyncio.sleep(0)


async def header_flood(x: Exchange) -> None:
    """Response headers without end, up to `size` bytes."""
    await x.line.raw(b"HTTP/1.1 200 OK\r\n")
    field = b"x-flood: " + b"a" * 1013 + b"\r\n"
    for _ in range(x.params.size // _BLOCK):
        await x.line.raw(field * (_BLOCK // len(field)))
        await asyncio.sleep(0)


async def gzip_bomb(x: Exchange) -> None:
    """A small compressed body that unpacks to `size` bytes."""
    await x.head(200, x.render().media, {"Content-Encoding": "gzip"})
    packer = zlib.compressobj(level=1, wbits=31)
    for _ in range(x.params.size // _BLOCK):
        await x.line.send(packer.compress(b" " * _BLOCK))
        await asyncio.sleep(0)
    await x.line.send(packer.flush())
    await x.line.end()
