"""PromQL of the dashboards: one constant or function for each thing that is asked.

Two rules.  What is claimed *now* is asked of the raw series, which end with the monitor: nothing
stays green after it.  What *was* is asked of counters of time and of the series of outages, which
see what happened between two scrapes.
"""

from __future__ import annotations

from monitor.model import REASONS, Verdict

MONITOR = 'job=~"$job",instance=~"$instance"'
PICK = f'{MONITOR},provider=~"$provider",check=~"$check"'
PICK_ONE = f'{MONITOR},check=~"$check"'
"""Where a single check is chosen, which says its provider."""

#: Code of each state on a timeline; the highest is the worst.  0 is painted where there is nothing.
CODES = {"down": 6, "degraded": 5, "limited": 4, "up": 3, "unknown": 2, "maintenance": 1}
NO_DATA = 0


def last(metric: str, pick: str = PICK) -> str:
    """The newest sample in the range; for what stays true after its series ended."""
    return f"last_over_time({metric}{{{pick}}}[$__range])"


def grown(metric: str, more: str = "", window: str = "$__range", pick: str = PICK) -> str:
    """What a counter gained in the window."""
    return f"increase({metric}{{{pick}{more}}}[{window}])"


# --------------------------------------------------------------------------------------- states


def state(name: str) -> str:
    return f'aichat_check_state{{{PICK},state="{name}"}}'


CODES_NOW = " or ".join(f"{code} * ({state(name)} == 1)" for name, code in CODES.items())
CODE = f"max by (check, provider, model) ({CODES_NOW})"
"""The state of each check at this moment; of several monitors the worst."""

NOW = (
    f"{CODE} or {NO_DATA} * group by (check, provider, model) "
    f'(last_over_time(aichat_check_state{{{PICK},state="up"}}[$__range:$__interval]) '
    f"unless on (job, instance) up{{{MONITOR}}} == 1)"
)
"""The same as rows of a table: the checks of a monitor that is gone stay in it, without a state."""

SEEN = (
    "max by (check, provider, model) "
    f"(max_over_time(check:aichat_state:code{{{PICK}}}[$__interval] offset -$__interval)) or {CODE}"
)
"""The worst state within each slice, so that no outage is too short to be seen; Grafana draws a
slice from the moment it is named after, hence the offset.

Where nothing is recorded, as without the rules, the state at the slice's beginning has to do.
"""

ABSENT = (
    f"{NO_DATA} * group by (check, provider, model) "
    f'(last_over_time(aichat_check_state{{{PICK},state="up"}}[$__range:$__interval] @ end()))'
)
"""Where a check of this range has no state at all: painted, since a gap looks like nothing."""

TIMELINE = f'label_join({SEEN} or {ABSENT}, "by", " / ", "provider", "check")'
"""Rows are ordered by their labels, and `by` comes first: provider, then check."""

TIMELINE_BY_MONITOR = (
    "max by (instance) "
    f"(max_over_time(check:aichat_state:code{{{PICK}}}[$__interval] offset -$__interval)) "
    f"or max by (instance) ({CODES_NOW}) or {NO_DATA} * group by (instance) "
    f'(last_over_time(aichat_check_state{{{PICK},state="up"}}[$__range:$__interval] @ end()))'
)
"""Of one check: a row for each monitor that watches it."""

OF_PROVIDER = f"max by (provider) ({SEEN} or {ABSENT})"
CLAIMS = {
    "operational": 3,
    "degraded_performance": 5,
    "partial_outage": 5,
    "major_outage": 6,
    "under_maintenance": 1,
    "unknown": 2,
}
"""What a provider declares, in our codes."""


def claim() -> str:
    asked = " or ".join(
        f'{code} * (aichat_provider_declared_state{{{MONITOR},provider=~"$provider",state="{name}"}} == 1)'
        for name, code in CLAIMS.items()
    )
    return f"max by (provider) ({asked})"


BOTH_SIDES = (
    f'label_replace({OF_PROVIDER}, "who", "we see", "", "") '
    f'or label_replace({claim()}, "who", "they say", "", "")'
)

DAYS = (
    f"max by (check, provider, model) ("
    f'{CODES["down"]} * (increase(aichat_check_state_seconds_total{{{PICK},state="down"}}[1d] offset -1d) > bool 0 == 1)'
    f" or {CODES['unknown']} * (increase(check:aichat_seen_seconds:sum{{{PICK}}}[1d] offset -1d)"
    " < bool scalar(clamp_max(vector($__to / 1000 - time()), 86400) / 2) == 1)"
    f" or max_over_time(check:aichat_state:code{{{PICK}}}[1d] offset -1d))"
)
"""Each day in one colour: down if it ever was; unknown if less than half of it was seen; else the
worst of the rest.  A slice is named after its beginning, hence the offset."""

# ---------------------------------------------------------------------------------- uptime

GOOD = ',state=~"up|degraded"'
KNOWN = ',state=~"up|degraded|down"'
DOWN = ',state="down"'
SECONDS = "aichat_check_state_seconds_total"


