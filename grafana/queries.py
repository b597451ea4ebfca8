"""PromQL of the dashboards: one constant or function for each thing that is asked.

Two rules.  What is claimed *now* is asked of the raw series, which end with the monitor: nothing
stays green after it.  What *was* is asked of counters of time and of the series of outages, which
see what happened between two scrapes.
"""

from __future__ import annotations

from monitor.model import REASONS, Verdict

MONITOR = 'job=~"$job",instance=~"$instance"'
PICK = f'{MONITOR},provider=~"$provider",check=~"$check"'
PICK_ONE = f'{MONITOR},check="$check"'
"""Where a single check is chosen; such a name is not escaped, so it must not be a pattern."""

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


def lived(slice: str = "$__interval", at: str = "") -> str:
    """What was there in the range: a look at each slice, and a close one at the last hour, since
    what lived for less than a slice may fall between two looks."""
    up = state("up")
    return f"(last_over_time({up}[$__range:{slice}] {at}) or last_over_time({up}[1h] {at}))"


NOW = (
    f"{CODE} or {NO_DATA} * group by (check, provider, model) "
    f"({lived()} unless on (job, instance) up{{{MONITOR}}} == 1)"
)
"""The same as rows of a table: the checks of a monitor that is gone stay in it, without a state."""

CHECK = "check, provider, model"
AT_THE_END = "@ ${__to:date:seconds}"
"""The end of what is looked at; PromQL's own `end()` is the last whole slice."""


def painted(by: str, slice: str, milliseconds: str) -> str:
    """The state in each slice of time, by the worst: one colour for a slice, however long it is.

    * Down, if an outage touches it: the series of outages know them all, the shortest too.
    * Unknown, if less than half of it was seen.  Slices under ten minutes are too short to tell.
    * Else the worst that was recorded; without the recording rules, what it began with.
    * No data, where nothing at all is there: painted, since a gap looks like nothing.

    Grafana draws a slice from the moment that it is named after, hence the offsets.
    """
    start, end = (f"aichat_outage_{edge}_timestamp_seconds{{{PICK}}}" for edge in ("start", "end"))
    began = f"last_over_time({start}[$__range] {AT_THE_END}) < time() + {milliseconds} / 1000"
    lasted = f"last_over_time({end}[$__range] {AT_THE_END}) > time()"
    lasts = f"{end} {AT_THE_END} == 0"
    down = f"max by ({by}) ({began} and ({lasted} or {lasts}))"
    seen = f"sum by ({by}) (increase(check:aichat_seen_seconds:sum{{{PICK}}}[{slice}] offset -{slice}))"
    elapsed = f"scalar(clamp_max(vector($__to / 1000 - time()), {milliseconds} / 1000))"
    unseen = f"({seen} < {elapsed} / 2 and on () vector({milliseconds}) >= 600000)"
    worst = (
        f"max by ({by}) (max_over_time(check:aichat_state:code{{{PICK}}}[{slice}] offset -{slice}))"
    )
    return " or ".join((
        f"{CODES['down']} * {down} ^ 0",
        f"{CODES['unknown']} * {unseen} ^ 0",
        worst,
        f"max by ({by}) ({CODES_NOW})",
        f"{NO_DATA} * group by ({by}) {lived(slice, AT_THE_END)}",
    ))  # fmt: skip


SLICES = painted(CHECK, "$__interval", "$__interval_ms")
DAYS = painted(CHECK, "1d", "86400000")


def rows(states: str) -> str:
    """Rows are ordered by their labels, and `by` comes first: provider, then check."""
    return f'label_join({states}, "by", " / ", "provider", "check")'


OF_MONITORS = painted("instance", "$__interval", "$__interval_ms")
"""Of one check: a row for each monitor that watches it."""

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
    f'label_replace(max by (provider) ({SLICES}), "who", "we see", "", "") '
    f'or label_replace({claim()}, "who", "they say", "", "")'
)

