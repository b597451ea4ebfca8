"""How certain the times of a reply are: a read has one stamp, that of its last byte."""

from __future__ import annotations

import json

import pytest

from monitor.dialects import DIALECTS
from monitor.judge.reply import Reply, Stamp
from tests.frames import event

SINCE, AT = 10.0, 12.0
LATE = Stamp(AT, AT, SINCE)
"""A read of bytes of which the first may have come two seconds before the last."""


def delta(**fields: str) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': fields}]})}\n\n".encode()


ROLE, THOUGHT = delta(role="assistant", content=""), delta(reasoning_content="hm")
TOKEN, NEXT = delta(content="fourteen"), delta(content=" it is")


def fed(*reads: bytes | tuple[bytes, Stamp], protocol: str = "openai-chat") -> Reply:
    reply = Reply(DIALECTS[protocol])
    for read in reads:
        data, stamp = read if isinstance(read, tuple) else (read, LATE)
        reply.feed(data, stamp)
    return reply


@pytest.mark.parametrize(
    "reads",
    [
        pytest.param((TOKEN,), id="alone"),
        pytest.param((ROLE + TOKEN,), id="after what is no output"),
        pytest.param((b": wait\n\n" + TOKEN,), id="after a comment"),
        pytest.param((TOKEN[:9], TOKEN[9:]), id="its end alone"),
        pytest.param((TOKEN[:3], TOKEN[3:]), id="cut in the name of the field"),
        pytest.param((TOKEN[:-1], TOKEN[-1:]), id="its last line end alone"),
        pytest.param((TOKEN.replace(b"\n", b"\r\n"),), id="with other line ends"),
    ],
)
def test_an_output_at_the_end_of_its_read_is_as_certain_as_the_stamp(
    reads: tuple[bytes, ...],
) -> None:
    reply = fed(*reads)
    assert reply.first_at == LATE
    assert (reply.uncertainty, reply.answer_uncertainty, reply.widest) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(NEXT, id="an output"),
        pytest.param(NEXT[:9], id="half an output"),
        pytest.param(ROLE, id="what is no output"),
        pytest.param(b": wait\n\n", id="a comment"),
        pytest.param(b"data: [DONE]\n\n", id="the end"),
    ],
)
def test_an_output_with_something_after_it_may_have_come_as_early_as_the_read_allows(
    after: bytes,
) -> None:
    reply = fed(TOKEN + after)
    assert reply.uncertainty == reply.answer_uncertainty == reply.widest == AT - SINCE


def test_an_output_of_a_line_of_json_is_certain_at_the_end_of_its_read() -> None:
    line = b'{"model":"m","message":{"content":"fourteen"},"done":false}\n'
    assert fed(line, protocol="ollama").uncertainty == 0.0
    assert fed(line + line, protocol="ollama").uncertainty == AT - SINCE


def test_a_binary_frame_is_taken_for_less_certain_than_it_is() -> None:
    piece = event("contentBlockDelta", b'{"delta":{"text":"fourteen"}}')
    assert fed(piece, protocol="bedrock").uncertainty == AT - SINCE


def test_each_clock_has_an_uncertainty_of_its_own() -> None:
    """Thinking comes alone, the answer with more behind it, and what follows even less surely."""
    reply = fed(
        (THOUGHT, Stamp(1.0, 1.0, 0.0)),
        (TOKEN + NEXT, Stamp(3.0, 3.0, 2.5)),
        (NEXT + NEXT, Stamp(9.0, 9.0, 8.0)),
    )
    assert (reply.uncertainty, reply.answer_uncertainty, reply.widest) == (0.0, 0.5, 1.0)


def test_bytes_that_came_at_once_leave_no_doubt() -> None:
    assert fed((TOKEN + NEXT, Stamp(AT, AT, AT))).widest == 0.0
