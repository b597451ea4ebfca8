"""*Outages*: is it them, is it us, is it the monitor; and what happened."""

from __future__ import annotations

from grafana import common
from grafana import queries as q
from grafana.panels import (
    BLUE,
    DARK,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    STATES,
    VERMILLION,
    Json,
    ask,
    bars,
    collapsed,
    column,
    dashboard,
    days,
    heading,
    layout,
    lines,
    mapping,
    ranking,
    stat,
    state_column,
    steps,
    table,
    timeline,
)


def verdict(title: str, about: str, expr: str, texts: dict[int, tuple[str, str]]) -> Json:
    return stat(
        title, about, 4, [ask(expr, instant=True)], color_mode="background_solid", size=44,
        defaults={"mappings": mapping(texts), "thresholds": steps((None, DARK))},
    )  # fmt: skip


def verdicts() -> list[Json]:
    """The three questions, each answered in a word."""
    return [
        verdict(
            "Is it them?",
            "The worst that is claimed about any check, a refused account aside.",
            q.WORST,
            {6: ("Down", VERMILLION), 5: ("Degraded", ORANGE), 3: ("No", GREEN),
             2: ("Unknown", GREY), 1: ("Maintenance", BLUE)},
        ),
        verdict(
            "Is it us?",
            "Whether a provider refuses our account (key, money, rate), or our own network is dead.",
            q.OURS,
            {0: ("No", GREEN), 2: ("Account", PURPLE), 3: ("Network", VERMILLION)},
        ),
        verdict(
            "Is it the monitor?",
            "Whether the monitor can be scraped, and probes when it should.",
            q.WATCHING,
            {0: ("No", GREEN), 1: ("Late", ORANGE), 2: ("Offline", VERMILLION)},
        ),
    ]  # fmt: skip


def tally() -> Json:
    """How many checks are in each state; only what there is has a colour."""
    order = ["up", "degraded", "down", "limited", "unknown", "maintenance"]
    colours = {text.lower(): color for text, color in STATES.values()}
    return stat(
        "Checks by state",
        "How many checks are in each state now.",
        12,
        [
            ask(f"sum(max by (check) ({q.state(name)}))", name.capitalize(), instant=True)
            for name in order
        ],
        color_mode="background_solid",
        text_mode="value_and_name",
        defaults={"decimals": 0, "thresholds": steps((None, DARK))},
        overrides=[
            column(name.capitalize(), thresholds=steps((None, "transparent"), (1, colours[name])))
            for name in order
        ],
    )


def figures() -> list[Json]:
    """The range in six numbers."""
    return [
        stat(
            "Uptime",
            "Time up or degraded over time known, of all checks together.",
            4,
            [ask(q.uptime(), instant=True)],
            defaults={"unit": "percentunit", "decimals": 3,
                      "thresholds": steps((None, "text"), (0, VERMILLION), (0.99, ORANGE), (0.995, "text"))},
        ),
        stat(
            "Coverage",
            "The share of the range that uptime speaks for: time up, degraded or down. "
            "The rest is unknown, limited, maintenance, or before the check began.",
            4,
            [ask(f"avg({q.coverage()})", instant=True)],
            defaults={"unit": "percentunit", "decimals": 1},
        ),
        stat(
            "Outages",
            "Outages that touch the range.",
            4,
            [ask(q.COUNT, instant=True)],
            defaults={"decimals": 0, "thresholds": steps((None, "text"), (1, VERMILLION))},
        ),
        stat(
            "Downtime",
            "Time down, of all checks added up.",
            4,
            [ask(q.downtime(), instant=True)],
            defaults={"unit": "dthms", "thresholds": steps((None, "text"), (1, VERMILLION))},
        ),
        stat(
            "Mean time to recovery",
            "Mean length of the outages that ended.",
            4,
            [ask(q.REPAIR, instant=True)],
            defaults={"unit": "dthms", "noValue": "None known"},
        ),
        stat(
            "Mean time to detection",
            "From the first failed attempt to the confirmation. The true start lies up to one interval "
            "earlier; nobody who asks now and then can know it.",
            4,
            [ask(q.mean("aichat_outage_detection_seconds"), instant=True)],
            defaults={"unit": "dthms", "noValue": "None known"},
        ),
    ]  # fmt: skip


