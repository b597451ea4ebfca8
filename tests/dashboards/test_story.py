"""Every panel of every dashboard, while the product lives through a known script of outages.

The product runs, a real Prometheus scrapes it with the shipped configuration and rules, and every
query of every panel, variable and annotation is asked as Grafana asks it.  Then the monitor is
killed, and nothing may look as if all were well.

What is relied on in the dashboards: that an outage's start and end come from the metrics of those
names, uptime from the good and known seconds (or a recorded `uptime:ratio`), counts from
`aichat_outages_total`, repair times from `aichat_outage_recovery_seconds`; and that a column or
value of a state maps its code to a text.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests import grafana
from tests.dashboards import shipped
from tests.dashboards.asking import Answer, Grafana, Shown
from tests.dashboards.stage import CAST, PACE, SCRAPE, Story, played, wait_for
from tests.dashboards.truth import Life, repair, uptime
from tests.grafana import HOUR, MINUTE, SECOND, Dashboard, Field, Look, Panel, Span
from tests.prometheus import needs_prometheus

pytestmark = [pytest.mark.real, pytest.mark.timeout(240), needs_prometheus]

BOARDS = {board.name: board for board in shipped.dashboards()}
RANGES = {"5m": 5 * MINUTE, "24h": 24 * HOUR}
CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "all": {},
    "one": {"check": ("gpt-4.1",)},
    "two": {"check": ("gpt-4.1", "web")},
}
"""What a visitor may have chosen; the names have to be escaped."""
SINGLE: dict[str, dict[str, tuple[str, ...]]] = {
    "all": {"check": ("gpt-4.1",)},
    "one": {"check": ("deepseek",)},
    "two": {"check": ("web",), "mode": ("web",)},
}
"""The same where only one check can be chosen."""

LAG = 3.5
"""Seconds: an attempt, a scrape and a rule ago is what can be known."""
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


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with tempfile.TemporaryDirectory(prefix="story-") as folder, played(Path(folder)) as told:
        yield told


Ask = Callable[[str, str, str], Told]


@pytest.fixture(scope="module")
def ask(story: Story) -> Ask:
    """Asks each thing once; all at the same moment, the end of the story."""
    # Not just before all steps begin anew: up to the end of the next one is as far as it can see.
    wait_for("a moment well within a step", lambda: time.time() % 300 > 3, 5)
    now = int(time.time() * SECOND)

    @cache
    def asked(name: str, width: str, choice: str) -> Told:
        return told(story, BOARDS[name], Span(now - RANGES[width], now), choice)

    return asked


def told(story: Story, board: Dashboard, span: Span, choice: str) -> Told:
    grown = Grafana(story.server, SCRAPE, whole=True)
    several = any(one["name"] == "check" and one.get("multi") for one in board.variables)
    variables, asked = grown.variables(board, span, (CHOICES if several else SINGLE)[choice])
    check = variables["check"]
    panels = list(grown.shown(board, span, variables))
    others = asked + grown.annotated(board, span, variables)
    return Told(board, span, panels, others, () if check.all else check.chosen)


EVERY = pytest.mark.parametrize(
    ("name", "width", "choice"),
    [(name, width, choice) for name in BOARDS for width in RANGES for choice in CHOICES],
)
WHOLE = pytest.mark.parametrize(
    ("name", "width"), [(name, width) for name in BOARDS for width in RANGES]
)


# ------------------------------------------------------------------------- what is being tested


def test_nothing_of_the_shipped_configuration_is_altered_but_the_pace(tmp_path: Path) -> None:
    made = shipped.hastened(tmp_path, "127.0.0.1:1", SCRAPE)
    config = yaml.safe_load(shipped.CONFIG.read_text("utf-8"))
    quick = yaml.safe_load(made.read_text("utf-8"))
    assert [job["job_name"] for job in config["scrape_configs"]] == ["aichat"]
    assert shipped.untargeted(quick) == shipped.untargeted(config)
    assert shipped.RULES
    for path in shipped.RULES:
        rules = yaml.safe_load((made.parent / "rules" / path.name).read_text("utf-8"))
        assert shipped.unpaced(rules) == shipped.unpaced(yaml.safe_load(path.read_text("utf-8")))


def test_every_rule_is_evaluated_without_an_error(story: Story) -> None:
    health = story.server.rules()
    assert len(health) >= len(shipped.RULES)
    assert {name: error for name, (state, error) in health.items() if state != "ok"} == {}


# ------------------------------------------------------------------------------- every query


@EVERY
def test_every_query_is_answered_without_error_or_warning(
    name: str, width: str, choice: str, ask: Ask
) -> None:
    bad = [
        f"{answer}\n    {answer.error or answer.warnings}"
        for answer in ask(name, width, choice).answers
        if answer.error or answer.warnings
    ]
    assert not bad, "\n".join(bad)


@EVERY
def test_no_query_is_empty_where_the_story_has_data(
    name: str, width: str, choice: str, ask: Ask
) -> None:
    told = ask(name, width, choice)
    empty = [
        str(answer)
        for answer in told.answers
        if not answer.error and not answer.series and not excused(told, answer)
    ]
    assert not empty, "no data:\n" + "\n".join(empty)


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


def test_what_is_excused_is_really_absent(story: Story) -> None:
    there = [metric for metric in ABSENT if story.value(f"count({metric})")]
    assert not there, "the story does show them: ask for them"


@EVERY
def test_every_legend_names_labels_that_are_there(
    name: str, width: str, choice: str, ask: Ask
) -> None:
    """A label that is not in the answer is an empty place on the screen."""
    wrong = []
    for answer in ask(name, width, choice).answers:
        there = {label for series in answer.series for label in series.labels}
        wanted = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", answer.query.legend))
        if answer.series and not wanted <= there:
            wrong.append(f"{answer}\n    legend {answer.query.legend!r}, labels {sorted(there)}")
    assert not wrong, "\n".join(wrong)


@WHOLE
def test_every_panel_can_be_drawn(name: str, width: str, ask: Ask) -> None:
    """Its transformations give rows, and its mappings are understood."""
    for shown in ask(name, width, "all").panels:
        for frame in shown.frames:
            for column in frame.fields:
                for value in column.values[-1:]:
                    grafana.look(shown.panel, value, column)
        if any(answer.series for answer in shown.answers):
            assert any(len(frame) for frame in shown.frames), f"{shown.panel.where}: no rows"


# ------------------------------------------------------------------------ agreement with truth


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


def is_now(shown: Shown) -> bool:
    """Whether the panel says one thing for the whole range, rather than a course of time."""
    return shown.panel.type in {"stat", "gauge", "bargauge", "table"} and all(
        answer.query.instant for answer in shown.answers
    )


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


def agree(
    ask: Ask,
    story: Story,
    wanted: Callable[[str], bool],
    near: Callable[[list[Life], float, float], bool],
    choice: str,
) -> int:
    """Hold every value of that kind against the truth; how many there were."""
    count, wrong = 0, []
    for name in BOARDS:
        for width in RANGES:
            seen = ask(name, width, choice)
            now = seen.span.end / SECOND
            lives = story.lives(now)
            for shown in filter(is_now, seen.panels):
                for column, labels, value in columns(shown, wanted):
                    count += 1
                    if not near(seen.about(lives, labels), value, now):
                        wrong.append(f"{shown.panel.where}: {column.title} {labels}: {value}")
    assert not wrong, "\n".join(wrong)
    return count


@pytest.mark.parametrize("choice", CHOICES)
def test_uptime_is_that_of_the_script(choice: str, ask: Ask, story: Story) -> None:
    since = story.seen_since()

    def near(lives: list[Life], value: float, now: float) -> bool:
        told = [uptime(lives, since, now - lag) for lag in (0.0, LAG)]
        return min(told) - GRAIN <= value <= max(told) + GRAIN

    assert agree(ask, story, is_uptime, near, choice)


@pytest.mark.parametrize("choice", CHOICES)
def test_outages_are_counted_as_in_the_script(choice: str, ask: Ask, story: Story) -> None:
    def near(lives: list[Life], value: float, now: float) -> bool:
        return value == sum(len(one.outages) for one in lives)

    assert agree(ask, story, is_count, near, choice)


@pytest.mark.parametrize("choice", CHOICES)
def test_the_mean_time_to_repair_is_that_of_the_script(choice: str, ask: Ask, story: Story) -> None:
    def near(lives: list[Life], value: float, now: float) -> bool:
        mean = repair(lives)
        return mean is not None and abs(value - mean) <= PACE

    assert agree(ask, story, is_repair, near, choice)


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


@WHOLE
@pytest.mark.parametrize("choice", CHOICES)
def test_the_table_of_outages_is_that_of_the_script(
    name: str, width: str, choice: str, ask: Ask, story: Story
) -> None:
    told = ask(name, width, choice)
    truth = [
        Row(one.name, out.start, None if out.open else out.end)
        for one in told.about(story.lives(told.span.end / SECOND), {})
        for out in one.outages
    ]
    for shown, rows in outage_tables(told):
        rows.sort(key=lambda row: row.start)
        assert len(rows) == len(truth), f"{shown.panel.where}: {rows}"
        for row, true in zip(rows, sorted(truth, key=lambda row: row.start), strict=True):
            assert row.check == true.check or (row.check is None and len(told.checks) == 1)
            assert row.start == pytest.approx(true.start, abs=PACE), shown.panel.where
            assert row.end == pytest.approx(true.end, abs=PACE), shown.panel.where


def test_there_is_a_table_of_outages(ask: Ask) -> None:
    assert any(outage_tables(ask(name, "5m", "all")) for name in BOARDS)


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


@WHOLE
def test_every_state_of_the_script_is_seen_in_a_timeline(name: str, width: str, ask: Ask) -> None:
    """With the words that mean it, for the check that was in it."""
    told = ask(name, width, "all")
    timelines = [one for one in told.panels if one.panel.type == "state-timeline"]
    words = {
        (labels["check"], grafana.look(shown.panel, value, column).text.lower())
        for shown in timelines
        for column, labels in state_columns(shown)
        if "check" in labels
        for value in column.values
    }
    if width == "24h" or not words:
        return  # a slice of a minute has the worst of it, and may hold all there was
    chosen = {check for check, _ in words}
    expected = {("gpt-4.1", "down"), ("claude", "degraded"), ("grok", "limited"), ("own", "up")}
    expected |= {("deepseek", "down"), ("web", "down"), ("gpt-mini", "up")}
    assert {one for one in expected if one[0] in chosen} <= words


# ------------------------------------------------------------------------ the monitor is killed


@pytest.fixture(scope="module")
def dead(story: Story, ask: Ask) -> Story:
    """The same story after `kill -9`, when Prometheus has noticed.  From here on all is over."""
    story.product.kill()
    wait_for("the scrape to fail", lambda: story.value('up{job="aichat"}') == 0, 20)
    gone = "absent(aichat_check_state) == 1 and absent(check:aichat_state:code) == 1"
    wait_for("its series to be gone", lambda: story.value(gone), 20)
    return story


def later() -> int:
    """Two minutes on, so that the last slice of a day's range lies after the death as well."""
    return int(time.time() * SECOND) + 2 * MINUTE


