"""What pages can be about: a monitor of any size, in good days and in bad ones, with its past."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from monitor.model import (
    Attempt,
    Check,
    Moment,
    Outage,
    Phases,
    Reason,
    State,
    Verdict,
)
from monitor.show.page import Pages
from monitor.show.past import (
    DAYS,
    HOUR24,
    SLOTS,
    CheckPast,
    Labels,
    Latency,
    Past,
    PastDay,
)
from monitor.show.views import Claim, PageCheck, StateView
from tests.making import chat_check, web_check

NOW = Moment(1_795_874_531.0, 5_000_000.0)
"""28 November 2026, 14:02:11 UTC."""

#: Name, provider, model, group.
ENDPOINTS = (
    ("deepseek-chat", "deepseek", "deepseek-chat", None),
    ("deepseek-reasoner", "deepseek", "deepseek-reasoner", None),
    ("gpt-6-luna", "openai", "gpt-6-luna", None),
    ("gpt-6-mini", "openai", "gpt-6-mini", None),
    ("claude-haiku", "anthropic", "claude-haiku-5", None),
    ("gemini-flash", "gcp.gemini", "gemini-4-flash", None),
    ("own-vllm", "10.0.0.5", "qwen3-32b", "Our own cluster"),
    ("chatgpt-web", "chatgpt.com", "", "Web pages"),
)
SAID = '{"error": {"message": "The engine is currently overloaded, please try again later", "type": "server_overloaded"}}'


@dataclass(frozen=True)
class Scene:
    """What the pages are told."""

    checks: Sequence[PageCheck]
    past: Past

    def pages(self) -> Pages:
        return Pages(lambda: self.checks, lambda: self.past, lambda: NOW, "1.2.3")


def ago(seconds: float) -> Moment:
    return NOW.plus(-seconds)


def check(name: str, provider: str, model: str, group: str | None) -> Check:
    if not model:
        return web_check(name=name, provider=provider, group=group)
    return chat_check(name=name, provider=provider, model=model, group=group)


def seen(
    of: Check,
    state: State = State.UP,
    reason: Reason | None = None,
    since: float = 3 * HOUR24 + 15_000,
    outages: tuple[Outage, ...] = (),
    claim: Claim | None = None,
) -> PageCheck:
    verdicts = {
        State.DOWN: Verdict.FAILED,
        State.DEGRADED: Verdict.SLOW,
        State.LIMITED: Verdict.LIMITED,
    }
    bad = reason is not None
    last = Attempt(
        of.name,
        ago(13.24),
        ago(12),
        verdicts.get(state, Verdict.OK),
        reason,
        detail="503 server_overloaded: The engine is currently overloaded" if bad else None,
        status=503 if state is State.DOWN else 200,
        request_id="req_8f14e45fceea167a",
        model=of.model or None,
        phases=Phases() if state is State.DOWN else Phases(first_token=0.412),
        evidence=SAID if bad else None,
    )
    view = StateView(of, state, ago(since), {}, outages)
    return PageCheck(view, None if state is State.UNKNOWN else last, claim)


def outage(of: Check, began: float, length: float | None, reason: Reason, **more: object) -> Outage:
    """An outage that began so many seconds ago; one that is open has no length."""
    made = Outage(
        id=f"{abs(hash((of.name, began))) % 16**12:012x}",
        check=of.name,
        provider=of.provider,
        model=of.model,
        started=ago(began),
        confirmed=ago(began - 42),
        reason=reason,
        detail="503 server_overloaded: The engine is currently overloaded",
        status=503,
        request_id="req_8f14e45fceea167a",
        evidence=SAID,
        ended=None if length is None else ago(began - length),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def remembered(outage: Outage) -> Outage:
    """As the ledger tells it: the wall clock in both places."""
    moments = {
        name: Moment(at.wall, at.wall)
        for name in ("started", "confirmed", "ended")
        if (at := getattr(outage, name)) is not None
    }
    return replace(outage, **moments)  # type: ignore[arg-type]


def day(back: int, seconds: Mapping[State, float], probes: int = 1440, bad: int = 0) -> PastDay:
    """The day so many days ago; today is 0."""
    name = (datetime.fromtimestamp(NOW.wall, UTC).date() - timedelta(days=back)).isoformat()
    return PastDay(name, seconds, probes, bad)


def history(rng: random.Random, days: int = DAYS, badness: float = 0.08) -> CheckPast:
    """A past of so many days, in which this share of days had some trouble."""
    found = []
    for back in range(days - 1, -1, -1):
        length = NOW.wall % HOUR24 if back == 0 else HOUR24
        seconds = {State.UP: length - rng.uniform(0, 300)}
        bad = 0
        if rng.random() < badness:
            state = rng.choice([State.DOWN, State.DEGRADED, State.DOWN, State.DEGRADED, None])
            lost = min(length * 0.9, rng.expovariate(1 / 5400))
            seconds[State.UP] -= lost
            if state:
                seconds[state] = lost
                bad = int(lost / 60)
        found.append(day(back, seconds, int(length / 60), bad))
    base = rng.uniform(0.25, 0.9)
    slots = tuple(base * rng.uniform(0.85, 1.35) for _ in range(SLOTS))
    latency = Latency(slots, sorted(slots)[SLOTS // 2], max(slots) * 1.2)
    return CheckPast(
        tuple(found),
        {State.UP: HOUR24 - 60},
        {State.UP: 7 * HOUR24 - 3000, State.DOWN: 700},
        latency,
    )


def past_of(checks: Sequence[Check], outages: Sequence[Outage] = (), days: int = DAYS) -> Past:
    rng = random.Random(7)
    known: dict[Labels, CheckPast] = {one.labels3: history(rng, days) for one in checks}
    ranked = sorted(map(remembered, outages), key=lambda one: -one.started.wall)
    return Past(NOW.wall - 9, known, tuple(ranked))


def named() -> list[Check]:
    return [check(*endpoint) for endpoint in ENDPOINTS]


def old_outages(checks: Sequence[Check]) -> list[Outage]:
    deepseek, reasoner, gpt, _, claude, *_ = checks
    return [
        outage(gpt, 4 * HOUR24 + 9000, 1_260, Reason.FIRST_TOKEN_TIMEOUT, detail=None, status=200),
        outage(deepseek, 11 * HOUR24, 5_530, Reason.OVERLOADED),
        outage(reasoner, 11 * HOUR24 - 300, 4_800, Reason.OVERLOADED),
        outage(claude, 23 * HOUR24 + 5000, 640, Reason.STREAM_ERROR),
        outage(gpt, 40 * HOUR24, 7_300, Reason.SERVER_ERROR, end_known=False),
    ]


def healthy() -> Scene:
    checks = named()
    return Scene([seen(one) for one in checks], past_of(checks, old_outages(checks)))


def troubled() -> Scene:
    checks = named()
    deepseek, reasoner, gpt, mini, claude, gemini, own, page = checks
    now_down = [outage(deepseek, 2_530, None, Reason.OVERLOADED), outage(reasoner, 2_471, None, Reason.FIRST_BYTE_TIMEOUT, detail="no response head within 20 s")]  # fmt: skip
    claim = Claim("operational", NOW.wall - 45)
    known = past_of(checks, [*now_down, *old_outages(checks)])
    pasts = dict(known.checks)
    for one in (deepseek, reasoner):
        of = pasts[one.labels3]
        today = day(0, {State.UP: 48_000.0, State.DOWN: 2_500.0}, 840, 44)
        pasts[one.labels3] = replace(
            of, days=(*of.days[:-1], today), last_24h={State.UP: 83_800, State.DOWN: 2_500}
        )
    gemini_past = pasts[gemini.labels3]
    pasts[gemini.labels3] = replace(
        gemini_past, days=gemini_past.days[-12:], last_7d={State.UP: 260_000.0}
    )
    return Scene(
        [
            seen(deepseek, State.DOWN, Reason.OVERLOADED, 2_530, (now_down[0],), claim),
            seen(reasoner, State.DOWN, Reason.FIRST_BYTE_TIMEOUT, 2_471, (now_down[1],), claim),
            seen(gpt),
            seen(mini, State.DEGRADED, Reason.SLOW_FIRST_TOKEN, 700),
            seen(claude, State.LIMITED, Reason.QUOTA, 5 * HOUR24),
            seen(gemini),
            seen(own, State.MAINTENANCE, None, 1_200),
            seen(page),
        ],
        replace(known, checks=pasts),
    )


def started() -> Scene:
    """Half a minute after the very first start: one answer is there, no history."""
    checks = named()
    states = [State.UP, *[State.UNKNOWN] * 7]
    shown = [seen(one, state, since=31) for one, state in zip(checks, states, strict=True)]
    return Scene(shown, Past(NOW.wall - 3))


def young() -> Scene:
    """Watched for three days, unlike most of the ninety."""
    checks = named()
    return Scene([seen(one) for one in checks], past_of(checks, days=3))


def blind() -> Scene:
    """The ledger cannot be read, and nothing could be judged yet."""
    shown = [seen(one, State.UNKNOWN, since=31) for one in named()]
    return Scene(shown, Past(NOW.wall, trouble="the disk is on fire"))


def empty() -> Scene:
    return Scene([], Past(NOW.wall))


def many(count: int, badness: float = 0.08) -> Scene:
    """`count` checks in groups of ten, each with ninety days, one in forty down."""
    rng = random.Random(7)
    checks = [
        chat_check(
            name=f"endpoint-{n:04}", provider=f"provider-{n // 10:03}", model=f"model-{n % 7}"
        )
        for n in range(count)
    ]
    known = {one.labels3: history(rng, badness=badness) for one in checks}
    shown, outages = [], []
    for number, one in enumerate(checks):
        if number % 40 == 17:
            open_ = outage(one, 1_000 + number, None, Reason.OVERLOADED)
            outages.append(open_)
            shown.append(seen(one, State.DOWN, Reason.OVERLOADED, 1_000 + number, (open_,)))
        else:
            shown.append(seen(one))
            outages.append(outage(one, rng.uniform(1, 89) * HOUR24, 1_800, Reason.SERVER_ERROR))
    ranked = sorted(map(remembered, outages), key=lambda one: -one.started.wall)
    return Scene(shown, Past(NOW.wall - 9, known, tuple(ranked)))


SCENES = {
    "healthy": healthy,
    "outage": troubled,
    "started": started,
    "young": young,
    "blind": blind,
    "empty": empty,
}
