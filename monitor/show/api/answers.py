"""A snapshot in, the bodies of the API's answers out.  Pure.

Every field is named one by one, here and in `records`.  Texts that may quote a provider go through
`Snapshot.quoted` and nothing else.
"""

from __future__ import annotations

from itertools import islice

from monitor.model import Attempt, Check, Mode
from monitor.show.api.asking import OutagesAsked
from monitor.show.past import HOUR24, CheckPast, PastDay, Share, share
from monitor.show.records import Record, attempt_record, outage_record, precise
from monitor.show.snapshot import Known, Snapshot, open_outage, up, why
from monitor.show.views import PageCheck

WINDOWS = ("24h", "7d", "90d")
"""What `CheckPast.shares` speaks of."""
LATEST = 20
"""Outages beside one check."""


def checks_answer(snapshot: Snapshot) -> Record:
    """Every check, in the order of the configuration."""
    return {
        "checks": [_check(page, snapshot) for page in snapshot.checks.values()],
        "ledger_readable": _ledger_readable(snapshot),
    }


def check_answer(page: PageCheck, snapshot: Snapshot) -> Record:
    """One check, with its days, its latest outages, and what the last attempt was told."""
    name = page.view.check.name
    ours = (known for known in snapshot.outages if known.outage.check == name)
    return {
        **_check(page, snapshot),
        "last_probe": page.last and _last_probe_and_evidence(page.view.check, page.last, snapshot),
        "days": [_day(day) for day in snapshot.past.of(page.view.check.labels3).days],
        "outages": [_outage_and_evidence(known, snapshot) for known in islice(ours, LATEST)],
        "ledger_readable": _ledger_readable(snapshot),
    }


def outages_answer(snapshot: Snapshot, asked: OutagesAsked) -> Record:
    """Outages that were open at any time since then, newest first, and whether there are more."""
    found = [
        known
        for known in snapshot.outages
        if (known.outage.ended is None or known.outage.ended.wall >= asked.since)
        and asked.check in {None, known.outage.check}
    ]
    return {
        "outages": [_outage(known, snapshot) for known in found[: asked.limit]],
        "more": len(found) > asked.limit,
        "ledger_readable": _ledger_readable(snapshot),
    }


# ------------------------------------------------------------------------------------ the records


def _check(page: PageCheck, snapshot: Snapshot) -> Record:
    view, check = page.view, page.view.check
    reason, detail = why(page)
    past = snapshot.past.of(check.labels3)
    outage = open_outage(page)
    return {
        "name": check.name,
        "provider": check.provider,
        "model": check.model or None,
        "group": check.group,
        "mode": check.mode.value,
        "state": view.state.value,
        "since": precise(view.since),
        "up": up(view.state),
        "reason": reason.value if reason else None,
        "detail": snapshot.quoted(check.name, detail),
        "uptime": dict(zip(WINDOWS, map(_share, past.shares()), strict=True)),
        "first_token": _first_token(check, past),
        "last_probe": page.last and _last_probe(check, page.last, snapshot),
        "outage": outage and _outage(Known(outage, snapshot.now), snapshot),
    }


def _share(share: Share) -> Record:
    return {"ratio": share.uptime, "coverage": share.coverage}


def _first_token(check: Check, past: CheckPast) -> Record:
    # Of checks that have no tokens, the ledger ranks whole answers.
    p50, p95 = (past.latency.p50, past.latency.p95) if check.mode is Mode.CHAT else (None, None)
    return {"p50_seconds": p50, "p95_seconds": p95}


def _last_probe(check: Check, last: Attempt, snapshot: Snapshot) -> Record:
    return {
        **attempt_record(check, last),
        "detail": snapshot.quoted(check.name, last.detail),
        "at": precise(last.ended),
    }


def _last_probe_and_evidence(check: Check, last: Attempt, snapshot: Snapshot) -> Record:
    return {
        **_last_probe(check, last, snapshot),
        "request_id": snapshot.quoted(check.name, last.request_id),
        "evidence": snapshot.quoted(check.name, last.evidence),
    }


def _outage(known: Known, snapshot: Snapshot) -> Record:
    outage = known.outage
    return {
        **outage_record(outage, known.now),
        "detail": snapshot.quoted(outage.check, outage.detail),
        "end_known": outage.end_known if outage.ended else None,
    }


def _outage_and_evidence(known: Known, snapshot: Snapshot) -> Record:
    outage = known.outage
    return {
        **_outage(known, snapshot),
        "confirmed": precise(outage.confirmed),
        "status": outage.status,
        "request_id": snapshot.quoted(outage.check, outage.request_id),
        "evidence": snapshot.quoted(outage.check, outage.evidence),
    }


def _day(day: PastDay) -> Record:
    return {
        "day": day.day,
        **_share(share(day.seconds, HOUR24)),
        "seconds": {state.value: seconds for state, seconds in day.seconds.items()},
        "probes": day.probes,
        "bad": day.bad,
    }


def _ledger_readable(snapshot: Snapshot) -> bool:
    return snapshot.past.trouble is None
