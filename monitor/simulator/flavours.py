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

#: A server that adds nothing of its own, like vLLM.
_PLAIN = Flavour(name="plain", headers={"Server": "uvicorn"})

FLAVOURS: Mapping[str, Flavour] = {
    flavour.name: flavour for flavour in (_DEEPSEEK, _OPENAI, _PLAIN)
}
