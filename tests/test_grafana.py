"""How the harness takes Grafana to ask and to show; the harness is only as true as this."""

from __future__ import annotations

from typing import Any

import pytest

from tests import grafana
from tests.grafana import (
    ALL,
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Dashboard,
    Field,
    Panel,
    Query,
    Series,
    Span,
    UnknownVariable,
    Variable,
)

END = 1_795_000_010_000
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def query(expr: str = "x", **more: Any) -> Query:
    return Query("here", "panel", "A", expr, **more)


def last(length: int) -> Span:
    return Span(END - length, END)


# ------------------------------------------------------------------------------------- asking


@pytest.mark.parametrize(
    ("length", "points", "least", "step"),
    [
        (5 * MINUTE, 1600, "15s", 15 * SECOND),
        (5 * MINUTE, 1600, "1s", SECOND),
        (24 * HOUR, 1600, "15s", MINUTE),
        (24 * HOUR, 800, "15s", 2 * MINUTE),
        (7 * DAY, 1600, "15s", 5 * MINUTE),
        (90 * DAY, 1600, "15s", HOUR),
        (90 * DAY, 100, "1d", DAY),
        (24 * HOUR, 1600, "10m", 10 * MINUTE),
    ],
)
def test_the_step_is_a_round_one_for_the_width_and_not_under_the_least(
    length: int, points: int, least: str, step: int
) -> None:
    asked = query(max_points=points, min_interval=least)
    assert grafana.plan(asked, last(length), "15s").step == step


def test_no_query_has_more_points_than_prometheus_gives() -> None:
    asked = query(max_points=1600, min_step="1s")
    plan = grafana.plan(asked, last(24 * HOUR), "15s")
    assert (plan.aligned.end - plan.aligned.start) / plan.step <= 11_000


def test_a_range_is_of_whole_steps() -> None:
    plan = grafana.plan(query(max_points=800), last(HOUR), "15s")
    assert plan.aligned.start % plan.step == plan.aligned.end % plan.step == 0
    assert plan.aligned.end <= END < plan.whole.end < END + plan.step


@pytest.mark.parametrize(
    ("length", "scrape", "rate"),
    [(5 * MINUTE, "15s", "1m0s"), (24 * HOUR, "15s", "1m15s"), (5 * MINUTE, "1s", "4s")],
)
def test_a_rate_interval_holds_four_scrapes_and_a_step(length: int, scrape: str, rate: str) -> None:
    plan = grafana.plan(query("rate(x[$__rate_interval])", max_points=1600), last(length), scrape)
    assert plan.expr == f"rate(x[{rate}])"


def test_a_least_step_of_the_query_counts_as_its_scrape_interval() -> None:
    asked = query("rate(x[$__rate_interval])", min_step="1m", max_points=1600)
    plan = grafana.plan(asked, last(HOUR), "15s")
    assert (plan.step, plan.expr) == (MINUTE, "rate(x[4m0s])")


def test_a_step_of_the_rate_interval_is_that() -> None:
    asked = query("rate(x[$__rate_interval])", min_step="$__rate_interval", max_points=1600)
    plan = grafana.plan(asked, last(HOUR), "15s")
    assert (plan.step, plan.expr) == (MINUTE, "rate(x[1m0s])")


def test_every_variable_of_time_has_its_value() -> None:
    names = "$__interval $__interval_ms $__range ${__range_s} $__range_ms $__from $__to ${__to:date:seconds}"
    plan = grafana.plan(query(names, max_points=1600), last(24 * HOUR), "15s")
    start = END - DAY
    assert plan.expr == f"1m 60000 86400s 86400 86400000 {start} {END} {END // 1000}"


def test_a_panel_may_have_its_own_range() -> None:
    asked = query("x[$__range]", time_from="90d", time_shift="1d")
    plan = grafana.plan(asked, last(HOUR), "15s")
    assert plan.span == Span(END - 91 * DAY, END - DAY)
    assert plan.expr == f"x[{90 * 86_400}s]"


def test_an_annotation_is_asked_at_a_hundred_points() -> None:
    spec = {"name": "n", "expr": "x", "datasource": SOURCE, "step": "60s"}
    board = Dashboard("f", {"title": "T", "annotations": {"list": [spec]}, "panels": []})
    (asked,) = board.annotations()
    assert grafana.plan(asked, last(5 * MINUTE), "15s").step == MINUTE
    assert grafana.plan(asked, last(24 * HOUR), "15s").step == 15 * MINUTE