# ---------------------------------------------------------------------------------- uptime

# Recorded sums of seconds: over 90 days a fifth of the samples that the counters of states have.
GOOD, KNOWN = "check:aichat_good_seconds:sum", "check:aichat_known_seconds:sum"
SECONDS = "aichat_check_state_seconds_total"


def total(what: str, by: str = "") -> str:
    return f"sum by ({by}) ({what})" if by else f"sum({what})"


def ratio(part: str, whole: str, by: str = "") -> str:
    """Sum over sum; absent, not 0 and not NaN, where there is no whole."""
    return f"{total(part, by)} / ({total(whole, by)} > 0)"


def uptime(by: str = "") -> str:
    """Time up or degraded over time known; the two sums may be a sample apart."""
    return f"clamp_max({ratio(grown(GOOD), grown(KNOWN), by)}, 1)"


def coverage(by: str = "check") -> str:
    """The share of the range that uptime speaks for."""
    return f"clamp_max({total(grown(KNOWN), by)} / $__range_s, 1)"


def downtime(by: str = "") -> str:
    return total(grown(SECONDS, ',state="down"'), by)


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

WORST = (
    f"max({CODE} > {CODES['limited']}) "
    f"or {CODES['unknown']} + 0 * (count({CODE} == {CODES['unknown']}) > count({CODE}) / 2) "
    f"or max({CODE} != {CODES['limited']}) or {CODES['unknown']} + 0 * max({CODE})"
)
"""What the providers answer for: a refused account is not their doing, and if most is unknown,
nothing is well."""
OURS = (
    f"max(2 * ({state('limited')} unless on (job, instance, check) "
    f'aichat_check_info{{{MONITOR},mode="reachability"}}) '
    f"or 3 * (1 - aichat_guard_up{{{MONITOR}}}) or 0 * {state('up')})"
)
"""0 nothing, 2 a refused account, 3 our own network.  A check without a key is limited by choice."""
WATCHING = (
    f"max(2 * (1 - up{{{MONITOR}}}) "
    f"and on (job, instance) last_over_time(aichat_build_info{{{MONITOR}}}[30d]) "
    f"or (time() - aichat_probe_last_timestamp_seconds{{{PICK}}}) "
    f"> bool (60 + 3 * aichat_probe_interval_seconds{{{PICK}}}))"
)
"""0 at work, 1 probes are late, 2 not to be reached."""

DOWN_SHARE = ratio(
    f"max by (check, provider) ({state('down')})",
    f'max by (check, provider) (aichat_check_state{{{PICK},state=~"up|degraded|down"}})',
    "provider",
)
"""Of the checks about which something is claimed."""

THEIRS = "|".join(
    reason.value for reason, (_, verdict) in REASONS.items() if verdict is Verdict.FAILED
)
"""Reasons that are failures of the provider's, as a pattern."""


def recorded(name: str, key: str) -> str:
    """A recorded series of the chosen checks that are still there; of several monitors the worst.

    Rules over many instances have no `instance`, and go on for as long as their window.
    """
    return (
        f'min by ({key}) ({name}{{job=~"$job",provider=~"$provider",check=~"$check"}} '
        f"and on (job, check) {state('up')})"
    )


def counted(counter: str, by: str) -> str:
    """What a counter gained in each slice.  Windows overlap by a scrape, so that nothing is lost
    between two of them, and are scaled to the slice."""
    return f"sum by ({by}) (rate({counter}{{{PICK}}}[$__rate_interval])) * $__interval_ms / 1000"


_BUDGET = recorded("check:aichat_error_budget:remaining_ratio_30d", "check")
LEAST_BUDGET = f"{_BUDGET} and on (check) bottomk(5, last_over_time(({_BUDGET})[10m:1m] @ end()))"
"""The five checks that have least now, over the whole range; chosen anew at each point, the lines
would come and go."""
