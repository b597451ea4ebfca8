"""Metrics of the monitor itself.

They are few and have next to no labels, so prometheus_client keeps and writes them.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from monitor.show import catalogue
from monitor.show.catalogue import Spec


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
    notifications: Callable[[], dict[tuple[str, str, str], int]] = dict
    """By target, event and result."""

    def describe(self) -> list[Metric]:
        return list(self.collect())

    def collect(self) -> Iterable[Metric]:
        about = (self.version, self.revision, platform.python_version())
        build = _family(catalogue.BUILD_INFO)
        build.add_metric(about, 1.0)
        yield build
        for spec, value in self._values().items():
            family = _family(spec)
            if value is not None:
                family.add_metric((), value)
            yield family
        told = _family(catalogue.NOTIFICATIONS)
        for labels, count in self.notifications().items():
            told.add_metric(labels, count)
        yield told

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


def _family(spec: Spec) -> CounterMetricFamily | GaugeMetricFamily:
    make = CounterMetricFamily if spec.type == "counter" else GaugeMetricFamily
    return make(spec.name, spec.help, labels=spec.labels)


class ProcessMetrics:
    """All of them, on a registry of their own: the process-wide one may be somebody else's."""

    def __init__(self, gauges: ProcessGauges) -> None:
        self._registry = CollectorRegistry()
        self.delay = histogram(catalogue.START_DELAY, self._registry)
        self.lag = histogram(catalogue.READ_LAG, self._registry)
        self._registry.register(gauges)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def written(self, *, openmetrics: bool) -> bytes:
        """Their lines; of OpenMetrics with the end of the page."""
        source = _WithoutCreated(self._registry)
        if openmetrics:
            return bytes(generate_openmetrics(source))  # type: ignore[no-untyped-call]
        return generate_latest(source)


def histogram(spec: Spec, registry: CollectorRegistry) -> Histogram:
    return Histogram(spec.name, spec.help, spec.labels, registry=registry, buckets=spec.buckets)


class _WithoutCreated(Collector):
    """The library's own switch for `_created` is one for the whole process; this one is ours."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        for metric in self._registry.collect():
            if metric.type in {"counter", "histogram"}:
                created = f"{metric.name}_created"
                metric.samples = [found for found in metric.samples if found.name != created]
            yield metric