@pytest.mark.parametrize(
    ("interval", "short", "exact"),
    [
        (500, "500ms", "500ms"),
        (15 * SECOND, "15s", "15s"),
        (90 * SECOND, "1m", "1m30s"),
        (2 * HOUR, "2h", "2h0m0s"),
        (DAY, "1d", "24h0m0s"),
    ],
)
def test_intervals_are_written_in_two_ways(interval: int, short: str, exact: str) -> None:
    assert (grafana.short(interval), grafana.exact(interval)) == (short, exact)


def test_an_interval_that_is_none_is_refused() -> None:
    assert grafana.milliseconds("1m30s") == 90 * SECOND
    assert grafana.milliseconds(">10s") == grafana.milliseconds("10") == 10 * SECOND
    with pytest.raises(ValueError, match="soon"):
        grafana.milliseconds("soon")


# ---------------------------------------------------------------------------------- variables

CHECK = Variable("check", ("gpt-4.1",), ("gpt-4.1", "o(1)"), multi=True, include_all=True)


def every(**more: Any) -> Variable:
    return Variable("check", (ALL,), ("gpt-4.1", "o(1)"), multi=True, include_all=True, **more)


@pytest.mark.parametrize(
    ("text", "variable", "expected"),
    [
        ("$check", CHECK, r"gpt-4\\.1"),
        ("${check}", CHECK, r"gpt-4\\.1"),
        ("[[check]]", CHECK, r"gpt-4\\.1"),
        ("${check:regex}", CHECK, r"gpt-4\.1"),
        ("${check:raw}", CHECK, "gpt-4.1"),
        ("${check:queryparam}", CHECK, "var-check=gpt-4.1"),
        ("$check", every(), r"(gpt-4\\.1|o\\(1\\))"),
        ("${check:pipe}", every(), "gpt-4.1|o(1)"),
        ("${check:doublequote}", every(), '"gpt-4.1","o(1)"'),
        ("${check:text}", every(), "All"),
        ("$check", every(all_value=".+"), ".+"),
        ("${check:regex}", every(all_value=".+"), ".+"),
        # One that can never be several is no regular expression, says Grafana.
        ("$check", Variable("check", ("gpt-4.1",)), "gpt-4.1"),
        ("$check", Variable("check", ("it's",)), r"it\'s"),
    ],
)
def test_a_variable_is_put_in_as_its_format_says(
    text: str, variable: Variable, expected: str
) -> None:
    assert grafana.expand(text, {"check": variable}, {}) == expected


def test_a_repeated_panel_has_its_own_value() -> None:
    assert grafana.expand("$check", {"check": every()}, {"check": "a.b"}) == r"a\\.b"


@pytest.mark.parametrize("text", ["$nobody", "${nobody}", "[[nobody]]", "${check:sideways}"])
def test_a_variable_that_is_not_there_is_an_error(text: str) -> None:
    with pytest.raises(UnknownVariable):
        grafana.expand(text, {"check": CHECK}, {})


def test_a_variable_of_time_that_is_not_known_is_an_error() -> None:
    with pytest.raises(UnknownVariable):
        grafana.plan(query("x[$__rate]"), last(HOUR), "15s")


# ------------------------------------------------------------------------------------- reading


def panel(**more: Any) -> dict[str, Any]:
    target = {"refId": "A", "expr": "x", "datasource": SOURCE}
    return {"type": "stat", "title": "t", "gridPos": {"w": 12}, "targets": [target], **more}


def board(*panels: dict[str, Any]) -> Dashboard:
    return Dashboard("f.json", {"title": "T", "uid": "u", "panels": list(panels)})


def test_panels_of_collapsed_rows_are_found_too() -> None:
    row = {"type": "row", "title": "R", "panels": [panel()]}
    places = [one.where for one in board(panel(), row).panels(1600)]
    assert places == ["T / t (stat)", "T / R / t (stat)"]


def test_a_panel_is_repeated_for_each_value() -> None:
    found = board(panel(repeat="check")).panels(1600, {"check": ["a", "b"]})
    assert [one.scoped for one in found] == [{"check": "a"}, {"check": "b"}]
    assert found[0].queries[0].scoped == {"check": "a"}


def test_hidden_queries_and_those_of_other_sources_are_not_asked() -> None:
    targets = [
        {"refId": "A", "expr": "x", "hide": True, "datasource": SOURCE},
        {"refId": "B", "expr": "x", "datasource": {"type": "datasource", "uid": "-- Mixed --"}},
        {"refId": "C", "expr": "x", "datasource": SOURCE, "instant": True, "format": "table"},
    ]
    (found,) = board(panel(targets=targets)).panels(1600)
    (asked,) = found.queries
    assert (asked.ref, asked.instant, asked.range, asked.table) == ("C", True, False, True)
    assert asked.max_points == 800


