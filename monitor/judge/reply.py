"""The streamed answer of one chat attempt as it grows: bytes and their times in, facts out."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from monitor.dialects import Dialect
from monitor.dialects.signals import (
    Channel,
    Done,
    Ending,
    Finish,
    Identity,
    Output,
    Problem,
    Signal,
    Usage,
)
from monitor.dialects.sse import PIECES, Event, TooLargeError
from monitor.judge.aloud import Opening, after_thinking
from monitor.model import Reason, Tokens

ANSWER_LIMIT = 64 * 1024
"""Characters of visible answer that are kept; a probe asks for a few."""
_GOOD = (Ending.COMPLETE, Ending.LENGTH)


class Stamp(NamedTuple):
    """When bytes arrived, in monotonic seconds.

    `at` is the kernel's time of the last byte, `read` the moment our process read it, and `since`
    the earliest moment at which the first of the bytes can have arrived.
    """

    at: float
    read: float
    since: float


class Reply:
    """Accumulates one answer; `feed` says when nothing more is worth reading."""

    __slots__ = (
        "_answer_size",
        "_decoder",
        "_opening",
        "answer_at",
        "answer_uncertainty",
        "answers",
        "dialect",
        "done",
        "finish",
        "first_at",
        "identity",
        "last_at",
        "outputs",
        "problem",
        "reasoned",
        "stall",
        "tokens",
        "uncertainty",
        "widest",
    )

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._decoder = dialect.framing()
        self._opening = Opening()
        self._answer_size = 0
        self.answers: list[str] = []
        self.reasoned = False
        self.outputs = 0
        self.first_at: Stamp | None = None
        self.answer_at: Stamp | None = None
        self.last_at: Stamp | None = None
        self.stall: float | None = None
        self.uncertainty = self.answer_uncertainty = self.widest = 0.0
        """How much earlier than stamped an output may have arrived: the first, the first of the
        answer, any."""
        self.finish: Finish | None = None
        self.tokens: Tokens | None = None
        self.identity = Identity()
        self.done = False
        self.problem: Problem | None = None

    @property
    def answer(self) -> str:
        """The visible answer so far, without what was thought aloud before it."""
        return after_thinking("".join(self.answers))

    def feed(self, data: bytes, stamp: Stamp) -> bool:
        """Take in bytes; true when the verdict no longer depends on what follows."""
        try:
            events = self._decoder.feed(data)
        except TooLargeError as error:
            self.problem = Problem(Reason.TOO_LARGE, str(error), rule="the size of an event")
            return True
        return self._events(events, data, stamp)

    def end(self, stamp: Stamp) -> bool:
        """Take in the clean end of the body, which some framings and dialects are waiting for."""
        try:
            events = self._decoder.finish()
        except TooLargeError as error:
            self.problem = Problem(Reason.TOO_LARGE, str(error), rule="the size of an event")
            return True
        if self._events(events, b"", stamp):
            return True
        if self.dialect.ends_by_eof and self.finish is not None and not self._decoder.pending:
            self.done = True
        return self.done

    def _events(self, events: list[Event], data: bytes, stamp: Stamp) -> bool:
        last = len(events) - 1
        for place, event in enumerate(events):
            try:
                signals = self.dialect.read(event)
            except ValueError as error:
                self.problem = Problem(
                    Reason.MALFORMED,
                    f"an event that does not decode: {str(error)[:120]}",
                    rule="every event must decode",
                )
                return True
            width = stamp.at - stamp.since
            if width and place == last and _ends(data, event):
                width = 0.0  # the stamp is that of its very last byte
            for signal in signals:
                self.take(signal, stamp, width)
                if self.done or self.problem:
                    return True
        return False

    def take(self, signal: Signal, stamp: Stamp, width: float = 0.0) -> None:
        """Take in what an event said that came at `stamp`, or up to `width` seconds before it."""
        if isinstance(signal, Output):
            self._output(signal, stamp, width)
            return
        match signal:
            case Usage(tokens):
                self.tokens = _updated(self.tokens, tokens)
            case Finish():
                # A good one does not make up for a bad one before it.
                if self.finish is None or self.finish.ending in _GOOD:
                    self.finish = signal
            case Done():
                self.done = True
            case Identity(model, request_id):
                known = self.identity
                if known.model is None or known.request_id is None:
                    self.identity = Identity(known.model or model, known.request_id or request_id)
            case Problem(late=late):
                self.problem = replace(signal, reason=late) if late and self.outputs else signal

    def _output(self, output: Output, stamp: Stamp, width: float) -> None:
        self.outputs += 1
        if width > self.widest:
            self.widest = width
        if self.last_at is None:
            self.first_at = stamp
            self.uncertainty = width
        else:
            silence = stamp.at - self.last_at.at
            if self.stall is None or silence > self.stall:
                self.stall = silence
        self.last_at = stamp
        text = output.text
        if output.channel is Channel.REASONING:
            self.reasoned = True
            return
        if self._answer_size < ANSWER_LIMIT:
            self.answers.append(text)
            self._answer_size += len(text)
            if len(self.answers) > PIECES:  # each takes memory of its own
                self.answers = ["".join(self.answers)]
        if self.answer_at is None and self._opening.is_over(text):
            self.answer_at = stamp
            self.answer_uncertainty = width
        self.reasoned = self.reasoned or self._opening.aloud


def _ends(data: bytes, event: Event) -> bool:
    """Whether nothing but the ends of lines came after `event` in the read `data`.

    What follows came later, and the stamp is that of the last byte.  Binary frames end in a
    checksum, and so never seem to be the end: their times are only less certain than they might be.
    """
    tail = data.rstrip(b"\r\n")
    size = min(len(tail), len(event.data))
    return tail[len(tail) - size :] == event.data[len(event.data) - size :]


def _updated(before: Tokens | None, now: Tokens) -> Tokens:
    """Usage told in parts: the last word counts (Gemini repeats its sums as they grow), and what
    is not said again stays (Anthropic tells the input first and the output last)."""
    if before is None:
        return now
    return Tokens(
        input=before.input if now.input is None else now.input,
        output=before.output if now.output is None else now.output,
        reasoning=before.reasoning if now.reasoning is None else now.reasoning,
        cached=before.cached if now.cached is None else now.cached,
    )
