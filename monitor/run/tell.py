"""What the log says of changes and rounds: one line each, news above the rest."""

from __future__ import annotations

import logging
from collections.abc import Collection

from monitor.model import Change, Outage, Probe, State

log = logging.getLogger("monitor")


def tell_change(change: Change) -> None:
    """A confirmed change; bad news is a warning."""
    fields = {
        "check": change.check,
        "before": change.before.value,
        "after": change.after.value,
        "reason": change.reason.value if change.reason else None,
        "detail": change.detail,
    }
    if change.outage and change.outage.ended:
        fields["outage_seconds"] = f"{change.outage.seconds(change.at):.0f}"
    calm = change.after in {State.UP, State.UNKNOWN, State.MAINTENANCE}
    log.log(logging.INFO if calm else logging.WARNING, "state changed", extra={"fields": fields})


def tell_resumed(checks: int, outages: Collection[Outage]) -> None:
    """What an earlier process left, if anything."""
    if checks:
        fields = {"checks": checks, "open_outages": " ".join(o.check for o in outages) or None}
        log.info("going on from the ledger", extra={"fields": fields})


def tell_lost(outage: Outage) -> None:
    """An outage that nobody could see for too long to call it one."""
    fields = {"check": outage.check, "outage": outage.id}
    log.warning("an open outage was lost from sight: its end is unknown", extra={"fields": fields})


def tell_probe(probe: Probe, before: Probe | None) -> None:
    """One line a round; only what is news stands out from the debug level."""
    last = probe.last
    same = before is not None and before.last.reason is last.reason
    level = logging.DEBUG if same or (before is None and last.reason is None) else logging.INFO
    if not log.isEnabledFor(level):
        return
    fields = {
        "check": probe.check,
        "probe_id": probe.id,
        "verdict": last.verdict.value,
        "reason": last.reason.value if last.reason else None,
        "detail": last.detail,
        "status": last.status,
        "request_id": last.request_id,
        "attempts": len(probe.attempts),
        "first_token": last.phases.first_token,
        "seconds": round(last.seconds, 6),
    }
    log.log(level, "probe", extra={"fields": fields})
