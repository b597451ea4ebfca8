"""Questions, answers, costs, pages and headers: tables without I/O."""

from __future__ import annotations

import random

import pytest

from monitor.dialects.explain import retry_after
from monitor.dialects.headers import headroom, request_id
from monitor.dialects.openai_chat import build
from monitor.judge.cost import cost, estimate_per_day
from monitor.judge.expect import mismatch, question
from monitor.judge.models import same_model
from monitor.judge.pages import reach_finding, web_finding
from monitor.model import Mode, Price, Reason, Secret, Tokens, WebExpect
from tests.making import ASKED, chat_check, expecting, web_check


def test_the_sum_is_never_one_of_the_summands() -> None:
    rng = random.Random(3)
    for _ in range(2000):
        asked = question(chat_check(), rng)
        assert asked.total is not None
        assert str(asked.total) not in asked.prompt.replace("?", " ").split()
        assert mismatch(expecting(), asked, asked.prompt), "an echo must not pass"
        assert mismatch(expecting(), asked, f"The sum is {asked.total}.") is None


def test_questions_differ_so_that_no_cache_can_answer() -> None:
    rng = random.Random(3)
    assert len({question(chat_check(), rng).prompt for _ in range(100)}) > 60


ANSWERS = [
    ("sum", None, "14", True),
    ("sum", None, "The answer is **14**.", True),
    ("sum", None, "3+4+7=14", True),
    ("sum", None, "141", False),
    ("sum", None, "", False),
    ("contains", "pong", "ping pong", True),
    ("contains", "pong", "ping", False),
    ("equals", "OK", " OK\n", True),
    ("equals", "OK", "OK.", False),
    ("regex", r"^\d+$", "42", True),
    ("regex", r"^\d+$", "42!", False),
    ("json", {"a": 1}, '{"a": 1, "b": 2}', True),
    ("json", {"a": {"b": [1]}}, '```json\n{"a": {"b": [1]}}\n```', True),
    ("json", {"a": 1}, '{"a": 2}', False),
    ("json", {"a": 1}, "no json", False),
    ("json", {"a": 1}, "[" * 20_000, False),
    ("any", None, "whatever", True),
]


@pytest.mark.parametrize(("kind", "value", "answer", "good"), ANSWERS)
def test_an_expectation_holds_or_says_both_sides(
    kind: str, value: object, answer: str, good: bool
) -> None:
    said = mismatch(expecting(kind, value), ASKED, answer)
    assert (said is None) == good
    assert good or ("expected" in str(said) and "seen" in str(said))


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        ("gpt-6-luna", "gpt-6-luna", True),
        ("gpt-6-luna", "gpt-6-luna-2026-09-22", True),
        ("gpt-6-luna", "gpt-6-luna-mini", False),
        ("openai/gpt-6-luna", "gpt-6-luna", True),
        ("gemini-2.5-flash", "models/gemini-2.5-flash-001", True),
        ("m:free", "m", True),
        ("m-1", "m-2", False),
        ("deepseek-v4-flash", "deepseek-flash", False),
        ("llama3", "llama3:latest", True),
    ],
)
def test_a_dated_or_routed_form_of_a_model_is_that_model(
    asked: str, answered: str, same: bool
) -> None:
    assert same_model(asked, answered) is same


def test_cost_counts_cached_input_at_its_own_price() -> None:
    tokens = Tokens(input=1000, output=100, reasoning=60, cached=400)
    assert cost(Price(1.0, 5.0), tokens) == pytest.approx(0.0015)
    assert cost(Price(1.0, 5.0, cached=0.1), tokens) == pytest.approx(0.00114)


def test_an_unknown_price_or_usage_costs_nothing_known() -> None:
    assert cost(None, Tokens(1, 1)) is None
    assert cost(Price(1, 1), None) is None
    assert cost(Price(1, 1), Tokens(output=4)) is None


def test_the_estimate_follows_schedule_and_mode() -> None:
    check = chat_check(price=Price(0.1, 0.5), interval=60.0)
    assert estimate_per_day(check) == pytest.approx(1440 * (24 * 0.1 + 4 * 0.5) / 1e6)
    assert estimate_per_day(chat_check(mode=Mode.REACHABILITY)) == 0
    assert estimate_per_day(web_check()) == 0
    assert estimate_per_day(chat_check()) is None
    own = chat_check(price=Price(1, 1), prompt="x" * 350, max_tokens=50)
    assert estimate_per_day(own) == pytest.approx(1440 * (108 + 50) / 1e6)


