"""Probes that fetch a page: the `web` check, and the keyless look at an API's address."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urljoin

from yarl import URL

from monitor.dialects.explain import retry_after
from monitor.dialects.headers import request_id
from monitor.dialects.request import plain_headers
from monitor.dialects.signals import Request
from monitor.judge.pages import reach_finding, reads, web_finding
from monitor.judge.verdict import Finding, speed_finding
from monitor.model import Attempt, Check, Moment, Phases, Reason
from monitor.probe.chat import evidence, named, told
from monitor.probe.client import Client
from monitor.probe.clock import now
from monitor.probe.consumers import PageConsumer
from monitor.probe.exchange import Exchange, exchange

MAX_REDIRECTS = 5


async def web(client: Client, check: Check) -> Attempt:
    """One attempt at a web check."""
    started = now()
    url, headers = check.url, _page_headers(check)
    for _ in range(MAX_REDIRECTS):
        consumer = PageConsumer(wanted=reads(check.page))
        seen = await exchange(client, check, Request("GET", url, headers), consumer)
        target = _target(check, url, seen)
        if target is None:
            break
        if URL(target).origin() != URL(url).origin():
            # A key or cookie meant for one host must never travel to another.
            headers = _page_headers(replace(check, headers={}, basic=None, api_key=None))
        url = target
    ended = now()
    phases = seen.connection_phases()
    finding = seen.broken
    if finding is None:
        assert seen.status is not None
        finding = web_finding(check.page, seen.status, seen.headers, consumer.page)
    if finding.reason is None:
        finding = speed_finding(check, phases, ended.mono - started.mono, seen.wire.stalled)
    return _attempt(check, started, ended, seen, phases, finding)


async def reach(client: Client, check: Check) -> Attempt:
    """One keyless look at whether the API answers at all; never `ok`, see `reach_finding`."""
    assert check.reachability is not None
    started = now()
    bare = replace(check, api_key=None, basic=None, headers={})
    consumer = PageConsumer(limit=64 * 1024)
    request = Request("GET", check.reachability.url, plain_headers(bare, {"Accept": "*/*"}))
    seen = await exchange(client, bare, request, consumer)
    ended = now()
    if seen.status is None:
        assert seen.broken is not None
        finding = seen.broken
    else:
        finding = reach_finding(seen.status, seen.headers, consumer.page, ended.wall)
    return _attempt(check, started, ended, seen, seen.connection_phases(), finding)


def _page_headers(check: Check) -> dict[str, str]:
    return plain_headers(check, {"Accept": "text/html,application/json;q=0.9,*/*;q=0.8"})


def _target(check: Check, url: str, seen: Exchange) -> str | None:
    """Where a redirect leads, if the check asks to follow and it is http."""
    location = seen.headers.get("location")
    if (
        not check.follow_redirects
        or location is None
        or seen.status not in {301, 302, 303, 307, 308}
    ):
        return None
    try:
        target = urljoin(url, location)
        URL(target).origin()
    except ValueError:  # an address that is none, `http://[`
        return None
    return target if target.startswith(("http://", "https://")) else None


def _attempt(
    check: Check,
    started: Moment,
    ended: Moment,
    seen: Exchange,
    phases: Phases,
    finding: Finding,
) -> Attempt:
    kept = None if finding.reason is Reason.NO_KEY else evidence(check, finding, seen)
    return Attempt(
        check=check.name,
        started=started,
        ended=ended,
        verdict=finding.verdict,
        reason=finding.reason,
        detail=told(check, finding.detail),
        rule=told(check, finding.rule),
        status=seen.status,
        request_id=named(check, request_id(seen.headers)),
        phases=phases,
        evidence=kept,
        retry_after=retry_after(seen.headers, ended.wall),
        certificate_expires=seen.wire.certificate_expires,
    )
