"""What each dialect asks: address, headers and body, as the vendors document them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from monitor.dialects import DIALECTS
from monitor.dialects.bedrock import credentials
from monitor.dialects.complaints import complaint
from monitor.model import Check, Secret
from tests.making import chat_check

KEY = "key-0123456789"
BEARER = {"Authorization": f"Bearer {KEY}"}
MESSAGES = [{"role": "user", "content": "hi"}]
CHAT = {"model": "m-1", "messages": MESSAGES, "stream": True}
AZURE = "https://res.openai.azure.com"
DEPLOYED = f"{AZURE}/openai/deployments/m-1/chat/completions"


def asked(protocol: str, url: str, **changes: Any) -> Check:
    changes.setdefault("api_key", Secret(KEY))
    return chat_check(url, protocol=protocol, **changes)


REQUESTS: list[tuple[str, str, str, dict[str, str], dict[str, Any]]] = [
    (
        "openai-chat",
        "https://api.openai.com/v1",
        "https://api.openai.com/v1/chat/completions",
        BEARER,
        {**CHAT, "max_tokens": 16, "stream_options": {"include_usage": True}},
    ),
    (
        "openai-responses",
        "https://api.openai.com/v1",
        "https://api.openai.com/v1/responses",
        BEARER,
        {"model": "m-1", "input": "hi", "stream": True, "max_output_tokens": 16},
    ),
    (
        "anthropic",
        "https://api.anthropic.com",
        "https://api.anthropic.com/v1/messages",
        {"x-api-key": KEY, "anthropic-version": "2023-06-01"},
        {**CHAT, "max_tokens": 16},
    ),
    (
        "gemini",
        "https://generativelanguage.googleapis.com",
        "https://generativelanguage.googleapis.com/v1beta/models/m-1:streamGenerateContent?alt=sse",
        {"x-goog-api-key": KEY},
        {
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"maxOutputTokens": 16},
        },
    ),
    (
        "ollama",
        "http://localhost:11434",
        "http://localhost:11434/api/chat",
        {**BEARER, "Accept": "application/x-ndjson"},
        {**CHAT, "think": False, "options": {"num_predict": 16}},
    ),
    (
        "azure-openai",
        AZURE,
        f"{DEPLOYED}?api-version=2024-10-21",
        {"api-key": KEY},
        {**CHAT, "max_tokens": 16, "stream_options": {"include_usage": True}},
    ),
    (
        "azure-openai",
        f"{AZURE}/openai/v1/",
        f"{AZURE}/openai/v1/chat/completions",
        {"api-key": KEY},
        {**CHAT, "max_tokens": 16, "stream_options": {"include_usage": True}},
    ),
    (
        "cohere",
        "https://api.cohere.com",
        "https://api.cohere.com/v2/chat",
        BEARER,
        {**CHAT, "max_tokens": 16},
    ),
    (
        "bedrock",
        "https://bedrock-runtime.us-east-1.amazonaws.com",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/m-1/converse-stream",
        {**BEARER, "Accept": "application/vnd.amazon.eventstream"},
        {
            "messages": [{"role": "user", "content": [{"text": "hi"}]}],
            "inferenceConfig": {"maxTokens": 16},
        },
    ),
]


@pytest.mark.parametrize(("protocol", "base", "url", "headers", "body"), REQUESTS)
def test_a_request_is_what_the_vendor_documents(
    protocol: str, base: str, url: str, headers: dict[str, str], body: dict[str, Any]
) -> None:
    request = DIALECTS[protocol].build(asked(protocol, base), "hi")
    assert (request.method, request.url) == ("POST", url)
    assert {name: request.headers.get(name) for name in headers} == headers
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept-Encoding"] == "identity"
    assert json.loads(request.body or b"") == body
    assert KEY not in repr(request) and KEY not in request.url


def test_every_dialect_is_asked() -> None:
    assert {row[0] for row in REQUESTS} == set(DIALECTS)


@pytest.mark.parametrize("protocol", DIALECTS)
def test_without_a_key_no_key_is_sent(protocol: str) -> None:
    request = DIALECTS[protocol].build(asked(protocol, "https://x.example", api_key=None), "hi")
    named = {name.lower() for name in request.headers}
    assert named.isdisjoint({"authorization", "x-api-key", "api-key", "x-goog-api-key"})


@pytest.mark.parametrize("protocol", DIALECTS)
def test_the_checks_own_body_and_headers_have_the_last_word(protocol: str) -> None:
    check = asked(
        protocol,
        "https://x.example",
        body={"a": {"b": [1]}, "stream": None, "messages": None},
        headers={"Authorization": Secret("Own scheme"), "x-own": Secret("1")},
    )
    request = DIALECTS[protocol].build(check, "hi")
    body = json.loads(request.body or b"")
    assert body["a"] == {"b": [1]}
    assert "stream" not in body and "messages" not in body
    assert request.headers["Authorization"] == "Own scheme"
    assert request.headers["x-own"] == "1"


def test_a_nested_switch_is_merged_and_not_replaced() -> None:
    off = {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}
    request = DIALECTS["gemini"].build(asked("gemini", "https://x.example", body=off), "hi")
    assert json.loads(request.body or b"")["generationConfig"] == {
        "maxOutputTokens": 16,
        "thinkingConfig": {"thinkingBudget": 0},
    }


ADDRESSES = [
    # A query of the base stays; what it says already is not said twice.
    ("gemini", "https://x.example/?k=v", "m-1",
     "/v1beta/models/m-1:streamGenerateContent?k=v&alt=sse"),
    ("gemini", "https://x.example", "models/m-1",
     "/v1beta/models/m-1:streamGenerateContent?alt=sse"),
    ("azure-openai", "https://x.example?api-version=2025-04-01-preview", "m-1",
     "/openai/deployments/m-1/chat/completions?api-version=2025-04-01-preview"),
    ("azure-openai", "https://x.example/openai/deployments/d", "m-1",
     "/openai/deployments/d/chat/completions?api-version=2024-10-21"),
    ("azure-openai", "https://x.example/gw/openai/v1", "m-1", "/gw/openai/v1/chat/completions"),
    ("anthropic", "https://x.example/anthropic", "m-1", "/anthropic/v1/messages"),
    ("bedrock", "https://x.example", "us.amazon.nova-micro-v1:0",
     "/model/us.amazon.nova-micro-v1%3A0/converse-stream"),
    ("bedrock", "https://x.example", "arn:aws:bedrock:us-east-1:1:inference-profile/p",
     "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fp/converse-stream"),
]  # fmt: skip


@pytest.mark.parametrize(("protocol", "base", "model", "path"), ADDRESSES)
def test_an_address_follows_from_base_and_model(
    protocol: str, base: str, model: str, path: str
) -> None:
    check = replace(asked(protocol, base), model=model)
    assert DIALECTS[protocol].build(check, "hi").url == f"https://x.example{path}"


def test_the_cap_is_called_as_the_check_says_in_openais_family() -> None:
    for protocol in ("openai-chat", "azure-openai"):
        check = asked(protocol, "https://x.example", token_field="max_completion_tokens")
        body = json.loads(DIALECTS[protocol].build(check, "hi").body or b"")
        assert body["max_completion_tokens"] == 16
        assert "max_tokens" not in body


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("bedrock-api-key-YWJj", None),
        ("ABSKQmVkcm9ja0FQSUtleQ==", None),
        ("AKIAIOSFODNN7EXAMPLE:wJ/K7+b", ("AKIAIOSFODNN7EXAMPLE", Secret("wJ/K7+b"), None)),
        ("ASIAIOSFODNN7EXAMPLE:wJ:to=", ("ASIAIOSFODNN7EXAMPLE", Secret("wJ"), Secret("to="))),
        ("AKIAIOSFODNN7EXAMPLE", None),
    ],
)  # fmt: skip
def test_aws_credentials_are_told_from_a_bedrock_key(key: str, found: object) -> None:
    check = asked("bedrock", "https://x.example", api_key=Secret(key))
    assert credentials(check) == found
    request = DIALECTS["bedrock"].build(check, "hi")
    assert ("Authorization" in request.headers) == (found is None)


def test_only_bedrock_takes_aws_credentials() -> None:
    assert credentials(asked("openai-chat", "https://x", api_key=Secret("A" * 20 + ":b"))) is None


def test_nested_lists_hold_no_complaint_and_do_no_harm() -> None:
    deep: Any = [{"error": "boom"}]
    for _ in range(1000):
        deep = [deep]
    assert complaint(deep) is None
    assert complaint([{"a": 1}, {"error": "boom"}]) is not None
