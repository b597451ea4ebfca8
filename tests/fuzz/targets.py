"""What is fed with broken bytes, and what must hold whatever they are.

A target takes one input and raises where something does not hold; the input alone decides all that
is random about it, so that a finding can be run again.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from monitor.config import ConfigErrors, Document, parse
from monitor.config.tree import read_tree
from monitor.dialects import DIALECTS, Dialect
from monitor.dialects.event_stream import EventStream
from monitor.dialects.headers import headroom, request_id
from monitor.dialects.loose_sse import LooseSSE
from monitor.dialects.ndjson import NDJSON
from monitor.dialects.signals import Request
from monitor.dialects.sse import SSE, Event, TooLargeError
from monitor.judge.pages import chat_finding, reach_finding, web_finding
from monitor.judge.reply import Reply, Stamp
from monitor.judge.verdict import Finding
from monitor.model import Attempt, Check, Mode, Moment, Reason, Verdict, WebExpect
from monitor.probe.chat import DETAIL_LIMIT, EVIDENCE_LIMIT, NAME_LIMIT, evidence, named, told
from monitor.probe.exchange import Exchange
from monitor.probe.wire import Wire
from monitor.trace import Tape, trace
from tests.fuzz.mutate import reads
from tests.making import ASKED, chat_check, expecting, web_check
from tests.transcripts import STREAMS, TRANSCRIPTS

ROOT = Path(__file__).parents[2]
AT = Stamp(1.0, 1.0, 1.0)
BROKEN = Finding(Reason.TRUNCATED, "cut")
WEB = web_check(page=WebExpect(regex="(a+)+$", header={"X-A": "^b"}, json={"a": [1]}))
KEY = "sk-canary-5f2b9c7e1a4d8036"


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads what strangers wrote."""

    name: str
    seeds: Sequence[bytes]
    feed: Callable[[bytes], object]
    """Raises where a promise is broken."""
    slice: int = 10_000
    """Inputs of one slice of work; a few seconds."""


@cache
def targets() -> Mapping[str, Target]:
    """All parsers, by name."""
    found = [_dialect(dialect) for dialect in DIALECTS.values()]
    found += [_framing(framing) for framing in (SSE, LooseSSE, NDJSON, EventStream)]
    found += [Target("pages", _pages(), feed_page), Target("config", _configs(), feed_config, 500)]
    return {target.name: target for target in found}


# -------------------------------------------------------------------------------- what must hold


def hold(true: bool, what: str) -> None:
    """An assertion that no optimisation takes out."""
    if not true:
        raise AssertionError(what)


def sane(check: Check, finding: Finding, wait: float | None = None) -> None:
    """A finding can be told to people, written down and acted on."""
    hold((finding.reason is None) == (finding.verdict == "ok"), "a verdict without its reason")
    hold(finding.reason is not Reason.INTERNAL, "a bug of ours")
    hold(finding.reason is None or bool(finding.detail), "a reason without words")
    for words in (told(check, finding.detail), told(check, finding.rule)):
        presentable(words, DETAIL_LIMIT)
    hold(wait is None or 0 <= wait < 1e12, f"advice to wait {wait!r} s")


def presentable(words: str | None, limit: int) -> None:
    """Text of a stranger that pages, terminals and files can take."""
    if words is not None:
        hold(len(words) <= limit, f"{len(words)} characters, {limit} allowed")
        words.encode()  # no lone surrogates
        hold("\x1b" not in words and "\0" not in words, "a control character")


def sane_attempt(seen: Attempt) -> None:
    """The same for what a whole probe says."""
    for words, limit in (
        (seen.detail, DETAIL_LIMIT),
        (seen.rule, DETAIL_LIMIT),
        (seen.request_id, NAME_LIMIT),
        (seen.model, NAME_LIMIT),
        (seen.evidence, EVIDENCE_LIMIT),
    ):
        presentable(words, limit)
    hold((seen.reason is None) == (seen.verdict == "ok"), "a verdict without its reason")
    hold(seen.reason is not Reason.INTERNAL, "a bug of ours")


# ------------------------------------------------------------------------------------- dialects


def _dialect(dialect: Dialect) -> Target:
    own = [one.body for one in STREAMS if one.dialect is dialect]
    return Target(dialect.name, own, lambda data: feed_dialect(dialect, data))


def feed_dialect(dialect: Dialect, data: bytes) -> None:
    """One streamed answer, in one piece and cut: the same facts, and a finding each."""
    die = random.Random(zlib.crc32(data))
    pieces = reads(die, data)
    whole, cut = fed(dialect, [data]), fed(dialect, pieces)
    hold(facts(whole) == facts(cut), "cut into reads it means something else")
    check = chat_check(protocol=dialect.name, done_marker=die.random() < 0.8, expect=_demand(die))
    for broken in (None, BROKEN):
        seen, wait = chat_finding(check, ASKED, 200, {}, None, whole, broken, 1.8e9)
        sane(check, seen, wait)
        whole_answer = whole.done or (not check.done_marker and whole.finish is not None)
        hold(seen.verdict != "ok" or whole_answer, "ok without the end of the answer")
    if die.random() < 0.1:
        traced(check, pieces)


def _demand(die: random.Random) -> object:
    return die.choice((expecting(), expecting("json", {"a": [1]}), expecting("regex", "(a|a)+$")))


def fed(dialect: Dialect, pieces: Sequence[bytes]) -> Reply:
    reply = Reply(dialect)
    if not any(reply.feed(piece, AT) for piece in pieces):
        reply.end(AT)
    return reply


def facts(reply: Reply) -> tuple[object, ...]:
    return (reply.answer, reply.outputs, reply.reasoned, reply.finish, reply.tokens,
            reply.identity, reply.done, reply.problem)  # fmt: skip


