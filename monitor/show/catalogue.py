"""Every metric of the product: name, type, labels, help.  `docs/metrics.md` says more of each.

Rules: labels come from names in the configuration and from closed lists, never from what a
provider says; missing is absent, never 0 or -1; a counter or histogram is there from the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CHECK = ("check", "provider", "model")
"""Labels of every series of a check; `model` is empty for checks that have none."""

LATENCY = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 4.0, 8.0, 15.0, 30.0, 60.0)
"""8 and 30 are the default limits for `slow`: how many answers met them can be read exactly."""
PER_TOKEN = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0)
STALL = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)
DETECTION = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0)
RECOVERY = (60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
DELAY = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
LAG = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0)

PHASES = ("dns", "connect", "tls", "first_byte", "first_token", "stream")
DIRECTIONS = ("input", "output", "reasoning", "cached")
LIMITS = ("requests", "tokens")
DECLARED = (
    "operational",
    "degraded_performance",
    "partial_outage",
    "major_outage",
    "under_maintenance",
    "unknown",
)
"""What a provider can say of itself, in the words of the most common kind of status page."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric as it is exposed."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


def _counter(name: str, help: str, *labels: str) -> Spec:
    return Spec(name, "counter", (*CHECK, *labels), help)


def _gauge(name: str, help: str, *labels: str) -> Spec:
    return Spec(name, "gauge", (*CHECK, *labels), help)


def _histogram(name: str, buckets: tuple[float, ...], help: str) -> Spec:
    return Spec(name, "histogram", CHECK, help, buckets)


def _process(name: str, help: str, *labels: str) -> Spec:
    return Spec(name, "gauge", labels, help)


# --------------------------------------------------------------------------- state and outages

UP = _gauge(
    "aichat_check_up",
    "1 while the confirmed state is up or degraded, 0 while it is down; "
    "absent while it is unknown, limited or maintenance.",
)
STATE = _gauge(
    "aichat_check_state", "1 for the confirmed state of the check, 0 for the others.", "state"
)
STATE_SECONDS = _counter(
    "aichat_check_state_seconds_total",
    "Time spent in each confirmed state; time that is still in doubt is not booked yet.",
    "state",
)
STATE_CHANGED = _gauge(
    "aichat_check_state_changed_timestamp_seconds", "When the confirmed state began."
)
OUTAGES = _counter("aichat_outages_total", "Outages that were confirmed.")
OUTAGE_START = _gauge(
    "aichat_outage_start_timestamp_seconds",
    "Start of a remembered outage: its first failed attempt.",
    "outage",
    "reason",
)
OUTAGE_END = _gauge(
    "aichat_outage_end_timestamp_seconds",
    "End of a remembered outage: the first good attempt after it; 0 while it lasts.",
    "outage",
    "reason",
)
PROVIDER_DOWN = _process(
    "aichat_provider_down_ratio",
    "Share of the provider's checks that are down, of those about which something is claimed; "
    "1 is an outage of the provider, anything between a partial one.",
    "provider",
)
RECOVERY_TIME = _histogram(
    "aichat_outage_recovery_seconds", RECOVERY, "Length of ended outages, start to recovery."
)
DETECTION_TIME = _histogram(
    "aichat_outage_detection_seconds",
    DETECTION,
    "From an outage's first failed attempt to its confirmation.",
)

# -------------------------------------------------------------------------------------- probes

PROBES = _counter(
    "aichat_probes_total",
    "Finished probes, whatever their verdict; they run on a schedule, a scrape never causes one.",
)
ATTEMPTS = _counter(
    "aichat_attempts_total", "Attempts made: the first of every probe, and its rechecks."
)
FAILURES = _counter(
    "aichat_probe_failures_total",
    "Probes whose last verdict was not ok, under its reason (OpenTelemetry: error.type).",
    "reason",
)
SUCCESS = _gauge(
    "aichat_probe_success",
    "Last probe: 1 if ok or slow, 0 if wrong, limited or failed; absent if void.",
)
LAST_TIME = _gauge("aichat_probe_last_timestamp_seconds", "When the last probe ended.")
DURATION = _histogram(
    "aichat_probe_duration_seconds",
    LATENCY,
    "Whole attempt, start to end; answered probes only "
    "(OpenTelemetry: gen_ai.client.operation.duration).",
)
PHASE = _gauge(
    "aichat_probe_phase_duration_seconds",
    "Last probe: time of each phase it reached; first_byte and first_token run from the request.",
    "phase",
)
INTERVAL = _gauge("aichat_probe_interval_seconds", "Configured time between two probes.")
TIMEOUT = _gauge("aichat_probe_timeout_seconds", "Configured limit of one attempt in all.")
CERTIFICATE = _gauge(
    "aichat_tls_certificate_expiry_timestamp_seconds",
    "When the server's certificate, as last seen, expires.",
)
SLO = _gauge("aichat_check_slo_target_ratio", "Configured target for uptime, as a ratio.")
INFO = Spec(
    "aichat_check_info",
    "gauge",
    ("check", "protocol", "host", "group", "mode"),
    "Always 1; what the check is, and the labels that its configuration adds.",
)

