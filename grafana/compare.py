"""*Compare providers*: who is up, who is fast, what it costs."""

from __future__ import annotations

from grafana import common
from grafana import queries as q
from grafana.panels import (
    BLUE,
    PURPLE,
    VERMILLION,
    Json,
    ask,
    column,
    dashboard,
    heading,
    layout,
    lines,
    ranking,
    steps,
    table,
)


def per_thousand(by: str) -> str:
    """Absent where no usage is told: what was not counted is not free."""
    cost = q.grown("aichat_probe_cost_dollars_total")
    probes = q.grown("aichat_probes_total")
    told = q.total(q.grown("aichat_tokens_total"), by)
    return f"1000 * {q.ratio(cost, f'{probes} and {cost}', by)} and {told} > 0"


def score() -> Json:
    by = "provider, model, check"
    return table(
        "Side by side",
        "Every check in the range: how reliable, how fast, at what price.",
        24,
        {
            "Uptime": ask(q.uptime(by), table=True),
            "Coverage": ask(q.coverage(by), table=True),
            "Outages": ask(
                f"count by ({by}) ({q.STARTS}) or 0 * max by ({by}) (aichat_check_state{{{q.PICK}}})", table=True
            ),
            "Downtime": ask(q.downtime(by), table=True),
            "Recovery": ask(f"avg by ({by}) ({q.LENGTHS_OF_ENDED})", table=True),
            "First token": ask(q.quantile(0.5, q.FIRST_TOKEN, by, "$__range") + " >= 0", table=True),
            "p95": ask(q.quantile(0.95, q.FIRST_TOKEN, by, "$__range") + " >= 0", table=True),
            "Tokens/s": ask(q.speed(by), table=True),
            "1,000 probes": ask(per_thousand(by), table=True),
        },
        {"provider": "Provider", "model": "Model", "check": "Check"},
        "Uptime",
        True,
        overrides=[
            column("Check", links=common.to_check("This check", "__data.fields.Check")),
            column("Uptime", custom__width=110, unit="percentunit", decimals=3),
            column("Coverage", custom__width=100, unit="percentunit", decimals=1),
            column("Outages", custom__width=90, decimals=0),
            column("Downtime", custom__width=100, unit="dthms"),
            column("Recovery", custom__width=100, unit="dthms"),
            column("First token", custom__width=110, unit="s", decimals=2),
            column("p95", custom__width=90, unit="s", decimals=2),
            column("Tokens/s", custom__width=90, decimals=0),
            column("1,000 probes", custom__width=120, unit="currencyUSD", decimals=4),
        ],
    )  # fmt: skip


def build() -> Json:
    by = "provider"
    panels = layout(
        (9, [
            ranking("Uptime", "Time up or degraded over time known, the best first.", 6,
                    [ask(f"sort_desc({q.uptime(by)})", "{{provider}}", instant=True)], "percentunit",
                    defaults={"max": 1, "decimals": 3, "thresholds": steps((None, BLUE))}),
            ranking("Downtime", "Time down, of all its checks added up.", 6,
                    [ask(f"sort_desc({q.downtime(by)})", "{{provider}}", instant=True)], "dthms",
                    defaults={"thresholds": steps((None, VERMILLION))}),
            ranking("First token, p95", "95 % of its answers began within this time; the fastest first.", 6,
                    [ask(f"sort({q.quantile(0.95, q.FIRST_TOKEN, by, '$__range')} >= 0)", "{{provider}}", instant=True)],
                    "s", defaults={"decimals": 2}),
            ranking("Output speed", "Tokens a second, the mean of the range; the fastest first.", 6,
                    [ask(f"sort_desc({q.speed(by)})", "{{provider}}", instant=True)],
                    "short", defaults={"decimals": 0, "thresholds": steps((None, PURPLE))}),
        ]),
        (9, [score()]),
        heading("Over time"),
        (8, [
            lines("Time to first token, p95", "From the request written to the first output.", 12,
                  [ask(q.quantile(0.95, q.FIRST_TOKEN, by), "{{provider}}")], "s", beside=True),
            lines("Time per output token, p95", "From the first output to the last, by the tokens after the first.", 12,
                  [ask(q.quantile(0.95, q.PER_TOKEN, by), "{{provider}}")], "s", beside=True),
        ]),
        (8, [
            lines("Share of checks down", "Of the checks about which something is claimed.", 12,
                  [ask(q.DOWN_SHARE, "{{provider}}")],
                  "percentunit", beside=True, defaults={"min": 0, "max": 1}),
            lines("Uptime of the day before, worst check",
                  "Time up or degraded over time known, in the 24 hours before each point.", 12,
                  [ask(f"min by (provider) ({q.recorded('check:aichat_uptime:ratio_1d', 'provider, check')})", "{{provider}}")],
                  "percentunit", beside=True, defaults={"max": 1, "decimals": 2}, custom={"axisSoftMin": 0.95}),
        ]),
        heading("One model at several hosts, and what it costs"),
        (8, [
            ranking("First token by model and host, p95", "The same model can be had from several hosts; the fastest first.", 12,
                    [ask(f"sort({q.quantile(0.95, q.FIRST_TOKEN, 'model, provider', '$__range')} >= 0)",
                         "{{model}} at {{provider}}", instant=True)], "s", defaults={"decimals": 2}),
            ranking("Cost of 1,000 probes", "Estimated from prices and billed tokens, in US dollars.", 12,
                    [ask(f"sort({per_thousand(by)})", "{{provider}}", instant=True)],
                    "currencyUSD", defaults={"decimals": 4, "noValue": "No price known"}),
        ]),
    )  # fmt: skip
    return dashboard(
        common.COMPARE,
        "AI chat / Compare providers",
        "Providers side by side: uptime, outages, speed, cost.",
        panels,
        common.chosen(),
        common.annotations(outages=False),
        span="now-7d",
    )
