"""Gauges are not kept but read when somebody asks: from the last probe and the present state.

So what is not known any more is gone by itself, and a scrape sees one state of affairs.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from monitor.judge.incidents import down_ratio
from monitor.judge.models import same_model
from monitor.model import Check, Mode, Outage, OutageSeries, Phases, Probe, State, Verdict
from monitor.show import catalogue
from monitor.show.catalogue import Spec
from monitor.show.cells import ANSWERED, Cells, time_per_token
from monitor.show.outages import remembered
from monitor.show.views import StateView

Family = CounterMetricFamily | GaugeMetricFamily


@dataclass(slots=True)
class Entry:
    """One check that is under watch, and what its last probe left behind."""

    check: Check
    cells: Cells | None
    last: Probe | None = None
    certificate: float | None = None
    """Unlike all else this outlives the probe that saw it: a failed handshake shows none."""
    declared: Mapping[str, str] = field(default_factory=dict)
    """Component to declared state, of a status page; empty while it was not read."""
    declared_at: float | None = None

    def take(self, probe: Probe) -> None:
        self.last = probe
        for attempt in probe.attempts:
            if attempt.certificate_expires is not None:
                self.certificate = attempt.certificate_expires


class CheckGauges(Collector):
    """Gauges of every entry: its configuration and its last probe."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries

    def describe(self) -> list[Metric]:
        return [_family(spec) for spec in (*_OF_ENTRY, *_SETS_OF_ENTRY, *_OF_PAGE, catalogue.INFO)]

    def collect(self) -> Iterable[Metric]:
        entries = list(self._entries.values())
        told = [entry for entry in entries if entry.check.mode is not Mode.STATUS_PAGE]
        pages = [entry for entry in entries if entry.check.mode is Mode.STATUS_PAGE]
        yield _info_family(entry.check for entry in entries)
        for spec, read in _OF_ENTRY.items():
            family = _family(spec)
            for entry in told:
                _add(family, entry.check.labels3, read(entry))
            yield family
        for spec, read_all in _SETS_OF_ENTRY.items():
            family = _family(spec)
            for entry in told:
                for name, value in read_all(entry).items():
                    _add(family, (*entry.check.labels3, name), value)
            yield family
        yield from _declared(pages)


class StateGauges(Collector):
    """What the state machine claims, and the outages it remembers."""

    def __init__(
        self, snapshot: Callable[[], Iterable[StateView]], clock: Callable[[], float]
    ) -> None:
        self._snapshot = snapshot
        self._clock = clock
        self.outage_series = OutageSeries()

    def describe(self) -> list[Metric]:
        return [_family(spec) for spec in _OF_STATE]

    def collect(self) -> Iterable[Metric]:
        families = {spec: _family(spec) for spec in _OF_STATE}
        views = [view for view in self._snapshot() if view.check.mode is not Mode.STATUS_PAGE]
        for view in views:
            _add_state(families, view)
        outages = (outage for view in views for outage in view.outages)
        for outage in remembered(outages, self._clock(), self.outage_series):
            _add_outage(families, outage)
        _add_providers(families[catalogue.PROVIDER_DOWN], views)
        return families.values()


@dataclass(slots=True)
class ProcessGauges(Collector):
    """Gauges of the monitor itself; what nobody has set yet is absent."""

    version: str
    revision: str
    guard_up: bool | None = None
    reload_good: bool | None = None
    reload_time: float | None = None
    loop_lag: float | None = None
    in_flight: int = 0
    budget_left: float | None = None
    shard_index: int = 0
    shards: int = 1
    ledger_errors: Callable[[], int] = int

    def describe(self) -> list[Metric]:
        return list(self.collect())

    def collect(self) -> Iterable[Metric]:
        about = (self.version, self.revision, platform.python_version())
        build = _family(catalogue.BUILD_INFO)
        build.add_metric(about, 1.0)
        yield build
        for spec, value in self._values().items():
            family = _family(spec)
            _add(family, (), value)
            yield family

    def _values(self) -> dict[Spec, float | None]:
        return {
            catalogue.GUARD_UP: self.guard_up,
            catalogue.RELOAD_GOOD: self.reload_good,
            catalogue.RELOAD_TIME: self.reload_time,
            catalogue.LOOP_LAG: self.loop_lag,
            catalogue.IN_FLIGHT: self.in_flight,
            catalogue.LEDGER_ERRORS: self.ledger_errors(),
            catalogue.BUDGET_LEFT: self.budget_left,
            catalogue.SHARD_INDEX: self.shard_index,
            catalogue.SHARDS: self.shards,
        }

    # A registry keeps its collectors in a dictionary.
    __hash__ = object.__hash__


# -------------------------------------------------------------------------------- the last probe


def _success(entry: Entry) -> float | None:
    verdict = entry.last.last.verdict if entry.last else Verdict.VOID
    return None if verdict is Verdict.VOID else float(verdict in {Verdict.OK, Verdict.SLOW})


def _last_time(entry: Entry) -> float | None:
    return entry.last.last.ended.wall if entry.last else None


def _mismatch(entry: Entry) -> float | None:
    answered = entry.last.last.model if entry.last else None
    if not answered or not entry.check.model:
        return None
    return float(not same_model(entry.check.model, answered))


