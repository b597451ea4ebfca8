"""What `/metrics` says: every claim is read back through the parsers that Prometheus' users have."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from monitor.model import (
    Attempt,
    Change,
    Check,
    Mode,
    Moment,
    Outage,
    OutageSeries,
    Phases,
    Price,
    Probe,
    Reason,
    State,
    Tokens,
    Verdict,
)
from monitor.show import catalogue
from monitor.show.catalogue import Spec
from monitor.show.exposition import Format, choose
from monitor.show.metrics import Metrics
from monitor.show.outages import remembered
from monitor.show.views import StateView
from tests.making import chat_check, web_check

ROOT = Path(__file__).parent.parent
NOW = 1_800_000_000.0
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
C = {"check": "c", "provider": "p", "model": "m-1"}

PHASES = Phases(
    dns=0.01,
    connect=0.02,
    tls=0.03,
    first_byte=0.2,
    first_token=0.3,
    first_answer=0.4,
    stream=0.7,
    stall=0.05,
)


def at(seconds: float) -> Moment:
    return Moment(NOW + seconds, 1000.0 + seconds)


def attempt(verdict: Verdict = Verdict.OK, reason: Reason | None = None, **changes: Any) -> Attempt:
    whole: dict[str, Any] = {
        "phases": PHASES,
        "tokens": Tokens(input=20, output=8, reasoning=2, cached=5),
        "cost_usd": 0.001,
        "model": "m-1-2026-09-22",
        "headroom": {"requests": 0.5, "tokens": 0.25},
        "certificate_expires": NOW + 86400,
    }
    return Attempt("c", at(0), at(1.2), verdict, reason, **(whole | changes))


def failed(reason: Reason = Reason.CONNECT) -> Attempt:
    return Attempt("c", at(0), at(0.1), Verdict.FAILED, reason, phases=Phases(dns=0.01))


def probe(*attempts: Attempt, delay: float = 0.0) -> Probe:
    return Probe("probe-1", "c", attempts or (attempt(),), delay)


def outage(**changes: Any) -> Outage:
    begun = Outage("a1", "c", "p", "m-1", at(0), at(12), Reason.CONNECT)
    return replace(begun, **changes)


def view(check: Check, state: State = State.UP, **changes: Any) -> StateView:
    return StateView(check, state, at(-60), {State.UP: 50.0, State.DOWN: 7.5}, **changes)


def watching(check: Check | None = None, *views: StateView) -> tuple[Metrics, Check]:
    check = check or chat_check(price=Price(1.0, 2.0))
    metrics = Metrics("1.2.3", lambda: views, clock=lambda: NOW)
    metrics.add(check)
    return metrics, check


class Seen:
    """One scrape, to be asked."""

    def __init__(self, metrics: Metrics, accept: str = "") -> None:
        body = metrics.render(accept)[0].decode()
        parse = parse_openmetrics if accept else parse_text
        self.families = list(parse(body))
        self.samples = [sample for family in self.families for sample in family.samples]

    def get(self, name: str, **labels: str) -> float | None:
        """The value of the one series that has these labels, or None where there is none."""
        found = self.all(name, **labels)
        assert len(found) <= 1
        return found[0] if found else None

    def all(self, name: str, **labels: str) -> list[float]:
        return [
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def of_check(self, name: str = "c") -> list[Any]:
        return [sample for sample in self.samples if sample.labels.get("check") == name]


def after(*probes: Probe, check: Check | None = None) -> Seen:
    metrics, check = watching(check)
    for done in probes:
        metrics.observe(check, done)
    return Seen(metrics)


# ------------------------------------------------------------------------------ from the start


def test_counters_and_histograms_are_there_at_zero_before_the_first_probe() -> None:
    seen = after()
    assert seen.get("aichat_probes_total", **C) == 0
    assert seen.get("aichat_outages_total", **C) == 0
    assert seen.get("aichat_probe_cost_dollars_total", **C) == 0
    assert seen.all("aichat_tokens_total") == [0] * 4
    assert seen.all("aichat_probe_failures_total") == [0] * len(Reason)
    for spec in catalogue.ALL:
        if spec.type == "histogram":
            assert seen.all(f"{spec.name}_count") == [0], spec.name


def test_gauges_without_a_value_are_absent() -> None:
    seen = after()
    unknown = {
        "aichat_probe_success",
        "aichat_probe_last_timestamp_seconds",
        "aichat_probe_phase_duration_seconds",
        "aichat_output_tokens_per_second",
        "aichat_rate_limit_remaining_ratio",
        "aichat_tls_certificate_expiry_timestamp_seconds",
        "aichat_model_mismatch",
        "aichat_guard_up",
        "aichat_config_last_reload_successful",
        "aichat_config_last_reload_success_timestamp_seconds",
        "aichat_event_loop_lag_seconds",
    }
    assert {name for name in unknown if seen.all(name)} == set()


def test_configured_values_are_exposed_at_once() -> None:
    seen = after(check=chat_check(slo=0.99, interval=120.0))
    assert seen.get("aichat_check_slo_target_ratio", **C) == 0.99
    assert seen.get("aichat_probe_interval_seconds", **C) == 120
    assert seen.get("aichat_probe_timeout_seconds", **C) == 4


def test_an_unknown_price_leaves_the_cost_absent_until_somebody_tells_it() -> None:
    free = chat_check(price=None)
    silent = probe(attempt(cost_usd=None))
    assert after(silent, check=free).all("aichat_probe_cost_dollars_total") == []
    assert after(probe(), check=free).all("aichat_probe_cost_dollars_total") == [0.001]


def test_info_carries_the_labels_of_its_own_check_only() -> None:
    metrics, _ = watching(chat_check("https://api.example/v1", labels={"team": "search"}))
    metrics.add(web_check("http://10.0.0.5:8000/", labels={"tier": "gold"}, group="Pages"))
    infos = [s.labels for s in Seen(metrics).samples if s.name == "aichat_check_info"]
    assert infos == [
        {
            "check": "c",
            "protocol": "openai-chat",
            "host": "api.example",
            "group": "",
            "mode": "chat",
            "team": "search",
        },
        {
            "check": "w",
            "protocol": "",
            "host": "10.0.0.5",
            "group": "Pages",
            "mode": "web",
            "tier": "gold",
        },
    ]


def test_configured_labels_cannot_take_the_place_of_ours() -> None:
    metrics, _ = watching(chat_check(labels={"check": "other", "mode": "web"}))
    assert Seen(metrics).get("aichat_check_info", check="c", mode="chat") == 1


@pytest.mark.parametrize("mode", [Mode.WEB, Mode.REACHABILITY])
def test_a_check_that_never_chats_has_no_tokens(mode: Mode) -> None:
    check = replace(web_check(), mode=mode)
    metrics, _ = watching(check)
    metrics.observe(check, probe())
    seen = Seen(metrics)
    assert seen.get("aichat_probes_total", check="w", model="") == 1
    assert seen.all("aichat_tokens_total") == []
    assert seen.all("aichat_time_to_first_token_seconds_count") == []


def status_page() -> Check:
    return replace(web_check(), name="page", mode=Mode.STATUS_PAGE)


def declared(metrics: Metrics) -> dict[str, str]:
    """Component to the one state that is 1."""
    return {
        sample.labels["component"]: sample.labels["state"]
        for sample in Seen(metrics).samples
        if sample.name == "aichat_provider_declared_state" and sample.value == 1
    }


def test_a_status_page_has_no_state_and_no_outages() -> None:
    check = status_page()
    metrics, _ = watching(check, view(check))
    metrics.observe(check, probe())
    metrics.change(Change("page", State.UP, State.DOWN, at(0), at(1), outage=outage()))
    assert [sample.name for sample in Seen(metrics).of_check("page")] == ["aichat_check_info"]


def test_a_status_page_that_was_not_read_is_unknown() -> None:
    metrics, _ = watching(status_page())
    assert declared(metrics) == {"": "unknown"}
    assert Seen(metrics).all("aichat_provider_status_last_success_timestamp_seconds") == []


def test_what_a_status_page_says_stays_apart_by_component() -> None:
    metrics, _ = watching(status_page())
    metrics.declare("page", {"": "partial_outage", "API": "major_outage"}, NOW)
    seen = Seen(metrics)
    assert declared(metrics) == {"": "partial_outage", "API": "major_outage"}
    assert seen.all("aichat_provider_status_last_success_timestamp_seconds") == [NOW]
    assert len(seen.all("aichat_provider_declared_state", component="API")) == 6
    metrics.remove("page")
    assert declared(metrics) == {}


def test_a_status_page_that_is_lost_is_unknown_and_keeps_the_time_it_was_last_read() -> None:
    metrics, _ = watching(status_page())
    metrics.declare("page", {"": "operational"}, NOW)
    metrics.declare("page", {}, NOW + 60)
    assert declared(metrics) == {"": "unknown"}
    assert Seen(metrics).all("aichat_provider_status_last_success_timestamp_seconds") == [NOW]


def test_two_status_pages_of_one_provider_are_one_claim() -> None:
    metrics, check = watching(status_page())
    metrics.add(replace(check, name="other"))
    metrics.declare("other", {"": "operational"}, NOW)
    assert declared(metrics) == {"": "operational"}
    assert len(Seen(metrics).all("aichat_provider_declared_state")) == 6


# ------------------------------------------------------------------------------------- probes


def test_an_answered_probe_enters_every_clock() -> None:
    seen = after(probe(attempt(), delay=0.02))
    for name, expected in {
        "aichat_probe_duration_seconds": 1.2,
        "aichat_time_to_first_token_seconds": 0.3,
        "aichat_time_to_first_answer_token_seconds": 0.4,
        "aichat_time_per_output_token_seconds": 0.1,
        "aichat_stream_stall_seconds": 0.05,
    }.items():
        assert seen.get(f"{name}_count", **C) == 1, name
        assert seen.get(f"{name}_sum", **C) == pytest.approx(expected), name
    assert seen.get("aichat_probe_start_delay_seconds_sum") == pytest.approx(0.02)


def test_every_read_of_a_first_output_tells_how_late_it_was() -> None:
    late, later = (attempt(phases=replace(PHASES, lag=lag)) for lag in (0.002, 0.03))
    seen = after(probe(late, attempt(), later))
    assert seen.get("aichat_read_lag_seconds_count") == 2
    assert seen.get("aichat_read_lag_seconds_sum") == pytest.approx(0.032)


def test_gauges_speak_of_the_last_probe() -> None:
    seen = after(probe())
    assert seen.get("aichat_probe_success", **C) == 1
    assert seen.get("aichat_probe_last_timestamp_seconds", **C) == NOW + 1.2
    assert seen.get("aichat_output_tokens_per_second", **C) == pytest.approx(10)
    assert seen.get("aichat_rate_limit_remaining_ratio", limit="requests") == 0.5
    assert seen.get("aichat_rate_limit_remaining_ratio", limit="tokens") == 0.25
    phases = {
        sample.labels["phase"]: sample.value
        for sample in seen.samples
        if sample.name == "aichat_probe_phase_duration_seconds"
    }
    assert phases == {
        "dns": 0.01,
        "connect": 0.02,
        "tls": 0.03,
        "first_byte": 0.2,
        "first_token": 0.3,
        "stream": 0.7,
    }


def test_phases_that_the_last_probe_did_not_reach_vanish() -> None:
    seen = after(probe(), probe(failed()))
    assert seen.all("aichat_probe_phase_duration_seconds") == [0.01]
    assert seen.all("aichat_rate_limit_remaining_ratio") == []
    assert seen.all("aichat_output_tokens_per_second") == []


@pytest.mark.parametrize(
    ("verdict", "reason", "success", "timed"),
    [
        (Verdict.OK, None, 1, 1),
        (Verdict.SLOW, Reason.SLOW_TOTAL, 1, 1),
        (Verdict.WRONG, Reason.WRONG_ANSWER, 0, 1),
        (Verdict.LIMITED, Reason.RATE_LIMITED, 0, 0),
        (Verdict.FAILED, Reason.TRUNCATED, 0, 0),
        (Verdict.VOID, Reason.STALLED, None, 0),
    ],
)
def test_what_each_verdict_does(
    verdict: Verdict, reason: Reason | None, success: int | None, timed: int
) -> None:
    seen = after(probe(attempt(verdict, reason)))
    assert seen.get("aichat_probes_total", **C) == 1
    assert seen.get("aichat_probe_success", **C) == success
    assert sum(seen.all("aichat_probe_failures_total")) == (reason is not None)
    if reason:
        assert seen.get("aichat_probe_failures_total", reason=reason.value) == 1
    for name in ("probe_duration", "time_to_first_token", "time_per_output_token", "stream_stall"):
        assert seen.get(f"aichat_{name}_seconds_count", **C) == timed, name


def test_a_void_probe_leaves_no_times_but_its_own_end() -> None:
    seen = after(probe(attempt(Verdict.VOID, Reason.STALLED)))
    assert seen.all("aichat_probe_phase_duration_seconds") == []
    assert seen.all("aichat_output_tokens_per_second") == []
    assert seen.get("aichat_probe_last_timestamp_seconds", **C) == NOW + 1.2


def test_a_round_counts_once_under_its_last_reason() -> None:
    seen = after(probe(failed(Reason.CONNECT), failed(Reason.TLS), failed(Reason.OVERLOADED)))
    assert seen.get("aichat_attempts_total", **C) == 3
    assert seen.get("aichat_probes_total", **C) == 1
    assert seen.get("aichat_probe_failures_total", reason="overloaded") == 1
    assert sum(seen.all("aichat_probe_failures_total")) == 1


def test_a_round_that_ends_well_is_no_failure_and_has_the_last_attempts_latency() -> None:
    seen = after(probe(failed(), attempt()))
    assert sum(seen.all("aichat_probe_failures_total")) == 0
    assert seen.get("aichat_probe_duration_seconds_count", **C) == 1
    assert seen.get("aichat_probe_success", **C) == 1


def test_every_attempt_of_a_round_is_billed() -> None:
    wrong = attempt(Verdict.WRONG, Reason.WRONG_ANSWER)
    seen = after(probe(wrong, wrong, attempt(tokens=Tokens(input=1))))
    assert seen.get("aichat_tokens_total", direction="input") == 41
    assert seen.get("aichat_tokens_total", direction="output") == 16
    assert seen.get("aichat_tokens_total", direction="reasoning") == 4
    assert seen.get("aichat_tokens_total", direction="cached") == 10
    assert seen.get("aichat_probe_cost_dollars_total", **C) == pytest.approx(0.003)


CLOCKS = {
    "first_token": "time_to_first_token",
    "first_answer": "time_to_first_answer_token",
    "stream": "time_per_output_token",
    "stall": "stream_stall",
}


@pytest.mark.parametrize("doubtful", CLOCKS)
def test_a_doubtful_clock_stays_out_of_its_histogram_and_the_others_do_not(doubtful: str) -> None:
    seen = after(probe(attempt(phases=replace(PHASES, doubtful=(doubtful,)))))
    assert seen.get("aichat_probe_duration_seconds_count", **C) == 1
    for clock, name in CLOCKS.items():
        counted = seen.get(f"aichat_{name}_seconds_count", **C)
        assert counted == (0 if clock == doubtful else 1), name


@pytest.mark.parametrize(
    ("stream", "tokens"),
    [
        (0.5, Tokens(output=1)),
        (0.5, Tokens()),
        (0.5, None),
        (0.0, Tokens(output=8)),
        (None, Tokens(output=8)),
    ],
)
def test_an_answer_without_a_stream_has_no_time_per_token(
    stream: float | None, tokens: Tokens | None
) -> None:
    seen = after(probe(attempt(phases=replace(PHASES, stream=stream), tokens=tokens)))
    assert seen.get("aichat_time_per_output_token_seconds_count", **C) == 0
    assert seen.all("aichat_output_tokens_per_second") == []


def test_the_certificate_outlives_a_failed_handshake() -> None:
    seen = after(probe(), probe(failed(Reason.TLS)))
    assert seen.get("aichat_tls_certificate_expiry_timestamp_seconds", **C) == NOW + 86400


@pytest.mark.parametrize(
    ("answered", "mismatch"),
    [("m-1", 0), ("m-1-2026-09-22", 0), ("vendor/M-1", 0), ("m-1-mini", 1), (None, None)],
)
def test_another_model_is_a_mismatch_and_silence_is_none(
    answered: str | None, mismatch: int | None
) -> None:
    assert after(probe(attempt(model=answered))).get("aichat_model_mismatch", **C) == mismatch


def test_the_first_token_and_duration_limits_for_slow_are_bucket_bounds() -> None:
    just_in_time = attempt(phases=replace(PHASES, first_token=7.9))
    seen = after(probe(replace(just_in_time, ended=at(29.9))))
    first = "aichat_time_to_first_token_seconds_bucket"
    assert seen.get(first, le="8.0") == 1
    assert seen.get(first, le="4.0") == 0
    assert seen.get("aichat_probe_duration_seconds_bucket", le="30.0") == 1


def test_latency_buckets_carry_the_probes_id_as_exemplar() -> None:
    metrics, check = watching()
    metrics.observe(check, probe())
    found = {
        sample.name: sample.exemplar.labels
        for sample in Seen(metrics, OPENMETRICS).samples
        if sample.exemplar
    }
    assert found == {
        "aichat_probe_duration_seconds_bucket": {"probe_id": "probe-1"},
        "aichat_time_to_first_token_seconds_bucket": {"probe_id": "probe-1"},
        "aichat_time_to_first_answer_token_seconds_bucket": {"probe_id": "probe-1"},
    }


# ---------------------------------------------------------------------------- state and outages


@pytest.mark.parametrize(
    ("state", "up"),
    [
        (State.UP, 1),
        (State.DEGRADED, 1),
        (State.DOWN, 0),
        (State.LIMITED, None),
        (State.UNKNOWN, None),
        (State.MAINTENANCE, None),
    ],
)
def test_exactly_one_state_is_1_and_up_is_absent_where_nothing_is_known(
    state: State, up: int | None
) -> None:
    check = chat_check()
    seen = Seen(watching(check, view(check, state))[0])
    states = {s.labels["state"]: s.value for s in seen.samples if s.name == "aichat_check_state"}
    assert states == {each.value: float(each is state) for each in State}
    assert seen.get("aichat_check_up", **C) == up


def test_state_seconds_and_the_last_change_come_from_the_snapshot() -> None:
    check = chat_check()
    seen = Seen(watching(check, view(check))[0])
    assert seen.get("aichat_check_state_seconds_total", state="up") == 50
    assert seen.get("aichat_check_state_seconds_total", state="down") == 7.5
    assert len(seen.all("aichat_check_state_seconds_total", **C)) == len(State)
    assert seen.get("aichat_check_state_changed_timestamp_seconds", **C) == NOW - 60


def test_a_providers_checks_are_one_series_and_none_where_nothing_is_known() -> None:
    names = {"a": State.DOWN, "b": State.UP, "c": State.LIMITED}
    checks = [chat_check(name=name) for name in names]
    stranger = chat_check(name="d", provider="q")
    views = [view(c, names[c.name]) for c in checks] + [view(stranger, State.UNKNOWN)]
    metrics, _ = watching(stranger, *views)
    text = metrics.render("")[0].decode()
    lines = [line for line in text.splitlines() if line.startswith("aichat_provider_down_ratio")]
    assert lines == ['aichat_provider_down_ratio{provider="p"} 0.5']


def test_an_outage_is_counted_when_it_opens_and_measured_when_it_ends() -> None:
    metrics, _ = watching()
    metrics.change(Change("c", State.UP, State.DOWN, at(0), at(12), outage=outage()))
    opened = Seen(metrics)
    assert opened.get("aichat_outages_total", **C) == 1
    assert opened.get("aichat_outage_detection_seconds_sum", **C) == 12
    assert opened.get("aichat_outage_recovery_seconds_count", **C) == 0
    ended = outage(ended=at(400))
    metrics.change(Change("c", State.DOWN, State.UP, at(400), at(410), outage=ended))
    closed = Seen(metrics)
    assert closed.get("aichat_outages_total", **C) == 1
    assert closed.get("aichat_outage_recovery_seconds_sum", **C) == 400


def test_a_change_without_an_outage_counts_none() -> None:
    metrics, _ = watching()
    metrics.change(Change("c", State.UP, State.DEGRADED, at(0), at(12)))
    assert Seen(metrics).get("aichat_outages_total", **C) == 0


def test_each_remembered_outage_is_a_pair_of_series() -> None:
    check = chat_check()
    outages = (outage(ended=at(30)), outage(id="b2", started=at(100)))
    seen = Seen(watching(check, view(check, State.DOWN, outages=outages))[0])
    start, end = (f"aichat_outage_{edge}_timestamp_seconds" for edge in ("start", "end"))
    assert seen.get(start, **C, outage="a1", reason="connect") == NOW
    assert seen.get(end, **C, outage="a1", reason="connect") == NOW + 30
    assert seen.get(start, **C, outage="b2", reason="connect") == NOW + 100
    assert seen.get(end, **C, outage="b2", reason="connect") == 0


def closed(number: int, check: str = "c", ago: float = 0.0) -> Outage:
    start = at(-ago - number * 10)
    return outage(id=f"{check}{number}", check=check, started=start, ended=start.plus(5))


def test_outages_are_forgotten_after_30_days_but_open_ones_never() -> None:
    old = closed(1, ago=31 * 86400.0)
    still_open = outage(id="open", started=at(-90 * 86400.0))
    assert [one.id for one in remembered([old, still_open, closed(2)], NOW)] == ["open", "c2"]


def test_the_newest_20_outages_of_a_check_are_kept_and_open_ones_first() -> None:
    many = [outage(id="open", started=at(-99999)), *(closed(number) for number in range(30))]
    kept = [one.id for one in remembered(many, NOW)]
    assert kept == ["open", *(f"c{number}" for number in range(19))]


def test_at_most_500_outages_are_kept_in_all() -> None:
    many = [closed(number, check=f"k{name}-") for name in range(40) for number in range(20)]
    assert len(remembered(many, NOW)) == 500


def test_the_configuration_says_how_many_outages_are_shown() -> None:
    check = chat_check()
    many = tuple(closed(number, ago=number * 86400.0) for number in range(1, 6))
    metrics, _ = watching(check, view(check, outages=many))
    for limits, shown in (
        (OutageSeries(keep=3.5 * 86400.0), 3),
        (OutageSeries(per_check=2), 2),
        (OutageSeries(total=1), 1),
    ):
        metrics.keep(limits)
        assert len(Seen(metrics).all("aichat_outage_end_timestamp_seconds")) == shown


# ------------------------------------------------------------------------- coming and going


def test_a_removed_check_leaves_nothing() -> None:
    metrics, check = watching()
    metrics.observe(check, probe())
    metrics.remove("c")
    assert Seen(metrics).of_check() == []


def test_a_late_probe_of_a_removed_check_does_not_bring_it_back() -> None:
    metrics, check = watching()
    metrics.remove("c")
    metrics.observe(check, probe())
    metrics.change(Change("c", State.UP, State.DOWN, at(0), at(1), outage=outage()))
    metrics.describe(check)
    assert Seen(metrics).of_check() == []


def test_removing_one_check_leaves_the_others_alone() -> None:
    metrics, _ = watching()
    other = chat_check(name="d")
    metrics.add(other)
    metrics.observe(other, probe())
    metrics.remove("c")
    metrics.remove("never was")
    assert Seen(metrics).get("aichat_probes_total", check="d") == 1


def test_a_check_that_is_added_again_begins_at_zero() -> None:
    metrics, check = watching()
    metrics.observe(check, probe())
    metrics.add(check)
    seen = Seen(metrics)
    assert seen.get("aichat_probes_total", **C) == 0
    assert seen.all("aichat_probe_success") == []


def test_a_changed_description_keeps_the_counters() -> None:
    metrics, check = watching()
    metrics.observe(check, probe())
    metrics.describe(replace(check, interval=300.0, group="Chat"))
    seen = Seen(metrics)
    assert seen.get("aichat_probes_total", **C) == 1
    assert seen.get("aichat_probe_interval_seconds", **C) == 300
    assert seen.get("aichat_check_info", group="Chat") == 1


# ------------------------------------------------------------------------------ the monitor itself


def test_the_monitor_tells_about_itself() -> None:
    metrics, _ = watching()
    metrics.set_guard(False)
    metrics.set_lag(0.25)
    metrics.set_in_flight(3)
    metrics.reloaded(True, NOW)
    seen = Seen(metrics)
    assert seen.get("aichat_build_info", version="1.2.3") == 1
    assert seen.get("aichat_guard_up") == 0
    assert seen.get("aichat_event_loop_lag_seconds") == 0.25
    assert seen.get("aichat_probes_in_flight") == 3
    assert (seen.get("aichat_shard_index"), seen.get("aichat_shards")) == (0, 1)
    assert seen.all("aichat_budget_remaining_dollars") == []
    assert seen.get("aichat_config_last_reload_successful") == 1
    assert seen.get("aichat_config_last_reload_success_timestamp_seconds") == NOW
    assert seen.all("python_info") == [1]


def test_a_refused_configuration_keeps_the_time_of_the_last_good_one() -> None:
    metrics, _ = watching()
    metrics.reloaded(True, NOW)
    metrics.reloaded(False, NOW + 60)
    seen = Seen(metrics)
    assert seen.get("aichat_config_last_reload_successful") == 0
    assert seen.get("aichat_config_last_reload_success_timestamp_seconds") == NOW


def test_a_guard_that_nobody_asked_is_absent_again() -> None:
    metrics, _ = watching()
    metrics.set_guard(True)
    metrics.set_guard(None)
    assert Seen(metrics).all("aichat_guard_up") == []


def test_nothing_is_shown_in_the_registry_of_the_process() -> None:
    Metrics("1").add(chat_check())
    assert not any(family.name.startswith("aichat") for family in REGISTRY.collect())


# --------------------------------------------------------------------------------- the exposition


def everything() -> Metrics:
    """A chat check and a web check with everything that can be known about them."""
    chat, web = chat_check(price=Price(1.0, 2.0), labels={"team": "search"}), web_check()
    over = outage(ended=at(30))
    metrics = Metrics(
        "1.2.3",
        lambda: [view(chat, outages=(over,)), view(web, State.DOWN)],
        notifications=lambda: {("ops", "opened", "delivered"): 1},
        clock=lambda: NOW,
    )
    for check in (chat, web):
        metrics.add(check)
        metrics.observe(check, probe(failed(), attempt()))
    metrics.change(Change("c", State.UP, State.DOWN, at(0), at(12), outage=outage()))
    metrics.change(Change("c", State.DOWN, State.UP, at(30), at(31), outage=over))
    metrics.add(status_page())
    metrics.declare("page", {"": "operational"}, NOW)
    metrics.set_guard(True)
    metrics.set_lag(0.001)
    metrics.set_budget(1.5)
    metrics.reloaded(True, NOW)
    return metrics


def test_a_check_stays_within_its_budget_of_series() -> None:
    seen = Seen(everything(), OPENMETRICS)
    outages = {"aichat_outage_start_timestamp_seconds", "aichat_outage_end_timestamp_seconds"}
    chat = [sample for sample in seen.of_check("c") if sample.name not in outages]
    assert 150 <= len(chat) <= 200
    assert len(seen.of_check("w")) <= 120


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_no_series_tells_when_it_was_created(accept: str) -> None:
    text = everything().render(accept)[0].decode()
    assert not re.search(r"^\w+_created", text, re.MULTILINE)


def test_no_series_appears_twice() -> None:
    seen = Seen(everything(), OPENMETRICS)
    keys = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in seen.samples]
    assert len(keys) == len(set(keys))


def test_hostile_names_cannot_break_the_exposition() -> None:
    nasty = 'a"b\\c\nd} 1'
    metrics, _ = watching(chat_check(labels={"team": nasty}, group=nasty, model=nasty))
    seen = Seen(metrics)
    assert seen.get("aichat_check_info", team=nasty, group=nasty) == 1
    assert seen.get("aichat_probes_total", model=nasty) == 0


def test_promtool_has_nothing_to_complain_about() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on PATH: the exposition was only parsed")
    text = everything().render("")[0]
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr.decode(), done.stdout.decode()) == (0, "", "")


PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8"
    ";q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format.TEXT),
        ("text/plain;version=0.0.4", Format.TEXT),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ("Application/OpenMetrics-Text; version=1.0.0; charset=utf-8", Format.OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', Format.OPENMETRICS),
        (PROMETHEUS_2, Format.OPENMETRICS),
        (PROMETHEUS_3, Format.OPENMETRICS),
        ("application/openmetrics-text;q=0.1,text/plain;q=0.9", Format.TEXT),
        ("application/openmetrics-text;q=0", Format.TEXT),
        ("application/openmetrics-text;version=abc", Format.TEXT),
        ("application/openmetrics-text;version=9.9.9", Format.TEXT),
        ("application/openmetrics-text;version=1.0.0;q=nan", Format.TEXT),
        ("application/openmetrics-text;q=1e999", Format.TEXT),
        ("application/openmetrics-text;;;=;q", Format.TEXT),
        ("text/plain;version=abc;escaping=evil", Format.TEXT),
        (",;=,;;" * 5000, Format.TEXT),
        ("\x00\udcff☃", Format.TEXT),
    ],
)
def test_the_accept_header_chooses_a_format_and_is_never_echoed(
    accept: str, format: Format
) -> None:
    assert choose(accept) is format
    assert Metrics("1").render(accept)[1] == format.value


# --------------------------------------------------------------------------- code and its papers

#: Where OpenTelemetry's conventions for generative AI have a word for what we measure.
TWINS = {
    catalogue.DURATION: "gen_ai.client.operation.duration",
    catalogue.FIRST_TOKEN: "gen_ai.client.operation.time_to_first_chunk",
    catalogue.PER_OUTPUT_TOKEN: "gen_ai.client.operation.time_per_output_chunk",
    catalogue.TOKENS: "gen_ai.client.token.usage",
    catalogue.FAILURES: "error.type",
}


@pytest.mark.parametrize("spec", TWINS, ids=lambda spec: spec.name)
def test_the_opentelemetry_twin_is_named_where_it_is_read(spec: Spec) -> None:
    text = (ROOT / "docs/metrics.md").read_text("utf-8")
    row = next(line for line in text.splitlines() if line.startswith(f"| `{spec.name}`"))
    assert TWINS[spec] in spec.help
    assert TWINS[spec] in row


def exposed() -> dict[str, tuple[str, set[str]]]:
    """Name, type and label names of all that is ours in a full scrape."""
    found: dict[str, tuple[str, set[str]]] = {}
    for family in Seen(everything(), OPENMETRICS).families:
        if family.name.startswith("aichat_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels}
            found[name] = (family.type, labels - {"le", "team"})
    return found


def as_told(specs: Iterable[Spec]) -> dict[str, tuple[str, set[str]]]:
    return {spec.name: (spec.type, set(spec.labels)) for spec in specs}


def test_the_catalogue_and_the_exposition_agree() -> None:
    assert exposed() == as_told(catalogue.ALL)


def documented() -> Mapping[str, tuple[str, set[str]]]:
    found = {}
    for line in (ROOT / "docs/metrics.md").read_text("utf-8").splitlines():
        row = re.fullmatch(r"\| `(aichat_\w+)` \| (\w+) \| ([^|]*) \| [^|]+ \| [^|]+ \|", line)
        if row:
            labels = set(re.findall(r"\w+", row[3]))
            if "C" in labels:
                labels = (labels - {"C"}) | set(catalogue.CHECK)
            assert row[1] not in found, f"{row[1]} is documented twice"
            found[row[1]] = (row[2], labels)
    return found


def test_the_documentation_and_the_catalogue_agree() -> None:
    assert documented() == as_told(catalogue.ALL)


def test_every_reason_phase_and_direction_is_documented() -> None:
    text = (ROOT / "docs/metrics.md").read_text("utf-8")
    closed_lists = [*Reason, *State, *catalogue.PHASES, *catalogue.DIRECTIONS, *catalogue.LIMITS]
    closed_lists += catalogue.DECLARED
    assert [word for word in closed_lists if f"`{word}`" not in text] == []


def test_no_help_text_is_missing_and_a_scrape_is_said_to_cause_no_probe() -> None:
    assert all(spec.help.endswith(".") for spec in catalogue.ALL)
    assert "scrape never causes" in catalogue.PROBES.help
