"""What is wrong with a dashboard that has been asked: each function tells all of it, in words.

What is relied on in the dashboards: that the start and the end of an outage come from the metrics
of those names and have columns of moments, in a table whose series have the label `outage`; that
uptime is made from the good and known seconds or the recorded `uptime:ratio`; that outages are
counted, and their lengths averaged, from the same metrics or from `aichat_outages_total` and
`aichat_outage_recovery_seconds`; and that codes of states are mapped to the words "up" and "down".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests import grafana
from tests.dashboards.asking import Answer, Shown
from tests.dashboards.stage import PACE
from tests.dashboards.truth import Life, repair, uptime
from tests.grafana import MINUTE, SECOND, Dashboard, Field, Look, Panel, Span

LAG = 5.0
"""Seconds ago that what is recorded speaks of: an attempt, a scrape, a rule, and one more rule."""
GRAIN = 0.005
"""How far an uptime may be off."""

#: Series that this story has no reason to show; a query that needs one may be empty.  A test sees
#: to it that they are really absent.
ABSENT = {
    "aichat_tls_certificate_expiry_timestamp_seconds": "the simulated providers speak plain HTTP",
    'aichat_probe_phase_duration_seconds{phase="tls"}': "the simulated providers speak plain HTTP",
    'aichat_probe_phase_duration_seconds{phase="dns"}': "they are called by their addresses",
    "aichat_guard_up": "the guard is off: everything is on loopback",
    "aichat_rate_limit_remaining_ratio": "plain simulated providers tell no limits",
    "aichat_budget_remaining_dollars": "the story has no budget",
    "aichat_provider_declared_state": "nobody reads status pages yet",
    "aichat_provider_status_last_success_timestamp_seconds": "nobody reads status pages yet",
}

#: What a page for people has not; a query for one may be empty where only such a page is chosen.
OF_CHATS = re.compile(
    r"aichat_(time_|stream_|output_|tokens_|probe_cost_)|phase=\"(first_token|stream)\""
)
#: Queries that the story answers with nothing: where (dashboard / panel), and why that is right.
QUIET: dict[str, str] = {
    "AI chat / Outages / Why / Bad probes by reason (timeseries) [B]": "draws a zero where A has nothing",
    "AI chat / Check / Bad probes by reason (timeseries) [B]": "draws a zero where A has nothing",
}
LOOKBACK = 5 * MINUTE
"""Prometheus sees no further back at a moment; the steps of annotations in a day are longer."""


@dataclass
class Told:
    """One dashboard over one range with one choice, asked."""

    board: Dashboard
    span: Span
    panels: list[Shown]
    others: list[Answer]
    """Of variables and annotations."""
    checks: tuple[str, ...]
    """What it is about; empty for all."""

    def about(self, lives: list[Life], labels: dict[str, str]) -> list[Life]:
        """The checks that a value with these labels is about."""
        return [
            one
            for one in lives
            if (not self.checks or one.name in self.checks)
            and labels.get("check", one.name) == one.name
            and labels.get("provider", one.provider) == one.provider
        ]

    @property
    def answers(self) -> list[Answer]:
        return [*self.others, *(answer for shown in self.panels for answer in shown.answers)]


# ------------------------------------------------------------------------------- every query


def unanswered(told: Told) -> list[str]:
    return [
        f"{answer}\n    {answer.error or answer.warnings}"
        for answer in told.answers
        if answer.error or answer.warnings
    ]


def empty(told: Told) -> list[str]:
    """Queries without an answer, where the story has data."""
    return [
        str(answer)
        for answer in told.answers
        if not answer.error and not answer.series and not excused(told, answer)
    ]


def excused(told: Told, answer: Answer) -> bool:
    if any(is_asked(selector, answer.query.expr) for selector in ABSENT):
        return True
    if told.checks == ("web",) and OF_CHATS.search(answer.query.expr):
        return True
    if answer.query.kind == "annotation" and answer.step > LOOKBACK:
        return True
    if told.checks == ("deepseek",) and "aichat_output_tokens_per_second" in answer.query.expr:
        return True  # it is about the last probe, which got no whole answer
    return any(str(answer.query).startswith(where) for where in QUIET)


def is_asked(selector: str, expr: str) -> bool:
    metric, _, label = selector.strip("}").partition("{")
    return bool(re.search(rf"\b{metric}\b", expr)) and label in expr


def misnamed(told: Told) -> list[str]:
    """Legends with a label that is not in the answer: an empty place on the screen."""
    wrong = []
    for answer in told.answers:
        there = {label for series in answer.series for label in series.labels}
        wanted = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", answer.query.legend))
        if answer.series and not wanted <= there:
            wrong.append(f"{answer}\n    legend {answer.query.legend!r}, labels {sorted(there)}")
    return wrong


def undrawn(told: Told) -> list[str]:
    """Panels whose transformations leave no row of what was answered.

    Raises NotUnderstood for a mapping or a transformation that the harness does not know.
    """
    wrong = []
    for shown in told.panels:
        for frame in shown.frames:
            for column in frame.fields:
                for value in column.values[-1:]:
                    grafana.look(shown.panel, value, column)
        asked = any(answer.series for answer in shown.answers)
        if asked and not any(len(frame) for frame in shown.frames):
            wrong.append(f"{shown.panel.where}: no rows")
    return wrong


# ------------------------------------------------------------------------ agreement with truth

Bounds = Callable[[list[Life], float], tuple[float, float]]
"""Between which values the truth about some checks lies, as of a moment."""


@dataclass(frozen=True)
class Figure:
    """A kind of number: how its queries look, and what it has to be."""

    asked_by: Callable[[str], bool]
    bounds: Bounds

    def of(self, told: Told) -> list[tuple[str, str, dict[str, str], float]]:
        """Every number of this kind on the dashboard: panel, column, labels, value."""
        return [
            (shown.panel.title, column.title, labels, value)
            for shown in filter(is_now, told.panels)
            for column, labels, value in columns(shown, self.asked_by)
        ]

    def wrong(self, told: Told, lives: list[Life]) -> list[str]:
        now, found = told.span.end / SECOND, []
        for panel, column, labels, value in self.of(told):
            low, high = self.bounds(told.about(lives, labels), now)
            if not low <= value <= high:
                where = f"{told.board.title} / {panel}: {column} {labels}"
                found.append(f"{where}: seen {value:g}, true {low:g} to {high:g}")
        return found


def figures(since: float) -> dict[str, Figure]:
    """Uptime is known `since` Prometheus had its first samples."""

    def true_uptime(lives: list[Life], now: float) -> tuple[float, float]:
        then = [uptime(lives, since, now - lag) for lag in (0.0, LAG)]
        return min(then) - GRAIN, max(then) + GRAIN

    def true_count(lives: list[Life], now: float) -> tuple[float, float]:
        count = sum(len(one.outages) for one in lives)
        return count, count

    def true_repair(lives: list[Life], now: float) -> tuple[float, float]:
        mean = repair(lives)
        return (math.inf, -math.inf) if mean is None else (mean - PACE, mean + PACE)

    return {
        "uptime": Figure(is_uptime, true_uptime),
        "outages": Figure(is_count, true_count),
        "repair": Figure(is_repair, true_repair),
    }


def is_uptime(expr: str) -> bool:
    if "slo_target" in expr or re.search(r"\b1\s*-", expr):
        return False
    good = "good_seconds" in expr or 'up|degraded"' in expr
    return "uptime:ratio" in expr or (good and "/" in expr)


def is_count(expr: str) -> bool:
    if "aichat_outages_total" in expr:
        return "/" not in expr
    return expr.startswith("count") and "aichat_outage_start_timestamp_seconds" in expr


def is_repair(expr: str) -> bool:
    recovery = "aichat_outage_recovery_seconds_"
    if f"{recovery}sum" in expr:
        return f"{recovery}count" in expr
    return expr.startswith("avg") and "aichat_outage_end_timestamp_seconds" in expr


def is_now(shown: Shown) -> bool:
    """Whether the panel says one thing for the whole range, rather than a course of time."""
    return shown.panel.type in {"stat", "gauge", "bargauge", "table"} and all(
        answer.query.instant for answer in shown.answers
    )


def columns(
    shown: Shown, wanted: Callable[[str], bool]
) -> Iterator[tuple[Field, dict[str, str], float]]:
    """Values of the columns whose query is wanted, with the labels that belong to them."""
    for frame in shown.frames:
        plain = {one.name: one for one in frame.fields if not one.number and one.name != "Time"}
        for column in frame.fields:
            if not column.number or not wanted(shown.asked(column.ref)):
                continue
            for place, value in enumerate(column.values):
                labels = {name: one.values[place] for name, one in plain.items()}
                if value is not None:
                    yield column, {**labels, **column.labels}, value


@dataclass(frozen=True)
class Row:
    """An outage as a table shows it; times in Unix seconds, no end while it is on."""

    check: str | None
    """None where the dashboard is about one check and does not repeat its name."""
    start: float
    end: float | None


def outage_tables(told: Told) -> list[tuple[Shown, list[Row]]]:
    return [
        (shown, rows_of(shown))
        for shown in told.panels
        if shown.panel.type == "table"
        and any("outage" in series.labels for one in shown.answers for series in one.series)
    ]


def rows_of(shown: Shown) -> list[Row]:
    """By column: which query it came from tells what it is."""
    found = []
    for frame in shown.frames:
        check = next((one for one in frame.fields if one.name == "check"), None)
        start = column_of(shown, frame.fields, "aichat_outage_start_timestamp_seconds")
        end = column_of(shown, frame.fields, "aichat_outage_end_timestamp_seconds")
        for place in range(len(frame)):
            ended = end.values[place]
            on = grafana.look(shown.panel, ended, end).text == "ongoing"
            found.append(
                Row(
                    check.values[place] if check else None,
                    start.values[place] / SECOND,
                    None if on else ended / SECOND,
                )
            )
    return found


def column_of(shown: Shown, fields: tuple[Field, ...], metric: str) -> Field:
    """The column of moments whose query asks for `metric` first of all."""
    for one in fields:
        first = re.search(r"aichat_outage_(start|end)_timestamp_seconds", shown.asked(one.ref))
        unit = str(grafana.settings(shown.panel, one).get("unit"))
        if one.number and first and first[0] == metric and unit.startswith("dateTime"):
            return one
    raise AssertionError(f"{shown.panel.where}: no column of moments of {metric}")


def misdated(told: Told, lives: list[Life]) -> list[str]:
    """What differs between the tables of outages and the truth."""
    truth = sorted(
        (
            Row(one.name, out.start, None if out.open else out.end)
            for one in told.about(lives, {})
            for out in one.outages
        ),
        key=lambda row: row.start,
    )
    wrong = []
    for shown, rows in outage_tables(told):
        rows.sort(key=lambda row: row.start)
        if len(rows) != len(truth) or not all(map(same, rows, truth)):
            wrong.append(f"{shown.panel.where}:\n    seen {rows}\n    true {truth}")
    return wrong


def same(row: Row, true: Row) -> bool:
    """Edges within one scrape."""
    return (
        row.check in (None, true.check)
        and row.start == pytest.approx(true.start, abs=PACE)
        and row.end == pytest.approx(true.end, abs=PACE)
    )


# ------------------------------------------------------------------------------ states on screen


def state_columns(shown: Shown) -> Iterator[tuple[Field, dict[str, str]]]:
    """Columns whose values are states in words, with the labels of their series."""
    for frame in shown.frames:
        for column in frame.fields:
            if column.number and is_of_state(shown.panel, column):
                yield column, dict(column.labels)


def is_of_state(panel: Panel, column: Field) -> bool:
    """Whether codes of states get words here."""
    mappings = grafana.settings(panel, column).get("mappings") or ()
    words = {
        str(one.get("text")).lower()
        for mapping in mappings
        if mapping["type"] == "value"
        for one in mapping["options"].values()
    }
    return {"up", "down"} <= words


# ------------------------------------------------------------------------ the monitor is killed

PAST = re.compile(r"\$\{?__range|:ratio|\[\d+[dhwm]")
"""What speaks of a time that has been, and is as true as before; in numbers, not in words."""


def green(told: Told) -> list[str]:
    """What a dead monitor still shows as if all were well."""
    return [
        f"{shown.panel.where}: {what} shows {look.text!r} in {look.colour}"
        for shown in told.panels
        for what, look in looks_now(shown)
        if look.green or look.text.lower() == "up"
    ]


def claimed(told: Told) -> list[str]:
    """States that a dead monitor shows, whatever their colour."""
    wrong = []
    for shown in told.panels:
        if shown.panel.type == "status-history":
            continue  # a day in one colour has been what it has been
        for column, labels in state_columns(shown):
            look = grafana.look(shown.panel, last(column), column)
            if column.values and look.text != "No data":
                wrong.append(f"{shown.panel.where}: {column.title} {labels} shows {look.text!r}")
    return wrong


NOTHING = re.compile(
    "No data|.*known.*|Not watched|Only chats have tokens|The provider does not say"
)
"""Words that claim nothing: with a monitor that is dead, "no outage" would be one claim too many."""


def reassuring(board: Dashboard) -> list[str]:
    """Panels that are empty in words, or in a colour, that one could take for good news."""
    wrong = []
    for panel in board.panels(1600):
        if panel.type not in {"stat", "gauge", "bargauge", "table"} or not panel.queries:
            continue
        look = grafana.look(panel, None)
        coloured_green = panel.type != "table" and coloured(panel) and look.green
        if coloured_green or not NOTHING.fullmatch(look.text):
            wrong.append(f"{panel.where}: {look}")
    return wrong


def looks_now(shown: Shown) -> Iterator[tuple[str, Look]]:
    """What a panel says about this very moment."""
    for column, labels in state_columns(shown):
        yield f"{column.title} {labels}", grafana.look(shown.panel, last(column), column)
    if shown.panel.type not in {"stat", "gauge", "bargauge"} or not coloured(shown.panel):
        return
    for frame in shown.frames:
        for column in frame.fields:
            if not column.number or not column.values:
                continue
            words = grafana.settings(shown.panel, column).get("mappings")
            if words or not PAST.search(original(shown, column.ref)):
                yield column.title, grafana.look(shown.panel, last(column), column)


def original(shown: Shown, ref: str) -> str:
    """The expression of the file, before anything was put into it."""
    return next((one.query.expr for one in shown.answers if one.query.ref == ref), "")


def last(column: Field) -> object:
    return grafana.reduced(column.values, "lastNotNull")


def coloured(panel: Panel) -> bool:
    return bool((panel.spec.get("options") or {}).get("colorMode", "value") != "none")
