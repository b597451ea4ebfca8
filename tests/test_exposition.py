"""The page of metrics: spelled as prometheus_client spells it, and kept lines are never stale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import prometheus_client
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from monitor.model import Change, Check, Mode, Phases, Price, Probe, Reason, State, Tokens, Verdict
from monitor.show import catalogue
from monitor.show.cells import Histogram
from monitor.show.entries import FAMILIES
from monitor.show.exposition import Format
from monitor.show.metrics import Metrics
from monitor.show.scrape import BLOCK, LOOK, STEP, Scrape
from monitor.show.text import number
from monitor.show.views import StateView
from tests.making import chat_check, web_check
from tests.test_metrics import NOW, OPENMETRICS, at, attempt, everything, outage

WORDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r"), max_size=8)
NUMBERS = st.floats() | st.integers(0, 10**18) | st.sampled_from([0.1, 1e6, 999_999.5, 1e-7])


class Given:
    """A registry of what a page says, for prometheus_client to write it again."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def samples(page: str) -> list[str]:
    return sorted(line for line in page.split("\n") if not line.startswith("#"))


def heads(page: str) -> list[str]:
    return [line for line in page.split("\n") if line.startswith("#")]


def ours(metrics: Metrics, accept: str = "") -> str:
    return metrics.render(accept)[0].decode()


def again_as_text(page: str) -> str:
    return prometheus_client.generate_latest(Given(parse_text(page))).decode()


def again_as_openmetrics(page: str) -> str:
    families = list(parse_openmetrics(page))
    for family in families:
        family.samples = [with_plain_time(sample) for sample in family.samples]
    return bytes(generate_openmetrics(Given(families))).decode()


def with_plain_time(sample: Sample) -> Sample:
    """The parser keeps an exemplar's time to the nanosecond; what we were told is a float."""
    told = sample.exemplar
    if told is None:
        return sample
    return sample._replace(exemplar=told._replace(timestamp=float(told.timestamp)))


# ------------------------------------------------------------------------------ how it is spelled


def test_the_text_is_what_the_library_writes_of_the_same() -> None:
    page = ours(everything())
    assert samples(again_as_text(page)) == samples(page)
    assert sorted(heads(again_as_text(page))) == sorted(heads(page))


def test_openmetrics_is_what_the_library_writes_of_the_same() -> None:
    page = ours(everything(), OPENMETRICS)
    assert " # {probe_id=" in page
    assert samples(again_as_openmetrics(page)) == samples(page)
    assert sorted(heads(again_as_openmetrics(page))) == sorted(heads(page))
    assert page.endswith("# EOF\n")


@given(value=NUMBERS)
def test_numbers_are_spelled_as_go_does(value: float) -> None:
    assert number(value) == floatToGoString(value)


@settings(max_examples=60, deadline=None)
@given(words=st.tuples(WORDS, WORDS, WORDS, WORDS), first=st.floats(0, 1e9), slo=st.floats())
def test_any_names_and_numbers_are_written_as_the_library_does(
    words: tuple[str, str, str, str], first: float, slo: float
) -> None:
    name, provider, model, team = words
    check = chat_check(
        name=name, provider=provider, model=model, labels={"team": team}, slo=slo, group=team
    )
    over = outage(check=name, provider=provider, model=model, ended=at(first))
    shown = StateView(check, State.DOWN, at(-first), {State.UP: first}, (over,))
    metrics = Metrics("1", lambda: [shown], clock=lambda: NOW)
    metrics.add(check)
    done = attempt(phases=Phases(first_token=first, first_answer=first, stall=first))
    metrics.observe(check, Probe("a1", name, (done,), 0.0))
    page = ours(metrics, OPENMETRICS)
    assert samples(again_as_openmetrics(page)) == samples(page)


@given(values=st.lists(st.floats(0, 100) | st.sampled_from(catalogue.LATENCY)))
def test_a_histogram_counts_as_the_librarys_does(values: list[float]) -> None:
    mine = Histogram(catalogue.DURATION)
    registry = prometheus_client.CollectorRegistry()
    theirs = prometheus_client.Histogram(
        "x", "x", registry=registry, buckets=catalogue.DURATION.buckets
    )
    for value in values:
        mine.observe(value)
        theirs.observe(value)
    counted = [sample for sample in next(iter(theirs.collect())).samples if "bucket" in sample.name]
    total = [sum(mine.counts[: place + 1]) for place in range(len(mine.counts))]
    assert total == [sample.value for sample in counted]
    assert mine.sum == registry.get_sample_value("x_sum")


def test_an_exemplar_tells_the_probe_its_value_and_its_time() -> None:
    metrics = everything()
    (line,) = (
        line
        for line in ours(metrics, OPENMETRICS).splitlines()
        if line.startswith("aichat_time_to_first_token_seconds_bucket") and "#" in line
    )
    assert line.endswith(f' # {{probe_id="probe-1"}} 0.3 {NOW + 1.2}')


# ------------------------------------------------------------------- lines that are kept and renewed


