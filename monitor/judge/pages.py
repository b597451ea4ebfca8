"""Answers that are no stream: error statuses, pages, bot walls.  Pure."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.dialects.complaints import complaint, decode, shorten
from monitor.dialects.explain import blocked_by, explain, explain_in_band
from monitor.judge.expect import Question, json_mismatch, shown
from monitor.judge.patterns import unmatched
from monitor.judge.reply import Reply
from monitor.judge.verdict import Finding, stream_finding
from monitor.model import Check, Reason, WebExpect

#: Keys by which an answer is known that came in one piece, in any protocol; as a list of pieces
#: Gemini sends it without `alt=sse`.
WHOLE = frozenset({"choices", "object", "candidates", "content", "output", "done", "finish_reason"})

Advised = tuple[Finding, float | None]
"""A finding, and the seconds that the provider asks us to wait."""


def chat_finding(
    check: Check,
    asked: Question,
    status: int,
    headers: Mapping[str, str],
    page: bytes | None,
    reply: Reply,
    broken: Finding | None,
    now: float,
) -> Advised:
    """What an answer to a chat request showed, its speed aside.

    `page` is the body of an answer that is no stream, else None and `reply` holds the stream.
    """
    if not 200 <= status < 300:
        problem = explain(status, headers, page or b"", now, reply.dialect.statuses)
        return Finding(problem.reason, problem.said, problem.rule), problem.retry_after
    if page is not None:
        return _unstreamed(status, headers, page, broken)
    wait = reply.problem.retry_after if reply.problem else None
    return stream_finding(check, asked, reply, broken), wait


def _unstreamed(
    status: int, headers: Mapping[str, str], page: bytes, broken: Finding | None
) -> Advised:
    """A 2xx that is no stream: a wall, an error in disguise, or another protocol."""
    wall = blocked_by(status, headers, page)
    if wall:
        return Finding(Reason.BLOCKED, wall, "the mark of a bot wall"), None
    media = shorten(headers.get("content-type", "").partition(";")[0], 60) or "no content type"
    try:
        document = decode(page)
    except ValueError:
        return broken or _no_stream(status, media), None
    found = complaint(document)
    if found:
        problem = explain_in_band(found, streaming=False)
        return Finding(problem.reason, problem.said, problem.rule), problem.retry_after
    first = document[0] if isinstance(document, list) and document else document
    if isinstance(first, dict) and not WHOLE.isdisjoint(first):
        # The service works, but not as asked: whoever set the check up has to look at it.
        detail = f"a whole answer as {media} where a stream was asked for: check `url`, `protocol`"
        return Finding(Reason.BAD_REQUEST, detail, "a whole answer where a stream is due"), None
    return _no_stream(status, media), None


def _no_stream(status: int, media: str) -> Finding:
    said = f"HTTP {status} with {media}, no stream"
    return Finding(Reason.MALFORMED, said, "the content type of a stream")


def reach_finding(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Finding:
    """What a keyless look at an API's address showed: it answers, or it is in trouble.

    A refusal is an answer.  It never claims more than that: `limited`, not `up`.
    """
    if status >= 500:
        problem = explain(status, headers, body, now)
        return Finding(problem.reason, problem.said, problem.rule)
    wall = blocked_by(status, headers, body)
    if wall:
        return Finding(Reason.BLOCKED, wall, "the mark of a bot wall")
    return Finding(
        Reason.NO_KEY,
        f"the API answers (HTTP {status}); no key is set to chat with it",
        "any answer below 500",
    )


def web_finding(expect: WebExpect, status: int, headers: Mapping[str, str], body: bytes) -> Finding:
    """What a web page showed; every demand that fails names what was expected and seen."""
    wall = blocked_by(status, headers, body)
    if wall:
        return Finding(Reason.BLOCKED, wall, "the mark of a bot wall")
    if not any(low <= status <= high for low, high in expect.status):
        return Finding(_web_status(status), _status_detail(expect, status, headers), "the status")
    wrong = _header_mismatch(expect, headers) or _body_mismatch(expect, body)
    return Finding(Reason.WRONG_ANSWER, wrong, "`expect`") if wrong else Finding(rule="`expect`")


def _web_status(status: int) -> Reason:
    if status in {503, 529}:
        return Reason.OVERLOADED
    if status >= 500:
        return Reason.SERVER_ERROR
    if 300 <= status < 400:
        return Reason.REDIRECTED
    return Reason.RATE_LIMITED if status == 429 else Reason.UNEXPECTED_STATUS


def _status_detail(expect: WebExpect, status: int, headers: Mapping[str, str]) -> str:
    wanted = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in expect.status)
    target = headers.get("location")
    where = f" to {shorten(target, 120)}" if target and 300 <= status < 400 else ""
    return f"expected status {wanted}, seen {status}{where}"


def _header_mismatch(expect: WebExpect, headers: Mapping[str, str]) -> str | None:
    for name, pattern in expect.header.items():
        value = headers.get(name.lower())
        why = "no such header" if value is None else unmatched(pattern, value)
        if why:
            seen = shown(value or "")
            return f"expected header {name} to match {pattern!r}, seen {seen} ({why})"
    return None


def reads(expect: WebExpect) -> bool:
    """Whether anything is demanded of what stands in the page."""
    text = expect.contains or expect.not_contains or expect.regex
    return bool(text) or expect.json is not None


def _body_mismatch(expect: WebExpect, body: bytes) -> str | None:
    if not reads(expect):
        return None
    text = body.decode("utf-8", "replace")
    if expect.contains and expect.contains not in text:
        return f"expected the page to contain {expect.contains!r}, seen {shown(text)}"
    if expect.not_contains and expect.not_contains in text:
        return f"expected the page not to contain {expect.not_contains!r}, but it does"
    if expect.regex and (why := unmatched(expect.regex, text)):
        return f"expected the page to match {expect.regex!r}, seen {shown(text)} ({why})"
    return json_mismatch(expect.json, text) if expect.json is not None else None
