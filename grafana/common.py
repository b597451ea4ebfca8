"""What the dashboards share: variables, annotations, columns of outages."""

from __future__ import annotations

from grafana import queries as q
from grafana.panels import (
    BLUE,
    DARK,
    VERMILLION,
    Json,
    annotation,
    ask,
    column,
    link,
    mapping,
    steps,
    table,
    variable,
)

OUTAGES, CHECK, COMPARE = "aichat-outages", "aichat-check", "aichat-compare"


def to_check(title: str, name: str, when: str = "${__url_time_range}") -> list[Json]:
    """A link to the dashboard of one check; `name` is what Grafana puts the check's name in for."""
    return link(
        title,
        f"/d/{CHECK}?var-datasource=${{datasource}}&var-job=$__all&var-instance=$__all"
        f"&var-mode=$__all&var-check=${{{name}}}&{when}",
    )


def chosen(*, one: bool = False) -> list[Json]:
    """`job`, `instance`, `provider` and `check`, or for `one` check its kind and its name."""
    family = "aichat_check_state"
    monitor = [
        variable("job", "Job", f"label_values({family}, job)"),
        variable("instance", "Instance", f'label_values({family}{{job=~"$job"}}, instance)'),
    ]
    if not one:
        return [
            *monitor,
            variable("provider", "Provider", f"label_values({family}{{{q.MONITOR}}}, provider)"),
            variable(
                "check",
                "Check",
                f'label_values({family}{{{q.MONITOR},provider=~"$provider"}}, check)',
            ),
        ]
    return [
        *monitor,
        variable(
            "mode",
            "Kind",
            f"label_values(aichat_check_info{{{q.MONITOR}}}, mode)",
            multi=False,
            current={"text": "chat", "value": "chat"},
        ),
        variable(
            "check",
            "Check",
            f'label_values(aichat_check_info{{{q.MONITOR},mode=~"$mode"}}, check)',
            multi=False,
            includeAll=False,
            allValue=None,
            current={},
        ),
    ]


def annotations(*, outages: bool) -> list[Json]:
    """Outages and restarts; where every outage is a row anyway, their lines wait to be asked for."""
    return [
        annotation(
            "Outages",
            VERMILLION,
            # The whole step, which in the view of a day is a quarter of an hour.
            f"max by (check) (max_over_time({q.state('down')}[$__interval])) == 1",
            "{{check}}",
            shown=outages,
        ),
        annotation(
            "Restarts",
            BLUE,
            f"process_start_time_seconds{{{q.MONITOR}}} > time() - $__interval_ms / 1000 "
            "and on (job, instance) aichat_build_info",
            "{{instance}}",
            shown=True,
        ),
    ]


def outage_table(width: int, *, whose: bool = True) -> Json:
    """Every outage that touches the range, newest first; `whose` shows which check it was."""
    labels = {"check": "Check", "provider": "Provider", "model": "Model", "reason": "Reason"}
    if not whose:
        labels = {"reason": "Reason"}
    around = "from=${__data.fields.from.numeric}&to=${__data.fields.to.numeric}"
    return table(
        "Outages in range",
        "Every outage that touches the range, from its first failed attempt to its first good one. "
        "Click a start to see what went on around it.",
        width,
        {
            "<Start": ask(q.or_say(q.STARTS, "no outage in this range"), table=True),
            "<End": ask(q.ENDS, table=True),
            "<Length": ask(q.LENGTHS, table=True),
            "from": ask(q.ZOOM_FROM, table=True),
            "to": ask(q.ZOOM_TO, table=True),
        },
        labels,
        "Start",
        True,
        hidden=["outage", *(name for name in ("check", "provider", "model") if name not in labels)],
        overrides=[
            column(
                "Start",
                unit="dateTimeAsIso",
                mappings=mapping({0: ("–", "text")}),
                custom__width=180,
                custom__align="left",
                links=to_check("Around this outage", "__data.fields.Check", around)
                if whose
                else link("Around this outage", f"/d/{CHECK}?${{__all_variables}}&{around}"),
            ),
            column(
                "End",
                unit="dateTimeAsIso",
                custom__width=180,
                custom__align="left",
                mappings=mapping({0: ("ongoing", VERMILLION), 1: ("lost from sight", DARK)}),
                custom__cellOptions={"type": "color-text"},
            ),
            column("Length", unit="dthms", custom__width=110),
            column("from", custom__hidden=True),
            column("to", custom__hidden=True),
        ],
        defaults={"noValue": "No outage known in this range", "thresholds": steps((None, "text"))},
    )
