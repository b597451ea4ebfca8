"""Answers that are odd, degenerate or nearly right, against every kind of demand: tables."""

from __future__ import annotations

import pytest

from monitor.dialects import DIALECTS
from monitor.dialects.signals import Channel, Done, Ending, Finish, Output
from monitor.judge.aloud import after_thinking
from monitor.judge.expect import Question, is_loop, is_visible, mismatch
from monitor.judge.reply import Reply, Stamp
from monitor.judge.verdict import stream_finding
from monitor.model import Reason
from tests.making import ASKED, chat_check, expecting

SUMS = [
    # As a number of its own, however it is dressed.
    ("14", True),
    ("14.", True),
    ("14.0", True),
    ("**14**", True),
    ("_14_", True),
    ("# 14", True),
    ("- 14", True),
    ("`14`", True),
    ("$14$", True),
    (r"\boxed{14}", True),
    (r"$$3 + 4 + 7 = \mathbf{14}$$", True),
    (r"\(14\)", True),
    ("3+4+7=14", True),
    ("sum-14", True),
    ("(14)", True),
    ('{"sum": 14}', True),
    ("First 7, then 14!", True),
    ("1\u200b4", True),
    # In other scripts' digits, in words.
    ("١٤", True),
    ("１４", True),
    ("१४", True),
    ("𝟏𝟒", True),
    ("Fourteen.", True),
    ("The sum is FOURTEEN", True),
    ("three plus four plus seven is fourteen", True),
    # Another number, of which it is a part.
    ("1145", False),
    ("2014", False),
    ("141", False),
    ("14,000", False),
    ("14.000.000", False),
    ("14\u202f000", False),
    (r"14{,}000", False),
    (r"14\,000", False),
    ("14_000", False),
    ("1,014", False),
    ("0.14", False),
    ("14.5", False),
    ("3,14", False),
    ("-14", False),
    ("= −14", False),
    ("١١٤", False),
    ("one hundred fourteen", False),
    ("one hundred and fourteen", False),
    ("fourteen hundred", False),
    ("fourteen point five", False),
    ("twenty-four", False),
    ("fourteenth", False),
    # Nothing of the kind.
    ("13", False),
    ("four", False),
    ("I cannot do sums.", False),
    ("What is 3 + 4 + 7? Reply with the number only.", False),
    ("What is 3 + 4 + 7? Reply with the number only. 14", True),
    ("14" * 12, False),
    ("14 " * 12, False),
    ("14\n" * 400, False),
    ("!" * 64, False),
]


@pytest.mark.parametrize(("answer", "good"), SUMS)
def test_the_sum_is_found_as_a_number_of_its_own(answer: str, good: bool) -> None:
    assert (mismatch(expecting(), ASKED, answer) is None) is good


def test_every_sum_that_can_be_asked_is_known_in_words() -> None:
    tens = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
    units = "one two three four five six seven"
    spoken = [*tens.split(), *(f"twenty-{unit}" for unit in units.split())]
    for total, word in enumerate(spoken, 10):
        for asked in range(10, 28):
            seen = mismatch(expecting(), Question("?", asked), f"It is {word}.")
            assert (seen is None) is (asked == total), (word, asked)


BLUE = Question("Reply with the word blue and nothing else.")
OTHERS = [
    ("contains", "blue", "It is blue.", True),
    ("contains", "blue", "BLUE", False),
    ("contains", "blue", BLUE.prompt, False),
    ("contains", "blue", f"{BLUE.prompt}\nblue", True),
    ("contains", "blue", "", False),
    ("equals", "blue", "\n blue \t", True),
    ("equals", "blue", "**blue**", False),
    ("equals", "!" * 50, "!" * 50, True),
    ("regex", r"(?i)\bblue\b", "Blue!", True),
    ("regex", r"(?i)\bblue\b", BLUE.prompt, False),
    ("regex", r"^\s*$", "red", False),
    ("json", [1], "[1]", True),
    ("json", {"a": 1}, "", False),
    ("json", {"a": 1}, '{"a": 1}' * 12, False),
    ("any", None, "red", True),
    ("any", None, "Hello world!!!!!!!!!!!!!!", True),
    ("any", None, "...", True),
    ("any", None, BLUE.prompt, False),
    ("any", None, f" {BLUE.prompt}\n", False),
    ("any", None, "a" * 12, False),
    ("any", None, "OK" * 40, False),
    ("any", None, "OK\n" * 40, False),
    ("any", None, "the same again, " * 20 + "the sa", False),
    ("any", None, "", False),
    ("any", None, "\u200b\u200d\ufeff", False),
]


@pytest.mark.parametrize(("kind", "value", "answer", "good"), OTHERS)
def test_a_degenerate_answer_meets_no_demand_that_does_not_ask_for_it(
    kind: str, value: object, answer: str, good: bool
) -> None:
    seen = mismatch(expecting(kind, value), BLUE, answer)
    assert (seen is None) is good, seen
    assert good or ("expected" in str(seen) and "seen" in str(seen))


