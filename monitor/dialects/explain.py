"""Error answers of every dialect: status, headers and body in, one `Problem` out.

Order of evidence: a bot wall's header, then what the body's code or type says, then its words,
then the status.  The words matter because vendors put money, capacity and keys under the same
status (429 alone has four meanings) and sometimes under a misleading code.
"""

from __future__ import annotations

import re
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
from monitor.dialects.meanings import CODES, GOOGLES, STATUSES, WORDS
from monitor.dialects.signals import Problem
from monitor.model import Reason

Told = tuple[Reason, str]
"""A reason, and what gave it away."""

#: Statuses of a dialect that gives none a meaning of its own.
COMMON: Mapping[int, Reason] = {}

#: Words are only believed where the status leaves room for them: a 401 that says "overloaded"
#: in its help text is still about the key.
_WORDLESS = frozenset({401, 451})
#: Reasons that lie with whoever asked, which for a gateway's 5xx is the gateway.
_OURS = frozenset({Reason.MODEL_NOT_FOUND, Reason.AUTH, Reason.BAD_REQUEST})
#: What a code says may be corrected by words if it says one of these.
_CORRECTABLE: frozenset[Reason | None] = frozenset({None, Reason.RATE_LIMITED, Reason.BAD_REQUEST})


#: How Cloudflare refuses a client that is no browser: in plain text, as a page or as JSON.
_CLOUDFLARE = re.compile(rb"error(?: code:)? (10\d\d)\b", re.IGNORECASE)


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
    if status == 403 and (code := _CLOUDFLARE.search(body[:4096])):
        return f"Cloudflare error {code[1].decode()}"
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
    late = None
    if told is None and found.number is not None and found.number in STATUSES:
        by_status = STATUSES[found.number]
        if not streaming or by_status is not Reason.SERVER_ERROR:
            told = by_status, f"the error's number {found.number}, read as a status"
            # vLLM calls whatever broke a running answer 400: a request half answered was good.
            late = Reason.STREAM_ERROR if by_status is Reason.BAD_REQUEST else None
    if told is None and "invalid_request_error" in found.codes:
        # Too loose a type to be believed beside a status, but here there is none.
        told = Reason.BAD_REQUEST, "the error's code 'invalid_request_error'"
    if told is None:
        broken = Reason.STREAM_ERROR if streaming else Reason.SERVER_ERROR
        told = broken, "an error object under 200"
    said = f"error under 200: {shorten(found.message)}"
    return Problem(told[0], said, found.retry_after, told[1], late)


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
    if status == 403 and any(word in text for word in ("max_tokens", "too long")):
        return Reason.BAD_REQUEST, "status 403 that speaks of length"  # Together
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
        text = text.replace(GOOGLES, "")
    words = next(((said, f"the words {word!r}") for word, said in WORDS if word in text), None)
    code = next((code for code in found.codes if _meaning(code)), "")
    meant = _meaning(code)
    if words is not None and meant in _CORRECTABLE:
        return words
    return (meant, f"the error's code {code!r}") if meant else None


def _meaning(code: str) -> Reason | None:
    """What a code means; DashScope's throttling has a dozen names after the dot."""
    return CODES.get(code) or CODES.get(code.partition(".")[0])


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
