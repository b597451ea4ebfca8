"""From what an attempt saw to its reason: one finding, decided in a fixed order.

Order for a chat answer: an error the provider names, then a deadline, then the end of the stream,
then emptiness, then the answer itself, then speed.  An error in the stream beats the tokens that
came before it; tokens without the dialect's terminal marker are no success.
"""

from __future__ import annotations

from dataclasses import dataclass

from monitor.dialects.signals import Ending
from monitor.judge.expect import Question, is_visible, mismatch, shown
from monitor.judge.models import same_model
from monitor.judge.reply import Reply
from monitor.model import REASONS, Check, Phases, Reason, Verdict


@dataclass(frozen=True, slots=True)
class Finding:
    """Why an attempt was not `ok`, or that it was (`reason` None)."""

    reason: Reason | None = None
    detail: str | None = None
    rule: str = ""
    """What decided, in words for people."""

    @property
    def verdict(self) -> Verdict:
        return REASONS[self.reason][1] if self.reason else Verdict.OK


OK = Finding(rule="good status, stream, output, finish reason, terminal marker, right answer")


_FINISH = "the finish reason"


def stream_finding(check: Check, asked: Question, reply: Reply, broken: Finding | None) -> Finding:
    """What a streamed answer showed, its speed aside.

    `broken` is how reading ended if it neither reached the terminal marker nor the clean end of
    the body: a deadline, a cut connection, a body that is no HTTP.
    """
    if reply.problem:
        return Finding(reply.problem.reason, reply.problem.said, reply.problem.rule)
    if not reply.done:
        lenient = not check.done_marker and reply.finish is not None
        if not lenient:
            return broken or _unfinished(reply)
    return _ending_finding(reply) or _answer_finding(check, asked, reply)


def _unfinished(reply: Reply) -> Finding:
    if reply.finish:
        seen = f"finish reason {reply.finish.said!r}"
    elif reply.outputs:
        seen = f"{reply.outputs} pieces of output"
    else:
        seen = "no output"
    said = f"the stream ended without {reply.dialect.marker} after {seen}"
    return Finding(Reason.TRUNCATED, said, "the terminal marker")


def _ending_finding(reply: Reply) -> Finding | None:
    finish = reply.finish
    if finish is not None:
        if finish.ending is Ending.OVERLOADED:
            return Finding(Reason.OVERLOADED, f"finish reason {finish.said!r}", _FINISH)
        if finish.ending is Ending.BROKEN:
            return Finding(Reason.STREAM_ERROR, f"finish reason {shown(finish.said)}", _FINISH)
        if finish.ending is Ending.FILTERED:
            return Finding(Reason.FILTERED, f"finish reason {finish.said!r}", _FINISH)
    if not is_visible(reply.answer):
        return _empty_finding(reply)
    if finish is None:
        said = "the terminal marker came without a finish reason"
        return Finding(Reason.TRUNCATED, said, _FINISH)
    return None


def _empty_finding(reply: Reply) -> Finding:
    """No visible answer: the endpoint's fault, unless our token cap went into thinking.

    A cap that went into blanks is the endpoint's fault as well.
    """
    thought = reply.reasoned or bool(reply.tokens and reply.tokens.reasoning)
    capped = reply.finish is not None and reply.finish.ending is Ending.LENGTH
    if capped and (thought or not reply.answer):
        spent = "on thinking" if thought else "before any visible answer"
        return Finding(
            Reason.BAD_REQUEST,
            f"the token cap was spent {spent}: raise max_tokens or switch thinking off",
            "no visible answer, and the finish reason",
        )
    return Finding(Reason.EMPTY, "a complete answer with no visible text", "no visible answer")


def _answer_finding(check: Check, asked: Question, reply: Reply) -> Finding:
    wrong = mismatch(check.expect, asked, reply.answer)
    if wrong:
        return Finding(Reason.WRONG_ANSWER, wrong, "`expect`")
    wanted = check.expect.model
    seen = reply.identity.model
    if wanted and not same_model(wanted, seen or ""):
        answered = f"seen {shown(seen)}" if seen else "the answer does not tell its model"
        said = f"expected model {wanted!r}, {answered}"
        return Finding(Reason.WRONG_MODEL, said, "`expect.model`")
    return OK


def speed_finding(check: Check, phases: Phases, total: float, stalled: float = 0.0) -> Finding:
    """Whether a complete, right answer was slow; certain lateness only.

    A first token whose time is uncertain is taken at its earliest possible moment; an answer that
    was slow only with the `stalled` seconds of our own event loop tells nothing.
    """
    slow = check.slow
    if phases.first_token is not None:
        earliest = phases.first_token - phases.uncertainty
        if earliest > slow.first_token:
            return Finding(
                Reason.SLOW_FIRST_TOKEN,
                f"first token after {phases.first_token:.2f} s, limit {slow.first_token:g} s",
                "`slow.first_token`",
            )
    if total > slow.total:
        said = f"took {total:.2f} s, limit {slow.total:g} s"
        if total - stalled <= slow.total:
            said = f"{said}, {stalled:.2f} s of it for our own event loop"
            return Finding(Reason.STALLED, said, "the event loop's own clock")
        return Finding(Reason.SLOW_TOTAL, said, "`slow.total`")
    return OK
