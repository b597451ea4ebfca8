"""The probe against real sockets that misbehave: each ends in a verdict, never in an exception."""

from __future__ import annotations

import asyncio
import gzip
import random
import socket
import ssl
import struct
import time
import tracemalloc
from dataclasses import replace

import pytest
import trustme

from monitor.dialects import DIALECTS
from monitor.model import Price, Reason, Secret, Slow, Timeouts, Tls, Verdict
from monitor.probe import chat as chat_module
from monitor.probe import wire as wire_module
from monitor.probe.chat import chat
from monitor.probe.client import Client
from monitor.probe.wire import KERNEL_STAMPS
from tests.making import ASKED, chat_check
from tests.serving import END, EVENTS, Handler, always, chunk, head, serving
from tests.transcripts import transcript

SHORT = Timeouts(connect=0.5, first_byte=0.5, first_token=0.5, idle=0.3, total=1.0)
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
TOKEN = b'data: {"choices":[{"index":0,"delta":{"content":"14"}}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"
GOOD = ROLE + TOKEN + FINISH + USAGE + DONE


@pytest.fixture(autouse=True)
def fixed_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_module, "question", lambda _check, _rng: ASKED)


async def seen(client: Client, handler: Handler, **changes: object):
    changes.setdefault("timeout", SHORT)
    async with serving(handler) as port:
        check = chat_check(f"http://127.0.0.1:{port}/v1", **changes)
        return await chat(client, check, random.Random(1))