def _tokens_per_second(entry: Entry) -> float | None:
    if entry.last is None or entry.last.last.verdict not in ANSWERED:
        return None
    each = time_per_token(entry.last.last.phases, entry.last.last.tokens)
    return 1 / each if each else None


def _phases(entry: Entry) -> Mapping[str, float | None]:
    last = entry.last.last if entry.last else None
    # A void attempt says nothing about the provider, so its times do not either.
    phases = last.phases if last and last.verdict is not Verdict.VOID else Phases()
    return {name: getattr(phases, name) for name in catalogue.PHASES}


def _headroom(entry: Entry) -> Mapping[str, float | None]:
    seen = entry.last.last.headroom if entry.last else {}
    return {limit: seen.get(limit) for limit in catalogue.LIMITS}


_OF_ENTRY: Mapping[Spec, Callable[[Entry], float | None]] = {
    catalogue.SUCCESS: _success,
    catalogue.LAST_TIME: _last_time,
    catalogue.INTERVAL: lambda entry: entry.check.interval,
    catalogue.TIMEOUT: lambda entry: entry.check.timeout.total,
    catalogue.SLO: lambda entry: entry.check.slo,
    catalogue.CERTIFICATE: lambda entry: entry.certificate,
    catalogue.TOKENS_PER_SECOND: _tokens_per_second,
    catalogue.MISMATCH: _mismatch,
}
_SETS_OF_ENTRY: Mapping[Spec, Callable[[Entry], Mapping[str, float | None]]] = {
    catalogue.PHASE: _phases,
    catalogue.HEADROOM: _headroom,
}


_OF_PAGE = (catalogue.DECLARED_STATE, catalogue.DECLARED_TIME)


def _declared(pages: Iterable[Entry]) -> Iterable[Metric]:
    """What providers say of themselves; one that could not be asked is unknown, never green.

    The series are a provider's, not a check's: of two pages of one provider that both speak of a
    component, the one that was read last has the word.
    """
    claims: dict[tuple[str, str], str] = {}
    read: dict[str, float] = {}
    for page in sorted(pages, key=lambda page: page.declared_at or 0.0):
        provider = page.check.provider
        for component, claim in (page.declared or {"": "unknown"}).items():
            claims[provider, component] = claim
        if page.declared_at is not None:
            read[provider] = page.declared_at
    states, times = (_family(spec) for spec in _OF_PAGE)
    for key, claim in claims.items():
        for state in catalogue.DECLARED:
            _add(states, (*key, state), float(state == claim))
    for provider, at in read.items():
        _add(times, (provider,), at)
    yield from (states, times)


def _info_family(checks: Iterable[Check]) -> Metric:
    family = Metric(catalogue.INFO.name, catalogue.INFO.help, "gauge")
    for check in checks:
        family.add_sample(family.name, _info(check), 1.0)
    return family


def _info(check: Check) -> dict[str, str]:
    return {
        **check.labels,
        "check": check.name,
        "protocol": check.protocol or "",
        "host": urlsplit(check.url).hostname or "",
        "group": check.group or "",
        "mode": check.mode.value,
    }


# -------------------------------------------------------------------------- the state of affairs

_OF_STATE = (
    catalogue.UP,
    catalogue.STATE,
    catalogue.STATE_SECONDS,
    catalogue.STATE_CHANGED,
    catalogue.OUTAGE_START,
    catalogue.OUTAGE_END,
    catalogue.PROVIDER_DOWN,
)


def _add_state(families: Mapping[Spec, Family], view: StateView) -> None:
    labels = view.check.labels3
    _add(families[catalogue.UP], labels, _up(view.state))
    _add(families[catalogue.STATE_CHANGED], labels, view.since.wall)
    for state in State:
        _add(families[catalogue.STATE], (*labels, state.value), float(state is view.state))
        seconds = view.seconds.get(state, 0.0)
        _add(families[catalogue.STATE_SECONDS], (*labels, state.value), seconds)


def _up(state: State) -> float | None:
    if state is State.DOWN:
        return 0.0
    return 1.0 if state in {State.UP, State.DEGRADED} else None


def _add_outage(families: Mapping[Spec, Family], outage: Outage) -> None:
    labels = (outage.check, outage.provider, outage.model, outage.id, outage.reason.value)
    _add(families[catalogue.OUTAGE_START], labels, outage.started.wall)
    _add(families[catalogue.OUTAGE_END], labels, outage.ended.wall if outage.ended else 0.0)


def _add_providers(family: Family, views: Iterable[StateView]) -> None:
    states: dict[str, list[State]] = {}
    for view in views:
        states.setdefault(view.check.provider, []).append(view.state)
    for provider, of_it in states.items():
        _add(family, (provider,), down_ratio(of_it))


def _family(spec: Spec) -> Family:
    make = CounterMetricFamily if spec.type == "counter" else GaugeMetricFamily
    return make(spec.name, spec.help, labels=spec.labels)


def _add(family: Family, labels: tuple[str, ...], value: float | None) -> None:
    if value is not None:
        family.add_metric(labels, value)
