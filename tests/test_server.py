"""The HTTP surface and the built-in page, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from monitor.model import Attempt, Moment, Phases, State, Verdict
from monitor.show.exposition import Format
from monitor.show.metrics import Metrics
from monitor.show.page import PageCheck
from monitor.show.server import HEADERS, Shared, build_app, takes_gzip
from monitor.show.views import StateView
from tests.making import chat_check

NOW = Moment(1_800_000_000.0, 5_000_000.0)
PATHS = ["/", "/metrics", "/-/healthy", "/-/ready", "/checks/c", "/checks/none", "/no/such/page"]


def ago(seconds: float) -> Moment:
    return NOW.plus(-seconds)


def seen() -> PageCheck:
    last = Attempt("c", ago(13.24), ago(12), Verdict.OK, phases=Phases(first_token=0.412))
    return PageCheck(StateView(chat_check(), State.UP, ago(3700), {State.UP: 86400.0}), last)


@contextlib.asynccontextmanager
async def site(**changes: Any) -> AsyncIterator[TestClient[Any, Any]]:
    """A running server, and a client that shows what really comes over the wire."""
    told: dict[str, Any] = {
        "scrape": Metrics("1.2.3").scrape,
        "ready": lambda: True,
        "views": lambda: [seen()],
        "version": "1.2.3",
        "now": lambda: NOW,
    }
    app = build_app(**(told | changes))
    plain = {"Accept-Encoding": "identity"}
    async with TestClient(TestServer(app), auto_decompress=False, headers=plain) as client:
        yield client


async def get(path: str, method: str = "GET", **changes: Any) -> tuple[ClientResponse, str]:
    async with site(**changes) as client:
        response = await client.request(method, path)
        return response, await response.text()


# ------------------------------------------------------------------------------------- metrics


async def test_metrics_are_served_as_text_to_anybody() -> None:
    response, body = await get("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    names = {family.name for family in text_string_to_metric_families(body)}
    assert {"aichat_build_info", "python_info"} <= names


async def test_metrics_are_served_as_openmetrics_when_asked_for() -> None:
    async with site() as client:
        headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
        response = await client.get("/metrics", headers=headers)
        assert response.content_type == "application/openmetrics-text"
        assert (await response.text()).endswith("# EOF\n")


@pytest.mark.parametrize("version", ["abc", "9.9.9", "1.0.0\u00ff"])
async def test_a_hostile_accept_header_is_neither_fatal_nor_echoed(version: str) -> None:
    async with site() as client:
        headers = {"Accept": f"application/openmetrics-text; version={version}"}
        response = await client.get("/metrics", headers=headers)
        assert response.status == 200
        assert version not in response.headers["Content-Type"]


@pytest.mark.parametrize("path", ["/metrics", "/"])
async def test_pages_are_packed_only_when_asked_for(path: str) -> None:
    async with site() as client:
        plain = await client.get(path, headers={"Accept-Encoding": "identity"})
        packed = await client.get(path, headers={"Accept-Encoding": "br, gzip;q=0.5"})
        assert "Content-Encoding" not in plain.headers
        assert packed.headers["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in packed.headers["Vary"]
        unpacked = gzip.decompress(await packed.read())
        assert unpacked[:200] == (await plain.read())[:200]


@pytest.mark.parametrize(
    ("header", "yes"),
    [
        ("gzip", True),
        ("br;q=1.0, GZIP;q=0.8, *;q=0.1", True),
        ("gzip; q=0.001", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("identity", False),
        ("x-gzip", False),
        ("", False),
    ],
)
def test_who_takes_gzip(header: str, yes: bool) -> None:
    assert takes_gzip(header) is yes


class Slow:
    """A job that ends when it is let; counts how often it was begun."""

    def __init__(self) -> None:
        self.begun = 0
        self.go_on = asyncio.Event()

    async def __call__(self) -> str:
        self.begun += 1
        number = self.begun
        await self.go_on.wait()
        return f"answer {number}"


async def test_who_asks_at_the_same_time_shares_one_rendering() -> None:
    job, shared = Slow(), Shared()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(shared.run("key", job)) for _ in range(10)]
        await asyncio.sleep(0)
        late = group.create_task(shared.run("key", job))
        await asyncio.sleep(0)
        job.go_on.set()
    assert {task.result() for task in [*tasks, late]} == {"answer 1"}
    assert await shared.run("key", job) == "answer 2"
    assert await shared.run("other key", job) == "answer 3"


@pytest.mark.parametrize("gone", [0, 1], ids=["who works", "who waits"])
async def test_who_goes_away_does_not_take_the_answer_from_the_others(gone: int) -> None:
    job, shared = Slow(), Shared()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(shared.run("key", job)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks.pop(gone).cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        job.go_on.set()
        answers = {await task for task in tasks}
    assert answers == {f"answer {job.begun}"}
    assert job.begun == (2 if gone == 0 else 1)


async def test_a_failed_rendering_is_everybodys_error_and_nobodys_future() -> None:
    async def broken() -> str:
        await asyncio.sleep(0)
        raise RuntimeError("no page today")

    async def fine() -> str:
        return "fine again"

    shared = Shared()
    both = await asyncio.gather(
        shared.run("key", broken), shared.run("key", broken), return_exceptions=True
    )
    assert [str(error) for error in both] == ["no page today"] * 2
    assert await shared.run("key", fine) == "fine again"


def steps(*pieces: bytes, count: int = 3) -> Generator[None, None, list[bytes]]:
    for _ in range(count):
        yield
    return list(pieces)


async def test_others_have_their_turn_after_each_step_and_each_piece_of_a_scrape() -> None:
    turns: list[str] = []

    def scrape(_format: Format) -> Generator[None, None, Iterator[bytes]]:
        for number in range(3):
            turns.append(f"step {number}")
            yield
        return written()

    def written() -> Iterator[bytes]:
        for number in range(3):
            turns.append(f"piece {number}")
            yield b"x"

    async def other() -> None:
        while "piece 2" not in turns:
            if not turns or turns[-1] != "other":
                turns.append("other")
            await asyncio.sleep(0)

    async with site(scrape=scrape) as client, asyncio.TaskGroup() as group:
        group.create_task(other())
        response = await client.get("/metrics")
        assert await response.text() == "xxx"
    work = [place for place, turn in enumerate(turns) if turn != "other"]
    assert [turns[place] for place in work] == [
        *(f"step {number}" for number in range(3)),
        *(f"piece {number}" for number in range(3)),
    ]
    assert all(later - earlier > 1 for earlier, later in pairwise(work))


async def test_metrics_are_packed_off_the_loop() -> None:
    threads: set[int] = set()

    def written() -> Iterator[bytes]:
        threads.add(threading.get_ident())
        yield b"x" * 10_000

    def scrape(_format: Format) -> Generator[None, None, Iterator[bytes]]:
        yield
        return written()

    async with site(scrape=scrape) as client:
        response = await client.get("/metrics", headers={"Accept-Encoding": "gzip"})
        assert gzip.decompress(await response.read()) == b"x" * 10_000
    assert threads and threading.get_ident() not in threads


async def test_the_renderer_is_told_the_format_and_never_the_header() -> None:
    told: list[str] = []

    def scrape(format: Format) -> Generator[None, None, list[bytes]]:
        told.append(format)
        return steps()

    async with site(scrape=scrape) as client:
        await client.get("/metrics", headers={"Accept": "text/plain;version=abc"})
        await client.get("/metrics", headers={"Accept": "application/openmetrics-text;evil=1"})
    assert told == [Format.TEXT, Format.OPENMETRICS]
    assert all(type(format) is Format for format in told)


async def test_a_scrape_that_fails_is_an_error_and_no_half_page() -> None:
    def scrape(_format: Format) -> Generator[None, None, list[bytes]]:
        yield
        raise RuntimeError("no metrics today")

    response, body = await get("/metrics", scrape=scrape)
    assert response.status == 500
    assert "no metrics today" not in body


# ------------------------------------------------------------------------------ life and reload


@pytest.mark.parametrize(
    ("path", "asked", "good", "status", "text"),
    [
        ("/-/healthy", "healthy", True, 200, "healthy\n"),
        ("/-/healthy", "healthy", False, 503, "not healthy\n"),
        ("/-/ready", "ready", True, 200, "ready\n"),
        ("/-/ready", "ready", False, 503, "not ready\n"),
    ],
)
async def test_health_and_readiness(
    path: str, asked: str, good: bool, status: int, text: str
) -> None:
    response, body = await get(path, **{asked: lambda: good})
    assert (response.status, body) == (status, text)


def reloading(good: bool, errors: list[str]) -> Callable[[], Awaitable[tuple[bool, list[str]]]]:
    async def reload() -> tuple[bool, list[str]]:
        return good, errors

    return reload


async def test_a_reload_that_works_says_so() -> None:
    response, body = await get("/-/reload", "POST", reload=reloading(True, []))
    assert (response.status, body) == (200, "reloaded\n")


async def test_a_refused_configuration_is_answered_with_its_errors() -> None:
    errors = ["checks.yaml:3: checks[0].url: seen <b>, expected an address", "checks.yaml:9: …"]
    response, body = await get("/-/reload", "POST", reload=reloading(False, errors))
    assert (response.status, body) == (500, "\n".join(errors) + "\n")
    assert response.content_type == "text/plain"


async def test_reloading_has_to_be_enabled() -> None:
    response, body = await get("/-/reload", "POST")
    assert response.status == 403
    assert "--enable-lifecycle" in body


# ------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no/such/page", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/%2e%2e/etc/passwd", 404),
        ("POST", "/no/such/page", 404),
        ("POST", "/metrics", 405),
        ("PUT", "/", 405),
        ("DELETE", "/-/healthy", 405),
        ("OPTIONS", "/", 405),
        ("GET", "/-/reload", 405),
    ],
)
async def test_all_else_is_refused_in_plain_text(method: str, path: str, status: int) -> None:
    response, _ = await get(path, method, reload=reloading(True, []))
    assert response.status == status
    assert response.content_type == "text/plain"


@pytest.mark.parametrize("path", PATHS[:4])
async def test_head_is_get_without_the_body(path: str) -> None:
    response, body = await get(path, "HEAD")
    assert response.status == 200
    assert body == ""
    # How long a scrape is, nobody knows before it is written.
    assert path == "/metrics" or int(response.headers["Content-Length"]) > 0


async def test_nothing_in_a_request_changes_what_is_shown() -> None:
    async with site() as client:
        plain = await (await client.get("/")).text()
        asked = await client.get("/", params={"target": "http://evil.example", "name[]": "x"})
        assert await asked.text() == plain


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_every_answer_has_the_security_headers(path: str, method: str) -> None:
    response, _ = await get(path, method)
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS
    assert "no-store" in response.headers["Cache-Control"]


async def test_no_answer_tells_versions_not_even_to_what_is_no_http() -> None:
    async with site() as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"\x16\x03\x01 not http at all\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.") and b" 400 " in answer.splitlines()[0]
    assert b"Server: monitor\r\n" in answer
    assert b"python" not in answer.lower() and b"aiohttp" not in answer.lower()


async def test_garbage_is_not_worth_a_traceback_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with site() as client:
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
            writer.write(b"GET / HTTP/1.1\r\nbad header\r\n\r\n")
            assert b" 400 " in await reader.read()
            writer.close()
            await writer.wait_closed()
    assert not [record for record in caplog.records if record.name.startswith("monitor")]


async def test_a_bug_of_ours_is_told_to_the_log_and_not_to_the_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> list[PageCheck]:
        raise RuntimeError("secret inner workings")

    response, body = await get("/", views=broken)
    assert response.status == 500
    assert "inner workings" not in body
    assert response.headers["X-Frame-Options"] == "DENY"
    assert "inner workings" in caplog.text
