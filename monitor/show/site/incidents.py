"""Outages as rows and pages of words.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from monitor import words
from monitor.model import Moment, Outage
from monitor.show.past import Past
from monitor.show.site.rows import When, told, when
from monitor.show.views import PageCheck


@dataclass(frozen=True, slots=True)
class OutageRow:
    """One outage, in words."""

    id: str
    check: str
    about: str
    start: When
    end: When | None
    end_known: bool
    length: str
    why: str
    detail: str | None
    watched: bool
    """Whether its check is still there to be looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the confirming attempt saw; of a private check nothing, which is said."""

    confirmed: When
    facts: tuple[tuple[str, str], ...]
    evidence: str | None
    withheld: bool


Watched = Mapping[str, PageCheck]
"""The checks of today, by name."""


def known(watched: Watched, past: Past) -> list[Outage]:
    """Outages of today's checks and of the past, newest first; what lives now knows best.

    Moments of the ledger have the wall clock in both places, so lengths are told by that.
    """
    found = {outage.id: outage for outage in past.outages}
    for check in watched.values():
        found |= {outage.id: outage for outage in check.view.outages}
    return sorted(found.values(), key=lambda outage: -outage.started.wall)


def rows(outages: Iterable[Outage], watched: Watched, now: Moment) -> list[OutageRow]:
    return [row(outage, watched, now) for outage in outages]


def row(outage: Outage, watched: Watched, now: Moment) -> OutageRow:
    why, detail = told(outage.reason, outage.detail, is_private(outage, watched))
    end = outage.ended.wall if outage.ended else now.wall
    return OutageRow(
        id=outage.id,
        check=outage.check,
        about=" · ".join(part for part in (outage.provider, outage.model) if part),
        start=when(outage.started.wall),
        end=when(outage.ended.wall) if outage.ended else None,
        end_known=outage.end_known,
        length=words.length(end - outage.started.wall),
        why=why,
        detail=detail,
        watched=outage.check in watched,
    )


def is_private(outage: Outage, watched: Watched) -> bool:
    """Whether what was said stays unsaid; so it does of a check that nobody knows any more."""
    found = watched.get(outage.check)
    return found is None or found.view.check.evidence_private


def finding(outage: Outage, watched: Watched) -> Finding:
    private = is_private(outage, watched)
    facts = [
        ("HTTP status", str(outage.status) if outage.status is not None else None),
        ("Request id", None if private else outage.request_id),
    ]
    shown = tuple((name, words.printable(value)) for name, value in facts if value)
    evidence = None if private or not outage.evidence else words.printable(outage.evidence)
    return Finding(when(outage.confirmed.wall), shown, evidence, private)


def beside(outage: Outage, outages: Sequence[Outage], now: Moment) -> list[Outage]:
    """The other outages of the same provider that were open at some time of this one."""
    return [
        other
        for other in outages
        if other.id != outage.id
        and other.provider == outage.provider
        and other.started.wall < _end(outage, now)
        and _end(other, now) > outage.started.wall
    ]


def _end(outage: Outage, now: Moment) -> float:
    return outage.ended.wall if outage.ended else now.wall
