"""Patterns of users: found as usual, and never allowed to hold up the monitor."""

from __future__ import annotations

import pytest

from monitor.judge.aloud import Opening
from monitor.judge.expect import Question, mismatch
from monitor.judge.pages import web_finding
from monitor.judge.patterns import unmatched
from monitor.model import ChatExpect, Expecting, Reason, WebExpect

BACKTRACKS = r"^(\w+\s?)+$"
ENDLESS = "a" * 5000 + "!"


def test_a_pattern_is_looked_for_anywhere() -> None:
    assert unmatched(r"\b1\d\b", "it is 14.") is None
    assert unmatched(r"\b1\d\b", "it is 145.") == "no match"


def test_a_pattern_that_backtracks_is_given_up_and_said_to() -> None:
    told = unmatched(BACKTRACKS, ENDLESS)
    assert told is not None
    assert "backtracks" in told


def test_an_answer_that_makes_a_pattern_backtrack_is_wrong_and_says_why() -> None:
    expect = ChatExpect(Expecting.REGEX, BACKTRACKS)
    told = mismatch(expect, Question("Say one word, please.", None), ENDLESS)
    assert told is not None
    assert "backtracks" in told


def test_a_page_that_makes_a_pattern_backtrack_is_wrong_and_says_why() -> None:
    found = web_finding(WebExpect(regex=BACKTRACKS), 200, {}, ENDLESS.encode())
    assert found.reason is Reason.WRONG_ANSWER
    assert "backtracks" in (found.detail or "")


@pytest.mark.parametrize(
    ("pieces", "begins", "aloud"),
    [
        (["14"], 0, False),
        ([" ", "\n", "14"], 2, False),
        (["<", "think", ">", "hm", "</thi", "nk>", "\n", "14"], 7, True),
        (["<think>hm</think>14"], 0, True),
        (["<", "b>14"], 1, False),
        (["<thin", " air"], 1, False),
        (["<think>", "a" * 5000, "</", "think>"], None, True),
    ],
)
def test_an_answer_begins_after_blanks_and_thinking(
    pieces: list[str], begins: int | None, aloud: bool
) -> None:
    opening = Opening()
    over = next((place for place, piece in enumerate(pieces) if opening.is_over(piece)), None)
    assert (over, opening.aloud) == (begins, aloud)
