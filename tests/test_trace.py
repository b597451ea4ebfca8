"""`once --trace`: what was on the wire, how it was read, what decided; and no secret in it."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from monitor.dialects.signals import Request
from monitor.judge.reply import Stamp
from monitor.model import Attempt, Check, Moment, Reason, Secret, Timeouts, Verdict
from monitor.once import Tapes
from monitor.probe import chat as chat_module
from monitor.probe.client import Client
from monitor.probe.exchange import Exchange
from monitor.probe.wire import Wire
from monitor.redact import MARK
from monitor.run.rounds import attempt
from monitor.trace import LINE_SHOWN, READS_SHOWN, Tape, trace
from tests.making import ASKED, chat_check, web_check
from tests.serving import END, EVENTS, Handler, always, chunk, head, serving
from tests.test_probe import DONE, FINISH, GOOD, ROLE, TOKEN, USAGE

CANARY = "sk-canary-0123456789abcdef"
SHORT = Timeouts(connect=0.5, first_byte=0.5, first_token=0.5, idle=0.3, total=1.0)


@pytest.fixture(autouse=True)
def fixed_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_module, "question", lambda _check, _rng: ASKED)


async def traced(handler: Handler, **changes: object) -> str:
    """The trace of one attempt at a server that answers with `handler`."""
    changes = {"timeout": SHORT, "api_key": Secret(CANARY), **changes}
    async with serving(handler) as port:
        return await traced_check(chat_check(f"http://127.0.0.1:{port}/v1", **changes))


async def traced_check(check: Check) -> str:
    tapes = Tapes()
    async with Client(on_exchange=tapes.record) as client:
        seen = await attempt(client, check, random.Random(1))
    return trace(check, tapes.get(check.name, ()), seen)


def stream(*events: bytes) -> bytes:
    return head(200, EVENTS) + b"".join(map(chunk, events)) + END


def in_order(text: str, *parts: str) -> None:
    at = 0
    for part in parts:
        assert part in text[at:], f"{part!r} is missing after {text[:at][-80:]!r}"
        at = text.index(part, at) + len(part)


async def test_a_healthy_answer_is_told_from_connection_to_rule() -> None:
    text = await traced(always(stream(GOOD)))
    in_order(
        text,
        "c  openai-chat",
        "* TCP connected in",
        "> POST http://127.0.0.1:",
        '> {"model":"m-1"',
        "< HTTP 200",
        "< content-type: text/event-stream",
        "< data: ",
        "· nothing that counts",
        "· answer '14'",
        "· finish 'stop' (complete)",
        "· usage: 20 in, 3 out",
        "· the terminal marker",
        "= ok",
        "= decided by: good status",
        "after the request was written",
    )


async def test_times_stand_in_order() -> None:
    text = await traced(always(stream(ROLE, TOKEN, FINISH, DONE)))
    times = [float(line.split(" s ")[0]) for line in text.splitlines() if " s " in line[:14]]
    assert len(times) >= 4
    assert times == sorted(times)
    assert times[0] >= 0


@pytest.mark.parametrize(
    ("answer", "rule", "reason"),
    [
        (head(503) + END, "status 503 without an error object", Reason.OVERLOADED),
        (
            head(429) + chunk(b'{"error":{"code":"insufficient_quota","message":"m"}}') + END,
            "the error's code 'insufficient_quota'",
            Reason.QUOTA,
        ),
        (
            head(402) + chunk(b'{"error":{"message":"Insufficient Balance"}}') + END,
            "the words 'insufficient balance'",
            Reason.QUOTA,
        ),
        (stream(ROLE, TOKEN), "the terminal marker", Reason.TRUNCATED),
        (stream(ROLE, FINISH, DONE), "no visible answer", Reason.EMPTY),
        (stream(b"data: {\n\n"), "every event must decode", Reason.MALFORMED),
        (stream(b'data: {"error":{"message":"m"}}\n\n'), "an error object", Reason.STREAM_ERROR),
        (stream(GOOD.replace(b"14", b"15")), "`expect`", Reason.WRONG_ANSWER),
        (head(200, EVENTS) + chunk(ROLE), "the network said", Reason.TRUNCATED),
    ],
)
async def test_the_rule_that_decided_is_named(answer: bytes, rule: str, reason: Reason) -> None:
    text = await traced(always(answer))
    in_order(text, f"= {'limited' if reason is Reason.QUOTA else ''}", reason.value, f"by: {rule}")


async def test_a_deadline_is_named_by_its_key() -> None:
    text = await traced(always(head(200, EVENTS) + chunk(ROLE), hold=True))
    in_order(text, "· nothing that counts", "= failed first_token_timeout", "`timeout.first_token`")


async def test_an_endpoint_that_is_not_there_has_a_trace_too() -> None:
    text = await traced_check(web_check("http://127.0.0.1:9/"))
    in_order(text, "w  web", "= failed connect", "by: the network said ClientConnectorError")


async def test_an_event_that_cannot_be_read_stands_beside_its_bytes() -> None:
    text = await traced(always(stream(ROLE, b"data: {oops\n\n", DONE)))
    in_order(text, "< data: {oops", "· cannot be read", "= failed malformed")


async def test_the_key_is_in_no_line() -> None:
    echo = json.dumps({"error": {"message": f"bad key {CANARY}"}}).encode()
    text = await traced(
        always(head(401, {"X-Echo": f"Bearer {CANARY}", "Set-Cookie": "a=b"}) + chunk(echo) + END),
        headers={"X-Own": Secret("short")},
    )
    assert CANARY not in text
    assert "short" not in text
    assert "a=b" not in text
    in_order(text, f"> Authorization: {MARK}", f"> X-Own: {MARK}", f"bad key {MARK}")


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([TOKEN.replace(b"14", p.encode()) for p in CANARY], id="token by token"),
        pytest.param([f": {CANARY}"[:12].encode(), f": {CANARY}\n\n"[12:].encode()], id="cut"),
    ],
)
async def test_a_key_spelled_out_in_pieces_hides_the_body(pieces: list[bytes]) -> None:
    async def slowly(
        _request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(head(200, EVENTS))
        for piece in [ROLE, *pieces, FINISH, DONE]:
            writer.write(chunk(piece))
            await writer.drain()
            await asyncio.sleep(0.002)
        writer.write(END)

    text = await traced(slowly)
    shown = [line for line in text.splitlines() if " < " in line and "data:" in line]
    assert not shown
    assert "with a secret in it" in text
    assert CANARY not in text


def test_long_lines_and_long_streams_are_cut_and_counted() -> None:
    stamp, check = Stamp(2.0, 2.0, 2.0), chat_check()
    seen = Exchange(Wire(), status=200, headers={"content-type": "text/event-stream"})
    seen.sent, seen.head_at = 1.0, 2.0
    long = TOKEN.replace(b"14", b"x" * 5000)
    seen.reads = [(stamp, long), *[(stamp, TOKEN)] * (READS_SHOWN + 49)]
    moment = Moment(0.0, 0.0)
    text = trace(
        check,
        [Tape(Request("POST", check.url, {}), seen)],
        Attempt(check.name, moment, moment, Verdict.OK),
    )
    assert "… 50 more reads like these" in text
    assert f"… ({len(long) - 2} characters)" in text
    assert max(map(len, text.splitlines())) < LINE_SHOWN + 60
    assert text.count("< data:") == READS_SHOWN


async def test_control_characters_cannot_reach_the_terminal() -> None:
    text = await traced(always(stream(b": \x1b[2Jgone\n\n", GOOD)))
    assert "\x1b" not in text


async def test_nothing_is_kept_unless_asked_for() -> None:
    async with serving(always(stream(GOOD, USAGE))) as port, Client() as client:
        seen = await attempt(client, chat_check(f"http://127.0.0.1:{port}/v1"), random.Random(1))
    assert seen.verdict is Verdict.OK
    assert seen.rule
