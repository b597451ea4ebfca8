"""`monitor once --trace`: what was on the wire, when, how it was read, and the rule that decided.

It settles "is it them or your parser?": every event stands beside what was made of it, so that
nobody has to believe the verdict.  Pure; secrets are taken out here, before anybody sees a line.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from monitor.dialects import DIALECTS, Dialect
from monitor.dialects.signals import (
    Channel,
    Done,
    Finish,
    Identity,
    Output,
    Problem,
    Request,
    Signal,
    Usage,
)
from monitor.dialects.sse import Event, TooLargeError
from monitor.judge.reply import Stamp
from monitor.model import Attempt, Check
from monitor.probe.chat import check_secrets
from monitor.probe.exchange import Exchange
from monitor.redact import MARK, redact, redact_cut

READS_SHOWN = 400
"""Reads of one body that are shown at most, half of them from its end."""
LINE_SHOWN = 400

#: Request headers that say nothing secret; the values of all others are hidden.
_HARMLESS = frozenset(
    {"accept", "accept-encoding", "anthropic-version", "content-type", "user-agent", "x-amz-date"}
)
_COOKIES = frozenset({"set-cookie", "set-cookie2"})
_UNPRINTABLE = dict.fromkeys(
    {*range(32), *range(127, 160), *range(0xD800, 0xE000)} - {ord("\n")}, "\N{MIDDLE DOT}"
)


class Tape(NamedTuple):
    """One exchange as it was: what was asked, and all that came back."""

    request: Request
    seen: Exchange


class Line(NamedTuple):
    """`at` is in seconds from the start; None continues the line before."""

    at: float | None
    mark: str
    text: str


def trace(check: Check, tapes: Iterable[Tape], attempt: Attempt) -> str:
    """The time line of one attempt: `*` connection, `>` sent, `<` received, `=` what it meant."""
    lines: list[Line] = []
    start = attempt.started.mono
    for tape in tapes:
        lines += _exchange(check, tape, start)
    lines += _verdict(attempt)
    secrets = check_secrets(check)
    told = [_told(line._replace(text=redact_cut(line.text, secrets))) for line in lines]
    return "\n".join([f"── {check.name}  {check.protocol or check.mode}", *told, ""])


def _told(line: Line) -> str:
    clock = " " * 11 if line.at is None else f"{line.at:9.6f} s"
    text = line.text.translate(_UNPRINTABLE)
    if len(text) > LINE_SHOWN:
        text = f"{text[:LINE_SHOWN]}… ({len(text)} characters)"
    return f"{clock} {line.mark} {text}".rstrip()


# ------------------------------------------------------------------------------ one exchange


def _exchange(check: Check, tape: Tape, start: float) -> Iterator[Line]:
    seen = tape.seen
    yield from _connection(seen, start)
    if seen.sent is not None:
        yield Line(seen.sent - start, ">", f"{tape.request.method} {tape.request.url}")
        yield from _request(tape.request)
    if seen.head_at is not None:
        yield Line(seen.head_at - start, "<", f"HTTP {seen.status}")
        for name, value in seen.headers.items():
            yield Line(None, "<", f"{name}: {MARK if name in _COOKIES else value}")
        yield from _body(check, seen, start)


def _connection(seen: Exchange, start: float) -> Iterator[Line]:
    wire, phases = seen.wire, seen.connection_phases()
    if phases.dns is not None and wire.dns_ended is not None:
        yield Line(wire.dns_ended - start, "*", f"name resolved in {_ms(phases.dns)}")
    if phases.connect is not None:
        at = wire.tls_started or wire.connected or wire.started
        yield Line(at - start, "*", f"TCP connected in {_ms(phases.connect)}")
    if phases.tls is not None and wire.tls_ended is not None:
        yield Line(wire.tls_ended - start, "*", f"TLS handshake in {_ms(phases.tls)}")


def _request(request: Request) -> Iterator[Line]:
    for name, value in request.headers.items():
        harmless = name.lower() in _HARMLESS
        yield Line(None, ">", f"{name}: {value if harmless else MARK}")
    if request.body:
        yield Line(None, ">", _text(request.body))


def _body(check: Check, seen: Exchange, start: float) -> Iterator[Line]:
    reads = seen.reads or []
    if not reads:
        return
    if _holds_secret(check, reads):
        size = sum(len(data) for _, data in reads)
        yield Line(
            reads[0][0].at - start, "<", f"{MARK}: a body of {size} bytes with a secret in it"
        )
        return
    reader = _reader(check, seen.status, seen.headers)
    for place, (stamp, data) in enumerate(reads):
        meant = list(reader.feed(data)) if reader else []
        if READS_SHOWN // 2 <= place < len(reads) - READS_SHOWN // 2:
            if place == READS_SHOWN // 2:
                yield Line(None, "…", f"{len(reads) - READS_SHOWN} more reads like these")
            continue
        yield from _read(data, stamp, start)
        yield from (Line(None, "·", words) for words in meant)
    if reader:
        yield from (Line(None, "·", words) for words in reader.finish())


def _read(data: bytes, stamp: Stamp, start: float) -> Iterator[Line]:
    first, *rest = _text(data).split("\n")
    yield Line(stamp.at - start, "<", first)
    yield from (Line(None, "<", text) for text in rest if text)


def _holds_secret(check: Check, reads: list[tuple[Stamp, bytes]]) -> bool:
    """Whether a secret is spread over reads or outputs, where no line of its own would show it."""
    secrets = check_secrets(check)
    parts = [redact(_text(data), secrets) for _, data in reads]
    whole = "".join(parts)
    spoken = ""
    if check.protocol:
        spoken = "".join(_outputs(DIALECTS[check.protocol], [data for _, data in reads]))
    return redact(whole, secrets) != whole or redact(spoken, secrets) != spoken


def _outputs(dialect: Dialect, reads: list[bytes]) -> Iterator[str]:
    decoder = dialect.framing()
    with contextlib.suppress(TooLargeError):
        for event in (event for data in reads for event in decoder.feed(data)):
            with contextlib.suppress(ValueError):
                yield from (s.text for s in dialect.read(event) if isinstance(s, Output))


# --------------------------------------------------------------------------- what was made of it


class _Reader:
    """Reads a body a second time, beside its bytes, and says what each event was taken for."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._decoder = dialect.framing()
        self._broken = False
        self._known: Identity | None = None

    def feed(self, data: bytes) -> Iterator[str]:
        return self._words(lambda: self._decoder.feed(data))

    def finish(self) -> Iterator[str]:
        return self._words(self._decoder.finish)

    def _words(self, events: Callable[[], list[Event]]) -> Iterator[str]:
        if self._broken:
            return
        try:
            for event in events():
                news = [s for s in self._dialect.read(event) if s != self._known]
                self._known = next((s for s in news if isinstance(s, Identity)), self._known)
                yield ", ".join(map(meaning, news)) or "nothing that counts"
        except (TooLargeError, ValueError) as error:
            self._broken = True
            yield f"cannot be read: {error}"


