"""Failures of unrelated providers at once make our own network a suspect, and nothing more."""

from __future__ import annotations

import pytest

from monitor.judge.company import TOGETHER, Company, excused
from monitor.model import Attempt, Check, Moment, Reason, Verdict
from tests.making import chat_check

A = chat_check("https://a.example/v1", name="a", provider="a")
SIBLING = chat_check("https://eu.a.example/v1", name="a2", provider="a")
SAME_HOST = chat_check("https://a.example/other", name="a3", provider="gateway")
B = chat_check("https://b.example/v1", name="b", provider="b")


def failed(check: Check, reason: Reason, at: float = 0.0) -> Attempt:
    moment = Moment(1e9 + at, at)
    return Attempt(check.name, moment, moment, Verdict.FAILED, reason)


def good(check: Check) -> Attempt:
    return Attempt(check.name, Moment(1e9, 0.0), Moment(1e9, 0.0), Verdict.OK)


def test_a_network_reason_is_enough_and_an_error_of_theirs_never() -> None:
    assert Company().suspect(A, failed(A, Reason.CONNECT))
    company = Company()
    company.suspect(B, failed(B, Reason.CONNECT))
    assert not company.suspect(A, failed(A, Reason.SERVER_ERROR))
    assert not company.suspect(A, good(A))


@pytest.mark.parametrize(
    ("other", "reason", "later", "suspect"),
    [
        (B, Reason.CONNECT, 1.0, True),
        (B, Reason.TRUNCATED, 1.0, True),
        (B, Reason.SERVER_ERROR, 1.0, False),
        (B, Reason.CONNECT, TOGETHER + 1, False),
        (SIBLING, Reason.CONNECT, 1.0, False),
        (SAME_HOST, Reason.CONNECT, 1.0, False),
    ],
)
def test_an_ambiguous_reason_needs_company_that_is_unrelated_and_fails_now(
    other: Check, reason: Reason, later: float, suspect: bool
) -> None:
    company = Company()
    assert not company.suspect(A, failed(A, Reason.TRUNCATED)), "alone"
    company.suspect(other, failed(other, reason))
    assert company.suspect(A, failed(A, Reason.TRUNCATED, later)) is suspect


def test_whoever_recovers_or_goes_is_no_company() -> None:
    for leave in (lambda c: c.suspect(B, good(B)), lambda c: c.forget("b")):
        company = Company()
        company.suspect(B, failed(B, Reason.CONNECT))
        leave(company)
        assert not company.suspect(A, failed(A, Reason.TRUNCATED))


def test_a_failure_that_was_ours_says_what_it_looked_like_and_what_decided() -> None:
    seen = excused(failed(A, Reason.TRUNCATED))
    assert (seen.verdict, seen.reason) == (Verdict.VOID, Reason.LOCAL_NETWORK)
    assert seen.detail is not None and "truncated" in seen.detail
    assert seen.rule == "the own-network guard"
