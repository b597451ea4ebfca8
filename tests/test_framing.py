"""Framings beside plain event streams: lines of JSON, AWS's frames, Gemini's bare documents."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.dialects import DIALECTS, Framing
from monitor.dialects.event_stream import BROKEN, EventStream
from monitor.dialects.loose_sse import LooseSSE
from monitor.dialects.ndjson import NDJSON
from monitor.dialects.sse import PIECES, Event, TooLargeError
from monitor.judge.reply import Reply, Stamp
from monitor.model import Reason
from tests.frames import event, frame


def events(framing: Framing, *reads: bytes) -> list[Event]:
    """The events of one body, its end included."""
    return [event for read in reads for event in framing.feed(read)] + framing.finish()


def plain(*data: bytes) -> list[Event]:
    return [Event("", one) for one in data]


LINES: list[tuple[str, bytes, list[Event]]] = [
    ("two lines", b'{"a":1}\n{"b":2}\n', plain(b'{"a":1}', b'{"b":2}')),
    ("CRLF", b'{"a":1}\r\n{"b":2}\r\n', plain(b'{"a":1}', b'{"b":2}')),
    ("blank lines", b'\n\n{"a":1}\n  \n', plain(b'{"a":1}')),
    ("a last line without its end", b'{"a":1}\n{"b":2}', plain(b'{"a":1}', b'{"b":2}')),
    ("half a last line", b'{"a":1}\n{"b":', plain(b'{"a":1}')),
    ("byte order mark", b'\xef\xbb\xbf{"a":1}\n', plain(b'{"a":1}')),
    ("only a byte order mark", b"\xef\xbb\xbf", []),
    ("no JSON is an event too, and left to the reader", b"oops\n", plain(b"oops")),
    ("nothing", b"", []),
]

LOOSE: list[tuple[str, bytes, list[Event]]] = [
    ("plain events", b"data: a\r\n\r\ndata: b\r\n\r\n", plain(b"a", b"b")),
    ("a comment", b": ping\n\ndata: a\n\n", plain(b"a")),
    ("a bare line", b'data: a\n\n{"e":1}\n', plain(b"a", b'{"e":1}')),
    ("over lines", b'{\r\n  "e": [\r\n    1\r\n  ]\r\n}\r\n', plain(b'{\n  "e": [\n    1\n  ]\n}')),
    ("a list", b'[{\n"e": 1\n}]\n', plain(b'[{\n"e": 1\n}]')),
    ("without its last end", b'{\n"e": 1\n}', plain(b'{\n"e": 1\n}')),
    ("cut", b'{\n"e": 1\n', []),
    ("braces in strings", b'{\n"e": "}] \\" {"\n}\n', plain(b'{\n"e": "}] \\" {"\n}')),
    ("a blank line inside", b'{\n\n"e": 1}\n', plain(b'{\n\n"e": 1}')),
    ("events after it", b'{"e":1}\ndata: a\n\n', plain(b'{"e":1}', b"a")),
    ("a backslash at a line's end", b'{"e": "\\\n}\n', plain(b'{"e": "\\\n}')),
]


@pytest.mark.parametrize(("wire", "expected"), [c[1:] for c in LINES], ids=[c[0] for c in LINES])
def test_lines_of_json(wire: bytes, expected: list[Event]) -> None:
    for cut in range(len(wire) + 1):
        assert events(NDJSON(), wire[:cut], wire[cut:]) == expected, cut


@pytest.mark.parametrize(("wire", "expected"), [c[1:] for c in LOOSE], ids=[c[0] for c in LOOSE])
def test_bare_documents_amid_events(wire: bytes, expected: list[Event]) -> None:
    for cut in range(len(wire) + 1):
        assert events(LooseSSE(), wire[:cut], wire[cut:]) == expected, cut


@pytest.mark.parametrize(
    ("wire", "left"),
    [
        (b"data: a\n\n", b""),
        (b"data: a\n", b"a"),
        (b"data: a\n\n: pi", b": pi"),
        (b'{"a":\n1', b'{"a":\n1'),
        (b'{"a": 1}', b""),
    ],
)
def test_what_an_end_of_the_body_cuts_off_is_known(wire: bytes, left: bytes) -> None:
    framing = LooseSSE()
    events(framing, wire)
    assert framing.pending == left


def test_what_grows_past_the_limit_is_refused() -> None:
    for framing, wire in [
        (NDJSON(limit=64), b"x" * 100),
        (LooseSSE(limit=64), b'{"a":\n' * 20),
        (LooseSSE(limit=64), b"data: " + b"x" * 100),
        (EventStream(limit=64), frame({}, b"x" * 100)),
    ]:
        with pytest.raises(TooLargeError, match="64 bytes"):
            events(framing, wire)


def test_a_document_that_only_its_end_makes_too_large_is_refused() -> None:
    reply = Reply(DIALECTS["gemini"])
    assert not reply.feed(b"{\n" + b"x" * (1 << 18) + b"\n" + b"y" * (1 << 18), Stamp(0, 0, 0))
    assert reply.end(Stamp(1, 1, 1))
    assert reply.problem and reply.problem.reason is Reason.TOO_LARGE


def test_a_document_of_countless_lines_is_whole_and_kept_in_few_pieces() -> None:
    framing = LooseSSE()
    lines = [b"{", *[b"xy"] * 5000, b"}"]
    assert framing.feed(b"\n".join(lines[:-1]) + b"\n") == []
    assert len(framing._document) <= PIECES + 1
    assert framing.feed(b"}\n") == [Event("", b"\n".join(lines))]


def test_a_hostile_line_is_scanned_once() -> None:
    wire = b"{" + b'\\"' * 250_000 + b"\n}\n"
    assert len(events(LooseSSE(), wire)) <= 1


# ------------------------------------------------------------------------------- AWS's frames


def test_a_frame_is_named_by_its_headers() -> None:
    wire = (
        event("messageStop", b"{}")
        + frame({":message-type": "exception", ":exception-type": "x"}, b'{"message":"m"}')
        + frame({":message-type": "error", ":error-code": "c", ":error-message": "words"}, b"")
        + frame({":event-type": "metadata"}, b"{}")
    )
    assert events(EventStream(), wire) == [
        Event("event:messageStop", b"{}"),
        Event("exception:x", b'{"message":"m"}'),
        Event("error:c", b"words"),
        Event("event:metadata", b"{}"),
    ]


def test_after_what_is_no_frame_nothing_is_read() -> None:
    framing = EventStream()
    assert framing.feed(b"HTTP/1.1 502 Bad")[0].name == BROKEN
    assert framing.feed(event("metadata", b"{}")) == []
    assert framing.pending == b""


names = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=20)
frames = st.lists(st.tuples(names, st.binary(max_size=60)), min_size=1, max_size=4)


@given(frames, st.lists(st.integers(0, 400), max_size=6))
@settings(max_examples=60, deadline=None)
def test_frames_are_read_however_they_are_cut(
    said: list[tuple[str, bytes]], cuts: list[int]
) -> None:
    wire = b"".join(event(name, payload) for name, payload in said)
    points = sorted({0, *cuts, len(wire)})
    reads = [wire[a:b] for a, b in pairwise(points)]
    expected = [Event(f"event:{name}", payload) for name, payload in said]
    assert events(EventStream(), *reads) == expected


@given(frames, st.integers(0, 10**6), st.integers(0, 7))
@settings(max_examples=120, deadline=None)
def test_a_flipped_bit_is_always_noticed(
    said: list[tuple[str, bytes]], where: int, bit: int
) -> None:
    wire = bytearray(b"".join(event(name, payload) for name, payload in said))
    wire[where % len(wire)] ^= 1 << bit
    whole = [Event(f"event:{name}", payload) for name, payload in said]
    seen = events(EventStream(), bytes(wire))
    assert seen[-1].name == BROKEN
    assert seen[:-1] == whole[: len(seen) - 1]


@given(st.binary(max_size=200))
@settings(max_examples=120, deadline=None)
def test_no_bytes_make_a_decoder_fall_over(wire: bytes) -> None:
    for framing in (EventStream(), LooseSSE(), NDJSON()):
        events(framing, wire)


def test_aws_own_decoder_agrees() -> None:
    theirs = pytest.importorskip("botocore.eventstream").EventStreamBuffer()
    wire = event("contentBlockDelta", json.dumps({"delta": {"text": "14"}}).encode())
    theirs.add_data(wire * 2)
    assert [(f"event:{one.headers[':event-type']}", one.payload) for one in theirs] == [
        (one.name, one.data) for one in events(EventStream(), wire * 2)
    ]