def _reader(check: Check, status: int | None, headers: Mapping[str, str]) -> _Reader | None:
    """What reads the body, if the body is read as a stream."""
    if check.protocol is None or status is None or not 200 <= status < 300:
        return None
    dialect = DIALECTS[check.protocol]
    return _Reader(dialect) if dialect.streams(headers.get("content-type", "")) else None


def meaning(signal: Signal) -> str:
    """A signal in words for people."""
    match signal:
        case Output(text, channel):
            kind = "thinking" if channel is Channel.REASONING else "answer"
            return f"{kind} {text!r}"
        case Usage(tokens):
            return f"usage: {tokens.input} in, {tokens.output} out"
        case Finish(ending, said):
            return f"finish {said!r} ({ending})"
        case Done():
            return "the terminal marker"
        case Identity(model, request_id):
            return "from " + " ".join(filter(None, (model, request_id)))
        case Problem(reason, said):
            return f"{reason}: {said}"


def _verdict(attempt: Attempt) -> Iterator[Line]:
    reason = f" {attempt.reason}" if attempt.reason else ""
    yield Line(attempt.seconds, "=", f"{attempt.verdict}{reason}")
    for name, value in (("decided by", attempt.rule), ("detail", attempt.detail)):
        if value:
            yield Line(None, "=", f"{name}: {value}")
    phases = attempt.phases
    if phases.first_token is not None:
        yield Line(
            None, "=", f"first token {_ms(phases.first_token)} after the request was written"
        )
    if phases.first_answer is not None:
        yield Line(None, "=", f"first visible text {_ms(phases.first_answer)} after it")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\r\n", "\n")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3f} ms"
