"""Makers of what the API, the badges and the feed tell: a few checks and outages, and a server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from monitor.model import (
    Attempt,
    Check,
    Mode,
    Moment,
    Outage,
    Phases,
    Reason,
    Secret,
    State,
    Tokens,
    Verdict,
)
from monitor.show.metrics import Metrics
from monitor.show.past import CheckPast, Latency, Past, PastDay
from monitor.show.server import build_app
from monitor.show.snapshot import Snapshot
from monitor.show.views import PageCheck, StateView
from tests.making import chat_check, web_check

NOW = Moment(1_800_000_000.25, 5_000_000.0)
HOSTILE = "<script>alert('&\"1')</script>]]>\u202ecod.exe\x1b[2J\ud800\uffff"
SECRETS = {
    "api_key": "sk-the-api-key-0001",
    "basic": "someone:the-basic-password",
    "header": "the-header-value-0002",
    "proxy": "the-proxy-password",
    "userinfo": "the-userinfo-password",
    "label": "a-label-that-is-ours",
}


def ago(seconds: float) -> Moment:
    return NOW.plus(-seconds)


def by_wall(moment: Moment) -> Moment:
    """As the ledger tells it."""
    return Moment(moment.wall, moment.wall)


def attempt(verdict: Verdict = Verdict.OK, reason: Reason | None = None, **more: Any) -> Attempt:
    seen = Attempt(
        "c",
        ago(13.25),
        ago(12),
        verdict,
        reason,
        status=200,
        phases=Phases(first_token=0.412, first_answer=0.5),
        tokens=Tokens(input=24, output=4),
        cost_usd=0.001,
    )
    return replace(seen, **more)


def outage(number: int = 1, **more: Any) -> Outage:
    """Began `number` hours ago, and has not ended."""
    start = ago(3600.0 * number)
    begun = Outage(
        f"{number:012x}",
        "c",
        "p",
        "m-1",
        start,
        start.plus(20),
        Reason.FIRST_TOKEN_TIMEOUT,
        "no token within 30 s",
        200,
        "req-1",
        "data: {}",
    )
    return replace(begun, **more)


def ended(number: int = 1, seconds: float = 720.0, **more: Any) -> Outage:
    begun = outage(number)
    return replace(begun, ended=begun.started.plus(seconds), **more)


def remembered(outage: Outage) -> Outage:
    """The same, read from the ledger."""
    return replace(
        outage,
        started=by_wall(outage.started),
        confirmed=by_wall(outage.confirmed),
        ended=outage.ended and by_wall(outage.ended),
    )


def page(
    check: Check | None = None,
    state: State = State.UP,
    last: Attempt | None = None,
    outages: Iterable[Outage] = (),
) -> PageCheck:
    view = StateView(check or chat_check(), state, ago(3700), {state: 3700.0}, tuple(outages))
    return PageCheck(view, last)


def history(up: float = 0.75, days: int = 90) -> CheckPast:
    """Every day the same: `up` of the time up, a tenth unknown, and the rest down."""
    seconds = {State.UP: up * 86400, State.DOWN: (0.9 - up) * 86400, State.UNKNOWN: 8640.0}
    names = [f"2026-{month:02}-{day:02}" for month in (8, 9, 10, 11) for day in range(1, 31)]
    week = {state: 7 * value for state, value in seconds.items()}
    return CheckPast(
        tuple(PastDay(name, seconds, 1440, 30) for name in names[:days]),
        seconds,
        week,
        Latency(p50=0.412, p95=1.5),
    )


def guarded_check(**more: Any) -> Check:
    """A check in every corner of which there is something that nobody may see."""
    return chat_check(
        url=f"https://user:{SECRETS['userinfo']}@api.example/v1",
        api_key=Secret(SECRETS["api_key"]),
        basic=Secret(SECRETS["basic"]),
        headers={"x-key": Secret(SECRETS["header"])},
        body={"user": SECRETS["header"]},
        proxy=f"http://me:{SECRETS['proxy']}@proxy.example:3128",
        labels={"team": SECRETS["label"]},
        key_name="SOME_KEY_NAME",
        prompt="the-prompt",
        **more,
    )


def crowd() -> tuple[list[PageCheck], Past]:
    """Checks of every state and mode, and a past."""
    failed = attempt(
        Verdict.FAILED,
        Reason.SERVER_ERROR,
        detail=HOSTILE,
        evidence=HOSTILE,
        status=500,
        request_id=HOSTILE,
        phases=Phases(),
        tokens=None,
        cost_usd=None,
    )
    down = guarded_check(name="down", group="Ours")
    pages = [
        page(chat_check(name="up"), last=attempt()),
        page(down, State.DOWN, failed, [outage(1, check="down", detail=HOSTILE)]),
        page(web_check(name="web"), State.DEGRADED, attempt(Verdict.SLOW, Reason.SLOW_TOTAL)),
        page(chat_check(name="new.one_-"), State.UNKNOWN),
        page(chat_check(name="free", mode=Mode.REACHABILITY), State.LIMITED, attempt()),
        page(chat_check(name="resting"), State.MAINTENANCE, failed),
        page(web_check(name="official", mode=Mode.STATUS_PAGE), State.UNKNOWN),
    ]
    outages = [remembered(ended(number, check="down")) for number in (2, 30, 900)]
    outages.append(remembered(ended(40, check="gone", end_known=False)))
    labels = {(name, "p", "m-1") for name in ("up", "down")} | {("web", "p", "")}
    return pages, Past(NOW.wall - 5, {each: history() for each in labels}, tuple(outages))


def snapshot(pages: Iterable[PageCheck] = (), past: Past | None = None) -> Snapshot:
    return Snapshot(tuple(pages), past or Past(), NOW)


@contextlib.asynccontextmanager
async def served(
    pages: Iterable[PageCheck] | None = None,
    past: Past | Callable[[], Past] | None = None,
    **more: Any,
) -> AsyncIterator[TestClient[Any, Any]]:
    """A running server; the client shows what really comes over the wire."""
    known, remembered = crowd()
    usual = remembered if pages is None else Past()
    told: dict[str, Any] = {
        "scrape": Metrics("1.2.3").scrape,
        "ready": lambda: True,
        "views": lambda: known if pages is None else list(pages),
        "past": past if callable(past) else lambda: past or usual,
        "version": "1.2.3",
        "now": lambda: NOW,
        "vantage": "here",
    }
    plain = {"Accept-Encoding": "identity"}
    server = TestServer(build_app(**(told | more)))
    async with TestClient(server, auto_decompress=False, headers=plain) as client:
        yield client
