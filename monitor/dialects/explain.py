"""Error answers of every dialect: status, headers and body in, one `Problem` out.

Order of evidence: a bot wall's header, then what the body's code or type says, then its words,
then the status.  The words matter because vendors put money, capacity and keys under the same
status (429 alone has four meanings) and sometimes under a misleading code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime

from monitor.dialects.complaints import (
    Complaint,
    code_name,
    decode,
    loose_complaint,
    seconds,
    shorten,
)
from monitor.dialects.signals import Problem
from monitor.model import Reason

#: Codes and types as vendors write them (lower case) and what they mean.
CODES: Mapping[str, Reason] = {
    code: reason
    for reason, codes in {
        Reason.OVERLOADED: (
            "engine_overloaded_error overloaded_error overloaded server_is_overloaded slow_down "
            "capacity_exceeded unavailable service_unavailable service_unavailable_error "
            "serviceunavailableexception modelnotreadyexception insufficient_system_resource "
            "unavailable_error enginecapacity no_capacity"
        ),
        Reason.QUOTA: (
            "insufficient_quota credit_balance_exhausted organization_spend_limit_exceeded "
            "project_spend_limit_exceeded organization_usage_limit_exceeded billing_error "
            "exceeded_current_quota_error enforced_spend_limit_reached arrearage "
            "insufficient_balance billing_not_active insufficient_credits account_deactivated "
            "billing_hard_limit_reached servicequotaexceededexception quota_per_day"
        ),
        Reason.RATE_LIMITED: (
            "rate_limit_exceeded rate_limit_error rate_limit_reached_error resource_exhausted "
            "too_many_requests throttling throttlingexception throttling.ratequota "
            "throttling.user throttling.burstrate throttling.allocationquota limit_burst_rate "
            "quota_per_minute"
        ),
        Reason.AUTH: (
            "invalid_api_key authentication_error api_key_invalid unauthenticated invalidapikey "
            "permission_error permission_denied accessdeniedexception unrecognizedclientexception "
            "invalid_authentication invalid_authentication_error invalid_organization "
            "expired_api_key"
        ),
        Reason.MODEL_NOT_FOUND: (
            "model_not_found deploymentnotfound model_not_available model_not_supported "
            "modelnotfound resourcenotfoundexception not_found_error model_deprecated"
        ),
        Reason.FILTERED: (
            "content_filter data_inspection_failed datainspectionfailed invalid_prompt "
            "cyber_policy bio_policy"
        ),
        Reason.BAD_REQUEST: (
            "validationexception context_length_exceeded unsupported_parameter unsupported_value "
            "integer_below_min_value data_residency_mismatch request_too_large"
        ),
    }.items()
    for code in codes.split()
}

Told = tuple[Reason, str]
"""A reason, and what gave it away."""

#: What OpenAI says of money, Google says of any limit, that of a minute included.
_GOOGLES = "exceeded your current quota"

#: Words in a message that outrank the status (lower case); the first that is found decides.
WORDS: tuple[tuple[str, Reason], ...] = (
    ("content exists risk", Reason.FILTERED),
    ("model not exist", Reason.MODEL_NOT_FOUND),
    ("does not exist or you do not have access", Reason.MODEL_NOT_FOUND),
    ("insufficient balance", Reason.QUOTA),
    ("insufficient credit", Reason.QUOTA),
    ("out of credits", Reason.QUOTA),
    ("no credits", Reason.QUOTA),
    ("credit balance is too low", Reason.QUOTA),
    ("spend limit", Reason.QUOTA),
    ("spending limit", Reason.QUOTA),
    ("api usage limit", Reason.QUOTA),
    ("weekly usage limit", Reason.QUOTA),
    ("calls / month", Reason.QUOTA),
    ("requires a subscription", Reason.QUOTA),
    (_GOOGLES, Reason.QUOTA),
    ("api key not valid", Reason.AUTH),
    ("api key expired", Reason.AUTH),
    ("model identifier is invalid", Reason.MODEL_NOT_FOUND),
    ("user location is not supported", Reason.BLOCKED),
    ("not available in your country", Reason.BLOCKED),
    ("enable billing", Reason.QUOTA),
    ("overloaded", Reason.OVERLOADED),
    ("too busy", Reason.OVERLOADED),
    ("server busy", Reason.OVERLOADED),
    ("at capacity", Reason.OVERLOADED),
    ("high demand", Reason.OVERLOADED),
    ("rate-limited upstream", Reason.OVERLOADED),
    ("loading model", Reason.OVERLOADED),
)

STATUSES: Mapping[int, Reason] = {
    **dict.fromkeys(
        (400, 404, 405, 406, 409, 410, 411, 413, 414, 415, 422, 431), Reason.BAD_REQUEST
    ),
    **dict.fromkeys((401, 403, 407), Reason.AUTH),
    **dict.fromkeys((402, 412), Reason.QUOTA),
    **dict.fromkeys((408, 424, 499), Reason.SERVER_ERROR),
    429: Reason.RATE_LIMITED,
    451: Reason.BLOCKED,
    **dict.fromkeys((498, 503, 529), Reason.OVERLOADED),
}

#: Statuses of a dialect that gives none a meaning of its own.
COMMON: Mapping[int, Reason] = {}

#: Words are only believed where the status leaves room for them: a 401 that says "overloaded"
#: in its help text is still about the key.
_WORDLESS = frozenset({401, 451})
#: Reasons that lie with whoever asked, which for a gateway's 5xx is the gateway.
_OURS = frozenset({Reason.MODEL_NOT_FOUND, Reason.AUTH, Reason.BAD_REQUEST})
#: What a code says may be corrected by words if it says one of these.
_CORRECTABLE: frozenset[Reason | None] = frozenset({None, Reason.RATE_LIMITED, Reason.BAD_REQUEST})


def blocked_by(status: int, headers: Mapping[str, str], body: bytes) -> str | None:
    """The bot wall that answered instead of the service, or None.

    Decided on the walls' own headers (equality, any status: challenges were seen on 403, 429 and
    202), and on the challenge script in an error page.  A word such as "cloudflare" proves
    nothing: healthy pages name it in their content security policy.
    """
    if headers.get("cf-mitigated", "").strip().lower() == "challenge":
        return "Cloudflare challenge (cf-mitigated)"
    if headers.get("x-vercel-mitigated", "").strip().lower() in {"challenge", "deny"}:
        return "Vercel challenge (x-vercel-mitigated)"
    if headers.get("x-amzn-waf-action", "").strip().lower() in {"challenge", "captcha"}:
        return "AWS WAF challenge (x-amzn-waf-action)"
    if status in {403, 405, 429, 503} and b"/cdn-cgi/challenge-platform/" in body:
        return "Cloudflare challenge page"
    if status == 403 and b"<title>just a moment" in body.lower():
        return "Cloudflare challenge page"
    if status == 403 and b"<title>attention required! | cloudflare" in body.lower():
        return "Cloudflare block page"
    return None


def explain(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    own: Mapping[int, Reason] = COMMON,
) -> Problem:
    """The reason for an answer that is not a 2xx; `now` (Unix seconds) dates HTTP-date advice.

    `own` are the statuses that mean something of their own in the dialect.
    """
    wait = retry_after(headers, now)
    wall = blocked_by(status, headers, body)
    if wall:
        return Problem(Reason.BLOCKED, wall, wait, "the mark of a bot wall")
    try:
        document = decode(body)
    except ValueError:
        document = None
    found = _named(loose_complaint(document), headers)
    if 300 <= status < 400:
        to = headers.get("location", "?")
        return Problem(Reason.REDIRECTED, f"HTTP {status} to {to}", wait, f"status {status}")
    if found is None:
        reason = own.get(status) or _unspoken(status, headers, body)
        rule = f"status {status} without an error object"
        return Problem(reason, _page_text(status, body), wait, rule)
    told = _told(found, status, headers)
    reason, rule = told or (own.get(status) or _by_status(status), f"status {status}")
    said = f"HTTP {status}: {shorten(found.message)}"
    return Problem(reason, said, wait if wait is not None else found.retry_after, rule)


def explain_in_band(found: Complaint, *, streaming: bool) -> Problem:
    """The reason for an error object under a 2xx.

    Overload and our own account are told by code or words.  Any other error in a started stream
    is `stream_error`; as a whole body (`streaming` false) its numeric code counts as the status
    that the gateway should have sent (OpenRouter documents this).
    """
    told = _spoken(found)
    if told is None and found.number is not None and found.number in STATUSES:
        by_status = STATUSES[found.number]
        if not streaming or by_status is not Reason.SERVER_ERROR:
            told = by_status, f"the error's number {found.number}, read as a status"
    if told is None and "invalid_request_error" in found.codes:
        # Too loose a type to be believed beside a status, but here there is none.
        told = Reason.BAD_REQUEST, "the error's code 'invalid_request_error'"
    if told is None:
        broken = Reason.STREAM_ERROR if streaming else Reason.SERVER_ERROR
        told = broken, "an error object under 200"
    said = f"error under 200: {shorten(found.message)}"
    return Problem(told[0], said, found.retry_after, told[1])


def _named(found: Complaint | None, headers: Mapping[str, str]) -> Complaint | None:
    """The complaint with the name that AWS gives it in a header: the body may hold words only."""
    name = headers.get("x-amzn-errortype", "")
    if not name:
        return found
    known = found or Complaint((), name)
    return replace(known, codes=(code_name(name), *known.codes))


def _told(found: Complaint, status: int, headers: Mapping[str, str]) -> Told | None:
    """What the answer says beyond its status."""
    if status == 402 and "retry-after" in headers:
        # OpenRouter's in-flight budget: a 402 that only asks to wait.
        return Reason.RATE_LIMITED, "status 402 with retry-after"
    spoken = _spoken(found) if status not in _WORDLESS else None
    if status >= 500 and spoken and spoken[0] in _OURS:
        # A gateway's 500 that wraps an upstream's refusal is the gateway's own affair (LiteLLM).
        spoken = None
    if spoken is not None:
        return spoken
    text = found.message.lower()
    if status == 404 and any(word in text for word in ("model", "deployment")):
        return Reason.MODEL_NOT_FOUND, "status 404 that speaks of a model"
    if status == 403 and any(word in text for word in ("country", "region", "territory")):
        return Reason.BLOCKED, "status 403 that speaks of a place"
    return None


def _spoken(found: Complaint) -> Told | None:
    """What the complaint itself says.

    A message may correct a code only towards money or capacity: DeepSeek's 402 carries the code
    `invalid_request_error`, Anthropic reported overload as `api_error`.
    """
    text = found.message.lower()
    if "resource_exhausted" in found.codes:
        text = text.replace(_GOOGLES, "")
    words = next(((said, f"the words {word!r}") for word, said in WORDS if word in text), None)
    code = next((code for code in found.codes if code in CODES), None)
    meant = CODES[code] if code else None
    if words is not None and meant in _CORRECTABLE:
        return words
    return (meant, f"the error's code {code!r}") if meant else None


def _by_status(status: int) -> Reason:
    if status in STATUSES:
        return STATUSES[status]
    if status >= 500:
        return Reason.SERVER_ERROR
    return Reason.UNEXPECTED_STATUS


def _unspoken(status: int, headers: Mapping[str, str], body: bytes) -> Reason:
    """An error answer without an error object: a page of an edge or gateway, or plain text."""
    text = body[:2048].decode("utf-8", "replace").lower()
    html = "html" in headers.get("content-type", "") or "<html" in text
    if status == 403 and html:
        return Reason.BLOCKED
    if status in {429, 500} and any(word in text for word in ("overloaded", "too busy")):
        return Reason.OVERLOADED
    return _by_status(status)


def _page_text(status: int, body: bytes) -> str:
    text = body[:4096].decode("utf-8", "replace")
    start = text.lower().find("<title>")
    if start >= 0:
        text = text[start + 7 :].partition("</")[0]
    text = shorten(text, 120)
    return f"HTTP {status}: {text}" if text else f"HTTP {status} with an empty body"


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds the provider asks us to wait: `retry-after-ms`, seconds or an HTTP date."""
    milliseconds = seconds(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "").strip()
    plain = seconds(text)
    if plain is not None or not text:
        return plain
    try:
        at: datetime = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return max(0.0, at.timestamp() - now)
