"""The simulated providers, seen from outside: a raw client, aiohttp and a vendor's SDK."""

from __future__ import annotations

import asyncio
import json
import math
import random
import socket
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
import trustme

from monitor.simulator import (
    BEHAVIOURS,
    FLAVOURS,
    STORY,
    Params,
    Scene,
    Script,
    SimulatedProvider,
    always,
    load_scenario,
    mind,
    openai_chat,
    scenario,
)
from monitor.simulator.conversation import DIALECTS
from monitor.simulator.seam import Ending, Trouble

FAST = 1000.0
PATH = "/v1/chat/completions"
ENOUGH_BYTES = 400_000
ENOUGH_READS = 60
PATIENCE_SECONDS = 5.0
#: For those that fall silent: so much of it convinces.
SILENT = {"silent", "hang", "stall"}
SILENCE_SECONDS = 0.08
ASK: dict[str, Any] = {
    "model": "m-1",
    "messages": [{"role": "user", "content": "What is 4 + 7 + 3? Reply with the number only."}],
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_tokens": 16,
    "thinking": {"type": "disabled"},
}


@dataclass(frozen=True)
class Reply:
    """What came back on a raw socket, byte by byte, and how it ended."""

    raw: bytes
    end: str
    """`fin`, `rst`, `open` (silent, still connected) or `more` (more than enough was sent)."""

    @cached_property
    def head(self) -> list[str]:
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")

    @cached_property
    def status(self) -> int:
        return int(self.head[0].split(" ")[1])

    @cached_property
    def headers(self) -> dict[str, str]:
        return {n.lower(): v for n, _, v in (line.partition(": ") for line in self.head[1:])}

    @cached_property
    def parts(self) -> tuple[bytes, bool]:
        """The body, and whether it was whole."""
        rest = self.raw.partition(b"\r\n\r\n")[2]
        if "content-length" in self.headers:
            return rest, len(rest) == int(self.headers["content-length"])
        body = b""
        while b"\r\n" in rest:
            size, _, rest = rest.partition(b"\r\n")
            if size == b"0":
                return body, True
            body += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
        return body, False

    @property
    def body(self) -> bytes:
        return self.parts[0]

    @property
    def whole(self) -> bool:
        return self.parts[1]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.json["error"]
        return found

    @property
    def data(self) -> list[bytes]:
        lines = self.body.split(b"\n")
        return [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")]

    @property
    def done(self) -> bool:
        return self.data[-1:] == [b"[DONE]"]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [json.loads(data) for data in self.data if data != b"[DONE]"]

    @property
    def choices(self) -> list[dict[str, Any]]:
        return [chunk["choices"][0] for chunk in self.chunks if chunk.get("choices")]

    @property
    def text(self) -> str:
        return "".join(choice["delta"].get("content") or "" for choice in self.choices)

    @property
    def thoughts(self) -> str:
        return "".join(choice["delta"].get("reasoning_content") or "" for choice in self.choices)

    @property
    def finish(self) -> str | None:
        return self.choices[-1]["finish_reason"] if self.choices else None


def written(
    path: str, body: Any = None, key: str = "", method: str = "", close: bool = True
) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method or ('GET' if body is None else 'POST')} {path} HTTP/1.1", "Host: simulated"]
    lines += [f"Content-Length: {len(data)}"] if data else []
    lines += [f"Authorization: Bearer {key}"] if key else []
    lines += ["Connection: close"] if close else []
    return "\r\n".join([*lines, "", ""]).encode() + data


async def received(reader: asyncio.StreamReader, patience: float = PATIENCE_SECONDS) -> Reply:
    raw, reads = b"", 0
    try:
        while len(raw) < ENOUGH_BYTES and reads < ENOUGH_READS:
            async with asyncio.timeout(patience):
                data = await reader.read(65536)
            if not data:
                return Reply(raw, "fin")
            raw += data
            reads += 1
    except TimeoutError:
        return Reply(raw, "open")
    except ConnectionResetError:
        return Reply(raw, "rst")
    return Reply(raw, "more")


async def tell(
    provider: SimulatedProvider, request: bytes, patience: float = PATIENCE_SECONDS
) -> Reply:
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    writer.write(request)
    try:
        return await received(reader, patience)
    finally:
        writer.transport.abort()


async def chat(provider: SimulatedProvider, path: str = PATH, **changes: Any) -> Reply:
    return await tell(provider, written(path, ASK | changes))