def test_a_short_prompt_may_be_its_own_answer() -> None:
    assert mismatch(expecting("any"), Question("hi"), "hi") is None
    assert mismatch(expecting("contains", "ping"), Question("ping"), "ping") is None


@pytest.mark.parametrize(
    ("text", "loop"),
    [
        ("a" * 11, False),
        ("a" * 12, True),
        ("no " * 11, False),
        ("no " * 12, True),
        ("x" + "a" * 100, False),
        ("a" * 100 + "b", False),
        ("1234567890" * 11, False),
        ("1234567890" * 12, True),
        ("", False),
        (" ", False),
        ("".join(chr(0x4E00 + n) for n in range(101)) * 20, False),
    ],
)
def test_a_loop_is_a_dozen_of_the_same_and_nothing_else(text: str, loop: bool) -> None:
    assert is_loop(text) is loop


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("", False),
        (" \n\t\u00a0\u2003\u3000", False),
        ("\u200b\u200c\u200d\u2060\ufeff\u00ad", False),
        ("\u202a\u202c\x00\x07", False),
        ("\u3164\u115f\u2800", False),
        ("\u0301\ufe0f", False),
        (" . ", True),
        ("字", True),
        ("🙂", True),
        ("\u200b1", True),
    ],
)
def test_what_cannot_be_seen_is_no_answer(text: str, visible: bool) -> None:
    assert is_visible(text) is visible


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("14", "14"),
        ("<think>3 and 4</think>14", "14"),
        ("\n<think>\n14?\n</think>\n\nmaybe", "maybe"),
        ("<think>14", ""),
        ("I <think> 14</think>", "I <think> 14</think>"),
        ("<thin", "<thin"),
    ],
)
def test_thinking_between_marks_is_no_answer(text: str, left: str) -> None:
    assert after_thinking(text) == left


def replied(*texts: str, ending: Ending = Ending.COMPLETE) -> Reply:
    """A reply whose deltas came a second apart."""
    reply = Reply(DIALECTS["openai-chat"])
    signals = [*map(Output, texts), Finish(ending, "x"), Done()]
    for at, signal in enumerate(signals):
        reply.take(signal, Stamp(at, at, at))
    return reply


@pytest.mark.parametrize(
    ("texts", "answer_at"),
    [
        (["14"], 0),
        (["\n\n", "14"], 1),
        (["<", "think", ">", "so 14", "</think>", "\n", "14"], 6),
        (["<b", ">14</b>"], 0),
        (["<", "b>14"], 1),
        (["<think>14"], None),
        (["   "], None),
    ],
)
def test_the_clock_of_the_answer_stops_at_its_first_visible_text(
    texts: list[str], answer_at: int | None
) -> None:
    reply = replied(*texts)
    assert reply.first_at is not None and reply.first_at.at == 0
    assert (reply.answer_at.at if reply.answer_at else None) == answer_at


@pytest.mark.parametrize("kind", ["sum", "any", "contains"])
@pytest.mark.parametrize(
    ("text", "ending", "reason"),
    [
        (" \n", Ending.COMPLETE, Reason.EMPTY),
        ("\u200b", Ending.COMPLETE, Reason.EMPTY),
        ("\n" * 100, Ending.LENGTH, Reason.EMPTY),
        ("<think>hm", Ending.COMPLETE, Reason.EMPTY),
        ("<think>hm", Ending.LENGTH, Reason.BAD_REQUEST),
        ("<think>14</think>", Ending.LENGTH, Reason.BAD_REQUEST),
        ("14", Ending.FILTERED, Reason.FILTERED),
        ("14", Ending.OVERLOADED, Reason.OVERLOADED),
    ],
)
def test_an_empty_answer_is_none_whatever_is_demanded(
    kind: str, text: str, ending: Ending, reason: Reason
) -> None:
    check = chat_check(expect=expecting(kind, "14"))
    assert stream_finding(check, ASKED, replied(text, ending=ending), None).reason is reason


def test_thinking_is_no_answer_whichever_way_it_comes() -> None:
    reply = Reply(DIALECTS["openai-chat"])
    reply.take(Output("14", Channel.REASONING), Stamp(0, 0, 0))
    assert (reply.answer, reply.reasoned, reply.answer_at) == ("", True, None)


def test_a_bad_finish_is_not_mended_by_a_good_one_after_it() -> None:
    reply = replied("14", ending=Ending.BROKEN)
    reply.take(Finish(Ending.COMPLETE, "stop"), Stamp(9, 9, 9))
    assert reply.finish == Finish(Ending.BROKEN, "x")


@pytest.mark.parametrize("protocol", DIALECTS)
def test_a_demanded_model_that_is_not_told_is_not_shown(protocol: str) -> None:
    reply = replied("14")
    reply.dialect = DIALECTS[protocol]
    check = chat_check(protocol=protocol, expect=expecting(model="m-1"))
    seen = stream_finding(check, ASKED, reply, None)
    assert seen.reason is Reason.WRONG_MODEL
    assert seen.detail == "expected model 'm-1', the answer does not tell its model"
