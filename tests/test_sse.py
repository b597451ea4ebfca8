"""Framing of event streams; the transcripts feed it whole, byte by byte and cut anywhere."""

from __future__ import annotations

import re

import pytest

from monitor.dialects.sse import BOM, PIECES, SSE, Event, TooLargeError

CASES: list[tuple[str, bytes, list[Event]]] = [
    ("one event", b"data: a\n\n", [Event("", b"a")]),
    ("without the space", b"data:a\n\n", [Event("", b"a")]),
    ("only one space is dropped", b"data:  a\n\n", [Event("", b" a")]),
    ("named", b"event: ping\ndata: a\n\n", [Event("ping", b"a")]),
    ("a name does not outlive its event", b"event: x\ndata: a\n\ndata: b\n\n", [Event("x", b"a"), Event("", b"b")]),
    ("several data lines", b"data: a\ndata: b\n\n", [Event("", b"a\nb")]),
    ("comments", b": hi\ndata: a\n: there\n\n:\n\n", [Event("", b"a")]),
    ("unknown fields", b"id: 1\nretry: 5\nfoo: bar\ndata: a\n\n", [Event("", b"a")]),
    ("empty data is no event", b"data:\n\ndata: \n\nid: 7\n\n", []),
    ("no blank line, no event", b"data: a\n", []),
    ("a field without colon", b"data\n\n", []),
    ("CRLF", b"data: a\r\n\r\ndata: b\r\n\r\n", [Event("", b"a"), Event("", b"b")]),
    ("CR", b"data: a\r\rdata: b\r\r", [Event("", b"a"), Event("", b"b")]),
    ("byte order mark", b"\xef\xbb\xbfdata: a\n\n", [Event("", b"a")]),
    ("error as a field", b"error: boom\n\n", [Event("error", b"boom")]),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "events"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_stream_gives_its_events_however_it_is_cut(wire: bytes, events: list[Event]) -> None:
    assert SSE().feed(wire) == events
    decoder = SSE()
    assert [e for i in range(len(wire)) for e in decoder.feed(wire[i : i + 1])] == events
    for cut in range(len(wire)):
        decoder = SSE()
        assert decoder.feed(wire[:cut]) + decoder.feed(wire[cut:]) == events, cut


@pytest.mark.parametrize(("wire", "events"), [c[1:] for c in CASES if not c[1].startswith(BOM)])
def test_blocks_that_come_in_reads_of_their_own_give_the_same(
    wire: bytes, events: list[Event]
) -> None:
    """One read, one block is what nearly every stream does, and it is read on a short way."""
    decoder = SSE()
    assert decoder.feed(b"data: first\n\n") == [Event("", b"first")]
    blocks = re.split(rb"(?<=\n\n)", wire)
    assert [e for block in blocks for e in decoder.feed(block)] == events
    lines = wire.splitlines(keepends=True)
    cut = [lines[i : i + 2] for i in range(0, len(lines), 2)]
    assert [e for pair in cut for e in decoder.feed(b"".join(pair))] == events


@pytest.mark.parametrize("wire", [b"data: " + b"x" * 100, b"x" * 100, b"data: xxxx\n" * 30])
def test_what_grows_past_the_limit_is_refused(wire: bytes) -> None:
    with pytest.raises(TooLargeError, match="64 bytes"):
        SSE(limit=64).feed(wire)
    decoder = SSE(limit=64)
    with pytest.raises(TooLargeError):
        for i in range(len(wire)):
            decoder.feed(wire[i : i + 1])


def test_a_line_of_a_quarter_of_a_megabyte_is_read() -> None:
    data = b"y" * ((1 << 18) - len(b"data: "))
    assert SSE().feed(b"data: " + data + b"\n\n") == [Event("", data)]


def test_an_event_of_countless_lines_is_whole_and_kept_in_few_pieces() -> None:
    decoder = SSE()
    for _ in range(5000):
        assert decoder.feed(b"data: x\n") == []
    assert len(decoder._data) <= PIECES + 1
    assert decoder.feed(b"\n") == [Event("", b"\n".join([b"x"] * 5000))]


def test_a_line_that_comes_in_countless_pieces_is_kept_in_few() -> None:
    decoder = SSE()
    for _ in range(5000):
        decoder.feed(b"xy")
    assert len(decoder._lines._fragments) <= PIECES
    assert decoder._lines.pending == b"xy" * 5000