def now() -> Json:
    key = "check, provider, model"
    return table(
        "Checks now",
        "What is claimed about each check now, since when, and how it did lately.",
        24,
        {
            "<State": ask(q.NOW, table=True),
            "Since": ask(
                f"time() - max by ({key}) (aichat_check_state_changed_timestamp_seconds{{{q.PICK}}})",
                table=True,
            ),
            "Last probe": ask(
                f"time() - max by ({key}) (aichat_probe_last_timestamp_seconds{{{q.PICK}}})", table=True
            ),
            "First token p95": ask(q.quantile(0.95, q.FIRST_TOKEN, key, "1h") + " >= 0", table=True),
            "Uptime 24 h": ask(q.recorded("check:aichat_uptime:ratio_1d", key), table=True),
            "7 d": ask(q.recorded("check:aichat_uptime:ratio_7d", key), table=True),
            "30 d": ask(q.recorded("check:aichat_uptime:ratio_30d", key), table=True),
            "Coverage 30 d": ask(q.recorded("check:aichat_coverage:ratio_30d", key), table=True),
            "Budget left": ask(
                q.recorded("check:aichat_error_budget:remaining_ratio_30d", key), table=True
            ),
            "They say": ask(
                f"0 * ({q.CODE}) + on (provider) group_left () {q.claim()}", table=True
            ),
        },
        {"provider": "Provider", "check": "Check", "model": "Model"},
        "State",
        True,
        overrides=[
            state_column("State"),
            state_column("They say"),
            column("Check", links=common.to_check("This check", "__data.fields.Check")),
            column("Since", unit="s", decimals=1, custom__width=95),
            column("Last probe", unit="s", decimals=0, custom__width=95),
            column("First token p95", unit="s", decimals=2, custom__width=130),
            *(
                column(name, unit="percentunit", decimals=digits, custom__width=width)
                for name, digits, width in (
                    ("Uptime 24 h", 3, 110), ("7 d", 3, 90), ("30 d", 3, 90), ("Coverage 30 d", 1, 120),
                )
            ),
            column(
                "Budget left", unit="percentunit", decimals=0, custom__width=105,
                custom__cellOptions={"type": "color-text"},
                # The lowest step is also the colour of a check that has no budget yet.
                thresholds=steps((None, "text"), (-1e9, VERMILLION), (0, ORANGE), (0.25, "text")),
            ),
        ],
    )  # fmt: skip


def why() -> list[Json]:
    failures = q.counted(q.FAILURES, "reason")
    theirs = q.THEIRS
    return [
        bars(
            "Bad probes by reason",
            "Every round that was not ok, once, under its last reason.",
            12,
            [
                ask(f"{failures} > 0", "{{reason}}"),
                ask(f"sum({failures}) == 0", "none"),
            ],
            beside=True,
            overrides=[column("none", color={"mode": "fixed", "fixedColor": DARK})],
        ),
        lines(
            "Failed share of probes",
            "Rounds that ended in a failure of the provider's, by all rounds.",
            12,
            [
                ask(
                    f'sum by (provider) (increase({q.FAILURES}{{{q.PICK},reason=~"{theirs}"}}[$__rate_interval]))'
                    f" / (sum by (provider) ({q.grown('aichat_probes_total', window='$__rate_interval')}) > 0)",
                    "{{provider}}",
                )
            ],
            "percentunit",
            beside=True,
            defaults={"max": 1, "min": 0},
        ),
    ]


def budget() -> list[Json]:
    burn = "check:aichat_downtime:ratio_rate{window}"
    slo = f"(1 - max by (check) (aichat_check_slo_target_ratio{{{q.PICK}}}))"
    burning = [
        ask(
            f"max({q.recorded(burn.format(window=window), 'check')} / on (check) {slo})",
            f"{window} (alerts over {factor:g})",
        )
        for window, factor in (("1h", 14.4), ("6h", 6), ("1d", 3), ("3d", 1))
    ]
    return [
        ranking(
            "Uptime in range",
            "Time up or degraded over time known, the worst first.",
            8,
            [ask(f"sort({q.uptime('check')})", "{{check}}", instant=True)],
            "percentunit",
            defaults={"max": 1, "decimals": 3},
        ),
        lines(
            "Error budget left, 30 days",
            "What is left of the downtime that each check's target allows: 100 % is untouched, "
            "below 0 the target is missed. The five that have least.",
            8,
            [
                ask(
                    q.LEAST_BUDGET,
                    "{{check}}",
                )
            ],
            "percentunit",
            custom={"thresholdsStyle": {"mode": "line"}, "axisSoftMax": 1},
            defaults={"thresholds": steps((None, "transparent"), (0, VERMILLION)), "decimals": 0},
        ),
        lines(
            "Burn rate, worst check",
            "How fast the error budget is spent: at 1 it lasts exactly 30 days. Alerts page when both the "
            "long and the short window burn faster than the number in the legend.",
            8,
            burning,
            "short",
            custom={"axisSoftMax": 1},
            defaults={"decimals": 1},
        ),
    ]


def claims() -> Json:
    return timeline(
        "What they say, what we see",
        "The worst that is claimed about each provider's checks, beside what its own status page says. "
        "A provider without a check of type status-page says nothing here.",
        24,
        [ask(q.BOTH_SIDES, "{{provider}}, {{who}}")],
    )


