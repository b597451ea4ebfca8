"""Every series that one check has: from which facts it is read, and what makes it change.

Gauges are not kept but read from the last probe and the present state, so what is not known any
more is gone by itself.  The lines are kept, and written anew only where something changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import urlsplit

from monitor.judge.models import same_model
from monitor.model import Change, Check, Mode, Moment, Phases, Probe, Reason, State, Verdict
from monitor.show import catalogue, text
from monitor.show.catalogue import Spec
from monitor.show.cells import ANSWERED, Cells, ChatCells, Histogram, time_per_token
from monitor.show.views import StateView


class On(Enum):
    """What makes a family of a check change."""

    CONFIGURED = auto()
    PROBED = auto()
    FAILED = auto()
    """A probe that was not ok."""
    CHANGED = auto()
    """A confirmed change of state, as it is told."""
    CLAIMED = auto()
    """Another state than at the last look."""
    CLOCK = auto()
    """Nothing: it is written anew at every look."""


class Entry:
    """One check that is under watch: what its series are read from, and their lines."""

    __slots__ = (
        "cells",
        "certificate",
        "check",
        "claim",
        "declared",
        "declared_at",
        "labels",
        "last",
        "lines",
        "stale",
        "view",
    )

    def __init__(self, check: Check) -> None:
        self.check = check
        #: A status page is somebody else's claim: it has no probes and no outages to count.
        self.cells = None if check.mode is Mode.STATUS_PAGE else Cells(check)
        self.last: Probe | None = None
        self.certificate: float | None = None
        """Unlike all else this outlives the probe that saw it: a failed handshake shows none."""
        self.declared: Mapping[str, str] = {}
        """Component to declared state, of a status page; empty while it was not read."""
        self.declared_at: float | None = None
        self.claim: tuple[State, Moment] | None = None
        """State and its beginning, as they were written."""
        self.view: StateView | None = None
        """The present state, while it is being written."""
        self.labels = text.pairs(dict(zip(catalogue.CHECK, check.labels3, strict=True)))
        self.lines = [b""] * len(FAMILIES)
        """By place of the family, exemplars included."""
        self.stale = set(On)
        """What happened since the lines were written."""

    def take(self, probe: Probe) -> None:
        """Take in a finished round."""
        self.last = probe
        self.stale.add(On.PROBED)
        if probe.last.verdict is not Verdict.OK:
            self.stale.add(On.FAILED)
        for attempt in probe.attempts:
            if attempt.certificate_expires is not None:
                self.certificate = attempt.certificate_expires
        if self.cells:
            self.cells.take_probe(probe)

    def change(self, change: Change) -> None:
        """Take in a confirmed change of state."""
        self.stale.add(On.CHANGED)
        if self.cells:
            self.cells.take_change(change)

    def describe(self, check: Check) -> None:
        """Follow a change of configuration."""
        self.check = check
        self.stale.add(On.CONFIGURED)

    def look(self, view: StateView) -> None:
        """Take in the present state."""
        self.view = view
        self.stale.add(On.CLOCK)
        if self.claim != (view.state, view.since):
            self.claim = view.state, view.since
            self.stale.add(On.CLAIMED)

    def refresh(self) -> int:
        """Write anew what changed; returns how many families that were."""
        work = 0
        for reason in self.stale:
            for place, family in _BY_REASON[reason]:
                self.lines[place] = family.written(self).encode()
                work += 1
        self.stale.clear()
        self.view = None
        return work


Reading = float | None | Mapping[str, float | None] | Histogram
"""One value, values by the family's further label, or a histogram; None where nothing is known."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric of which every check has its own series."""

    spec: Spec
    on: On
    read: Callable[[Entry], Reading]
    lines: text.Lines = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", text.Lines(self.spec))

    def written(self, entry: Entry) -> str:
        """The lines of `entry`."""
        if self.spec is catalogue.INFO:
            return self.lines.one(_info(entry.check), 1.0)
        reading = self.read(entry) if entry.cells else None
        if reading is None:
            return ""
        if isinstance(reading, Histogram):
            return self.lines.histogram(entry.labels, reading)
        if isinstance(reading, Mapping):
            return self.lines.several(entry.labels, reading)
        return self.lines.one(entry.labels, reading)


def _info(check: Check) -> text.Pairs:
    return text.pairs(
        {
            **check.labels,
            "check": check.name,
            "protocol": check.protocol or "",
            "host": urlsplit(check.url).hostname or "",
            "group": check.group or "",
            "mode": check.mode.value,
        }
    )


# -------------------------------------------------------------------------------- what is read


def _counted(read: Callable[[Cells], Reading]) -> Callable[[Entry], Reading]:
    return lambda entry: read(entry.cells) if entry.cells else None


def _chatted(read: Callable[[ChatCells], Reading]) -> Callable[[Entry], Reading]:
    return lambda entry: read(entry.cells.chat) if entry.cells and entry.cells.chat else None


