"""Every simulated failure in every dialect, as our own probe judges it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from monitor.dialects import DIALECTS
from monitor.model import Attempt, Secret, Slow, Timeouts, Tokens
from monitor.probe.chat import chat
from monitor.probe.client import Client
from monitor.simulator import BEHAVIOURS, FLAVOURS, SimulatedProvider
from tests.making import chat_check

#: Vendor and path of each dialect, below the provider's address.
WHERE = {
    "openai-chat": ("openai", "/v1"),
    "openai-responses": ("openai", "/v1"),
    "azure-openai": ("azure", "/openai/v1"),
    "anthropic": ("anthropic", ""),
    "gemini": ("gemini", ""),
    "ollama": ("ollama", ""),
    "cohere": ("cohere", ""),
    "bedrock": ("bedrock", ""),
}
LIMITS = Timeouts(connect=2.0, first_byte=0.4, first_token=0.5, idle=0.3, total=4.0)

EXPECTED = {
    "healthy": "ok",
    "slow_first_token": "ok",
    "slow_drip": "ok",
    "other_model": "ok",
    "wrong_answer": "wrong_answer",
    "empty": "empty",
    "reasoning_only": "bad_request",
    "filtered": "filtered",
    "insufficient_resource": "overloaded",
    "clean_end": "truncated",
    "cut": "truncated",
    "no_done": "truncated",
    "reset": "truncated",
    "stall": "idle_timeout",
    "silent": "first_token_timeout",
    "keepalive": "first_token_timeout",
    "hang": "first_byte_timeout",
    "no_end": "idle_timeout",
    "mid_stream_error": "stream_error",
    "mid_stream_overload": "overloaded",
    "malformed": "malformed",
    "json_200": "bad_request",
    "json_error_200": "server_error",
    "html_200": "malformed",
    "fast_503": "overloaded",
    "overloaded_429": "overloaded",
    "rate_limited": "rate_limited",
    "quota_402": "quota",
    "quota_429": "quota",
    "auth_401": "auth",
    "model_404": "model_not_found",
    "bad_request_400": "bad_request",
    "server_500": "server_error",
    "edge_502": "server_error",
    "redirect": "redirected",
    "blocked": "blocked",
    "garbage": "malformed",
    "refused": "truncated",
    "header_flood": "malformed",
    "huge_line": "too_large",
    "gzip_bomb": "too_large",
}

#: Where a vendor has no such thing, and what comes nearest says something else.
OTHERWISE = {
    # an ending for want of capacity exists at DeepSeek and as OpenAI's `response.failed` alone
    ("anthropic", "insufficient_resource"): "wrong_answer",
    ("gemini", "insufficient_resource"): "filtered",
    ("ollama", "insufficient_resource"): "wrong_answer",
    ("cohere", "insufficient_resource"): "stream_error",
    ("bedrock", "insufficient_resource"): "wrong_answer",
    # a server of one's own filters nothing: the answer just ends
    ("ollama", "filtered"): "wrong_answer",
    # AWS refuses access to a model that nobody pays for, in the words of a missing right
    ("bedrock", "quota_402"): "auth",
    # a flat object with a message is no error object where the status says that all is well
    ("cohere", "json_error_200"): "malformed",
    ("bedrock", "json_error_200"): "malformed",
    # frames carry their lengths and checksums: what is no frame is told at once
    ("bedrock", "huge_line"): "malformed",
    ("bedrock", "gzip_bomb"): "malformed",
    ("bedrock", "malformed"): "truncated",
}


@pytest.fixture(params=WHERE)
def dialect(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def provider(dialect: str) -> AsyncIterator[SimulatedProvider]:
    flavour = WHERE[dialect][0]
    async with SimulatedProvider(flavour=flavour, key="sim-key-1", speed=100.0) as started:
        yield started


async def asked(provider: SimulatedProvider, dialect: str, behaviour: str) -> Attempt:
    url = f"{provider.url}/as/{behaviour}{WHERE[dialect][1]}"
    check = chat_check(
        url,
        protocol=dialect,
        model="m-1",
        api_key=Secret("sim-key-1"),
        timeout=LIMITS,
        slow=Slow(first_token=3.0, total=4.0),
        max_tokens=64,
    )
    async with Client() as client:
        return await chat(client, check, random.Random(7))


def test_no_behaviour_is_left_out() -> None:
    # One that never ends lasts as long as the probe's patience; it has a test of its own.
    assert set(EXPECTED) | {"endless"} == set(BEHAVIOURS)


def test_every_dialect_is_simulated() -> None:
    assert set(WHERE) == set(DIALECTS)
    assert {flavour for flavour, _ in WHERE.values()} <= set(FLAVOURS)


@pytest.mark.parametrize("behaviour", EXPECTED)
async def test_the_right_reason(provider: SimulatedProvider, dialect: str, behaviour: str) -> None:
    seen = await asked(provider, dialect, behaviour)
    expected = OTHERWISE.get((dialect, behaviour), EXPECTED[behaviour])
    assert (seen.reason or "ok") == expected, seen.detail


async def test_a_healthy_answer_is_told_in_full(provider: SimulatedProvider, dialect: str) -> None:
    seen = await asked(provider, dialect, "healthy")
    assert seen.phases.first_token is not None
    assert seen.phases.first_answer is not None
    assert isinstance(seen.tokens, Tokens)
    assert seen.tokens.input and seen.tokens.output
    assert seen.request_id
    if dialect not in {"bedrock", "cohere"}:  # they say nowhere which model answered
        assert seen.model == "m-1"


async def test_a_wrong_key_is_ours(dialect: str) -> None:
    async with SimulatedProvider(flavour=WHERE[dialect][0], key="another", speed=100.0) as provider:
        seen = await asked(provider, dialect, "healthy")
    assert (seen.reason or "ok") == ("ok" if dialect == "ollama" else "auth"), seen.detail
