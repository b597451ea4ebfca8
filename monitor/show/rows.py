"""Checks and outages as rows of words for the page.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from monitor import words
from monitor.model import Attempt, Mode, Moment, Outage, Reason, State, Verdict
from monitor.show.outages import remembered
from monitor.show.views import PageCheck, StateView

OUTAGES_SHOWN = 50


@dataclass(frozen=True, slots=True)
class When:
    """A moment for people and for machines."""

    text: str
    iso: str


@dataclass(frozen=True, slots=True)
class Row:
    """One check, in words."""

    name: str
    about: str
    state: State
    since: When
    lasting: str
    asked: str | None
    why: str | None
    detail: str | None
    evidence: str | None
    first_token: str
    total: str
    uptime: str
    basis: str | None


def groups(shown: Sequence[PageCheck], now: Moment) -> list[tuple[str, list[Row]]]:
    """Rows under their group's name, else their provider's; both in the order of the file."""
    order: dict[str, int] = {}
    for found in shown:
        order.setdefault(_group(found), len(order))
    ranked = sorted(shown, key=lambda found: order[_group(found)])
    return [
        (name, [_row(found, now) for found in members])
        for name, members in groupby(ranked, key=_group)
    ]


def _group(found: PageCheck) -> str:
    return found.view.check.group or found.view.check.provider


def _row(found: PageCheck, now: Moment) -> Row:
    view, last = found.view, found.last
    why, detail = _why(found)
    uptime, basis = _uptime(view)
    return Row(
        name=view.check.name,
        about=_about(found),
        state=view.state,
        since=when(view.since.wall),
        lasting=words.length(now.mono - view.since.mono),
        asked=words.length(now.mono - last.ended.mono) if last else None,
        why=why,
        detail=detail,
        evidence=_evidence(found),
        first_token=words.latency(last.phases.first_token if last else None),
        total=words.latency(last.seconds if last and _answered(last) else None),
        uptime=uptime,
        basis=basis,
    )


def _answered(last: Attempt) -> bool:
    return last.verdict in {Verdict.OK, Verdict.SLOW, Verdict.WRONG}


def _about(found: PageCheck) -> str:
    check = found.view.check
    kind = {Mode.WEB: "web page", Mode.REACHABILITY: "reachability only"}.get(check.mode)
    return " · ".join(part for part in (check.provider, check.model, kind) if part)


def _why(found: PageCheck) -> tuple[str | None, str | None]:
    """What is wrong, in plain words and in detail; two Nones where nothing is."""
    last = found.last
    if last is not None and last.reason is not None:
        return _told(found, last.reason, last.detail)
    outage = next((one for one in found.view.outages if one.ended is None), None)
    if outage is not None:
        return _told(found, outage.reason, outage.detail)
    return None, None


def _told(found: PageCheck, reason: Reason, detail: str | None) -> tuple[str, str | None]:
    # A detail may quote the provider, which is what private evidence is about.
    private = found.view.check.evidence_private
    return words.REASONS[reason], None if private or not detail else words.printable(detail)


def _evidence(found: PageCheck) -> str | None:
    last = found.last
    if last is None or not last.evidence or found.view.check.evidence_private:
        return None
    return words.printable(last.evidence)


def _uptime(view: StateView) -> tuple[str, str | None]:
    """Uptime, and how much of which time it is based on; a dash where nothing was judged."""
    good = view.seconds.get(State.UP, 0.0) + view.seconds.get(State.DEGRADED, 0.0)
    judged = good + view.seconds.get(State.DOWN, 0.0)
    booked = sum(view.seconds.values())
    if judged <= 0:
        return "–", None
    basis = f"known {int(100 * judged / booked)} % of {words.length(booked)}"
    return words.percent(good / judged), basis


def when(wall: float) -> When:
    return When(words.moment(wall), words.machine_moment(wall))


# ------------------------------------------------------------------------------------ the outages


@dataclass(frozen=True, slots=True)
class OutageRow:
    """One outage, in words."""

    check: str
    start: When
    end: When | None
    end_known: bool
    length: str
    why: str
    detail: str | None


def outage_rows(shown: Sequence[PageCheck], now: Moment) -> list[OutageRow]:
    checks = {found.view.check.name: found for found in shown}
    outages = (outage for found in shown for outage in found.view.outages)
    newest = remembered(outages, now.wall)[:OUTAGES_SHOWN]
    return [_outage_row(outage, checks.get(outage.check), now) for outage in newest]


def _outage_row(outage: Outage, found: PageCheck | None, now: Moment) -> OutageRow:
    private = found is None or found.view.check.evidence_private
    return OutageRow(
        check=outage.check,
        start=when(outage.started.wall),
        end=when(outage.ended.wall) if outage.ended else None,
        end_known=outage.end_known,
        length=words.length(outage.seconds(now)),
        why=words.REASONS[outage.reason],
        detail=None if private or not outage.detail else words.printable(outage.detail),
    )
