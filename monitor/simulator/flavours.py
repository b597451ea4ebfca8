"""Vendors as data: what tells their answers apart on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.simulator.seam import Flavour, Trouble

#: Says on every error that money or keys are at fault in words of its own, and has neither
#: `x-request-id` nor rate-limit headers.
_DEEPSEEK = Flavour(
    name="deepseek",
    request_id="x-ds-trace-id",
    headers={"Server": "openresty"},
    owner="deepseek",
    models=("deepseek-flash", "deepseek-v4-pro"),
    root_needs_key=True,
    thinks=True,
    counts_cache=True,
    errors={
        Trouble.BAD_KEY: {
            "message": "Authentication Fails, your api key is invalid",
            "type": "authentication_error",
            "param": None,
            "code": "invalid_request_error",
        },
        Trouble.NO_KEY: {
            "message": "Authentication Fails (no api key)",
            "type": "authentication_error",
            "param": None,
            "code": "invalid_request_error",
        },
    },
)

_OPENAI = Flavour(
    name="openai",
    headers={"Server": "cloudflare", "openai-version": "2020-10-01"},
    chat_headers={
        "openai-organization": "simulated",
        "openai-processing-ms": "87",
        "x-ratelimit-limit-requests": "5000",
        "x-ratelimit-remaining-requests": "4999",
        "x-ratelimit-reset-requests": "12ms",
        "x-ratelimit-limit-tokens": "4000000",
        "x-ratelimit-remaining-tokens": "3999000",
        "x-ratelimit-reset-tokens": "15ms",
    },
    owner="openai",
    models=("gpt-6-luna", "gpt-6-sol"),
    counts_details=True,
    errors={
        Trouble.BUSY: {
            "message": "The server is currently overloaded. Please try again later.",
            "code": "server_is_overloaded",
        },
    },
)

_ANTHROPIC = Flavour(
    name="anthropic",
    dialect="anthropic",
    request_id="request-id",
    headers={"Server": "cloudflare", "anthropic-organization-id": "simulated"},
    chat_headers={
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
        "anthropic-ratelimit-tokens-limit": "400000",
        "anthropic-ratelimit-tokens-remaining": "399000",
    },
    owner="anthropic",
    models=("claude-haiku-4-5", "claude-sonnet-5"),
    thinks=True,
)

_AZURE = Flavour(
    name="azure",
    dialect="azure-openai",
    request_id="apim-request-id",
    headers={"x-ms-region": "Sweden Central", "x-content-type-options": "nosniff"},
    chat_headers={
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "99",
        "x-ratelimit-limit-tokens": "100000",
        "x-ratelimit-remaining-tokens": "99900",
    },
    owner="azure",
    counts_details=True,
)
_GEMINI = Flavour(
    name="gemini",
    dialect="gemini",
    request_id="x-request-id",
    headers={"Server": "scaffolding on HTTPServer2", "x-content-type-options": "nosniff"},
    models=("gemini-2.5-flash-lite",),
)
_OLLAMA = Flavour(name="ollama", dialect="ollama", models=("qwen3:0.6b",))
_COHERE = Flavour(
    name="cohere",
    dialect="cohere",
    request_id="x-debug-trace-id",
    headers={"Server": "envoy", "x-api-version": "2"},
    models=("command-r7b-12-2024",),
)
_BEDROCK = Flavour(name="bedrock", dialect="bedrock", request_id="x-amzn-RequestId")

_MISTRAL = Flavour(
    name="mistral",
    headers={"Server": "cloudflare"},
    owner="mistralai",
    models=("ministral-3b-latest",),
    counts_unasked=True,
)

#: A server that adds nothing of its own, like vLLM.
_PLAIN = Flavour(name="plain", headers={"Server": "uvicorn"})

FLAVOURS: Mapping[str, Flavour] = {
    flavour.name: flavour
    for flavour in (
        _DEEPSEEK,
        _OPENAI,
        _MISTRAL,
        _ANTHROPIC,
        _AZURE,
        _GEMINI,
        _OLLAMA,
        _COHERE,
        _BEDROCK,
        _PLAIN,
    )
}
