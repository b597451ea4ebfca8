"""Lengths, latencies and shares in words for people."""

from __future__ import annotations

import pytest

from monitor import words
from monitor.model import Reason, State


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_plain_words(reason: Reason) -> None:
    said = words.REASONS[reason]
    assert said[0].isupper()
    assert not said.endswith(".")
    assert reason.value not in said or "_" not in reason.value


def test_no_two_reasons_read_alike() -> None:
    assert len(set(words.REASONS.values())) == len(Reason)
    assert set(words.STATES) == set(State)


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.0, "0 %"), (0.001, "<1 %"), (0.03, "3 %"), (0.99999, "99 %"), (1.0, "100 %")],
)
def test_coverage_is_cut_off_and_never_nothing_where_it_is_something(
    ratio: float, text: str
) -> None:
    assert words.coverage(ratio) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (1_795_000_180.1 - 1_795_000_000.1 - 2e-7, "3 min"),
        (725, "12 min 5 s"),
        (3600 * 4 + 59, "4 h"),
        (86400 * 3 + 3600 * 4 + 60, "3 d 4 h"),
        (86400 * 400, "400 d"),
    ],
)
def test_lengths_have_at_most_two_units(seconds: float, text: str) -> None:
    assert words.length(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0004, "0 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (9.994, "9.99 s"),
        (9.996, "10.0 s"),
    ],
)
def test_latencies_have_three_digits(seconds: float | None, text: str) -> None:
    assert words.latency(seconds) == text
