"""The chat probe: ask one endpoint a tiny question and watch the answer stream in."""

from __future__ import annotations

import random
from dataclasses import replace
from urllib.parse import unquote

from monitor.dialects import DIALECTS
from monitor.dialects.complaints import shorten
from monitor.dialects.headers import headroom, request_id
from monitor.dialects.signals import Request
from monitor.judge.cost import cost
from monitor.judge.expect import Question, question
from monitor.judge.pages import Advised, chat_finding
from monitor.judge.reply import Reply
from monitor.judge.verdict import Finding, speed_finding
from monitor.model import Attempt, Check, Moment, Phases, Reason, Verdict
from monitor.probe.client import Client, proxy_of
from monitor.probe.clock import now
from monitor.probe.consumers import ChatConsumer
from monitor.probe.exchange import Exchange, exchange
from monitor.probe.signing import NoSignerError, signed
from monitor.probe.wire import Wire
from monitor.redact import redact_cut

EVIDENCE_LIMIT = 2048
DETAIL_LIMIT = 300
NAME_LIMIT = 128

#: What no terminal should get, control characters, and what no file can hold, lone surrogates.
_UNPRINTABLE = dict.fromkeys(
    {*range(32), *range(127, 160), *range(0xD800, 0xE000)} - {*map(ord, "\t\n\r")},
    "\N{REPLACEMENT CHARACTER}",
)


async def chat(client: Client, check: Check, rng: random.Random) -> Attempt:
    """One attempt at a chat check.  Raises only for bugs of ours; cancellation passes through."""
    assert check.protocol is not None
    dialect = DIALECTS[check.protocol]
    asked = question(check, rng)
    reply = Reply(dialect)
    consumer = ChatConsumer(reply)
    started = now()
    seen = await _ask(client, check, dialect.build(check, asked.prompt), consumer)
    ended = now()
    phases = _phases(seen, reply)
    finding, wait = _finding(check, asked, seen, consumer, ended)
    if finding.reason is None:
        finding = speed_finding(check, phases, ended.mono - started.mono, seen.wire.stalled)
    return Attempt(
        check=check.name,
        started=started,
        ended=ended,
        verdict=finding.verdict,
        reason=finding.reason,
        detail=told(check, finding.detail),
        rule=told(check, finding.rule),
        status=seen.status,
        request_id=named(check, request_id(seen.headers) or reply.identity.request_id),
        model=named(check, reply.identity.model),
        phases=phases,
        tokens=reply.tokens,
        cost_usd=cost(check.price, reply.tokens),
        evidence=evidence(check, finding, seen),
        retry_after=wait,
        headroom=headroom(seen.headers),
        certificate_expires=seen.wire.certificate_expires,
    )


async def _ask(client: Client, check: Check, request: Request, consumer: ChatConsumer) -> Exchange:
    try:
        request = signed(check, request)
    except NoSignerError as error:
        return Exchange(Wire(client.poll), broken=Finding(Reason.BAD_REQUEST, str(error)))
    return await exchange(client, check, request, consumer)


def _finding(
    check: Check, asked: Question, seen: Exchange, consumer: ChatConsumer, at: Moment
) -> Advised:
    if seen.status is None:
        assert seen.broken is not None
        return seen.broken, None
    page = None if consumer.page is None else bytes(consumer.page)
    return chat_finding(
        check, asked, seen.status, seen.headers, page, consumer.reply, seen.broken, at.wall
    )


def _phases(seen: Exchange, reply: Reply) -> Phases:
    phases = seen.connection_phases()
    first, answer, last = reply.first_at, reply.answer_at, reply.last_at
    if seen.sent is None or first is None or last is None:
        return phases
    widths = {"first_token": reply.uncertainty, "stream": reply.widest, "stall": reply.widest}
    if answer:
        widths["first_answer"] = reply.answer_uncertainty
    return replace(
        phases,
        first_token=first.at - seen.sent,
        first_answer=answer.at - seen.sent if answer else None,
        stream=last.at - first.at,
        stall=reply.stall,
        uncertainty=reply.uncertainty,
        lag=None if seen.wire.kernel_at is None else first.read - first.at,
        doubtful=seen.wire.doubtful(widths),
    )


def evidence(check: Check, finding: Finding, seen: Exchange) -> str | None:
    """The first 2 KiB of what a bad answer said, secrets removed."""
    if finding.verdict is Verdict.OK or not seen.said:
        return None
    return _safe(check, seen.said.decode("utf-8", "replace"))[:EVIDENCE_LIMIT]


def told(check: Check, detail: str | None) -> str | None:
    """A finding's detail as it may be shown: secrets removed first, then shortened."""
    return shorten(_safe(check, detail), DETAIL_LIMIT) if detail else None


def named(check: Check, name: str | None) -> str | None:
    """What the provider calls itself or the request, as it may be shown."""
    return shorten(_safe(check, name), NAME_LIMIT) if name else None


def _safe(check: Check, words: str) -> str:
    """Words of a stranger, often cut already, that may be shown and stored anywhere."""
    return redact_cut(words, check_secrets(check)).translate(_UNPRINTABLE)


def check_secrets(check: Check) -> tuple[str, ...]:
    """Every secret that a request of this check may carry."""
    held = [check.api_key, check.basic, *check.headers.values()]
    secrets = [secret.reveal() for secret in held if secret is not None]
    userinfo, at, _ = (proxy_of(check.proxy, check.url) or "").rpartition("@")
    return (*secrets, unquote(userinfo.rpartition("/")[2])) if at else tuple(secrets)
