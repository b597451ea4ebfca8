"""*Check*: everything about one check."""

from __future__ import annotations

from grafana import common
from grafana import queries as q
from grafana.panels import (
    DARK,
    ORANGE,
    STATES,
    VERMILLION,
    Json,
    ask,
    bars,
    column,
    dashboard,
    heading,
    heatmap,
    layout,
    lines,
    mapping,
    stat,
    steps,
    table,
    timeline,
)

ONLY_CHATS = "Only chats with a key have tokens"
PICK = q.PICK_ONE


def one(expr: str) -> str:
    """This dashboard has no variable for the provider: the check says it."""
    return expr.replace(q.PICK, PICK)


def answer() -> list[Json]:
    metric = f"{{{PICK}}}"
    return [
        stat("State", "What is claimed about the check now.", 4,
             [ask(one(f"max({q.CODE})"), instant=True)], color_mode="background_solid",
             defaults={"mappings": mapping(STATES), "thresholds": steps((None, DARK))}),
        stat("For", "How long it has been in this state.", 4,
             [ask(f"time() - max(aichat_check_state_changed_timestamp_seconds{metric})", instant=True)],
             defaults={"unit": "s", "decimals": 1}),
        stat("Last probe", "How long ago the last probe ended.", 3,
             [ask(f"time() - max(aichat_probe_last_timestamp_seconds{metric})", instant=True)],
             defaults={"unit": "s", "decimals": 0}),
        stat("Uptime", "Time up or degraded over time known, in the range.", 3,
             [ask(one(q.uptime()), instant=True)],
             defaults={"unit": "percentunit", "decimals": 3}),
        stat("Coverage", "The share of the range that uptime speaks for.", 3,
             [ask(one(f"avg({q.coverage()})"), instant=True)],
             defaults={"unit": "percentunit", "decimals": 1}),
        stat("Outages", "Outages that touch the range.", 3,
             [ask(one(q.COUNT), instant=True)],
             defaults={"decimals": 0, "thresholds": steps((None, "text"), (1, VERMILLION))}),
        stat("Downtime", "Time down in the range.", 4,
             [ask(one(q.downtime()), instant=True)],
             defaults={"unit": "dthms", "thresholds": steps((None, "text"), (1, VERMILLION))}),
    ]  # fmt: skip


def quantiles(histogram: str) -> list[Json]:
    return [
        ask(one(q.quantile(share, histogram, "")), name)
        for share, name in ((0.5, "median"), (0.95, "p95"), (0.99, "p99"))
    ]


def phases() -> Json:
    def of(name: str) -> str:
        series = f'aichat_probe_phase_duration_seconds{{{PICK},phase="{name}"}}'
        return f"max(avg_over_time({series}[$__rate_interval]))"

    return lines(
        "Where the time goes",
        "Probes by their phases, on the average: name, connection, TLS, the wait for the first byte, from there to "
        "the first token, and the rest of the stream.",
        12,
        [
            ask(of("dns"), "name"),
            ask(of("connect"), "connect"),
            ask(of("tls"), "TLS"),
            ask(of("first_byte"), "first byte"),
            ask(f"clamp_min({of('first_token')} - {of('first_byte')}, 0)", "first token"),
            ask(of("stream"), "stream"),
        ],
        "s",
        custom={"fillOpacity": 60, "lineWidth": 0, "stacking": {"mode": "normal", "group": "A"}},
    )


def about() -> Json:
    metric = f"{{{PICK}}}"
    return table(
        "What it is",
        "The check as it is configured.",
        24,
        {
            "info": ask(
                f"max by (mode, protocol, host, group) (aichat_check_info{{{PICK}}})",
                table=True,
            ),
            "Interval": ask(f"max(aichat_probe_interval_seconds{metric})", table=True),
            "Timeout": ask(f"max(aichat_probe_timeout_seconds{metric})", table=True),
            "Target": ask(f"max(aichat_check_slo_target_ratio{metric})", table=True),
            "Certificate expires": ask(
                f"1000 * max(aichat_tls_certificate_expiry_timestamp_seconds{metric})", table=True
            ),
        },
        {"mode": "Kind", "protocol": "Protocol", "host": "Host", "group": "Group"},
        "Kind",
        False,
        hidden=["Value #A"],
        overrides=[
            column("Interval", unit="s", decimals=0),
            column("Timeout", unit="s", decimals=0),
            column("Target", unit="percentunit", decimals=1),
            column("Certificate expires", unit="dateTimeAsIso"),
        ],
    )