def total(what: str, by: str = "") -> str:
    return f"sum by ({by}) ({what})" if by else f"sum({what})"


def ratio(part: str, whole: str, by: str = "") -> str:
    """Sum over sum; absent, not 0 and not NaN, where there is no whole."""
    return f"{total(part, by)} / ({total(whole, by)} > 0)"


def uptime(by: str = "", window: str = "$__range") -> str:
    """Time up or degraded over time known."""
    return ratio(grown(SECONDS, GOOD, window), grown(SECONDS, KNOWN, window), by)


def coverage(by: str = "check") -> str:
    """The share of the range that uptime speaks for."""
    return f"clamp_max(sum by ({by}) ({grown(SECONDS, KNOWN)}) / $__range_s, 1)"


def downtime(by: str = "") -> str:
    return total(grown(SECONDS, DOWN), by)


# ---------------------------------------------------------------------------------- outages

OUTAGE = "check, provider, model, outage, reason"
_START = f"max by ({OUTAGE}) ({last('aichat_outage_start_timestamp_seconds')})"
_END = f"max by ({OUTAGE}) ({last('aichat_outage_end_timestamp_seconds')})"
_OPEN = f"max by ({OUTAGE}) (aichat_outage_end_timestamp_seconds{{{PICK}}}) == 0"
_ENDED = f"({_END} >= $__from / 1000)"
_LOST = f"({_END} == 0 unless {_OPEN})"
"""Open when it was last heard of, and nobody says so any more."""

ENDS = f"{_ENDED} * 1000 or {_OPEN} or {_LOST} + 1"
"""Unix milliseconds; 0 is ongoing, 1 is lost from sight."""
STARTS = f"(round({_START} * 1000) and ({_ENDED} or {_END} == 0))"


def or_say(rows: str, text: str) -> str:
    """A table without rows is a blank: let it say that there are none, or that nobody knows."""
    alive = f"max(aichat_check_state{{{PICK}}})"
    none = f'label_replace(0 * {alive}, "reason", "{text}", "", "")'
    unknown = f'label_replace(vector(0) unless on () {alive}, "reason", "No data", "", "")'
    return f"{rows} or (({none} or {unknown}) unless on () {rows})"


LENGTHS = f"{_ENDED} - {_START} or time() - ({_START} and ({_OPEN}))"
COUNT = f"count({STARTS}) or 0 * max(aichat_check_state{{{PICK}}})"
ZOOM_FROM = f"{STARTS} - 600000"
ZOOM_TO = f"round(({_ENDED} + 600 or 0 * ({_END} == 0) + time()) * 1000)"
"""The range around an outage, in milliseconds, with ten minutes on either side."""
LENGTHS_OF_ENDED = f"{_ENDED} - {_START}"
REPAIR = f"avg({LENGTHS_OF_ENDED})"


def mean(histogram: str, by: str = "") -> str:
    """Mean of what a histogram took in."""
    return ratio(grown(f"{histogram}_sum"), grown(f"{histogram}_count"), by)


def quantile(q: float, histogram: str, by: str, window: str = "$__rate_interval") -> str:
    within = f", {by}" if by else ""
    return f"histogram_quantile({q}, sum by (le{within}) (rate({histogram}_bucket{{{PICK}}}[{window}])))"


FAILURES = "aichat_probe_failures_total"
FIRST_TOKEN = "aichat_time_to_first_token_seconds"
DURATION = "aichat_probe_duration_seconds"
PER_TOKEN = "aichat_time_per_output_token_seconds"
STALL = "aichat_stream_stall_seconds"


def speed(by: str, window: str = "$__range") -> str:
    """Tokens a second after the first: the inverse of the mean time per output token."""
    number, time = (grown(f"{PER_TOKEN}_{part}", window=window) for part in ("count", "sum"))
    return ratio(number, time, by)


# ------------------------------------------------------------------------------ them, us, monitor

WORST = f"max({CODE} != {CODES['limited']}) or 0 * max({CODE}) + {CODES['unknown']}"
"""What the providers answer for: a refused account is not their doing."""
OURS = f"max(2 * {state('limited')} or 3 * (1 - aichat_guard_up{{{MONITOR}}}))"
"""0 nothing, 2 a refused account, 3 our own network."""
WATCHING = (
    f"max(2 * (1 - up{{{MONITOR}}}) and on (job, instance) {last('aichat_build_info', MONITOR)} "
    f"or (time() - aichat_probe_last_timestamp_seconds{{{PICK}}}) "
    f"> bool (60 + 3 * aichat_probe_interval_seconds{{{PICK}}}))"
)
"""0 at work, 1 probes are late, 2 not to be reached."""

THEIRS = "|".join(
    reason.value for reason, (_, verdict) in REASONS.items() if verdict is Verdict.FAILED
)
"""Reasons that are failures of the provider's, as a pattern."""


def recorded(name: str, key: str) -> str:
    """A recorded series of the chosen checks; rules over many instances have no `instance`."""
    return f'max by ({key}) ({name}{{job=~"$job",provider=~"$provider",check=~"$check"}})'