# ---------------------------------------------------------------------------------------- chat

FIRST_TOKEN = _histogram(
    "aichat_time_to_first_token_seconds",
    LATENCY,
    "Request written to first output of any kind, reasoning included "
    "(OpenTelemetry, of the first chunk: gen_ai.client.operation.time_to_first_chunk).",
)
FIRST_ANSWER = _histogram(
    "aichat_time_to_first_answer_token_seconds",
    LATENCY,
    "Request written to first visible text of the answer.",
)
PER_OUTPUT_TOKEN = _histogram(
    "aichat_time_per_output_token_seconds",
    PER_TOKEN,
    "First to last output, by the tokens after the first "
    "(OpenTelemetry, by chunk: gen_ai.client.operation.time_per_output_chunk).",
)
STALL_TIME = _histogram(
    "aichat_stream_stall_seconds", STALL, "Longest silence between two outputs of an answer."
)
TOKENS_PER_SECOND = _gauge(
    "aichat_output_tokens_per_second", "Last probe: output tokens after the first, by their time."
)
TOKENS = _counter(
    "aichat_tokens_total",
    "Tokens as billed; output includes reasoning, input includes cached "
    "(OpenTelemetry: gen_ai.client.token.usage).",
    "direction",
)
COST = _counter(
    "aichat_probe_cost_dollars_total",
    "Estimated price of all attempts in US dollars; absent where no price is known.",
)
HEADROOM = _gauge(
    "aichat_rate_limit_remaining_ratio",
    "Last probe: share of the rate limit that is left, as the provider's headers say.",
    "limit",
)
MISMATCH = _gauge(
    "aichat_model_mismatch",
    "Last probe: 1 if another model answered than was asked for, 0 if not; absent if not told.",
)

# -------------------------------------------------------------------- what the provider says itself

DECLARED_STATE = _process(
    "aichat_provider_declared_state",
    "1 for what the provider's own status page says of a component, 0 for the others; "
    "component is empty for the page as a whole, and unknown is 1 while the page cannot be read.",
    "provider",
    "component",
    "state",
)
DECLARED_TIME = _process(
    "aichat_provider_status_last_success_timestamp_seconds",
    "When the provider's own status page was last read; absent until it was.",
    "provider",
)

# ------------------------------------------------------------------------------ the monitor itself

BUILD_INFO = _process(
    "aichat_build_info", "Always 1; what is running.", "version", "revision", "pythonversion"
)
GUARD_UP = _process(
    "aichat_guard_up", "1 if any target of the own-network guard answered when last asked, else 0."
)
RELOAD_GOOD = _process(
    "aichat_config_last_reload_successful", "1 if the last load of the configuration worked."
)
RELOAD_TIME = _process(
    "aichat_config_last_reload_success_timestamp_seconds",
    "When a configuration was last loaded successfully.",
)
LOOP_LAG = _process(
    "aichat_event_loop_lag_seconds",
    "Longest time in the last minute for which the event loop could not react.",
)
IN_FLIGHT = _process("aichat_probes_in_flight", "Probes that are running now.")
LEDGER_ERRORS = Spec(
    "aichat_ledger_errors_total", "counter", (), "Failures to read or write the ledger."
)
NOTIFICATIONS = Spec(
    "aichat_notifications_total",
    "counter",
    ("target", "event", "result"),
    "Notifications by what became of them; dropped are those for which there was no room.",
)
BUDGET_LEFT = _process(
    "aichat_budget_remaining_dollars",
    "What today's budget for all probes still holds, in US dollars; absent where none is kept.",
)
SHARD_INDEX = _process("aichat_shard_index", "Which shard of the checks this monitor probes.")
SHARDS = _process("aichat_shards", "How many shards the checks are split into; 1 is no split.")
START_DELAY = Spec(
    "aichat_probe_start_delay_seconds",
    "histogram",
    (),
    "How much later than planned probes began, all checks together.",
    DELAY,
)
READ_LAG = Spec(
    "aichat_read_lag_seconds",
    "histogram",
    (),
    "How long the first output of an answer had been with the kernel when we read it, all checks "
    "together; times of tokens are the kernel's, and do not contain it.",
    LAG,
)

#: All of them, in the order above.
ALL: tuple[Spec, ...] = tuple(found for found in list(globals().values()) if type(found) is Spec)
