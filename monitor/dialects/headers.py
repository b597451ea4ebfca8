"""What response headers tell in every dialect: request id and rate-limit headroom."""

from __future__ import annotations

from collections.abc import Mapping

#: Most specific first; `cf-ray` only where nothing of the provider's own is given.
REQUEST_IDS = (
    "x-request-id",
    "request-id",
    "x-ds-trace-id",
    "x-deepseek-request-id",
    "apim-request-id",
    "x-amzn-requestid",
    "x-generation-id",
    "mistral-correlation-id",
    "x-litellm-call-id",
    "cf-ray",
)

#: (limit kind, header of what is left, header of the limit), as vendors spell them.
_PAIRS = (
    ("requests", "x-ratelimit-remaining-requests", "x-ratelimit-limit-requests"),
    ("tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-limit-tokens"),
    ("requests", "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-limit"),
    ("tokens", "anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-limit"),
    ("requests", "x-ratelimit-remaining-req-minute", "x-ratelimit-limit-req-minute"),
    ("tokens", "x-ratelimit-remaining-tokens-minute", "x-ratelimit-limit-tokens-minute"),
)


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's id of this request as it says it, or None."""
    for name in REQUEST_IDS:
        value = headers.get(name)
        if value:
            return value
    return None


def headroom(headers: Mapping[str, str]) -> dict[str, float]:
    """Share of the rate limit that is left, by kind; what is not told is absent.

    Azure sends -1 and 0 where it has nothing to say: such pairs count as not told.
    """
    found: dict[str, float] = {}
    for kind, remaining, limit in _PAIRS:
        left, whole = _number(headers.get(remaining)), _number(headers.get(limit))
        if left is not None and whole and left <= whole:
            found.setdefault(kind, left / whole)
    return found


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else -1.0
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