PAST = re.compile(r"\$\{?__range|:ratio|\[\d+[dhwm]")
"""What speaks of a time that has been, and is as true as before; in numbers, not in words."""


@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.parametrize("width", RANGES)
def test_nothing_is_green_when_the_monitor_is_dead(name: str, width: str, dead: Story) -> None:
    """Whatever is shown as a state, at the right edge of a timeline too."""
    now = later()
    seen = told(dead, BOARDS[name], Span(now - RANGES[width], now), "all")
    assert not [str(answer) for answer in seen.answers if answer.error]
    wrong = []
    for shown in seen.panels:
        for what, look in looks_now(shown):
            if look.green or look.text.lower() == "up":
                wrong.append(f"{shown.panel.where}: {what} shows {look.text!r} in {look.colour}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", BOARDS)
def test_states_read_no_data_when_the_monitor_is_dead(name: str, dead: Story) -> None:
    now = later()
    seen = told(dead, BOARDS[name], Span(now - RANGES["5m"], now), "all")
    wrong = []
    for shown in seen.panels:
        if shown.panel.type == "status-history":
            continue  # a day in one colour has been what it has been
        for column, labels in state_columns(shown):
            look = grafana.look(shown.panel, last(column), column)
            if column.values and look.text != "No data":
                wrong.append(f"{shown.panel.where}: {column.title} {labels} shows {look.text!r}")
    assert not wrong, "\n".join(wrong)


NOTHING = re.compile(
    "No data|.*known.*|Not watched|Only chats have tokens|The provider does not say"
)
"""Words that claim nothing: with a monitor that is dead, "no outage" would be one claim too many."""


@pytest.mark.parametrize("name", BOARDS)
def test_an_empty_panel_says_that_there_is_no_data(name: str) -> None:
    """And says it in no colour, and no words, that one could take for good news."""
    wrong = []
    for panel in BOARDS[name].panels(1600):
        if panel.type not in {"stat", "gauge", "bargauge", "table"} or not panel.queries:
            continue
        look = grafana.look(panel, None)
        if not NOTHING.fullmatch(look.text) or (
            panel.type != "table" and coloured(panel) and look.green
        ):
            wrong.append(f"{panel.where}: {look}")
    assert not wrong, "\n".join(wrong)


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


def test_the_cast_has_every_kind_of_fate() -> None:
    assert len({role.name for role in CAST}) == len(CAST) == 7
