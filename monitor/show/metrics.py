"""`Metrics`: the one object that the rest of the product tells what happened.

Counters and histograms are kept (`cells`), gauges are read when asked (`entries`), all of it is
written out by `scrape`.  Observers only: nothing here can alter what it is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import partial

from monitor.model import Change, Check, OutageSeries, Probe
from monitor.show.catalogue import Spec
from monitor.show.entries import Entry
from monitor.show.exposition import Format, choose
from monitor.show.process import ProcessGauges, ProcessMetrics
from monitor.show.scrape import Gathered, Samples, Scrape, scrape
from monitor.show.views import StateView

__all__ = ["Metrics", "StateView"]


class Metrics:
    """Every metric of one monitor.

    `snapshot` is asked at every scrape and read a few checks at a time: a generator does well.
    """

    def __init__(
        self,
        version: str,
        snapshot: Callable[[], Iterable[StateView]] = tuple,
        *,
        revision: str = "",
        ledger_errors: Callable[[], int] = int,
        notifications: Callable[[], dict[tuple[str, str, str], int]] = dict,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._entries: dict[str, Entry] = {}
        self._snapshot = snapshot
        self._clock = clock
        self._outage_series = OutageSeries()
        self._gauges = ProcessGauges(
            version, revision, ledger_errors=ledger_errors, notifications=notifications
        )
        self._process = ProcessMetrics(self._gauges)

    # ------------------------------------------------------------------------------ the checks

    def add(self, check: Check) -> None:
        """Begin to show `check`, from zero: every counter and histogram that it can have."""
        self._entries[check.name] = Entry(check)

    def describe(self, check: Check) -> None:
        """Follow a change of configuration that leaves name, provider, model and mode alone."""
        entry = self._entries.get(check.name)
        if entry is not None:
            entry.describe(check)

    def remove(self, name: str) -> None:
        """Forget a check: all its series are gone from the next scrape on."""
        self._entries.pop(name, None)

    def keep(self, limits: OutageSeries) -> None:
        """Show outages that ended within these limits from the next scrape on."""
        self._outage_series = limits

    def observe(self, check: Check, probe: Probe) -> None:
        """Take in a finished round; one of a check that was removed meanwhile leaves no trace."""
        entry = self._entries.get(check.name)
        if entry is not None:
            entry.take(probe)
            self._process.delay.observe(probe.delay)
            for attempt in probe.attempts:
                if attempt.phases.lag is not None:
                    self._process.lag.observe(attempt.phases.lag)

    def change(self, change: Change) -> None:
        """Take in a confirmed change of state."""
        entry = self._entries.get(change.check)
        if entry is not None:
            entry.change(change)

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
        self._gauges.guard_up = up

    def reloaded(self, good: bool, at: float) -> None:
        """The configuration was loaded, or refused, at Unix time `at`."""
        self._gauges.reload_good = good
        if good:
            self._gauges.reload_time = at

    def set_budget(self, left: float | None) -> None:
        """US dollars that today's budget still holds; None where no budget is kept."""
        self._gauges.budget_left = left

    def set_lag(self, seconds: float) -> None:
        self._gauges.loop_lag = seconds

    def set_in_flight(self, number: int) -> None:
        self._gauges.in_flight = number

    # -------------------------------------------------------------------------------- to be read

    def scrape(self, format: Format) -> Generator[None, None, Scrape]:
        """A look at everything in small steps; the generator returns the page, in pieces."""
        process = partial(self._process.written, openmetrics=format is Format.OPENMETRICS)
        return scrape(self._entries, self._snapshot(), format, self._others, process)

    def _others(self, gathered: Gathered) -> list[tuple[Spec, Samples]]:
        return gathered.families(self._clock(), self._outage_series)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Everything as bytes in one go, with their content type."""
        steps = self.scrape(choose(accept))
        while True:
            try:
                next(steps)
            except StopIteration as end:
                page: Scrape = end.value
                return b"".join(page), page.format.value