class World:
    """A monitor of three checks to which anything may happen, scraped on the way or only once."""

    def __init__(self, *, scraped: bool) -> None:
        self._scraped = scraped
        self.checks: dict[str, Check] = {
            "a": chat_check(name="a", price=Price(1.0, 2.0)),
            "b": web_check(name="b"),
            "p": web_check(name="p", mode=Mode.STATUS_PAGE),
        }
        self.views = {name: self._view(name, State.UNKNOWN, 0.0) for name in ("a", "b")}
        self.metrics = Metrics("1", lambda: list(self.views.values()), clock=lambda: NOW)
        for check in self.checks.values():
            self.metrics.add(check)

    def _view(self, name: str, state: State, booked: float) -> StateView:
        return StateView(self.checks[name], state, at(-booked), {state: booked})

    def happen(self, what: str, name: str, size: float) -> None:
        check, metrics = self.checks[name], self.metrics
        match what:
            case "good":
                metrics.observe(check, Probe("x", name, (attempt(),), 0.0))
            case "bad":
                seen = attempt(Verdict.FAILED, Reason.CONNECT, phases=Phases(), tokens=None)
                metrics.observe(check, Probe("y", name, (seen, seen), 0.0))
            case "billed":
                seen = attempt(tokens=Tokens(input=5), cost_usd=size, phases=Phases())
                metrics.observe(check, Probe("z", name, (seen,), 0.0))
            case "down" | "up":
                over = outage(check=name, ended=at(size) if what == "up" else None)
                metrics.change(Change(name, State.UP, State.DOWN, at(0), at(1), outage=over))
            case "state" if name in self.views:
                self.views[name] = self._view(name, [*State][int(size) % len(State)], size)
            case "time" if name in self.views:
                old = self.views[name]
                self.views[name] = replace(old, seconds={**old.seconds, old.state: size})
            case "configured":
                self.checks[name] = replace(check, interval=size + 1, group=f"g{size}")
                metrics.describe(self.checks[name])
            case "declared":
                metrics.declare(name, {"": "operational"} if size > 5 else {}, NOW)
            case "again":
                metrics.add(check)
        if self._scraped:
            self.page()

    def page(self) -> tuple[list[str], list[str]]:
        pages = (ours(self.metrics, accept).splitlines() for accept in ("", OPENMETRICS))
        text, openmetrics = ([x for x in page if "aichat_" in x] for page in pages)
        return text, openmetrics


HAPPENINGS = st.tuples(
    st.sampled_from(
        ["good", "bad", "billed", "down", "up", "state", "time", "configured", "declared", "again"]
    ),
    st.sampled_from(["a", "b", "p"]),
    st.floats(0, 10),
)


@settings(max_examples=150, deadline=None)
@given(happenings=st.lists(HAPPENINGS, max_size=12))
def test_a_page_is_the_same_whether_or_not_others_were_asked_for_before_it(
    happenings: list[tuple[str, str, float]],
) -> None:
    often, once = World(scraped=True), World(scraped=False)
    for happening in happenings:
        often.happen(*happening)
        once.happen(*happening)
    assert often.page() == once.page()


def run(metrics: Metrics, format: Format = Format.TEXT) -> tuple[int, Scrape]:
    """How many pauses a scrape made, and its page."""
    steps, pauses = metrics.scrape(format), 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return pauses, end.value
        pauses += 1


def many(count: int) -> tuple[Metrics, list[Check]]:
    checks = [chat_check(name=f"c{number}") for number in range(count)]
    views = [StateView(check, State.UP, at(-60), {State.UP: 60.0}) for check in checks]
    metrics = Metrics("1", lambda: iter(views))
    for check in checks:
        metrics.add(check)
    return metrics, checks


def test_what_a_scrape_costs_goes_with_what_changed() -> None:
    metrics, checks = many(300)
    first, _ = run(metrics)
    idle, _ = run(metrics)
    for check in checks[:30]:
        metrics.observe(check, Probe("x", check.name, (attempt(),), 0.0))
    some, _ = run(metrics)
    families = len(FAMILIES)
    assert first >= 300 * (families + LOOK) / (STEP + families + LOOK) - 1
    assert idle <= 300 * (1 + LOOK) / STEP
    assert idle < some <= idle + 30 * families / STEP + 1


def test_every_check_is_on_the_page_once() -> None:
    metrics, checks = many(2 * BLOCK + 1)
    page = ours(metrics).splitlines()
    for family in ("aichat_probes_total", "aichat_check_up", "aichat_check_info"):
        names = [line.split('"')[1] for line in page if line.startswith(f"{family}{{")]
        assert sorted(names) == sorted(check.name for check in checks)


def test_no_piece_of_a_page_grows_with_the_number_of_checks() -> None:
    sizes = {count: max(map(len, run(many(count)[0])[1])) for count in (200, 400)}
    assert sizes[400] <= sizes[200] * 1.1


def test_a_slow_reader_gets_the_page_that_it_asked_for() -> None:
    metrics, (check,) = many(1)
    _, page = run(metrics)
    before = b"".join([*page][:-1])
    metrics.observe(check, Probe("x", check.name, (attempt(),), 0.0))
    run(metrics)
    assert b"".join([*page][:-1]) == before


@pytest.mark.parametrize("path", ["add", "remove"])
def test_checks_may_come_and_go_while_a_scrape_is_on(path: str) -> None:
    metrics, checks = many(200)
    steps = metrics.scrape(Format.TEXT)
    next(steps)
    getattr(metrics, path)(chat_check(name="new") if path == "add" else checks[-1].name)
    told: Any = None
    while told is None:
        try:
            next(steps)
        except StopIteration as end:
            told = end.value
    assert b'check="c0"' in b"".join(told)
