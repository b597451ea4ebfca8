"""Every panel of every dashboard, while the product lives through a known script of outages.

The product runs, a real Prometheus scrapes it with the shipped configuration and rules, and every
query of every panel, variable and annotation is asked as Grafana asks it.  Then the monitor is
killed, and nothing may look as if all were well.  At the end of each part the dashboards are broken
on purpose, so that it is known what would be noticed.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import grafana
from tests.dashboards import judging, shipped
from tests.dashboards.asking import Grafana
from tests.dashboards.judging import Told
from tests.dashboards.stage import SCRAPE, Story, played, wait_for
from tests.grafana import HOUR, MINUTE, SECOND, Dashboard, Span
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
    def once(name: str, width: str, choice: str) -> Told:
        return asked(story, BOARDS[name], Span(now - RANGES[width], now), choice)

    return once


def asked(story: Story, board: Dashboard, span: Span, choice: str) -> Told:
    grown = Grafana(story.server, SCRAPE, whole=True)
    several = any(one["name"] == "check" and one.get("multi") for one in board.variables)
    variables, looked_up = grown.variables(board, span, (CHOICES if several else SINGLE)[choice])
    check = variables["check"]
    panels = list(grown.shown(board, span, variables))
    others = looked_up + grown.annotated(board, span, variables)
    return Told(board, span, panels, others, () if check.all else check.chosen)


EVERY = pytest.mark.parametrize(
    ("name", "width", "choice"),
    [(name, width, choice) for name in BOARDS for width in RANGES for choice in CHOICES],
)
WHOLE = pytest.mark.parametrize(
    ("name", "width"), [(name, width) for name in BOARDS for width in RANGES]
)


def fine(wrong: list[str]) -> None:
    assert not wrong, "\n".join(wrong)


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
    fine(judging.unanswered(ask(name, width, choice)))


@EVERY
def test_no_query_is_empty_where_the_story_has_data(
    name: str, width: str, choice: str, ask: Ask
) -> None:
    fine(judging.empty(ask(name, width, choice)))


def test_what_is_excused_is_really_absent(story: Story) -> None:
    there = [selector for selector in judging.ABSENT if story.value(f"count({selector})")]
    assert not there, "the story does show them: ask for them"


@EVERY
def test_every_legend_names_labels_that_are_there(
    name: str, width: str, choice: str, ask: Ask
) -> None:
    fine(judging.misnamed(ask(name, width, choice)))


@WHOLE
def test_every_panel_can_be_drawn(name: str, width: str, ask: Ask) -> None:
    fine(judging.undrawn(ask(name, width, "all")))


# ------------------------------------------------------------------------ agreement with truth


@EVERY
@pytest.mark.parametrize("figure", ["uptime", "outages", "repair"])
def test_uptime_counts_and_repair_times_are_those_of_the_script(
    figure: str, name: str, width: str, choice: str, ask: Ask, story: Story
) -> None:
    told = ask(name, width, choice)
    lives = story.lives(told.span.end / SECOND)
    fine(judging.figures(story.seen_since())[figure].wrong(told, lives))


def test_the_numbers_on_top_are_those_that_are_held_against_the_script(
    ask: Ask, story: Story
) -> None:
    """A number that is made in another way has to be made known to the harness."""
    figures = judging.figures(story.seen_since())
    told = ask("outages.json", "5m", "all")
    where = {figure: {title for title, *_ in kind.of(told)} for figure, kind in figures.items()}
    assert {"Uptime", "Uptime in range", "Checks now"} <= where["uptime"]
    assert "Outages" in where["outages"]
    assert "Mean time to recovery" in where["repair"]


@EVERY
def test_the_table_of_outages_is_that_of_the_script(
    name: str, width: str, choice: str, ask: Ask, story: Story
) -> None:
    told = ask(name, width, choice)
    fine(judging.misdated(told, story.lives(told.span.end / SECOND)))


@pytest.mark.parametrize("name", ["outages.json", "check.json"])
def test_there_is_a_table_of_outages(name: str, ask: Ask) -> None:
    assert judging.outage_tables(ask(name, "5m", "all"))


def test_every_state_of_the_script_is_seen_in_a_timeline(ask: Ask) -> None:
    """With the words that mean it, for the check that was in it."""
    words = {
        (labels["check"], grafana.look(shown.panel, value, column).text.lower())
        for shown in ask("outages.json", "5m", "all").panels
        if shown.panel.type == "state-timeline"
        for column, labels in judging.state_columns(shown)
        if "check" in labels
        for value in column.values
    }
    expected = {("gpt-4.1", "down"), ("claude", "degraded"), ("grok", "limited"), ("own", "up")}
    expected |= {("deepseek", "down"), ("web", "down"), ("gpt-mini", "up")}
    assert expected <= words


# ------------------------------------------------------------- would it be noticed, were it wrong

Break = Callable[[dict[str, Any]], None]


def broken(name: str, change: Break) -> Dashboard:
    spec = copy.deepcopy(BOARDS[name].spec)
    change(spec)
    assert spec != BOARDS[name].spec, "nothing was broken"
    return Dashboard(name, spec)


def panel_of(spec: dict[str, Any], title: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = (one for one in spec["panels"] if one.get("title") == title)
    return found


def asks(title: str, old: str, new: str) -> Break:
    """Another expression in the panel of that title."""

    def change(spec: dict[str, Any]) -> None:
        for target in panel_of(spec, title)["targets"]:
            target["expr"] = target["expr"].replace(old, new)

    return change


def without_a_variable(spec: dict[str, Any]) -> None:
    kept = [one for one in spec["templating"]["list"] if one["name"] != "provider"]
    spec["templating"]["list"] = kept


def with_a_legend_of_nothing(spec: dict[str, Any]) -> None:
    panel_of(spec, "Uptime in range")["targets"][0]["legendFormat"] = "{{checks}}"


def without_units(spec: dict[str, Any]) -> None:
    for override in panel_of(spec, "Outages in range")["fieldConfig"]["overrides"]:
        override["properties"] = [one for one in override["properties"] if one["id"] != "unit"]


@pytest.mark.parametrize(
    ("change", "noticed_as"),
    [
        (asks("Mean time to detection", "seconds_sum", "second_sum"), "empty"),
        (asks("Outages", "$__range", "$__rang"), "unanswered"),
        (asks("Uptime", "sum(", "sum(("), "unanswered"),
        (without_a_variable, "unanswered"),
        (with_a_legend_of_nothing, "misnamed"),
        (asks("Outages in range", ") * 1000", ") * 1"), "misdated"),
        (asks("Outages in range", "_end_timestamp", "_start_timestamp"), "misdated"),
        (without_units, "misdated"),
        (asks("Uptime", "known_seconds", "seen_seconds"), "uptime"),
        (asks("Outages", "count(", "1 + count("), "outages"),
        (asks("Mean time to recovery", "avg(", "max("), "repair"),
    ],
)
def test_what_is_wrong_is_noticed(change: Break, noticed_as: str, story: Story, ask: Ask) -> None:
    span = ask("outages.json", "5m", "all").span
    told = asked(story, broken("outages.json", change), span, "all")
    lives = story.lives(span.end / SECOND)
    if noticed_as in ("unanswered", "empty", "misnamed"):
        assert getattr(judging, noticed_as)(told)
    elif noticed_as == "misdated":
        assert noticed(lambda: judging.misdated(told, lives))
    else:
        kind = judging.figures(story.seen_since())[noticed_as]
        # A number that is no longer known for what it is, is missed on top.
        missing = len(kind.of(told)) < len(kind.of(ask("outages.json", "5m", "all")))
        assert kind.wrong(told, lives) or missing


def noticed(look: Callable[[], list[str]]) -> bool:
    try:
        return bool(look())
    except AssertionError:
        return True


# ------------------------------------------------------------------------ the monitor is killed


@pytest.fixture(scope="module")
def dead(story: Story, ask: Ask) -> Story:
    """The same story after `kill -9`, when Prometheus has noticed.  From here on all is over."""
    story.product.kill()
    wait_for("the scrape to fail", lambda: story.value('up{job="aichat"}') == 0, 20)
    gone = "absent(aichat_check_state) == 1 and absent(check:aichat_state:code) == 1"
    wait_for("its series to be gone", lambda: story.value(gone), 20)
    return story


def afterwards(story: Story, board: Dashboard, width: str) -> Told:
    """Asked two minutes on, so that the last slice of a day's range lies after the death as well."""
    now = int(time.time() * SECOND) + 2 * MINUTE
    return asked(story, board, Span(now - RANGES[width], now), "all")