PAGES = [
    (200, {}, b"hello", WebExpect(), None),
    (204, {}, b"", WebExpect(), None),
    (404, {}, b"", WebExpect(), Reason.UNEXPECTED_STATUS),
    (404, {}, b"", WebExpect(status=((400, 499),)), None),
    (500, {}, b"", WebExpect(), Reason.SERVER_ERROR),
    (521, {}, b"", WebExpect(), Reason.SERVER_ERROR),
    (503, {}, b"", WebExpect(), Reason.OVERLOADED),
    (429, {}, b"", WebExpect(), Reason.RATE_LIMITED),
    (302, {"location": "/login"}, b"", WebExpect(), Reason.REDIRECTED),
    (403, {"cf-mitigated": "challenge"}, b"", WebExpect(), Reason.BLOCKED),
    (200, {"cf-mitigated": "challenge"}, b"", WebExpect(), Reason.BLOCKED),
    (429, {"cf-mitigated": "challenge"}, b"", WebExpect(), Reason.BLOCKED),
    (202, {"x-amzn-waf-action": "challenge"}, b"", WebExpect(), Reason.BLOCKED),
    (200, {"content-security-policy": "x cloudflare captcha"}, b"", WebExpect(), None),
    (200, {}, b"all good", WebExpect(contains="good"), None),
    (200, {}, b"all bad", WebExpect(contains="good"), Reason.WRONG_ANSWER),
    (200, {}, b"server is busy", WebExpect(not_contains="busy"), Reason.WRONG_ANSWER),
    (200, {}, b"v1.22", WebExpect(regex=r"v\d+\.\d+"), None),
    (200, {}, b"vx", WebExpect(regex=r"v\d+"), Reason.WRONG_ANSWER),
    (200, {"server": "nginx"}, b"", WebExpect(header={"Server": "^nginx$"}), None),
    (200, {}, b"", WebExpect(header={"Server": "nginx"}), Reason.WRONG_ANSWER),
    (200, {}, b'{"ok": true, "n": 1}', WebExpect(json={"ok": True}), None),
    (200, {}, b'{"ok": false}', WebExpect(json={"ok": True}), Reason.WRONG_ANSWER),
]


@pytest.mark.parametrize(("status", "headers", "body", "expect", "reason"), PAGES)
def test_a_page_is_judged(
    status: int, headers: dict[str, str], body: bytes, expect: WebExpect, reason: Reason | None
) -> None:
    found = web_finding(expect, status, headers, body)
    assert found.reason is reason, found.detail


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (401, {}, Reason.NO_KEY),
        (200, {}, Reason.NO_KEY),
        (404, {}, Reason.NO_KEY),
        (302, {}, Reason.NO_KEY),
        (429, {}, Reason.NO_KEY),
        (403, {"cf-mitigated": "challenge"}, Reason.BLOCKED),
        (500, {}, Reason.SERVER_ERROR),
        (503, {}, Reason.OVERLOADED),
    ],
)
def test_a_keyless_look_never_claims_more_than_that_the_api_answers(
    status: int, headers: dict[str, str], reason: Reason
) -> None:
    assert reach_finding(status, headers, b"", 0.0).reason is reason


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2020 12:00:30 GMT"}, 0.0),
    ],
)
def test_advice_to_wait_is_read_in_every_form(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers, 1_795_435_200.0) == seconds


def test_headroom_is_a_ratio_or_absent() -> None:
    assert headroom(
        {"x-ratelimit-remaining-requests": "25", "x-ratelimit-limit-requests": "100"}
    ) == {"requests": 0.25}
    assert headroom({"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-limit-tokens": "0"}) == {}
    assert headroom({"x-ratelimit-remaining-tokens": "x"}) == {}
    assert headroom(
        {"x-ratelimit-remaining-tokens-minute": "5", "x-ratelimit-limit-tokens-minute": "10"}
    ) == {"tokens": 0.5}


def test_the_providers_own_request_id_comes_before_the_edges() -> None:
    assert request_id({"cf-ray": "ray", "x-ds-trace-id": "trace"}) == "trace"
    assert request_id({"cf-ray": "ray"}) == "ray"
    assert request_id({}) is None


def test_a_request_is_what_the_vendors_document() -> None:
    check = chat_check(
        "https://api.example/v1/?x=1",
        api_key=Secret("k"),
        token_field="max_completion_tokens",
        body={"thinking": {"type": "disabled"}, "stream_options": None},
        headers={"authorization": Secret("Own scheme")},
    )
    request = build(check, "hi")
    assert request.url == "https://api.example/v1/chat/completions?x=1"
    assert request.headers["authorization"] == "Own scheme"
    assert "Authorization" not in request.headers
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.body == (
        b'{"model":"m-1","messages":[{"role":"user","content":"hi"}],"stream":true,'
        b'"max_completion_tokens":16,"thinking":{"type":"disabled"}}'
    )
    assert "Own scheme" not in repr(request)