def _claimed(read: Callable[[StateView], Reading]) -> Callable[[Entry], Reading]:
    return lambda entry: read(entry.view) if entry.view else None


def _failures(cells: Cells) -> Reading:
    return {reason.value: cells.failures.get(reason, 0) for reason in Reason}


def _up(view: StateView) -> Reading:
    if view.state is State.DOWN:
        return 0.0
    return 1.0 if view.state in {State.UP, State.DEGRADED} else None


def _states(view: StateView) -> Reading:
    return {state.value: float(state is view.state) for state in State}


def _state_seconds(view: StateView) -> Reading:
    return {state.value: view.seconds.get(state, 0.0) for state in State}


def _success(entry: Entry) -> Reading:
    verdict = entry.last.last.verdict if entry.last else Verdict.VOID
    return None if verdict is Verdict.VOID else float(verdict in {Verdict.OK, Verdict.SLOW})


def _mismatch(entry: Entry) -> Reading:
    answered = entry.last.last.model if entry.last else None
    if not answered or not entry.check.model:
        return None
    return float(not same_model(entry.check.model, answered))


def _tokens_per_second(entry: Entry) -> Reading:
    if entry.last is None or entry.last.last.verdict not in ANSWERED:
        return None
    each = time_per_token(entry.last.last.phases, entry.last.last.tokens)
    return 1 / each if each else None


def _phases(entry: Entry) -> Reading:
    last = entry.last.last if entry.last else None
    # A void attempt says nothing about the provider, so its times do not either.
    phases = last.phases if last and last.verdict is not Verdict.VOID else Phases()
    return {name: getattr(phases, name) for name in catalogue.PHASES}


def _headroom(entry: Entry) -> Reading:
    seen = entry.last.last.headroom if entry.last else {}
    return {limit: seen.get(limit) for limit in catalogue.LIMITS}


FAMILIES = (
    Family(catalogue.UP, On.CLAIMED, _claimed(_up)),
    Family(catalogue.STATE, On.CLAIMED, _claimed(_states)),
    Family(catalogue.STATE_SECONDS, On.CLOCK, _claimed(_state_seconds)),
    Family(catalogue.STATE_CHANGED, On.CLAIMED, _claimed(lambda view: view.since.wall)),
    Family(catalogue.OUTAGES, On.CHANGED, _counted(lambda cells: cells.outages)),
    Family(catalogue.RECOVERY_TIME, On.CHANGED, _counted(lambda cells: cells.recovery)),
    Family(catalogue.DETECTION_TIME, On.CHANGED, _counted(lambda cells: cells.detection)),
    Family(catalogue.PROBES, On.PROBED, _counted(lambda cells: cells.probes)),
    Family(catalogue.ATTEMPTS, On.PROBED, _counted(lambda cells: cells.attempts)),
    Family(catalogue.FAILURES, On.FAILED, _counted(_failures)),
    Family(catalogue.SUCCESS, On.PROBED, _success),
    Family(
        catalogue.LAST_TIME,
        On.PROBED,
        lambda entry: entry.last.last.ended.wall if entry.last else None,
    ),
    Family(catalogue.DURATION, On.PROBED, _counted(lambda cells: cells.duration)),
    Family(catalogue.PHASE, On.PROBED, _phases),
    Family(catalogue.INTERVAL, On.CONFIGURED, lambda entry: entry.check.interval),
    Family(catalogue.TIMEOUT, On.CONFIGURED, lambda entry: entry.check.timeout.total),
    Family(catalogue.CERTIFICATE, On.PROBED, lambda entry: entry.certificate),
    Family(catalogue.SLO, On.CONFIGURED, lambda entry: entry.check.slo),
    Family(catalogue.INFO, On.CONFIGURED, lambda _entry: 1.0),
    Family(catalogue.FIRST_TOKEN, On.PROBED, _chatted(lambda chat: chat.first_token)),
    Family(catalogue.FIRST_ANSWER, On.PROBED, _chatted(lambda chat: chat.first_answer)),
    Family(catalogue.PER_OUTPUT_TOKEN, On.PROBED, _chatted(lambda chat: chat.per_token)),
    Family(catalogue.STALL_TIME, On.PROBED, _chatted(lambda chat: chat.stall)),
    Family(catalogue.TOKENS_PER_SECOND, On.PROBED, _tokens_per_second),
    Family(catalogue.TOKENS, On.PROBED, _chatted(lambda chat: chat.tokens)),
    Family(catalogue.COST, On.PROBED, _counted(lambda cells: cells.cost)),
    Family(catalogue.HEADROOM, On.PROBED, _headroom),
    Family(catalogue.MISMATCH, On.PROBED, _mismatch),
)
"""In the order of a page."""

_BY_REASON: Mapping[On, list[tuple[int, Family]]] = {
    reason: [(place, family) for place, family in enumerate(FAMILIES) if family.on is reason]
    for reason in On
}
