"""Every transcript, three ways: cut into any reads, judged without a network, and over a socket."""

from __future__ import annotations

import random

import pytest

from monitor.dialects import DIALECTS
from monitor.judge.pages import chat_finding
from monitor.judge.reply import Reply, Stamp
from monitor.judge.verdict import Finding
from monitor.model import Reason
from monitor.probe import chat as chat_module
from monitor.probe.client import Client
from tests.making import ASKED
from tests.serving import END, always, chunk, head, serving
from tests.transcripts import ROOT, STREAMS, TRANSCRIPTS, Transcript
from tests.verdicts import page

BROKEN = Finding(Reason.TRUNCATED, "cut")


def fed(transcript: Transcript, reads: list[bytes], *, ended: bool = True) -> Reply:
    reply = Reply(transcript.dialect)
    for number, data in enumerate(reads):
        if reply.feed(data, Stamp(number, number, number)):
            return reply
    if ended:
        reply.end(Stamp(len(reads), len(reads), len(reads)))
    return reply


def finding(
    transcript: Transcript, reply: Reply | None, broken: Finding | None
) -> tuple[Finding, float | None]:
    page = transcript.body if reply is None else None
    return chat_finding(
        transcript.check(), ASKED, transcript.status, transcript.headers, page,
        reply or Reply(transcript.dialect), broken, 1_795_000_000.0,
    )  # fmt: skip


def facts(reply: Reply) -> tuple[object, ...]:
    """All that a verdict can depend on, times aside."""
    return (reply.answer, reply.outputs, reply.reasoned, reply.finish, reply.tokens,
            reply.identity, reply.done, reply.problem)  # fmt: skip


def points(body: bytes) -> list[int]:
    """Every cut of a short body; of a long one the ends and a spread sample."""
    if len(body) <= 4000:
        return list(range(len(body) + 1))
    sample = random.Random(len(body)).sample(range(len(body)), 400)
    return sorted({*range(200), *range(len(body) - 200, len(body) + 1), *sample})


def name(transcript: Transcript) -> str:
    return f"{transcript.dialect.name}-{transcript.name}"


by_name = pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=name)
TIMED = [one for one in STREAMS if "clocks" in one.expect]
streams = pytest.mark.parametrize("transcript", STREAMS, ids=name)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_has_its_transcripts(dialect: str) -> None:
    own = [one for one in TRANSCRIPTS if one.dialect.name == dialect]
    assert len(own) >= 15
    assert any(one.expect["verdict"] == "ok" for one in own)


@streams
def test_the_reads_into_which_a_stream_is_cut_change_nothing(transcript: Transcript) -> None:
    body = transcript.body
    whole = facts(fed(transcript, [body]))
    assert facts(fed(transcript, [body[i : i + 1] for i in range(len(body))])) == whole
    for point in points(body):
        assert facts(fed(transcript, [body[:point], body[point:]])) == whole, point


@streams
def test_a_stream_cut_short_anywhere_is_never_ok(transcript: Transcript) -> None:
    reply = Reply(transcript.dialect)
    for point in range(len(transcript.body)):
        seen, _ = finding(transcript, reply, BROKEN)
        assert seen.verdict != "ok" or reply.done or not transcript.check().done_marker, point
        # Byte by byte is as good as in one piece: the test above.
        if reply.feed(transcript.body[point : point + 1], Stamp(point, point, point)):
            return


@streams
def test_a_stream_that_ends_early_but_cleanly_is_ok_only_with_the_whole_answer(
    transcript: Transcript,
) -> None:
    body = transcript.body
    whole = fed(transcript, [body])
    for point in points(body):
        reply = fed(transcript, [body[:point]])
        seen, _ = finding(transcript, reply, None)
        if seen.verdict == "ok":
            assert reply.done or not transcript.check().done_marker, point
            assert reply.answer == whole.answer, point


@by_name
def test_a_transcript_means_what_it_says(transcript: Transcript) -> None:
    ended = transcript.end == "eof"
    reply = fed(transcript, [transcript.body], ended=ended) if transcript.streams else None
    broken = BROKEN if transcript.end == "cut" else None
    seen, wait = finding(transcript, reply, broken)
    expect = transcript.expect
    assert (seen.verdict, seen.reason) == (expect["verdict"], expect.get("reason")), seen.detail
    assert seen.reason is None or seen.detail, "a reason without a word of explanation"
    if "retry_after" in expect:
        assert wait == expect["retry_after"]
    if reply is not None:
        check_reply(expect, reply)


def check_reply(expect: dict[str, object], reply: Reply) -> None:
    for fact in ("answer", "outputs", "reasoned"):
        if fact in expect:
            assert getattr(reply, fact) == expect[fact], fact
    for fact in ("model", "request_id"):
        if fact in expect:
            assert getattr(reply.identity, fact) == expect[fact], fact
    if "tokens" in expect:
        wanted = expect["tokens"]
        used = reply.tokens
        if wanted is None:
            assert used is None
        else:
            assert isinstance(wanted, dict)
            assert used is not None
            told = {field: getattr(used, field) for field in used.__slots__}
            assert {k: v for k, v in told.items() if v is not None} == wanted


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_says_which_events_stop_its_clocks(dialect: str) -> None:
    told = [one.name for one in TIMED if one.dialect.name == dialect]
    assert len(told) >= 4, told


@pytest.mark.parametrize("transcript", TIMED, ids=name)
def test_the_clocks_are_stopped_by_output_and_by_nothing_else(transcript: Transcript) -> None:
    body, decoder, reply = transcript.body, transcript.dialect.framing(), Reply(transcript.dialect)
    events: list[bytes] = []
    for at in range(len(body)):
        byte = body[at : at + 1]
        events.append(b"".join(event.data for event in decoder.feed(byte)))
        if reply.feed(byte, Stamp(at, at, at)):
            break
    else:
        events.append(b"".join(event.data for event in decoder.finish()))
        reply.end(Stamp(len(body), len(body), len(body)))
    stamps = {"first": reply.first_at, "answer": reply.answer_at, "last": reply.last_at}
    for clock, stamp in stamps.items():
        wanted = transcript.expect["clocks"][clock]
        seen = None if stamp is None else events[int(stamp.at)].decode("utf-8", "replace")
        assert (seen is None) == (wanted is None), (clock, seen)
        assert wanted is None or wanted in str(seen), (clock, seen)


@by_name
async def test_a_transcript_over_a_socket_gives_the_same_verdict(
    transcript: Transcript, client: Client, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_module, "question", lambda _check, _rng: ASKED)
    answer = head(transcript.status, transcript.headers) + chunk(transcript.body)
    if transcript.end == "eof" and transcript.status != 204:  # which has no body to end
        answer += END
    async with serving(always(answer, hold=transcript.end == "open")) as port:
        seen = await chat_module.chat(client, transcript.check(f"http://127.0.0.1:{port}/v1"), rng)
    expect = transcript.expect
    assert (seen.verdict, seen.reason) == (expect["verdict"], expect.get("reason")), seen.detail
    assert seen.status == transcript.status


def test_the_page_of_verdicts_is_what_the_transcripts_say() -> None:
    assert (ROOT.parents[1] / "docs" / "verdicts.md").read_text("utf-8") == page()
