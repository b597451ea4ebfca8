"""Checks as rows of words for the pages.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from monitor import words
from monitor.model import Attempt, Mode, Moment, Reason, State, Verdict
from monitor.show.past import CheckPast, Share
from monitor.show.site.days import Bars, bars, uptime
from monitor.show.site.lines import Line, line
from monitor.show.site.verdict import mood, tone
from monitor.show.views import Claim, PageCheck

FAINT = 0.5
"""Coverage under which an uptime is shown, but not leant on."""


@dataclass(frozen=True, slots=True)
class When:
    """A moment for people and for machines."""

    text: str
    short: str
    iso: str


@dataclass(frozen=True, slots=True)
class Uptime:
    """Uptime over one stretch of time, beside what it is based on."""

    over: str
    figure: str
    known: str
    faint: bool
    """Whether it speaks for less than half of the time."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one check, in words and pictures; made once for each reading."""

    bars: Bars
    uptimes: tuple[Uptime, ...]
    line: Line | None


@dataclass(frozen=True, slots=True)
class Told:
    """The provider's own claim, in words."""

    text: str
    at: When
    agrees: bool
    """Whether it admits trouble where we see some, and none where we see none."""


@dataclass(frozen=True, slots=True)
class Row:
    """One check, in words."""

    name: str
    about: str
    state: State
    since: When
    lasting: str
    why: str | None
    detail: str | None
    memory: Memory
    claim: Told | None


@dataclass(frozen=True, slots=True)
class Group:
    """Checks that stand together."""

    name: str
    rows: list[Row]
    tone: State
    summary: str


def memory(past: CheckPast, at: float) -> Memory:
    """What is remembered, as it was at Unix time `at`."""
    overs = ("24 h", "7 d", "90 d")
    uptimes = (_uptime(over, of) for over, of in zip(overs, past.shares(), strict=True))
    return Memory(bars(past.days, at), tuple(uptimes), line(past.latency))


def _uptime(over: str, of: Share) -> Uptime:
    return Uptime(over, uptime(of), f"known {words.coverage(of.coverage)}", of.coverage < FAINT)


def groups(shown: Sequence[tuple[PageCheck, Memory]], now: Moment) -> list[Group]:
    """Rows under their group's name, else their provider's; both in the order of the file."""
    order: dict[str, int] = {}
    for found, _ in shown:
        order.setdefault(_group(found), len(order))
    ranked = sorted(shown, key=lambda pair: order[_group(pair[0])])
    found_groups = groupby(ranked, key=lambda pair: _group(pair[0]))
    return [
        _grouped(name, [row(found, memory, now) for found, memory in members])
        for name, members in found_groups
    ]


def _group(found: PageCheck) -> str:
    return found.view.check.group or found.view.check.provider


def _grouped(name: str, rows: list[Row]) -> Group:
    states = [row.state for row in rows]
    worst = mood(states)
    count = states.count(worst)
    if count == len(states):
        many = {1: "", 2: "both "}.get(count, f"all {count} ")
        return Group(name, rows, tone(states), f"{many}{worst}")
    return Group(name, rows, tone(states), f"{count} of {len(states)} {worst}")


def row(found: PageCheck, memory: Memory, now: Moment) -> Row:
    view = found.view
    why, detail = _why(found)
    return Row(
        name=view.check.name,
        about=about(found),
        state=view.state,
        since=when(view.since.wall),
        lasting=words.length(now.mono - view.since.mono),
        why=why,
        detail=detail,
        memory=memory,
        claim=_told_by(found.claim, view.state) if found.claim else None,
    )


def about(found: PageCheck) -> str:
    check = found.view.check
    kind = {Mode.WEB: "web page", Mode.REACHABILITY: "reachability only"}.get(check.mode)
    # Under the name of its provider, saying it again tells nothing.
    who = check.provider if check.group else None
    return " · ".join(part for part in (who, check.model, kind) if part)


def _why(found: PageCheck) -> tuple[str | None, str | None]:
    """What is wrong, in plain words and in detail; two Nones where nothing is."""
    last = found.last
    private = found.view.check.evidence_private
    if last is not None and last.reason is not None:
        return told(last.reason, last.detail, private)
    outage = next((one for one in found.view.outages if one.ended is None), None)
    if outage is not None:
        return told(outage.reason, outage.detail, private)
    return None, None


def told(reason: Reason, detail: str | None, private: bool) -> tuple[str, str | None]:
    """A reason in plain words, and its detail where that is for everybody."""
    # A detail may quote the provider, which is what private evidence is about.
    return words.REASONS[reason], None if private or not detail else words.printable(detail)


def when(wall: float) -> When:
    text = words.moment(wall)
    return When(text, words.short_moment(wall), words.machine_moment(wall))


# ------------------------------------------------------------------------------- what they say


def _told_by(claim: Claim, state: State) -> Told:
    text = words.printable(claim.state.replace("_", " "))
    fine = claim.state == "operational"
    agrees = fine is (state not in {State.DOWN, State.DEGRADED}) or claim.state == "unknown"
    return Told(text, when(claim.at), agrees)


# ----------------------------------------------------------------------------- the last attempt


@dataclass(frozen=True, slots=True)
class Asked:
    """The last attempt, in words."""

    at: When
    verdict: str
    facts: tuple[tuple[str, str], ...]
    """Name and value; the value may be what a provider said."""
    evidence: str | None


def asked(found: PageCheck) -> Asked | None:
    """None where there was no attempt yet."""
    last, private = found.last, found.view.check.evidence_private
    if last is None:
        return None
    facts = [
        ("First token", _measured(last.phases.first_token)),
        ("Whole answer", _measured(last.seconds if _answered(last) else None)),
        ("HTTP status", str(last.status) if last.status is not None else None),
        ("Answered by", None if private else last.model),
        ("Request id", None if private else last.request_id),
    ]
    evidence = None if private or not last.evidence else words.printable(last.evidence)
    shown = tuple((name, words.printable(value)) for name, value in facts if value)
    return Asked(when(last.ended.wall), last.verdict, shown, evidence)


def _answered(last: Attempt) -> bool:
    return last.verdict in {Verdict.OK, Verdict.SLOW, Verdict.WRONG}


def _measured(seconds: float | None) -> str | None:
    return None if seconds is None else words.latency(seconds)