# -------------------------------------------------------------------------- frames and tables


def series(value: float, **labels: str) -> Series:
    return Series(labels, ((1.0, value),))


def test_two_tables_are_merged_by_what_they_share() -> None:
    first, second = (
        query(instant=True, table=True, legend=""),
        Query("here", "panel", "B", "y", table=True),
    )
    found = grafana.frames([(first, [series(1.0, check="a")]), (second, [series(2.0, check="a")])])
    spec = {
        "transformations": [
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True},
                    "renameByName": {"Value #A": "Start", "check": "Check"},
                },
            },
        ]
    }
    (table,) = grafana.transformed(found, spec)
    assert table.rows() == [{"Check": "a", "Start": 1.0, "Value #B": 2.0}]
    assert {one.title: one.ref for one in table.fields}["Start"] == "A"


def test_a_transformation_that_is_not_understood_is_an_error() -> None:
    with pytest.raises(grafana.NotUnderstood, match="guess"):
        grafana.transformed([], {"transformations": [{"id": "guess"}]})


def test_a_series_is_named_by_its_legend() -> None:
    labels = {"__name__": "up", "check": "a"}
    assert grafana.legend(query(legend="{{ check }}, {{nobody}}"), labels) == "a, "
    assert grafana.legend(query(), labels) == 'up{check="a"}'
    assert grafana.legend(query("sum(x)"), {}) == "sum(x)"


# ------------------------------------------------------------------------------------- showing


def shown(kind: str = "stat", overrides: Any = (), **defaults: Any) -> Panel:
    config = {"defaults": defaults, "overrides": overrides}
    return Panel("here", {"type": kind, "fieldConfig": config}, 400)


UP = {"type": "value", "options": {"3": {"text": "Up", "color": "#009E73"}}}
NULL = {"type": "special", "options": {"match": "null", "result": {"text": "gone"}}}
HIGH = {"type": "range", "options": {"from": 5, "to": None, "result": {"text": "bad"}}}


def test_a_value_has_the_text_and_colour_of_its_mapping() -> None:
    look = grafana.look(shown(mappings=[UP, HIGH, NULL]), 3.0)
    assert (look.text, look.green) == ("Up", True)
    assert grafana.look(shown(mappings=[UP, HIGH, NULL]), 7.0).text == "bad"
    assert grafana.look(shown(mappings=[UP, HIGH, NULL]), 4.0).text == "4"
    assert grafana.look(shown(mappings=[UP, HIGH, NULL]), None).text == "gone"


def test_saying_nothing_of_colours_gets_green() -> None:
    """The trap that a panel without data falls into."""
    assert grafana.look(shown(), None).green
    assert not grafana.look(shown(), 90.0).green
    assert not grafana.look(
        shown(thresholds={"steps": [{"value": None, "color": "text"}]}), 1.0
    ).green
    assert not grafana.look(shown(color={"mode": "fixed", "fixedColor": "#0072B2"}), 1.0).green


def test_an_empty_panel_shows_its_words() -> None:
    assert grafana.look(shown(noValue="nothing"), None).text == "nothing"
    assert grafana.look(shown(), None).text == "No data"


def test_an_override_wins_for_the_columns_that_it_names() -> None:
    rule = {
        "matcher": {"id": "byName", "options": "State"},
        "properties": [{"id": "mappings", "value": [UP]}],
    }
    state, other = Field("Value #A", (), number=True, shown="State"), Field("x", (), number=True)
    assert grafana.look(shown("table", [rule]), 3.0, state).text == "Up"
    assert grafana.look(shown("table", [rule]), 3.0, other).text == "3"


@pytest.mark.parametrize(
    ("colour", "green"),
    [
        ("green", True),
        ("semi-dark-green", True),
        ("#009E73", True),
        ("#73BF69", True),
        ("#0072B2", False),
        ("#56B4E9", False),
        ("#E69F00", False),
        ("#4D4D4D", False),
        ("text", False),
        ("transparent", False),
    ],
)
def test_green_is_what_a_person_would_call_so(colour: str, green: bool) -> None:
    assert grafana.is_green(colour) is green


@pytest.mark.parametrize(
    ("how", "value"), [("lastNotNull", 2.0), ("last", None), ("max", 5.0), ("mean", 3.5)]
)
def test_a_column_is_reduced_as_its_reducer_says(how: str, value: float | None) -> None:
    assert grafana.reduced((5.0, 2.0, None), how) == value
