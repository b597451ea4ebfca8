"""`Metrics`: the one object that the rest of the product tells what happened.

Counters and histograms are kept (`cells`), gauges are read when asked (`collect`), the whole is
written out by `exposition`.  Observers only: nothing here can alter what it is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)

from monitor.model import Change, Check, Mode, OutageSeries, Probe
from monitor.show import catalogue
from monitor.show.cells import Cells, Families, histogram
from monitor.show.collect import CheckGauges, Entry, ProcessGauges, StateGauges
from monitor.show.exposition import choose, encode
from monitor.show.views import StateView

__all__ = ["Metrics", "StateView"]


class Metrics:
    """Every metric of one monitor, on a registry of its own.

    `snapshot` is asked at every scrape, in the thread that renders: it must only read.
    """

    def __init__(
        self,
        version: str,
        snapshot: Callable[[], Iterable[StateView]] = tuple,
        *,
        revision: str = "",
        ledger_errors: Callable[[], int] = int,
        registry: CollectorRegistry | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry or CollectorRegistry()
        self._entries: dict[str, Entry] = {}
        self._families = Families(self._registry)
        self._delay = histogram(catalogue.START_DELAY, self._registry)
        self._process = ProcessGauges(version, revision, ledger_errors=ledger_errors)
        self._states = StateGauges(snapshot, clock)
        for collector in (CheckGauges(self._entries), self._states, self._process):
            self._registry.register(collector)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    # ------------------------------------------------------------------------------ the checks

    def add(self, check: Check) -> None:
        """Begin to show `check`, from zero: every counter and histogram that it can have."""
        self.remove(check.name)
        self._entries[check.name] = Entry(check, self._cells(check))

    def _cells(self, check: Check) -> Cells | None:
        """A status page is somebody else's claim: it has no probes and no outages to count."""
        return None if check.mode is Mode.STATUS_PAGE else Cells(self._families, check)

    def describe(self, check: Check) -> None:
        """Follow a change of configuration that leaves name, provider, model and mode alone."""
        entry = self._entries.get(check.name)
        if entry is not None:
            entry.check = check

    def remove(self, name: str) -> None:
        """Forget a check: all its series are gone from the next scrape on."""
        entry = self._entries.pop(name, None)
        if entry is not None and entry.cells is not None:
            entry.cells.drop()

    def keep(self, limits: OutageSeries) -> None:
        """Show outages that ended within these limits from the next scrape on."""
        self._states.outage_series = limits

    def observe(self, check: Check, probe: Probe) -> None:
        """Take in a finished round; one of a check that was removed meanwhile leaves no trace."""
        entry = self._entries.get(check.name)
        if entry is None or entry.cells is None:
            return
        entry.take(probe)
        entry.cells.take_probe(probe)
        self._delay.observe(probe.delay)

    def change(self, change: Change) -> None:
        """Take in a confirmed change of state."""
        entry = self._entries.get(change.check)
        if entry is not None and entry.cells is not None:
            entry.cells.take_change(change)

    def declare(self, name: str, states: Mapping[str, str], at: float | None) -> None:
        """Take in what the status page `name` said at Unix time `at`: component to state.

        No states at all mean that it could not be read: it is unknown, and `at` is not moved.
        """
        entry = self._entries.get(name)
        if entry is not None:
            entry.declared = states
            entry.declared_at = at if states else entry.declared_at

    # ----------------------------------------------------------------------- the monitor itself

    def set_guard(self, up: bool | None) -> None:
        """Whether a guard target answered; None where there is none, or none was asked yet."""
        self._process.guard_up = up

    def reloaded(self, good: bool, at: float) -> None:
        """The configuration was loaded, or refused, at Unix time `at`."""
        self._process.reload_good = good
        if good:
            self._process.reload_time = at

    def set_budget(self, left: float | None) -> None:
        """US dollars that today's budget still holds; None where no budget is kept."""
        self._process.budget_left = left

    def set_lag(self, seconds: float) -> None:
        self._process.loop_lag = seconds

    def set_in_flight(self, number: int) -> None:
        self._process.in_flight = number

    # -------------------------------------------------------------------------------- to be read

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Everything as bytes, with their content type; safe to call in another thread."""
        format = choose(accept)
        return encode(self._registry, format), format.value