def build() -> Json:
    failures = one(q.counted(q.FAILURES, "reason"))
    metric = f"{{{PICK}}}"
    panels = layout(
        (4, answer()),
        (4, [timeline(
            "State",
            "What was claimed about the check, a row for each monitor that watches it.",
            24,
            [ask(one(q.OF_MONITORS), "{{instance}}")], many=False,
        )]),
        (7, [one_table()]),
        (8, [
            lines("Duration of answered probes", "Whole attempts, from start to end, of probes that were answered.",
                  12, quantiles(q.DURATION), "s"),
            phases(),
        ]),
        (7, [
            bars("Bad probes by reason", "Every round that was not ok, once, under its last reason.", 12,
                 [ask(f"{failures} > 0", "{{reason}}"), ask(f"sum({failures}) == 0", "none")],
                 overrides=[column("none", color={"mode": "fixed", "fixedColor": DARK})]),
            lines("Error budget left, 30 days",
                  "What is left of the downtime that the target allows; below 0 the target is missed.", 12,
                  [ask('min(check:aichat_error_budget:remaining_ratio_30d{job=~"$job",check="$check"})', "left")],
                  "percentunit", custom={"thresholdsStyle": {"mode": "line"}, "axisSoftMax": 1},
                  defaults={"thresholds": steps((None, "transparent"), (0, VERMILLION)), "decimals": 0}),
        ]),
        (4, [about()]),
        heading("Tokens"),
        (8, [
            chat(heatmap("Time to first token, every answer",
                    "How many answers began how soon. The dots, where Prometheus stores exemplars, carry the "
                    "probe_id that the log has too.",
                    12, one(f"sum by (le) (increase({q.FIRST_TOKEN}_bucket{{{q.PICK}}}[$__rate_interval]))"), "s")),
            chat(lines("Time to first token", "From the request written to the first output of any kind.",
                       12, quantiles(q.FIRST_TOKEN), "s",
                       defaults={"thresholds": steps((None, "transparent"), (8, ORANGE))})),
        ]),
        (7, [
            chat(lines("Time per output token", "From the first output to the last, by the tokens after the first.",
                       8, quantiles(q.PER_TOKEN)[:2], "s")),
            chat(lines("Longest silence in a stream", "The longest pause between two outputs of an answer.",
                       8, quantiles(q.STALL)[:2], "s")),
            chat(lines("Output speed", "Output tokens a second after the first, on the average.", 8,
                       [ask(one(q.speed("", "$__rate_interval")), "tokens a second")], "short")),
        ]),
        (7, [
            chat(lines("Tokens an hour", "As billed; output includes reasoning, input includes cached.", 8,
                       [ask(f"sum by (direction) (rate(aichat_tokens_total{metric}[$__rate_interval])) * 3600", "{{direction}}")],
                       "short")),
            chat(lines("Cost an hour", "Estimated from the price of the check, in US dollars.", 8,
                       [ask(f"sum(rate(aichat_probe_cost_dollars_total{metric}[$__rate_interval])) * 3600", "US dollars")],
                       "currencyUSD", defaults={"noValue": "No price known"})),
            chat(lines("Rate limit left", "The share of the provider's limit that is left, as its headers say.", 8,
                       [ask(f"min by (limit) (min_over_time(aichat_rate_limit_remaining_ratio{metric}[$__rate_interval]))", "{{limit}}")],
                       "percentunit", defaults={"min": 0, "max": 1, "noValue": "The provider does not say"})),
        ]),
    )  # fmt: skip
    return dashboard(
        common.CHECK,
        "AI chat / Check",
        "Everything about one check: state, outages, speed, tokens, cost.",
        panels,
        common.chosen(one=True),
        [one_annotation(found) for found in common.annotations(outages=True)],
    )


def chat(panel: Json) -> Json:
    """A panel that has nothing to say about a web page, and says so."""
    defaults = panel["fieldConfig"]["defaults"]
    if defaults["noValue"] == "No data":
        defaults["noValue"] = ONLY_CHATS
    return panel


def one_table() -> Json:
    shown = common.outage_table(24, whose=False)
    for asked in shown["targets"]:
        asked["expr"] = one(asked["expr"])
    return shown


def one_annotation(found: Json) -> Json:
    return {**found, "expr": one(found["expr"])}