def patience_for(name: str) -> float:
    return SILENCE_SECONDS if name in SILENT else PATIENCE_SECONDS


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The event loop reports what nobody handled to its log alone."""
    yield
    assert not [r for r in caplog.get_records("call") if r.name == "asyncio"]


@pytest.fixture
async def provider() -> AsyncIterator[SimulatedProvider]:
    async with SimulatedProvider(speed=FAST) as started:
        yield started


# ------------------------------------------------------------------ every behaviour on the wire

Claim = Callable[[Reply], bool]


def complete(reply: Reply) -> bool:
    return reply.status == 200 and reply.whole and reply.done and reply.end == "fin"


def right(reply: Reply) -> bool:
    return complete(reply) and reply.text == "14" and reply.finish == "stop"


def begun(reply: Reply) -> bool:
    """One token, no finish, no marker."""
    return reply.status == 200 and reply.text == "1" and not reply.finish and not reply.done


def refusal(status: int, kind: str, code: str | None) -> Claim:
    def claim(reply: Reply) -> bool:
        said = (reply.status, reply.error["type"], reply.error["code"])
        return said == (status, kind, code) and bool(reply.error["message"]) and reply.whole

    return claim


def html(status: int, marker: bytes, **headers: str) -> Claim:
    def claim(reply: Reply) -> bool:
        own = all(reply.headers[name.replace("_", "-")] == text for name, text in headers.items())
        is_html = reply.headers["content-type"].startswith("text/html")
        return reply.status == status and marker in reply.body and own and is_html

    return claim


def only_comments(reply: Reply) -> bool:
    later = reply.body.partition(b"\n\n")[2]
    comments = later.split(b"\n\n")
    return len(comments) > 2 and set(comments) <= {b": keep-alive", b""} and not reply.text


def endless_line(reply: Reply) -> bool:
    tail = reply.body.rpartition(b"\n")[2]
    return reply.end == "more" and len(tail) > 300_000


def broken_off(kind: str) -> Claim:
    def claim(reply: Reply) -> bool:
        error = reply.chunks[-1]["error"]
        return reply.text == "1" and not reply.done and reply.whole and error["type"] == kind

    return claim


def half_json(reply: Reply) -> bool:
    try:
        json.loads(reply.data[-1])
    except ValueError:
        return reply.whole and len(reply.data) == 2
    return False


def bomb(reply: Reply) -> bool:
    unpacked = zlib.decompressobj(wbits=31).decompress(reply.body)
    return reply.headers["content-encoding"] == "gzip" and len(unpacked) > 100 * len(reply.body)


INVALID = "invalid_request_error"
BUSY = "service_unavailable_error"

CLAIMS: Mapping[str, Claim] = {
    "healthy": right,
    "slow_first_token": right,
    "slow_drip": lambda r: complete(r) and r.text.endswith("14") and len(r.choices) > 8,
    "json_200": lambda r: r.json["choices"][0]["message"]["content"] == "14" and r.whole,
    "wrong_answer": lambda r: complete(r) and "14" not in r.text and bool(r.text),
    "other_model": lambda r: right(r) and {c["model"] for c in r.chunks} == {"another-model-1"},
    "empty": lambda r: complete(r) and not r.text and r.finish == "stop",
    "reasoning_only": lambda r: complete(r) and bool(r.thoughts) and not r.text
    and r.finish == "length",
    "filtered": lambda r: complete(r) and r.text == "1" and r.finish == "content_filter",
    "insufficient_resource": lambda r: complete(r) and r.finish == "insufficient_system_resource",
    "keepalive": lambda r: only_comments(r) and r.end == "more" and not r.whole,
    "silent": lambda r: r.status == 200 and not r.body and r.end == "open",
    "stall": lambda r: begun(r) and r.end == "open",
    "no_end": lambda r: r.text == "14" and r.finish == "stop" and b": keep-alive" in r.body
    and not r.done and not r.whole,
    "no_done": lambda r: r.text == "14" and r.finish == "stop" and r.whole and not r.done,
    "clean_end": lambda r: begun(r) and r.whole and r.end == "fin",
    "cut": lambda r: begun(r) and not r.whole and r.end == "fin",
    "mid_stream_error": broken_off("server_error"),
    "mid_stream_overload": broken_off(BUSY),
    "malformed": half_json,
    "json_error_200": refusal(200, "server_error", None),
    "endless": lambda r: r.text.startswith("On and on it goes, On and on") and not r.done,
    "fast_503": refusal(503, BUSY, BUSY),
    "overloaded_429": refusal(429, "engine_overloaded_error", None),
    "rate_limited": lambda r: refusal(429, "requests", "rate_limit_exceeded")(r)
    and r.headers["retry-after"] == "2" and r.headers["x-ratelimit-remaining-requests"] == "0",
    "quota_402": lambda r: refusal(402, "unknown_error", INVALID)(r)
    and r.error["message"] == "Insufficient Balance",
    "quota_429": refusal(429, "insufficient_quota", "credit_balance_exhausted"),
    "auth_401": refusal(401, INVALID, "invalid_api_key"),
    "model_404": refusal(404, INVALID, "model_not_found"),
    "bad_request_400": refusal(400, INVALID, "unsupported_parameter"),
    "server_500": refusal(500, "server_error", None),
    "edge_502": html(502, b"Bad gateway", server="cloudflare"),
    "html_200": html(200, b"Sign in"),
    "redirect": html(302, b"Sign in", location="/as/html_200/web"),
    "blocked": html(403, b"/cdn-cgi/challenge-platform/", cf_mitigated="challenge"),
    "refused": lambda r: r.end == "rst" and not r.raw,
    "hang": lambda r: r.end == "open" and not r.raw,
    "garbage": lambda r: bool(r.raw) and not r.raw.startswith(b"HTTP/") and r.end == "fin",
    "reset": lambda r: begun(r) and not r.whole and r.end == "rst",
    "huge_line": endless_line,
    "header_flood": lambda r: r.end == "more" and b"\r\n\r\n" not in r.raw,
    "gzip_bomb": bomb,
}  # fmt: skip


@pytest.mark.parametrize("name", BEHAVIOURS)
async def test_a_behaviour_does_on_the_wire_what_its_name_says(
    provider: SimulatedProvider, name: str
) -> None:
    reply = await tell(provider, written(f"/as/{name}{PATH}", ASK), patience_for(name))

    assert CLAIMS[name](reply), (reply.end, reply.raw[:2000])
    assert provider.requests[-1].behaviour == name


@pytest.mark.parametrize("path", ["/web", PATH])
@pytest.mark.parametrize("name", sorted(BEHAVIOURS))
async def test_a_behaviour_does_something_where_nothing_is_streamed(
    provider: SimulatedProvider, caplog: pytest.LogCaptureFixture, name: str, path: str
) -> None:
    body = None if path == "/web" else ASK | {"stream": False}

    reply = await tell(provider, written(f"/as/{name}{path}", body), patience_for(name))

    assert reply.raw or name in {"refused", "hang"}
    assert not caplog.records


async def test_each_claim_is_about_a_behaviour_and_each_behaviour_has_one() -> None:
    assert set(CLAIMS) == set(BEHAVIOURS)
    assert all(behaviour.says.endswith(".") for behaviour in BEHAVIOURS.values())


async def test_a_script_decides_where_the_path_does_not(provider: SimulatedProvider) -> None:
    await provider.behave("quota_402")

    assert CLAIMS["quota_402"](await chat(provider))
    assert CLAIMS["healthy"](await chat(provider, f"/as/healthy{PATH}"))


async def test_an_unknown_behaviour_is_told_the_names(provider: SimulatedProvider) -> None:
    reply = await chat(provider, f"/as/keepalife{PATH}")

    assert reply.status == 400
    assert "did you mean keepalive?" in reply.error["message"]
    assert all(name in reply.error["message"] for name in BEHAVIOURS)


async def test_the_web_front_escapes_what_it_is_asked(provider: SimulatedProvider) -> None:
    reply = await tell(provider, written("/as/<b>/web"))

    assert reply.status == 400
    assert b"<b>" not in reply.body


async def test_a_queue_gives_up_after_its_time(provider: SimulatedProvider) -> None:
    await provider.behave("keepalive", after=5, every=1)

    reply = await chat(provider)

    assert reply.whole and not reply.text and b": keep-alive" in reply.body


async def test_a_queue_before_json_sends_blank_lines(provider: SimulatedProvider) -> None:
    await provider.behave("keepalive", after=5, every=1)

    reply = await chat(provider, stream=False)

    assert reply.body.strip() == b"" and len(reply.body) > 1


@pytest.mark.parametrize("name", ["silent", "hang", "stall"])
async def test_a_silence_can_end(provider: SimulatedProvider, name: str) -> None:
    await provider.behave(name, after=20)

    assert (await chat(provider)).end == "fin"


# ---------------------------------------------------------------------------- healthy answers


async def test_a_healthy_stream_has_the_shape_of_openai(provider: SimulatedProvider) -> None:
    reply = await chat(provider)

    role, first, second, finish, usage = reply.chunks
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [c["choices"][0]["delta"] for c in (first, second)] == [
        {"content": "1"},
        {"content": "4"},
    ]
    assert finish["choices"][0]["delta"] == {} and finish["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == [] and usage["usage"]["completion_tokens"] == 2
    assert {c["object"] for c in reply.chunks} == {"chat.completion.chunk"}
    assert {c["model"] for c in reply.chunks} == {"m-1"}
    assert len({c["id"] for c in reply.chunks}) == 1
    assert [c["usage"] for c in reply.chunks[:4]] == [None] * 4


async def test_usage_is_told_on_demand_only(provider: SimulatedProvider) -> None:
    reply = await chat(provider, stream_options=None)

    assert not any("usage" in chunk for chunk in reply.chunks)
    assert reply.done


async def test_mistral_tells_its_usage_unasked() -> None:
    async with SimulatedProvider(flavour="mistral", speed=FAST) as provider:
        reply = await chat(provider, stream_options=None)

    assert reply.chunks[-1]["usage"]["completion_tokens"] == 2


async def test_without_stream_there_is_one_json_object(provider: SimulatedProvider) -> None:
    reply = await chat(provider, stream=False)

    assert reply.headers["content-type"] == "application/json"
    assert reply.json["object"] == "chat.completion"
    assert reply.json["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "14"},
        "finish_reason": "stop",
    }
    usage = reply.json["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_the_token_cap_is_kept(provider: SimulatedProvider, field: str) -> None:
    body = {name: value for name, value in ASK.items() if name != "max_tokens"} | {field: 1}

    reply = await tell(provider, written(PATH, body))

    assert (reply.text, reply.finish) == ("1", "length")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is 4 + 7 + 3? Reply with the number only.", "14"),
        ("What is 9+9?", "18"),
        ("First 1 + 1, and then 2 + 3.", "5"),
        ("What is 14 + 7?", mind.SENTENCE),
        ("What is 4 + 7 + 13?", mind.SENTENCE),
        ("Version 1.2 + 3", mind.SENTENCE),
        ("Reply with OK", mind.SENTENCE),
        ("", mind.SENTENCE),
    ],
)
def test_the_model_adds_one_digit_numbers(question: str, answer: str) -> None:
    assert mind.reply(question) == answer


@pytest.mark.parametrize("text", ["14", "a b", " two  spaces ", "Grüße, 世界 12!", "", "\n\n"])
def test_tokens_are_the_whole_text(text: str) -> None:
    assert "".join(mind.tokens(text)) == text


async def test_content_may_be_a_list_of_parts(provider: SimulatedProvider) -> None:
    parts = [{"type": "text", "text": "What is 2 + "}, {"type": "text", "text": "9?"}]

    assert (await chat(provider, messages=[{"role": "user", "content": parts}])).text == "11"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
    ],
)
async def test_a_bad_body_is_refused(
    provider: SimulatedProvider, changes: dict[str, Any], message: str
) -> None:
    reply = await chat(provider, **changes)

    assert reply.status == 400
    assert message in reply.error["message"]
    assert reply.error["type"] == INVALID


async def test_a_deepseek_model_thinks_aloud_unless_told_not_to() -> None:
    async with SimulatedProvider(flavour="deepseek", speed=FAST) as provider:
        silent = await chat(provider)
        aloud = await chat(provider, thinking=None, max_tokens=64)
        starved = await chat(provider, thinking={"type": "enabled"}, max_tokens=4)

    assert (silent.thoughts, silent.text) == ("", "14")
    assert "completion_tokens_details" not in silent.chunks[-1]["usage"]
    assert (aloud.thoughts, aloud.text) == (mind.THOUGHT, "14")
    assert aloud.chunks[0]["choices"][0]["delta"]["content"] is None
    usage = aloud.chunks[-1]["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == len(mind.tokens(mind.THOUGHT))
    assert (
        usage["prompt_cache_hit_tokens"] + usage["prompt_cache_miss_tokens"]
        == usage["prompt_tokens"]
    )
    assert (starved.text, starved.finish) == ("", "length")


@pytest.mark.parametrize(
    ("flavour", "has", "has_not"),
    [
        ("deepseek", {"x-ds-trace-id"}, {"x-request-id", "x-ratelimit-limit-requests"}),
        (
            "openai",
            {"x-request-id", "openai-processing-ms", "x-ratelimit-remaining-tokens"},
            {"x-ds-trace-id"},
        ),
        ("plain", {"x-request-id"}, {"openai-processing-ms", "x-ds-trace-id"}),
    ],
)
async def test_each_flavour_has_its_headers(flavour: str, has: set[str], has_not: set[str]) -> None:
    async with SimulatedProvider(flavour=flavour, speed=FAST) as provider:
        reply = await chat(provider)

    assert has <= reply.headers.keys()
    assert not has_not & reply.headers.keys()


# ------------------------------------------------------------------------- keys and other paths


async def test_a_provider_with_a_key_wants_that_key() -> None:
    async with SimulatedProvider(key="sk-good", speed=FAST) as provider:
        good = await tell(provider, written(PATH, ASK, key="sk-good"))
        bad = await tell(provider, written(PATH, ASK, key="sk-bad"))
        none = await chat(provider)
        models = [await tell(provider, written("/v1/models", key=k)) for k in ("", "x", "sk-good")]
        seen = repr(list(provider.requests))

    assert right(good)
    assert refusal(401, INVALID, "invalid_api_key")(bad)
    assert refusal(401, INVALID, None)(none)
    assert [reply.status for reply in models] == [401, 401, 200]
    assert "sk-good" not in seen and "sk-bad" not in seen


async def test_overload_of_the_engine_leaves_the_model_list_green(
    provider: SimulatedProvider,
) -> None:
    await provider.behave("fast_503")
    assert (await tell(provider, written("/models"))).json["data"][0]["object"] == "model"

    await provider.behave("edge_502")
    assert (await tell(provider, written("/models"))).status == 502


@pytest.mark.parametrize(("flavour", "status"), [("deepseek", 401), ("openai", 404)])
async def test_the_root_answers_without_a_key(flavour: str, status: int) -> None:
    async with SimulatedProvider(flavour=flavour, key="k") as provider:
        reply = await tell(provider, written("/"))

    assert reply.status == status
    assert reply.error["message"]


async def test_the_web_front_is_a_page(provider: SimulatedProvider) -> None:
    reply = await tell(provider, written("/web?lang=en"))

    assert html(200, b"<title>Simulated Chat</title>")(reply)
    assert reply.body.endswith(b"</html>\n")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (written(PATH, method="GET"), 405),
        (written("/web", ASK), 405),
        (written("/nowhere"), 404),
        (b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", 413),
        (b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /x HTTP/1.1\r\nA: " + b"a" * 70_000, 431),
        (written(PATH, method="POST"), 400),
        (
            b"POST "
            + PATH.encode()
            + b" HTTP/1.1\r\nContent-Length: 1\r\nConnection: close\r\n\r\n{",
            400,
        ),
    ],
)
async def test_bad_requests_are_told_so(
    provider: SimulatedProvider, request_bytes: bytes, status: int
) -> None:
    assert (await tell(provider, request_bytes)).status == status


async def test_a_chunked_request_body_is_read(provider: SimulatedProvider) -> None:
    body = json.dumps(ASK).encode()
    chunks = b"".join(b"%x;a=b\r\n%s\r\n" % (1, body[i : i + 1]) for i in range(len(body)))
    head = f"POST {PATH} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"

    reply = await tell(provider, head.encode() + chunks + b"0\r\nTrailer: x\r\n\r\n")

    assert right(reply)
    assert provider.requests[-1].body == ASK


async def test_one_connection_serves_many_requests_even_sent_at_once(
    provider: SimulatedProvider,
) -> None:
    one = written("/v1/models", close=False)

    reply = await tell(provider, one + one + written("/v1/models"))

    assert reply.raw.count(b"HTTP/1.1 200 OK") == 3
    assert provider.counts == {"/v1/models": 3}


async def test_what_is_kept_of_requests_is_bounded(provider: SimulatedProvider) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    writer.writelines(written(f"/{place}", close=False) for place in range(1001))
    writer.write(written("/last"))
    await reader.read()
    writer.close()
    await writer.wait_closed()

    assert len(provider.requests) == 1000 and provider.requests[-1].path == "/last"
    assert len(provider.counts) == 1001 and provider.counts["other"] == 2


async def test_the_moment_of_the_first_token_is_kept(provider: SimulatedProvider) -> None:
    before = time.monotonic()
    await chat(provider)
    after = time.monotonic()

    seen = provider.requests[-1]
    assert seen.first_token is not None
    assert before <= seen.received <= seen.first_token <= after


async def test_times_follow_params_and_speed() -> None:
    async with SimulatedProvider(always("healthy", first_token=4.0), speed=100.0) as provider:
        await chat(provider)
        seen = provider.requests[-1]

    assert seen.first_token is not None
    assert seen.first_token - seen.received >= 0.04


# ------------------------------------------------------------------------ life of a provider


async def refuses(provider: SimulatedProvider) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    except ConnectionRefusedError:
        return True
    writer.transport.abort()
    return False


async def test_refused_refuses_and_comes_back_on_the_same_port(provider: SimulatedProvider) -> None:
    port = provider.port

    for _ in range(3):
        await provider.behave("refused")
        assert await refuses(provider)
        await provider.behave("healthy")
        assert provider.port == port
        assert right(await chat(provider))


async def test_a_script_closes_and_opens_the_port() -> None:
    edges = (0, 3, 6, 9)
    script = Script((Scene(0, 3, "refused"), Scene(6, 9, "refused")), length=12)
    seen = []
    async with SimulatedProvider(script, speed=20.0) as provider:
        while (before := provider.seconds) < 11:
            try:
                refused = await refuses(provider)
            except ConnectionResetError:
                continue  # caught between two scenes, in a queue that was being closed
            after = provider.seconds
            if not any(before - 1 < edge < after + 1 or 0 <= before - edge < 1 for edge in edges):
                seen.append((script.refuses(before), refused))
            await asyncio.sleep(0.002)

    assert {(True, True), (False, False)} == set(seen)


async def test_going_away_drops_those_being_served(provider: SimulatedProvider) -> None:
    async with asyncio.TaskGroup() as group:
        held = group.create_task(chat(provider, f"/as/stall{PATH}"))
        while not provider.requests or provider.requests[-1].first_token is None:
            await asyncio.sleep(0.001)
        await provider.behave("refused")

    assert held.result().end in {"fin", "rst"}


@pytest.mark.parametrize("name", ["hang", "stall", "silent", "keepalive", "endless", "no_end"])
async def test_stop_does_not_wait_for_fifty_connections(name: str) -> None:
    provider = SimulatedProvider(name, speed=FAST)
    await provider.start()
    writers = []
    for _ in range(50):
        _, writer = await asyncio.open_connection("127.0.0.1", provider.port)
        writer.write(written(PATH, ASK))
        writers.append(writer)
    while len(provider.requests) < 50:
        await asyncio.sleep(0.001)

    began = time.monotonic()
    await provider.stop()

    assert time.monotonic() - began < 0.5
    assert asyncio.all_tasks() == {asyncio.current_task()}
    for writer in writers:
        writer.transport.abort()


async def test_a_client_that_leaves_ends_its_task(provider: SimulatedProvider) -> None:
    tasks = len(asyncio.all_tasks())
    await tell(provider, written(f"/as/hang{PATH}", ASK), patience=0.02)
    await tell(provider, written(f"/as/endless{PATH}", ASK))

    async with asyncio.timeout(2):
        while len(asyncio.all_tasks()) > tasks:
            await asyncio.sleep(0.001)


async def test_stop_may_be_repeated_and_frees_the_port() -> None:
    provider = SimulatedProvider()
    await provider.start()
    port = provider.port
    await provider.stop()
    await provider.stop()

    await provider.start(port=port)
    assert provider.url == f"http://127.0.0.1:{port}"
    await provider.stop()


async def test_a_taken_port_is_an_error() -> None:
    async with SimulatedProvider() as first:
        with pytest.raises(OSError, match="in use"):
            await SimulatedProvider().start(port=first.port)


async def test_a_port_that_is_taken_meanwhile_is_tried_again(
    provider: SimulatedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script((Scene(0, 20, "refused"),), length=30)
    await provider.behave(script)
    thief = socket.socket()
    thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with thief:
        thief.bind(("127.0.0.1", provider.port))
        thief.listen()
        while not caplog.records:
            await asyncio.sleep(0.005)
    async with asyncio.timeout(2):
        while await refuses(provider):
            await asyncio.sleep(0.005)
    assert right(await chat(provider))


async def test_a_behaviour_with_a_bug_is_logged_and_hangs_up(
    provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_x: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(BEHAVIOURS, "cut", replace(BEHAVIOURS["cut"], run=broken))  # type: ignore[arg-type]

    assert (await chat(provider, f"/as/cut{PATH}")).raw == b""
    assert [record.message for record in caplog.records] == ["a behaviour failed"]
    assert right(await chat(provider))


async def test_tls_is_served_too() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with SimulatedProvider(tls=server, speed=FAST) as provider:
        reader, writer = await asyncio.open_connection("127.0.0.1", provider.port, ssl=trusting)
        writer.write(written(PATH, ASK))
        reply = await received(reader)
        writer.close()
        await writer.wait_closed()

    assert provider.url.startswith("https://127.0.0.1:")
    assert right(reply)


# -------------------------------------------------------------------------- known clients


async def test_aiohttp_reads_it_all(provider: SimulatedProvider) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.post(provider.url + PATH, json=ASK) as response:
                assert (await response.read()).endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("cut", aiohttp.ClientPayloadError),
        ("reset", (aiohttp.ClientPayloadError, aiohttp.ClientOSError)),
        ("garbage", aiohttp.ClientResponseError),
        ("header_flood", aiohttp.ClientResponseError),
        ("refused", aiohttp.ClientOSError),
    ],
)
async def test_aiohttp_sees_what_is_broken(
    provider: SimulatedProvider, name: str, error: type[Exception]
) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(error):
            async with session.post(f"{provider.url}/as/{name}{PATH}", json=ASK) as response:
                await response.read()


@pytest.fixture
async def sdk(provider: SimulatedProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=provider.url + "/v1", api_key="sk-test", max_retries=0
    ) as client:
        yield client


async def streamed(client: openai.AsyncOpenAI) -> list[Any]:
    stream = await client.chat.completions.create(
        model="m-1",
        messages=[{"role": "user", "content": "What is 5 + 6 + 7?"}],
        max_completion_tokens=16,
        stream=True,
        stream_options={"include_usage": True},
    )
    async with stream:
        return [chunk async for chunk in stream]


async def test_the_official_sdk_reads_the_healthy_stream(sdk: openai.AsyncOpenAI) -> None:
    chunks = await streamed(sdk)

    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == "18"
    assert choices[-1].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens == 2
    assert chunks[-1].usage.total_tokens == chunks[-1].usage.prompt_tokens + 2


async def test_the_official_sdk_reads_the_whole_answer(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.chat.completions.create(
        model="m-1", messages=[{"role": "user", "content": "What is 5 + 6 + 7?"}]
    )
    models = await sdk.models.list()

    assert answer.choices[0].message.content == "18"
    assert answer.usage is not None
    assert [model.id for model in models.data] == ["sim-1"]


@pytest.mark.parametrize(
    ("name", "error", "code"),
    [
        ("auth_401", openai.AuthenticationError, "invalid_api_key"),
        ("rate_limited", openai.RateLimitError, "rate_limit_exceeded"),
        ("quota_429", openai.RateLimitError, "credit_balance_exhausted"),
        ("model_404", openai.NotFoundError, "model_not_found"),
        ("fast_503", openai.InternalServerError, BUSY),
        ("mid_stream_error", openai.APIError, None),
        ("mid_stream_overload", openai.APIError, BUSY),
    ],
)
async def test_the_official_sdk_raises(
    provider: SimulatedProvider,
    sdk: openai.AsyncOpenAI,
    name: str,
    error: type[openai.APIError],
    code: str | None,
) -> None:
    await provider.behave(name)

    with pytest.raises(error) as raised:
        await streamed(sdk)

    assert raised.value.code == code


# --------------------------------------------------------------------------- scripts, stories

RAMP = Script(
    (
        Scene(10, 20, "server_500", share=0.5),
        Scene(20, 30, "server_500"),
        Scene(25, 28, "edge_502"),
        Scene(40, 50, "refused"),
    ),
    length=60,
    usual={"first_token": 0.1},
)
LOOPED = Script(RAMP.scenes, RAMP.length, loop=True)


@pytest.mark.parametrize(
    ("script", "seconds", "behaviour", "refusing", "until_turn"),
    [
        (RAMP, 0, "healthy", False, 10),
        (RAMP, 9.5, "healthy", False, 0.5),
        (RAMP, 20, "server_500", False, 5),
        (RAMP, 25, "edge_502", False, 3),
        (RAMP, 28, "server_500", False, 2),
        (RAMP, 30, "healthy", False, 10),
        (RAMP, 40, "refused", True, 10),
        (RAMP, 50, "healthy", False, math.inf),
        (RAMP, 85, "healthy", False, math.inf),
        (LOOPED, 50, "healthy", False, 10),
        (LOOPED, 85, "edge_502", False, 3),
        (LOOPED, 60 * 1000 + 45, "refused", True, 5),
        (Script(), 5, "healthy", False, math.inf),
        (always("cut"), 1e9, "cut", False, math.inf),
        (always("refused"), 0, "refused", True, math.inf),
    ],
)
def test_script_arithmetic(
    script: Script, seconds: float, behaviour: str, refusing: bool, until_turn: float
) -> None:
    assert script.at(seconds, random.Random(0))[0] == behaviour
    assert script.refuses(seconds) is refusing
    assert script.until_turn(seconds) == pytest.approx(until_turn)


def test_a_share_of_the_requests_gets_the_behaviour_and_the_draw_can_be_repeated() -> None:
    drawn = [RAMP.at(15, random.Random(seed))[0] for seed in range(1000)]

    assert set(drawn) == {"healthy", "server_500"}
    assert 400 < drawn.count("server_500") < 600
    assert drawn == [RAMP.at(15, random.Random(seed))[0] for seed in range(1000)]


def test_parameters_belong_to_the_scene_and_the_usual_ones_to_the_rest() -> None:
    rng = random.Random(0)
    script = Script((Scene(0, 5, "keepalive", params={"after": 3.0}),), usual={"gap": 0.5})

    assert script.at(1, rng) == ("keepalive", Params(after=3.0))
    assert script.at(6, rng) == ("healthy", Params(gap=0.5))
    assert always("slow_drip").at(0, rng)[1].gap == 4.0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Scene(5, 5, "cut"), "seen 5 s to 5 s, expected start before end"),
        (lambda: Scene(-1, 5, "cut"), "seen -1 s to 5 s, expected start before end"),
        (lambda: Scene(0, 5, "cut", share=0), "seen share 0, expected more than 0 and at most 1"),
        (lambda: Scene(0, 5, "refused", share=0.5), "seen share 0.5 of refused, expected 1"),
        (lambda: always("cutt"), "seen behaviour 'cutt' (did you mean cut?), expected one of"),
        (lambda: always("cut", speed=1), "seen parameter 'speed', expected one of: first_token"),
        (lambda: always("cut", gap="1"), "seen '1' for gap, expected int or float"),
        (lambda: always("cut", gap=-1), "seen -1 for gap, expected 0 or more"),
        (lambda: always("cut", gap=math.nan), "seen nan for gap, expected 0 or more"),
        (lambda: always("cut", tokens=1.5), "seen 1.5 for tokens, expected int"),
        (lambda: always("cut", tokens=True), "seen True for tokens, expected int"),
        (lambda: always("cut", answer=5), "seen 5 for answer, expected str"),
        (lambda: Script((Scene(0, 9, "cut"),), length=5), "seen length 5 s, expected at least 9 s"),
        (lambda: Script((), loop=True), "seen a loop of 0 s, expected a length to loop over"),
        (
            lambda: Script((Scene(0, math.inf, "cut"),), loop=True),
            "seen a loop of inf s, expected a length to loop over",
        ),
        (lambda: SimulatedProvider(speed=0), "seen speed 0, expected more than 0"),
    ],
)
def test_what_cannot_be_played_is_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        build()

    assert str(raised.value).startswith(message)


def outages(script: Script) -> list[tuple[str, float, float]]:
    return [(s.behaviour, s.start, s.end) for s in script.scenes]


def test_the_story_shows_a_newcomer_an_outage_from_begin_to_end_in_two_minutes() -> None:
    deepseek = STORY["deepseek"].script
    bad = [second for second in range(120) if deepseek.scene(second)]

    assert bad == list(range(20, 70))
    assert [deepseek.at(t, random.Random(0))[0] for t in (30, 60, 80)] == [
        "keepalive",
        "fast_503",
        "healthy",
    ]


def test_the_story_has_a_shared_edge_a_relapse_a_ramp_and_a_healthy_one() -> None:
    assert outages(STORY["mistral"].script) == outages(STORY["groq"].script)
    assert [s.share for s in STORY["openai"].script.scenes] == [0.2, 0.6, 1.0]
    assert outages(STORY["deepseek"].script)[2:] == [("stall", 170, 185), ("keepalive", 200, 220)]
    assert not STORY["own-vllm"].script.scenes
    assert STORY["chatgpt-web"].web and not STORY["deepseek"].web


def test_the_story_loops_as_one_and_knows_its_flavours() -> None:
    assert {role.script.length for role in STORY.values()} == {240.0}
    assert all(role.script.loop and role.flavour in FLAVOURS for role in STORY.values())
    assert all(role.name == name and role.about for name, role in STORY.items())


# ------------------------------------------------------------------------------- scenarios


def test_a_scenario_is_a_name_or_a_few_lines() -> None:
    text = """
    loop: true
    length: 2m
    scenes:
      - {from: 0s, to: 30s, behaviour: keepalive, params: {every: 500ms, after: 1m30s}}
      - {from: 30s, to: 1m, behaviour: server_500, share: 0.5}
    """

    assert scenario("cut") == always("cut")
    assert scenario("deepseek") is STORY["deepseek"].script
    assert scenario(text) == Script(
        (
            Scene(0, 30, "keepalive", params={"every": 0.5, "after": 90.0}),
            Scene(30, 60, "server_500", share=0.5),
        ),
        120.0,
        loop=True,
    )
    assert scenario("scenes: [{from: 5s, behaviour: hang}]").at(1e6, random.Random(0))[0] == "hang"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "seen nothing, expected a name or a mapping with `scenes`"),
        ("[1]", "seen list '[1]', expected a name or a mapping with `scenes`"),
        ("cutt", "seen behaviour 'cutt' (did you mean cut?), expected one of"),
        ("a: [", "expected YAML: "),
        ("[" * 1000, "seen YAML nested without end"),
        ("loop: true", "scenes: seen nothing, expected a list of at least one scene"),
        ("scenes: 5", "scenes: seen int '5', expected a list of at least one scene"),
        ("scene: []", "seen key 'scene', expected one of: scenes, loop, length"),
        ("{loop: maybe, scenes: []}", "loop: seen 'maybe', expected true or false"),
        ("scenes: [cut]", "scenes[0]: seen str 'cut', expected a mapping"),
        ("scenes: [{behaviour: cut}]", "scenes[0]: seen no 'from', expected one"),
        ("scenes: [{from: 0s, to: 5s}]", "scenes[0]: seen no 'behaviour', expected one"),
        (
            "scenes: [{from: 0s, til: 5s, behaviour: cut}]",
            "scenes[0]: seen key 'til', expected one of",
        ),
        (
            "scenes: [{from: soon, behaviour: cut}]",
            "scenes[0]: seen from 'soon', expected a duration such as 30s or 1m30s",
        ),
        (
            "scenes: [{from: 5s, to: 1s, behaviour: cut}]",
            "scenes[0]: seen 5 s to 1 s, expected start",
        ),
        (
            "scenes: [{from: 0s, behaviour: cut, share: half}]",
            "scenes[0]: seen share 'half', expected",
        ),
        (
            "scenes: [{from: 0s, behaviour: cut, share: .nan}]",
            "scenes[0]: seen share nan, expected",
        ),
        (
            "scenes: [{from: 0s, behaviour: cut, params: 3}]",
            "scenes[0]: params: seen int '3', expected",
        ),
        (
            "scenes: [{from: 0s, behaviour: cut, params: {x: 3}}]",
            "scenes[0]: seen parameter 'x', expe",
        ),
        (
            "{loop: true, scenes: [{from: 0s, behaviour: cut}]}",
            "scenario: seen a loop of inf s, expec",
        ),
        (
            "{length: -5, scenes: [{from: 0s, behaviour: cut}]}",
            "scenario: seen length -5, expected a duration",
        ),
    ],
)
def test_a_bad_scenario_says_what_was_seen_and_expected(text: str, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        scenario(text)

    assert message in str(raised.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ValueError) as raised:
        scenario("{loops: 1, scenes: [{from: x, behaviour: cut}, {from: 0s, behaviour: cat}]}")

    lines = str(raised.value).split("\n")
    assert [line.split(": ")[0] for line in lines] == [
        "seen key 'loops', expected one of",
        "scenes[0]",
        "scenes[1]",
    ]


def test_a_scenario_may_be_a_file(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("scenes: [{from: 0s, to: 9s, behaviour: cut}]")
    bad.write_text("scenes: 5")

    assert load_scenario(str(good)).length == 9
    assert load_scenario("groq") is STORY["groq"].script
    with pytest.raises(ValueError, match=r"bad\.yaml: scenes: seen int '5'"):
        load_scenario(str(bad))
    with pytest.raises(ValueError, match="or a file, and there is none so named"):
        load_scenario("no-such")
    with pytest.raises(ValueError, match="cannot be read"):
        load_scenario(str(tmp_path))


# ---------------------------------------------------------------------------- house rules


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("trouble", Trouble)
def test_every_dialect_has_words_for_every_trouble(dialect: Any, trouble: Trouble) -> None:
    for flavour in FLAVOURS.values():
        status, body = dialect.error(trouble, flavour, "")
        assert 400 <= status < 600 and body
        assert dialect.error_event(trouble, flavour)


def test_the_documented_scenario_can_be_played() -> None:
    told = (Path(__file__).parent.parent / "docs/simulator.md").read_text("utf-8")
    example = next(part for part in told.split("```") if part.startswith("yaml\n# rehearsal"))

    script = scenario(example.removeprefix("yaml"))

    assert script.loop and script.length == 300
    assert [scene.behaviour for scene in script.scenes] == [
        "keepalive",
        "server_500",
        "slow_first_token",
    ]


def test_every_ending_has_its_word() -> None:
    assert set(openai_chat.FINISH) == set(Ending)


def test_the_documentation_lists_every_behaviour_parameter_and_role() -> None:
    told = (Path(__file__).parent.parent / "docs/simulator.md").read_text("utf-8")

    for name, behaviour in BEHAVIOURS.items():
        assert f"| `{name}` | {behaviour.says} |" in told, name
    for name in Params.__slots__:
        assert f"| `{name}` |" in told, name
    for name, role in STORY.items():
        assert f"| `{name}` | {role.about[0].upper()}{role.about[1:]}" in told, name