@WHOLE
def test_nothing_is_green_when_the_monitor_is_dead(name: str, width: str, dead: Story) -> None:
    """Whatever is shown as a state, at the right edge of a timeline too."""
    told = afterwards(dead, BOARDS[name], width)
    fine(judging.unanswered(told))
    fine(judging.green(told))


@WHOLE
def test_states_read_no_data_when_the_monitor_is_dead(name: str, width: str, dead: Story) -> None:
    fine(judging.claimed(afterwards(dead, BOARDS[name], width)))


@pytest.mark.parametrize("name", BOARDS)
def test_an_empty_panel_says_that_there_is_no_data(name: str) -> None:
    fine(judging.reassuring(BOARDS[name]))


def with_the_last_of_a_range(spec: dict[str, Any]) -> None:
    """What a stat shows that is asked over a range and reduced: the last green, for hours."""
    for target in panel_of(spec, "Is it us?")["targets"]:
        target.update(instant=False, range=True)


def without_thresholds(spec: dict[str, Any]) -> None:
    del panel_of(spec, "Is it them?")["fieldConfig"]["defaults"]["thresholds"]


def with_good_news(spec: dict[str, Any]) -> None:
    panel_of(spec, "Outages")["fieldConfig"]["defaults"]["noValue"] = "None"


@pytest.mark.parametrize(
    ("change", "noticed_as"),
    [
        (asks("State", "last_over_time(aichat_check_", "last_over_time(nothing_"), "green"),
        (asks("State", "0 * group", "2 * group"), "claimed"),
        (with_the_last_of_a_range, "green"),
        (without_thresholds, "reassuring"),
        (with_good_news, "reassuring"),
    ],
)
def test_what_is_green_or_claimed_is_noticed(change: Break, noticed_as: str, dead: Story) -> None:
    board = broken("outages.json", change)
    if noticed_as == "reassuring":
        assert judging.reassuring(board)
    else:
        assert getattr(judging, noticed_as)(afterwards(dead, board, "5m"))