def repeating(first: bytes, again: bytes, every: float) -> Handler:
    async def handler(
        _request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(first)
        while True:
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(every)

    return handler


async def test_a_good_answer_has_every_clock_usage_and_cost(client: Client) -> None:
    answer = head(headers={**EVENTS, "x-request-id": "req-1"}) + chunk(GOOD) + END
    attempt = await seen(client, always(answer), price=Price(1.0, 2.0))
    assert attempt.verdict is Verdict.OK
    phases = attempt.phases
    assert phases.dns is None, "an address needs no name resolution"
    assert phases.tls is None
    assert phases.connect is not None and phases.connect > 0
    assert phases.first_byte is not None and phases.first_token is not None
    assert 0 < phases.first_byte <= phases.first_token <= attempt.seconds
    assert phases.first_answer == phases.first_token
    assert attempt.request_id == "req-1"
    assert attempt.cost_usd == pytest.approx(26e-6)
    assert attempt.evidence is None


async def test_a_name_is_resolved_and_timed(client: Client) -> None:
    async with serving(always(head(headers=EVENTS) + chunk(GOOD) + END)) as port:
        check = chat_check(f"http://localhost:{port}/v1")
        attempt = await chat(client, check, random.Random(1))
    assert attempt.verdict is Verdict.OK, attempt.detail
    assert attempt.phases.dns is not None


async def test_a_name_that_does_not_exist_is_dns(client: Client) -> None:
    check = chat_check("http://no-such-host.invalid:1/v1", timeout=SHORT)
    attempt = await chat(client, check, random.Random(1))
    assert attempt.reason is Reason.DNS


async def test_a_closed_port_is_connect(client: Client) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    attempt = await chat(client, chat_check(f"http://127.0.0.1:{port}/v1"), random.Random(1))
    assert attempt.reason is Reason.CONNECT


async def test_a_full_backlog_is_connect_timeout(client: Client) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        check = chat_check(f"http://127.0.0.1:{address[1]}/v1", timeout=SHORT)
        attempt = await chat(client, check, random.Random(1))
        for filler in fillers:
            filler.close()
    assert attempt.reason is Reason.CONNECT_TIMEOUT


CASES: list[tuple[str, Handler, Reason]] = [
    ("accepts and says nothing", always(b"", hold=True), Reason.FIRST_BYTE_TIMEOUT),
    ("closes before the head", always(b""), Reason.TRUNCATED),
    ("half a head, then close", always(b"HTTP/1.1 200 OK\r\nContent-"), Reason.TRUNCATED),
    ("garbage instead of HTTP", always(b"\x16\x03\x01 hello, not HTTP\r\n\r\n"), Reason.MALFORMED),
    ("200, then silence", always(head(headers=EVENTS), hold=True), Reason.FIRST_TOKEN_TIMEOUT),
    (
        "keep-alives for ever and no token",
        repeating(head(headers=EVENTS), chunk(b": keep-alive\n\n"), 0.02),
        Reason.FIRST_TOKEN_TIMEOUT,
    ),
    (
        "role and empty deltas for ever",
        repeating(head(headers=EVENTS), chunk(ROLE), 0.02),
        Reason.FIRST_TOKEN_TIMEOUT,
    ),
    (
        "a token, then silence",
        always(head(headers=EVENTS) + chunk(TOKEN), hold=True),
        Reason.IDLE_TIMEOUT,
    ),
    (
        "the whole answer, then keep-alives instead of the end",
        repeating(head(headers=EVENTS) + chunk(TOKEN + FINISH), chunk(b": ping\n\n"), 0.02),
        Reason.IDLE_TIMEOUT,
    ),
    (
        "a drip of tokens that never ends",
        repeating(head(headers=EVENTS), chunk(TOKEN), 0.05),
        Reason.TOTAL_TIMEOUT,
    ),
    ("a chunked body cut", always(head(headers=EVENTS) + chunk(TOKEN)), Reason.TRUNCATED),
    (
        "a chunk size that is no number",
        always(head(headers=EVENTS) + b"zz\r\n" + TOKEN),
        Reason.MALFORMED,
    ),
    (
        "a content length longer than the body",
        always(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n"
            + TOKEN
        ),
        Reason.TRUNCATED,
    ),
    (
        "JSON announced, then blank lines for ever",
        repeating(head(headers={"Content-Type": "application/json"}), chunk(b"\n"), 0.02),
        Reason.FIRST_TOKEN_TIMEOUT,
    ),
    (
        "brotli though identity was asked for",
        always(head(headers={**EVENTS, "Content-Encoding": "br"}) + chunk(b"xx") + END),
        Reason.MALFORMED,
    ),
    (
        "broken gzip",
        always(head(headers={**EVENTS, "Content-Encoding": "gzip"}) + chunk(b"not gzip") + END),
        Reason.MALFORMED,
    ),
]


@pytest.mark.parametrize(
    ("handler", "reason"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
async def test_a_misbehaving_endpoint_gets_its_reason(
    client: Client, handler: Handler, reason: Reason
) -> None:
    attempt = await seen(client, handler)
    assert attempt.reason is reason, attempt.detail
    assert attempt.detail
    assert attempt.seconds < 3


#: What each protocol sends that is no output, and a transcript of all of an answer but its end.
NOISE: list[tuple[str, bytes, str]] = [
    ("openai-chat", ROLE, "no_marker"),
    ("azure-openai", b'data: {"choices":[],"prompt_filter_results":[]}\n\n', "no_marker"),
    ("openai-responses", b'data: {"type":"response.in_progress"}\n\n', "no_terminal_event"),
    ("anthropic", b'event: ping\ndata: {"type":"ping"}\n\n', "no_message_stop"),
    ("gemini", b'data: {"usageMetadata":{"promptTokenCount":21}}\r\n\r\n', "healthy"),
    ("ollama", b'{"message":{"role":"assistant","content":""},"done":false}\n', "no_done"),
    ("cohere", b'data: {"type":"message-start"}\n\n', "no_message_end"),
    ("bedrock", transcript("bedrock", "start_then_close").body, "no_metadata"),
]


@pytest.mark.parametrize(("protocol", "noise"), [row[:2] for row in NOISE])
async def test_noise_stops_no_token_clock(client: Client, protocol: str, noise: bytes) -> None:
    types = {"Content-Type": DIALECTS[protocol].media}
    handler = repeating(head(headers=types), chunk(noise), 0.02)
    attempt = await seen(client, handler, protocol=protocol)
    assert attempt.reason is Reason.FIRST_TOKEN_TIMEOUT, attempt.detail


@pytest.mark.parametrize(("protocol", "noise", "name"), NOISE)
async def test_an_answer_without_its_end_is_idle_whatever_noise_follows(
    client: Client, protocol: str, noise: bytes, name: str
) -> None:
    types = {"Content-Type": DIALECTS[protocol].media}
    whole = transcript(protocol, name).body
    handler = repeating(head(headers=types) + chunk(whole), chunk(noise), 0.02)
    attempt = await seen(client, handler, protocol=protocol)
    assert attempt.reason is Reason.IDLE_TIMEOUT, attempt.detail


async def test_silence_after_the_first_output_is_not_waited_for_as_long_as_the_first_output(
    client: Client,
) -> None:
    handler = always(head(headers=EVENTS) + chunk(TOKEN), hold=True)
    patient = Timeouts(connect=0.5, first_byte=1.5, first_token=1.5, idle=0.1, total=5.0)
    attempt = await seen(client, handler, timeout=patient)
    assert attempt.reason is Reason.IDLE_TIMEOUT, attempt.detail


async def test_the_evidence_of_binary_frames_is_text(client: Client) -> None:
    said = transcript("bedrock", "exception_server")
    answer = head(headers=said.headers) + chunk(said.body) + END
    attempt = await seen(client, always(answer), protocol="bedrock")
    assert attempt.evidence and "encountered an unexpected error" in attempt.evidence
    assert "\0" not in attempt.evidence


def test_every_dialect_has_its_noise() -> None:
    assert {row[0] for row in NOISE} == set(DIALECTS)


async def test_a_reset_in_mid_stream_is_truncated(client: Client) -> None:
    async def handler(
        _request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(head(headers=EVENTS) + chunk(TOKEN))
        await writer.drain()
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    assert (await seen(client, handler)).reason is Reason.TRUNCATED


async def test_gzip_that_was_not_asked_for_is_undone(client: Client) -> None:
    headers = {**EVENTS, "Content-Encoding": "gzip"}
    attempt = await seen(client, always(head(headers=headers) + chunk(gzip.compress(GOOD)) + END))
    assert attempt.verdict is Verdict.OK, attempt.detail


async def test_an_error_status_is_judged_though_its_body_never_ends(client: Client) -> None:
    attempt = await seen(client, always(head(503, EVENTS) + chunk(b"busy"), hold=True))
    assert attempt.reason is Reason.OVERLOADED
    assert attempt.evidence == "busy"


async def test_a_redirect_is_not_followed(client: Client) -> None:
    asked: list[bytes] = []

    async def handler(
        request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        asked.append(request)
        writer.write(head(307, {"Location": "http://127.0.0.1:1/v1"}) + END)

    attempt = await seen(client, handler, api_key=Secret("sk-canary-123456"))
    assert attempt.reason is Reason.REDIRECTED
    assert len(asked) == 1
    assert b"Bearer sk-canary-123456" in asked[0]


async def first_token_alone(
    _request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(head(headers=EVENTS) + chunk(TOKEN))
    await writer.drain()
    await asyncio.sleep(0.03)
    writer.write(chunk(FINISH + DONE) + END)


async def test_a_late_first_token_or_end_is_slow(client: Client) -> None:
    attempt = await seen(client, first_token_alone, slow=Slow(first_token=1e-9, total=9))
    assert attempt.reason is Reason.SLOW_FIRST_TOKEN
    attempt = await seen(client, first_token_alone, slow=Slow(first_token=9, total=1e-9))
    assert attempt.reason is Reason.SLOW_TOTAL


async def test_a_first_token_whose_time_is_uncertain_is_not_called_slow(client: Client) -> None:
    # All in one read, and nothing that bounds when its first byte came: it may have been at once.
    answer = head(headers=EVENTS) + chunk(GOOD) + END
    attempt = await seen(client, always(answer), slow=Slow(first_token=1e-9, total=9))
    assert attempt.verdict is Verdict.OK
    assert attempt.phases.uncertainty > 0
    assert ("first_token" in attempt.phases.doubtful) == (attempt.phases.uncertainty > 5e-3)


async def test_a_doubt_about_the_stream_is_none_about_the_first_token(client: Client) -> None:
    async def handler(
        _request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(head(headers=EVENTS) + chunk(ROLE + TOKEN))
        await writer.drain()
        await asyncio.sleep(0.03)
        # With more behind it, and no poll to say when: it may have come right after the first.
        writer.write(chunk(TOKEN + FINISH + DONE) + END)

    phases = (await seen(client, handler)).phases
    assert set(phases.doubtful) == {"stream", "stall"}
    assert phases.uncertainty == 0.0
    assert (phases.lag is not None) == KERNEL_STAMPS
    assert phases.lag is None or 0.0 <= phases.lag < 1.0


async def test_one_line_of_a_hundred_megabytes_is_refused_in_little_memory(client: Client) -> None:
    async def handler(
        _request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(head(headers=EVENTS))
        for _ in range(1600):
            writer.write(chunk(b"x" * 65536))
            await writer.drain()

    tracemalloc.start()
    attempt = await seen(client, handler, timeout=replace(SHORT, total=20, first_token=20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert attempt.reason is Reason.TOO_LARGE, attempt.detail
    assert peak < 16 << 20, "the server's own buffers included"


async def test_a_body_without_end_is_refused(client: Client) -> None:
    handler = repeating(head(headers=EVENTS), chunk(TOKEN * 1000), 0)
    attempt = await seen(client, handler, timeout=replace(SHORT, total=20))
    assert attempt.reason is Reason.TOO_LARGE, attempt.detail


async def test_a_gzip_bomb_does_not_unfold(client: Client) -> None:
    bomb = gzip.compress(b"data: " + b"0" * (64 << 20))
    answer = head(headers={**EVENTS, "Content-Encoding": "gzip"}) + chunk(bomb) + END
    attempt = await seen(client, always(answer), timeout=replace(SHORT, total=20, first_token=20))
    assert attempt.reason is Reason.TOO_LARGE, attempt.detail


async def test_a_flood_of_headers_is_malformed(client: Client) -> None:
    flood = b"HTTP/1.1 200 OK\r\n" + b"".join(
        b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(5000)
    )
    attempt = await seen(client, always(flood + b"\r\n"))
    assert attempt.reason is Reason.MALFORMED, attempt.detail


async def test_a_large_policy_header_is_no_fault(client: Client) -> None:
    headers = {**EVENTS, "Content-Security-Policy": "default-src " + "https://x.example " * 1500}
    attempt = await seen(client, always(head(headers=headers) + chunk(GOOD) + END))
    assert attempt.verdict is Verdict.OK, attempt.detail


async def test_a_secret_that_the_provider_echoes_is_removed(client: Client) -> None:
    key = "sk-canary-0123456789"
    body = b'{"error":{"message":"bad key sk-canary-0123456789","code":"invalid_api_key"}}'
    answer = head(401, {"Content-Type": "application/json"}) + chunk(body) + END
    attempt = await seen(client, always(answer), api_key=Secret(key))
    assert attempt.reason is Reason.AUTH
    assert key not in repr(attempt)


# ---------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_server(authority: trustme.CA, name: str = "localhost", **issue: object) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **issue).configure_cert(context)  # type: ignore[arg-type]
    return context


@pytest.fixture
def trusting(authority: trustme.CA, tmp_path) -> Tls:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return Tls(ca_file=str(path))


async def over_tls(client: Client, context: ssl.SSLContext, tls: Tls):
    handler = always(head(headers=EVENTS) + chunk(GOOD) + END)
    async with serving(handler, ssl=context) as port:
        check = chat_check(f"https://localhost:{port}/v1", tls=tls)
        return await chat(client, check, random.Random(1))


async def test_tls_has_its_own_phase_and_certificate(
    client: Client, authority: trustme.CA, trusting: Tls
) -> None:
    attempt = await over_tls(client, tls_server(authority), trusting)
    assert attempt.verdict is Verdict.OK, attempt.detail
    assert attempt.phases.tls is not None and attempt.phases.tls > 0
    assert attempt.certificate_expires is not None
    assert attempt.certificate_expires > time.time()


async def test_an_expired_certificate_is_tls_and_its_date_is_known(
    client: Client, authority: trustme.CA, trusting: Tls
) -> None:
    from datetime import UTC, datetime

    expired = datetime(2020, 1, 1, tzinfo=UTC)
    context = tls_server(authority, not_before=datetime(2019, 1, 1, tzinfo=UTC), not_after=expired)
    attempt = await over_tls(client, context, trusting)
    assert attempt.reason is Reason.TLS
    assert attempt.certificate_expires == expired.timestamp()


async def test_a_certificate_is_read_once_and_a_new_one_is_seen(
    client: Client, authority: trustme.CA, trusting: Tls
) -> None:
    from datetime import UTC, datetime

    ends = [datetime(2099, 1, day, tzinfo=UTC) for day in (1, 2)]
    contexts = [tls_server(authority, not_after=end) for end in ends]
    wire_module._expiry.cache_clear()
    seen = [await over_tls(client, contexts[number], trusting) for number in (0, 0, 1, 0)]
    expected = [ends[number].timestamp() for number in (0, 0, 1, 0)]
    assert [attempt.certificate_expires for attempt in seen] == expected
    assert wire_module._expiry.cache_info().misses == 2


async def test_a_certificate_of_another_name_is_tls(
    client: Client, authority: trustme.CA, trusting: Tls
) -> None:
    attempt = await over_tls(client, tls_server(authority, "elsewhere.example"), trusting)
    assert attempt.reason is Reason.TLS


async def test_a_certificate_of_an_unknown_authority_is_tls_unless_waived(
    client: Client, authority: trustme.CA
) -> None:
    assert (await over_tls(client, tls_server(authority), Tls())).reason is Reason.TLS
    waived = await over_tls(client, tls_server(authority), Tls(insecure_skip_verify=True))
    assert waived.verdict is Verdict.OK, waived.detail


async def test_a_handshake_that_stalls_is_connect_timeout(client: Client) -> None:
    async with serving(always(b"", hold=True), raw=True) as port:
        check = chat_check(f"https://localhost:{port}/v1", timeout=SHORT)
        attempt = await chat(client, check, random.Random(1))
    assert attempt.reason is Reason.CONNECT_TIMEOUT
    assert "TLS handshake" in (attempt.detail or "")


async def test_plain_http_where_tls_is_due_is_tls(client: Client) -> None:
    async with serving(always(b"HTTP/1.1 400 Bad Request\r\n\r\n"), raw=True) as port:
        check = chat_check(f"https://localhost:{port}/v1")
        attempt = await chat(client, check, random.Random(1))
    assert attempt.reason is Reason.TLS
