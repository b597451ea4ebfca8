"""How many connections there may be, and how long each may take; in virtual time where it passes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp import web

from monitor.run.address import Address
from monitor.run.connections import Connections, Limits, client_of
from monitor.run.listen import bound, listening
from monitor.run.web_config import WebFile
from monitor.show.exposition import Format
from monitor.show.server import build_app
from tests import virtual

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = 32 * 2**20
"""Bytes; more than a socket's buffers ever hold."""

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Scene = Callable[[Connections, int], Awaitable[None]]


async def small(_request: web.Request) -> web.Response:
    return web.Response(text="here")


async def large(_request: web.Request) -> web.Response:
    return web.Response(body=bytes(LARGE))


async def piecewise(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(64):
        await response.write(bytes(LARGE // 64))
    return response


@contextlib.asynccontextmanager
async def door(
    limits: Limits | None = None, file: Path | None = None, app: web.Application | None = None
) -> AsyncIterator[tuple[Connections, int]]:
    """What watches the connections of a small site (or `app`), and the site's port."""
    if app is None:
        app = web.Application()
        app.add_routes([web.get("/", small), web.post("/", small)])
        app.add_routes([web.get("/large", large), web.get("/pieces", piecewise)])
    async with (
        bound(Address("127.0.0.1", 0)) as sockets,
        asyncio.TaskGroup() as group,
        listening(app, sockets, WebFile(file), group, limits or Limits()) as connections,
    ):
        yield connections, sockets[0].getsockname()[1]


def virtually(scene: Scene, file: Path | None = None) -> None:
    """Play a scene at a door with the limits of the product; hours pass in no time."""

    async def main(_time: virtual.VirtualTime) -> None:
        async with door(file=file) as (connections, port):
            await scene(connections, port)

    virtual.run(main)


@contextlib.asynccontextmanager
async def client(port: int, said: bytes = b"", host: str = "127.0.0.1") -> AsyncIterator[Client]:
    """A connection from `host`, after saying something."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
    try:
        writer.write(said)
        yield reader, writer
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


async def seconds_until_closed(reader: asyncio.StreamReader) -> float:
    before = asyncio.get_running_loop().time()
    with contextlib.suppress(ConnectionResetError):
        while await reader.read(2**20):
            pass
    return asyncio.get_running_loop().time() - before


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head + (await reader.readexactly(4) if b" 200 " in head else b"")


# --------------------------------------------------------------------------------- slow clients


@pytest.mark.parametrize("said", [b"", b"G", GET[:-2]])
def test_a_client_that_never_finishes_its_request_is_cut_off_after_ten_seconds(
    said: bytes,
) -> None:
    async def scene(connections: Connections, port: int) -> None:
        async with client(port, said) as (reader, _):
            assert await seconds_until_closed(reader) == pytest.approx(10, abs=0.1)
            assert connections.open == 0

    virtually(scene)


def test_a_byte_now_and_then_buys_no_time() -> None:
    async def scene(_connections: Connections, port: int) -> None:
        async def drip(writer: asyncio.StreamWriter) -> None:
            for byte in GET:
                writer.write(bytes([byte]))
                await asyncio.sleep(3)

        async with client(port) as (reader, writer), asyncio.TaskGroup() as group:
            dripping = group.create_task(drip(writer))
            assert await seconds_until_closed(reader) == pytest.approx(10, abs=0.1)
            dripping.cancel()

    virtually(scene)


def test_a_later_request_has_ten_seconds_from_its_first_byte() -> None:
    async def scene(_connections: Connections, port: int) -> None:
        async with client(port, GET) as (reader, writer):
            assert (await answer(reader)).endswith(b"here")
            await asyncio.sleep(60)
            writer.write(GET)
            assert (await answer(reader)).endswith(b"here")
            await asyncio.sleep(60)
            writer.write(b"G")
            assert await seconds_until_closed(reader) == pytest.approx(10, abs=0.1)

    virtually(scene)


def test_a_connection_without_requests_is_closed_after_a_while() -> None:
    async def scene(_connections: Connections, port: int) -> None:
        async with client(port, GET) as (reader, _):
            await answer(reader)
            assert await seconds_until_closed(reader) == pytest.approx(75, abs=0.1)

    virtually(scene)


@pytest.mark.parametrize("path", [b"/large", b"/pieces"])
def test_an_answer_that_nobody_takes_is_given_up_after_a_minute(
    path: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(connections: Connections, port: int) -> None:
        async with client(port, GET.replace(b"/", path, 1)):
            await asyncio.sleep(59)
            assert connections.open == 1
            await asyncio.sleep(2)
            assert connections.open == 0

    virtually(scene)
    assert not caplog.records


def test_a_sip_now_and_then_buys_no_time_either() -> None:
    async def scene(connections: Connections, port: int) -> None:
        async with client(port, GET.replace(b"/", b"/pieces", 1)) as (reader, _):
            with contextlib.suppress(ConnectionResetError):
                for _ in range(12):
                    await reader.read(65_536)
                    await asyncio.sleep(5)
            await asyncio.sleep(1)
            assert connections.open == 0

    virtually(scene)


@pytest.mark.parametrize("path", ["/large", "/pieces"])
async def test_a_large_answer_arrives_whole_where_it_is_taken(path: str) -> None:
    async with door() as (_, port), aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        for _ in range(2):
            async with session.get(path) as response:
                assert len(await response.read()) == LARGE


def test_a_handshake_that_never_begins_is_given_up_after_ten_seconds(tmp_path: Path) -> None:
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "all.pem"
    )
    file = tmp_path / "web.yml"
    file.write_text("tls_server_config: {cert_file: all.pem, key_file: all.pem}")

    async def scene(connections: Connections, port: int) -> None:
        async with client(port) as (reader, _):
            await asyncio.sleep(1)
            assert connections.open == 1
            assert await seconds_until_closed(reader) == pytest.approx(9, abs=0.1)
            assert connections.open == 0

    virtually(scene, file)


# --------------------------------------------------------------------------------- many clients


async def test_over_the_cap_a_client_is_told_and_a_place_that_is_left_can_be_taken() -> None:
    async with door(Limits(connections=2, per_client=2)) as (connections, port):
        async with client(port, GET) as (first, _), client(port, GET) as (second, _):
            assert (await answer(first)).endswith(b"here")
            assert (await answer(second)).endswith(b"here")
            async with client(port, GET) as (third, _):
                assert (await third.read()).startswith(b"HTTP/1.1 503 ")
            assert connections.open == 2
        while connections.open:
            await asyncio.sleep(0)
        async with client(port, GET) as (reader, _):
            assert (await answer(reader)).endswith(b"here")


async def test_one_client_cannot_take_the_places_of_others() -> None:
    limits = Limits(connections=3, per_client=2)
    async with door(limits) as (_, port), client(port) as (first, _), client(port):
        async with client(port, GET) as (refused, _):
            assert (await refused.read()).startswith(b"HTTP/1.1 503 ")
        async with client(port, GET, "127.0.0.2") as (other, _):
            assert (await answer(other)).endswith(b"here")
        assert not first.at_eof()


async def test_a_flood_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    async with door(Limits(connections=0)) as (_, port):
        for _ in range(5):
            async with client(port) as (reader, _):
                await reader.read()
    assert [record.message for record in caplog.records] == ["too many connections"]


async def test_a_failed_handshake_gives_its_place_back(tmp_path: Path) -> None:
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "all.pem"
    )
    file = tmp_path / "web.yml"
    file.write_text("tls_server_config: {cert_file: all.pem, key_file: all.pem}")
    async with door(Limits(connections=2), file) as (connections, port):
        for _ in range(5):
            with pytest.raises(ssl.SSLError):  # an unknown authority
                await asyncio.open_connection(
                    "127.0.0.1", port, ssl=ssl.create_default_context(), server_hostname="localhost"
                )
            async with client(port, GET) as (reader, _):
                assert await reader.read() == b""
        while connections.open:
            await asyncio.sleep(0)


async def test_a_flood_of_clients_leaves_room_for_all_else() -> None:
    """Were they all accepted in one go, nothing else would run until the last of them."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with door(Limits(connections=0)) as (_, port), asyncio.TaskGroup() as group:
        with contextlib.ExitStack() as stack:
            for _ in range(50):  # the kernel takes them meanwhile
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            counting = group.create_task(count())
            async with client(port) as (reader, _):
                await reader.read()  # refused, and so were all before it
            counting.cancel()
    assert turns >= 45


@pytest.mark.parametrize(
    ("host", "owner"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_whose_an_address_is(host: str, owner: str) -> None:
    assert client_of(host) == owner


# ------------------------------------------------------------------------------- large requests


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 8_000 + b"\r\n", id="a head"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n", id="a body"),
        pytest.param(GET, id="requests in a row"),
    ],
)
async def test_nobody_sends_without_end(said: bytes) -> None:
    """Whether refused by the library or cut off by us, it is over soon."""
    async with door() as (connections, port), client(port, said) as (_, writer):
        with pytest.raises(ConnectionError):
            for _ in range(1_000):
                writer.write(b"X: " + b"y" * 60_000 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0)
        while connections.open:
            await asyncio.sleep(0)


async def test_a_request_is_counted_anew_after_each_answer() -> None:
    async with door(Limits(request=100)) as (_, port), client(port) as (reader, writer):
        for _ in range(10):
            writer.write(GET)
            assert (await answer(reader)).endswith(b"here")
        writer.write(GET.replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 100 + b"\r\n\r\n"))
        assert not await reader.read()


# ----------------------------------------------------------------------------------------- ends


def test_a_scraper_that_goes_away_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    def scrape(_format: Format) -> Generator[None, None, Iterable[bytes]]:
        yield
        return (bytes(LARGE // 64) for _ in range(64))

    app = build_app(scrape=scrape, ready=lambda: True, views=list, version="1")

    async def main(_time: virtual.VirtualTime) -> None:
        async with door(app=app) as (connections, port):
            async with client(port, GET.replace(b"/", b"/metrics", 1)) as (reader, _):
                assert await reader.readexactly(1_000)
                await asyncio.sleep(5)
            await asyncio.sleep(5)
            assert connections.open == 0

    virtual.run(main)
    assert not caplog.records


async def test_an_answer_that_runs_at_the_end_may_finish(caplog: pytest.LogCaptureFixture) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        started.set()
        await go_on.wait()
        return web.Response(text="here")

    app = web.Application()
    app.add_routes([web.get("/", slow)])
    async with bound(Address("127.0.0.1", 0)) as sockets, asyncio.TaskGroup() as group:
        port = sockets[0].getsockname()[1]
        async with listening(app, sockets, WebFile(None), group):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET)
            await started.wait()
            asyncio.get_running_loop().call_soon(go_on.set)
        assert (await answer(reader)).endswith(b"here")
        writer.transport.abort()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_an_address_that_is_taken_is_an_error() -> None:
    async with bound(Address("127.0.0.1", 0)) as sockets:
        taken = Address("127.0.0.1", sockets[0].getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            async with bound(taken):
                pass


async def test_all_addresses_of_a_host_are_listened_on() -> None:
    async with bound(Address(None, 0)) as sockets:
        assert {each.family for each in sockets} >= {socket.AF_INET}