def health() -> Json:
    """The monitor itself and what it costs; closed until somebody wonders."""
    monitor = f"{{{q.MONITOR}}}"
    rate = "[$__rate_interval]"
    return collapsed(
        "The monitor, and what it costs",
        (5, [
            stat("Version", "What is running.", 4,
                 [ask(f"max by (version) (aichat_build_info{monitor})", "{{version}}", instant=True)], text_mode="name"),
            stat("Configuration", "Whether the last load of checks.yaml worked.", 4,
                 [ask(f"min(aichat_config_last_reload_successful{monitor})", instant=True)],
                 defaults={"mappings": mapping({1: ("Loaded", GREEN), 0: ("Refused", VERMILLION)})}),
            stat("Own network", "Whether a guard target answered when last asked.", 4,
                 [ask(f"min(aichat_guard_up{monitor})", instant=True)],
                 defaults={"mappings": mapping({1: ("Answers", GREEN), 0: ("Dead", VERMILLION)}), "noValue": "Not watched"}),
            stat("Ledger errors in range", "Failures to read or write the ledger.", 4,
                 [ask(f"sum(increase(aichat_ledger_errors_total{monitor}[$__range]))", instant=True)],
                 defaults={"decimals": 0, "thresholds": steps((None, "text"), (1, VERMILLION))}),
            stat("Spent in range", "Estimated price of all probes, in US dollars.", 4,
                 [ask(f"sum({q.grown('aichat_probe_cost_dollars_total')})", instant=True)],
                 defaults={"unit": "currencyUSD", "decimals": 4, "noValue": "No price known"}),
            stat("Tokens in range", "Input and output tokens of all probes.", 4,
                 [ask(f"sum({q.grown('aichat_tokens_total', TOKENS)})", instant=True)],
                 defaults={"unit": "short", "decimals": 1}),
        ]),
        (7, [
            lines("Event loop lag", "Longest time in a minute for which the event loop could not react. "
                  "Token clocks use the kernel's receive stamps and do not suffer from it.", 8,
                  [ask(f"max by (instance) (max_over_time(aichat_event_loop_lag_seconds{monitor}{rate}))", "{{instance}}")], "s"),
            lines("Start delay, p99", "How much later than planned probes began.", 8,
                  [ask("histogram_quantile(0.99, sum by (le, instance) (rate("
                       f"aichat_probe_start_delay_seconds_bucket{monitor}{rate})))", "{{instance}}")], "s"),
            lines("Probes", "Rounds a second, and rounds that are under way.", 8,
                  [ask(f"sum(rate(aichat_probes_total{{{q.MONITOR}}}{rate}))", "rounds a second"),
                   ask(f"sum(aichat_probes_in_flight{monitor})", "under way")], "short"),
        ]),
        (7, [
            lines("Memory", "Resident memory of the monitor.", 8,
                  [ask(f"max by (instance) (process_resident_memory_bytes{monitor} "
                       "and on (job, instance) aichat_build_info)", "{{instance}}")], "bytes"),
            lines("CPU", "Cores in use by the monitor.", 8,
                  [ask(f"max by (instance) (rate(process_cpu_seconds_total{monitor}{rate}) "
                       "and on (job, instance) aichat_build_info)", "{{instance}}")], "percentunit"),
            lines("Samples a scrape", "How many samples Prometheus takes from the monitor.", 8,
                  [ask(f"max by (instance) (scrape_samples_scraped{monitor} "
                       "and on (job, instance) aichat_build_info)", "{{instance}}")], "short"),
        ]),
    )  # fmt: skip


TOKENS = ',direction=~"input|output"'


def build() -> Json:
    panels = layout(
        (4, [*verdicts(), tally()]),
        (9, [timeline(
            "State",
            "What was claimed about each check. Grey means that nothing was known: it is never green.",
            24,
            [ask(q.rows(q.SLICES), "{{by}}")],
            defaults={"links": common.to_check("This check", "__field.labels.check")},
        )]),
        (3, figures()),
        (8, [common.outage_table(24)]),
        (10, [now()]),
        heading("Why"),
        (8, why()),
        heading("Against the target"),
        (8, budget()),
        heading("In the long run, and in their own words"),
        (8, [days(
            "Ninety days",
            "Each day in its worst colour; grey if less than half of it was seen.",
            24,
            [ask(q.rows(q.DAYS), "{{by}}")],
        )]),
        (7, [claims()]),
        health(),
    )  # fmt: skip
    return dashboard(
        common.OUTAGES,
        "AI chat / Outages",
        "Which AI chat endpoints are down, since when, why, and how often lately.",
        panels,
        common.chosen(),
        common.annotations(outages=False),
    )