def traced(check: Check, pieces: Sequence[bytes]) -> None:
    """What `once --trace` would print of it."""
    seen = Exchange(Wire(), status=200, headers={}, reads=[(AT, piece) for piece in pieces])
    seen.said = b"".join(pieces)[:4096]
    seen.sent, seen.head_at = 0.5, 0.9
    at = Moment(1.0, 1.0)
    attempt = Attempt(check.name, at, at, Verdict.FAILED, Reason.TRUNCATED, "cut")
    text = trace(check, [Tape(Request("POST", check.url, {}), seen)], attempt)
    text.encode()
    hold("\x1b" not in text, "a control character in a trace")
    presentable(evidence(check, BROKEN, seen), EVIDENCE_LIMIT)


# ------------------------------------------------------------------------------------- framings


def _framing(framing: type[SSE] | type[LooseSSE] | type[NDJSON] | type[EventStream]) -> Target:
    own = [one.body for one in STREAMS if one.dialect.framing is framing]
    own = own or [one.body for one in STREAMS if one.dialect.framing is SSE]

    def feed(data: bytes) -> None:
        whole = events(framing(limit=4096), [data])
        cut = events(framing(limit=4096), reads(random.Random(zlib.crc32(data)), data))
        if whole is not None and cut is not None:
            hold(whole == cut, "cut into reads it holds other events")
            size = sum(len(event.data) for event in whole)
            hold(size <= len(data) + 64, f"{size} bytes of events from {len(data)}")

    return Target(f"framing {framing.__name__}", own, feed)


def events(
    framing: SSE | LooseSSE | NDJSON | EventStream, pieces: Sequence[bytes]
) -> list[Event] | None:
    """None where the bound was reached; what is held back never goes past it."""
    found: list[Event] = []
    try:
        for piece in pieces:
            found += framing.feed(piece)
            held = len(framing.pending)
            # A frame's bytes may all be there before its length is looked at.
            hold(held <= 3 * 4096 + len(piece), f"{held} bytes held back")
        return found + framing.finish()
    except TooLargeError:
        return None


# ---------------------------------------------------------------------------------------- pages

_HEADS = (
    b"retry-after: Fri, 31 Dec 9999 23:59:59 -0000",
    b"retry-after: 1e400",
    b"retry-after-ms: 250\nx-ratelimit-limit-requests: 0\nx-ratelimit-remaining-requests: nan",
    b"location: //[::1\nx-request-id: \xff\xfe\x1b[2J",
    b"cf-mitigated: challenge",
    b"content-type: text/html; charset=\xff",
    b"x-amzn-errortype: ThrottlingException:http://x/",
)


def _pages() -> list[bytes]:
    """As `status`, headers, a blank line and the body."""
    seeds = [
        b"%d %s\n%s\n\n%s"
        % (
            one.status,
            one.dialect.name.encode(),
            "\n".join(f"{name}: {value}" for name, value in one.headers.items()).encode(),
            one.body,
        )
        for one in TRANSCRIPTS
        if not one.streams
    ]
    return seeds + [b'500 cohere\n%s\n\n{"error":{"message":"m"}}' % head for head in _HEADS]


def feed_page(data: bytes) -> None:
    """An answer that is no stream, as a chat's, a keyless look's and a page's."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    digits, _, name = first.partition(b" ")
    status = int(digits) if digits.isdigit() and len(digits) == 3 else 500
    dialect = DIALECTS.get(name.decode("ascii", "replace"), DIALECTS["openai-chat"])
    # As the HTTP library hands headers over.
    pairs = (line.decode("utf-8", "surrogateescape").partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    check = chat_check(protocol=dialect.name)
    seen, wait = chat_finding(
        check, ASKED, status, headers, body, Reply(dialect), None, 1_795_000_000.0
    )
    sane(check, seen, wait)
    sane(check, reach_finding(status, headers, body, 1_795_000_000.0))
    sane(WEB, web_finding(WEB.page, status, headers, body))
    presentable(named(check, request_id(headers)), NAME_LIMIT)
    for left in headroom(headers).values():
        hold(0 <= left <= 1, f"{left!r} of a rate limit left")


# --------------------------------------------------------------------------------------- config


def _configs() -> list[bytes]:
    files = [*ROOT.glob("tests/configs/*/*.yaml"), ROOT / "checks.yaml"]
    # Just under the bound of aliases a file costs a second, and minutes under watch.
    files = [path for path in files if path.name != "alias-bomb.yaml"]
    keyed = f"checks:\n  - {{provider: deepseek, api_key: {KEY}, headers: {{X-A: '{KEY}'}}}}\n"
    return [path.read_bytes() for path in sorted(files)] + [keyed.encode()]


def feed_config(data: bytes) -> None:
    """Text of a `checks.yaml`: a configuration or errors that can be shown, nothing else."""
    tree = read_tree(data.decode("utf-8", "replace"))
    document = Document("c.yaml", tree.data, tree.line_of, Path(), tree.flaws)
    try:
        config = parse([document], {"SET": "a value", "SIXTY": "60"}, _no_file)
    except ConfigErrors as bad:
        hold(bool(bad.errors), "refused without a word")
        for error in bad.errors:
            str(error).encode()
            hold(error.line >= 1, "no line")
            hold(len(str(error)) < 4000, f"an error of {len(str(error))} characters")
            hold(KEY not in str(error), "a key in an error")
    else:
        hold(bool(config.checks), "no check and no error")
        hold(KEY not in repr(config), "a key in a repr")
        for warning in config.warnings:
            hold(KEY not in warning, "a key in a warning")
        hold(all(isinstance(check.mode, Mode) for check in config.checks), "no mode")


def _no_file(_path: Path) -> bytes:
    raise FileNotFoundError(2, "No such file or directory")
