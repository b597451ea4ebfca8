"""Endpoints that mean harm: each gets its verdict in bounded memory, and nobody else notices."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest

from monitor.model import Check, Reason, Secret, Timeouts, Tls, Verdict
from monitor.probe import chat as chat_module
from monitor.probe.chat import chat
from monitor.probe.client import Client, StampedResolver
from monitor.probe.exchange import Exchange
from monitor.probe.page import web
from monitor.probe.wire import KERNEL_STAMPS
from tests.hostility import GOOD, OPEN, SAYS
from tests.making import ASKED, chat_check, web_check
from tests.serving import END, EVENTS, always, chunk, head, serving

LIMITS = Timeouts(connect=0.5, first_byte=0.5, first_token=0.5, idle=0.3, total=1.0)
#: For floods: what ends them must be their size, however busy the machine.
PATIENT = Timeouts(connect=20, first_byte=20, first_token=20, idle=20, total=25)
MIB = 1 << 20


class Ports(NamedTuple):
    plain: int
    tls: int
    authority: Tls


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    folder = tmp_path_factory.mktemp("hostile")
    command = [sys.executable, "-m", "tests.hostility", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdin
        plain, tls = map(int, process.stdout.readline().split())
        yield Ports(plain, tls, Tls(ca_file=str(folder / "ca.pem")))
        process.kill()


@pytest.fixture(autouse=True)
def fixed_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_module, "question", lambda _check, _rng: ASKED)


class Case(NamedTuple):
    name: str
    reason: Reason | None
    """None is `ok`: strange, but a good answer."""
    limits: Timeouts = LIMITS


FLOODS = [
    Case("endless-stream", Reason.TOO_LARGE, PATIENT),
    Case("endless-comments", Reason.TOO_LARGE, PATIENT),
    Case("endless-event", Reason.TOO_LARGE, PATIENT),
    Case("endless-thinking", Reason.TOO_LARGE, PATIENT),
    Case("one-line-of-100-mb", Reason.TOO_LARGE, PATIENT),
    Case("gzip-bomb", Reason.TOO_LARGE, PATIENT),
    Case("deflate-bomb", Reason.TOO_LARGE, PATIENT),
    Case("byte-chunks", Reason.TOO_LARGE, PATIENT),
    Case("header-flood", Reason.MALFORMED, PATIENT),
    Case("tiny-header-flood", Reason.MALFORMED, PATIENT),
    Case("one-endless-header", Reason.MALFORMED, PATIENT),
    Case("endless-status-line", Reason.MALFORMED, PATIENT),
    Case("endless-trailers", Reason.MALFORMED, PATIENT),
    Case("page-without-end", Reason.MALFORMED, PATIENT),
    Case("error-without-end", Reason.SERVER_ERROR, PATIENT),
    Case("endless-100-continue", Reason.FIRST_BYTE_TIMEOUT),
    Case("endless-chunk-extension", Reason.FIRST_TOKEN_TIMEOUT),
    Case("endless-chunk-size", Reason.FIRST_TOKEN_TIMEOUT),
]
TRICKS = [
    Case("good", None),
    Case("byte-drip", Reason.FIRST_BYTE_TIMEOUT),
    Case("byte-drip-of-the-body", Reason.FIRST_TOKEN_TIMEOUT),
    Case("token-drip", Reason.TOTAL_TIMEOUT),
    Case("headers-that-never-end", Reason.FIRST_BYTE_TIMEOUT),
    Case("slow-103-hints", Reason.FIRST_BYTE_TIMEOUT),
    Case("silence", Reason.FIRST_BYTE_TIMEOUT),
    Case("deep-json", Reason.MALFORMED),
    Case("deep-json-page", Reason.SERVER_ERROR),
    Case("deep-error", Reason.SERVER_ERROR),
    Case("ten-to-the-400", None),
    Case("1e400", None),
    Case("5000-digits", Reason.MALFORMED),
    Case("wait-1e400", Reason.OVERLOADED),
    Case("wait-ten-to-the-400", Reason.RATE_LIMITED),
    Case("bad-utf8-in-text", None),
    Case("bad-utf8-in-name", Reason.TRUNCATED),
    Case("nul-bytes", Reason.TRUNCATED),
    Case("length-too-long", Reason.TRUNCATED),
    Case("length-too-short", Reason.MALFORMED),
    Case("length-negative", Reason.MALFORMED),
    Case("length-twice", Reason.MALFORMED),
    Case("length-and-chunked", Reason.MALFORMED),
    Case("length-of-exabytes", Reason.TRUNCATED),
    Case("redirect-loop", Reason.REDIRECTED),
    Case("redirect-to-nowhere", Reason.REDIRECTED),
    Case("http-2-preface", Reason.MALFORMED),
    Case("websocket", Reason.UNEXPECTED_STATUS),
]
by_name = pytest.mark.parametrize("case", [*FLOODS, *TRICKS], ids=lambda case: case.name)


def test_every_behaviour_is_in_the_table() -> None:
    assert sorted(case.name for case in (*FLOODS, *TRICKS)) == sorted(SAYS)


# ------------------------------------------------------------------- a verdict, and its neighbour


class Beside:
    """A healthy endpoint that notes when it said its first token, and the check that asks it."""

    def __init__(self) -> None:
        self.said: tuple[float, float] = (0.0, 0.0)
        self.seen: list[Exchange] = []

    async def answer(
        self, _request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(head(headers=EVENTS))
        await asyncio.sleep(0.1)
        before = time.monotonic()
        writer.write(chunk(GOOD) + END)
        self.said = before, time.monotonic()

    async def probe(self, client: Client, port: int) -> float:
        """When the first token came, by its stamp; monotonic seconds."""
        check = chat_check(f"http://127.0.0.1:{port}/v1", timeout=PATIENT, name="beside")
        attempt = await chat(client, check, random.Random(1))
        assert attempt.verdict is Verdict.OK, attempt.detail
        assert attempt.phases.first_token is not None
        (exchange,) = self.seen
        assert exchange.sent is not None
        return exchange.sent + attempt.phases.first_token

    def record(self, check: Check, _request: object, seen: Exchange) -> None:
        if check.name == "beside":
            self.seen.append(seen)


@by_name
async def test_a_hostile_endpoint_gets_its_verdict_and_its_neighbour_the_right_time(
    case: Case, ports: Ports
) -> None:
    beside = Beside()
    check = chat_check(f"http://127.0.0.1:{ports.plain}/{case.name}/v1", timeout=case.limits)
    async with serving(beside.answer) as port, Client(on_exchange=beside.record) as client:
        attempt, came = await asyncio.gather(
            chat(client, check, random.Random(1)), beside.probe(client, port)
        )
    assert attempt.reason is case.reason, attempt.detail
    assert attempt.reason is None or attempt.detail
    if KERNEL_STAMPS:
        before, after = beside.said
        # However busy the hostile one keeps us, the kernel tells when the token was there: not
        # before it was sent, and long before the hostile probe's end.
        assert before - 0.005 < came < after + 0.25


@by_name
async def test_a_hostile_endpoint_takes_little_memory(case: Case, ports: Ports) -> None:
    good = chat_check(f"http://127.0.0.1:{ports.plain}/good/v1")
    limits = Timeouts(connect=9, first_byte=1, first_token=1, idle=1, total=2)
    check = replace(good, url=f"http://127.0.0.1:{ports.plain}/{case.name}/v1", timeout=limits)
    async with Client() as client:
        await chat(client, good, random.Random(1))  # what is made once is there
        gc.collect()
        tracemalloc.start()
        try:
            idle, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            await chat(client, check, random.Random(1))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak - idle < MOST.get(case.name, 1.0) * MIB


#: MiB, where it is more than one: each of these is a parsed head or chunk of a few bytes, and one
#: read holds thousands.
MOST = {"endless-100-continue": 2.0, "byte-chunks": 2.0}


# ------------------------------------------------------------------------------------------ TLS


@pytest.mark.parametrize(
    ("host", "reason", "words"),
    [
        ("good", None, ""),
        ("expired", Reason.TLS, "expired"),
        ("wrong", Reason.TLS, "ostname mismatch"),
        ("unknown", Reason.TLS, "unable to get local issuer"),
        ("stall", Reason.CONNECT_TIMEOUT, "the TLS handshake"),
        ("drip", Reason.CONNECT_TIMEOUT, "the TLS handshake"),
        ("junk", Reason.TLS, ""),
    ],
)
async def test_a_handshake_that_means_harm_gets_its_verdict(
    host: str, reason: Reason | None, words: str, ports: Ports, client: Client
) -> None:
    url = f"https://127.0.0.1:{ports.tls}/good/v1"
    tls = replace(ports.authority, server_name=f"{host}.localhost")
    limits = replace(LIMITS, connect=0.5) if reason is Reason.CONNECT_TIMEOUT else PATIENT
    attempt = await chat(client, chat_check(url, tls=tls, timeout=limits), random.Random(1))
    assert attempt.reason is reason, attempt.detail
    assert words in (attempt.detail or "")


# ------------------------------------------------------------------------------ names, redirects


async def test_a_name_server_that_hangs_is_dns_and_holds_up_nobody() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        async with Client() as client, serving(always(OPEN + GOOD)) as good:
            client._resolver = StampedResolver(
                nameservers=["127.0.0.1"], udp_port=port, tcp_port=port
            )
            dead = [
                chat(
                    client,
                    chat_check(f"http://dead{n}.example/v1", timeout=LIMITS),
                    random.Random(n),
                )
                for n in range(30)
            ]
            healthy = chat_check(f"http://127.0.0.1:{good}/v1", timeout=PATIENT)
            *lost, fine = await asyncio.gather(*dead, chat(client, healthy, random.Random(1)))
    assert {attempt.reason for attempt in lost} == {Reason.DNS}
    assert fine.verdict is Verdict.OK, fine.detail
    assert fine.ended.mono < min(attempt.ended.mono for attempt in lost)


SECRET = "sk-canary-0123456789"
AUTH = {"X-Api-Key": Secret(SECRET), "Cookie": Secret("session=canary-0123456789")}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", ["chat", "web", "web that follows"])
async def test_no_key_follows_a_redirect_to_another_host(
    kind: str, status: int, client: Client
) -> None:
    asked: list[bytes] = []

    async def other(
        request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        asked.append(request)
        writer.write(head(200, EVENTS) + chunk(GOOD) + END)

    async with serving(other) as elsewhere:
        where = {"Location": f"http://localhost:{elsewhere}/v1"}
        async with serving(always(head(status, where) + END)) as port:
            url = f"http://127.0.0.1:{port}/v1"
            if kind == "chat":
                check = chat_check(url, api_key=Secret(SECRET), headers=AUTH)
                seen = await chat(client, check, random.Random(1))
            else:
                follows = kind == "web that follows"
                check = web_check(url, headers=AUTH, basic=Secret(f"u:{SECRET}"))
                seen = await web(client, replace(check, follow_redirects=follows))
    if kind == "web that follows":
        assert seen.verdict is Verdict.OK, seen.detail
        (request,) = asked
        assert b"canary" not in request
        assert b"authorization" not in request.lower()
    else:
        assert seen.reason is Reason.REDIRECTED
        assert asked == []


@pytest.mark.parametrize(
    "location",
    [
        "//[::1",
        "http://[1:2/",
        "http://\xff\xfe/",
        "http:///x",
        "http://a:b@c:d/",
        "http://" + "x" * 300,
    ],
)
async def test_a_redirect_to_no_address_is_a_verdict(location: str, client: Client) -> None:
    head = f"HTTP/1.1 302 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    async with serving(always(head.encode("latin-1"))) as port:
        check = web_check(f"http://127.0.0.1:{port}/", follow_redirects=True)
        seen = await web(client, check)
    assert seen.reason in {Reason.REDIRECTED, Reason.CONNECT, Reason.DNS}, seen.detail
