"""What people see at a terminal: widths, what gives way, colours, progress."""

from __future__ import annotations

import io

import pytest

from monitor import terminal
from monitor.history import as_table
from monitor.model import Attempt, Moment, Reason, Verdict
from monitor.once import table
from monitor.terminal import Cell, Column, Look, Progress, shortened, width
from tests.noticing import WALL, outage_of


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", 0),
        ("abc", 3),
        ("für", 3),
        ("fu\u0308r", 3),
        ("模型", 4),
        ("ＡＢ", 4),
        ("か゚", 2),
        ("a\u200bb", 2),
    ],
)
def test_how_wide_a_terminal_shows_a_text(text: str, places: int) -> None:
    assert width(text) == places


@pytest.mark.parametrize(
    ("text", "most", "seen"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("模型模型", 5, "模型…"),
        ("模型模型", 4, "模…"),
        ("fu\u0308rs", 3, "fu\u0308…"),
    ],
)
def test_what_is_cut_short_shows_so_and_fits(text: str, most: int, seen: str) -> None:
    assert shortened(text, most) == seen
    assert width(seen) <= most


COLUMNS = (
    Column("name", gives=True),
    Column("state"),
    Column("time", right=True, spare=1),
    Column("cost", spare=2),
)
ROWS = [
    [Cell("deepseek-official"), Cell("up", "32"), Cell("1.5 s"), Cell("$0.1")],
    [Cell("模型"), Cell("down", "31"), Cell("12.25 s"), Cell("")],
]


def shown(room: int | None, *, colour: bool = False) -> list[str]:
    return terminal.table(COLUMNS, ROWS, Look(colour, room)).splitlines()


def test_columns_stand_under_each_other_whatever_is_in_them() -> None:
    assert shown(None) == [
        "name               state     time  cost",
        "deepseek-official  up       1.5 s  $0.1",
        "模型               down   12.25 s",
    ]


def test_a_narrow_terminal_gets_less_first_of_the_name_then_of_the_columns() -> None:
    assert shown(36)[1] == "deepseek-offi…  up       1.5 s  $0.1"
    assert shown(30)[1] == "deepseek-offi…  up       1.5 s"
    assert "cost" not in shown(32)[0] and "time" in shown(32)[0]
    assert "time" not in shown(24)[0]
    assert shown(9)[1:] == ["d…  up", "…   down"]


@pytest.mark.parametrize("room", range(8, 60))
def test_no_line_is_wider_than_the_terminal(room: int) -> None:
    assert max(map(width, shown(room))) <= room


def test_colours_take_no_room() -> None:
    bare, painted = shown(None), shown(None, colour=True)
    assert painted[2] == bare[2].replace("down", "\033[31mdown\033[0m")


@pytest.mark.parametrize(
    ("stream", "env", "colour"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_who_gets_colours(stream: io.StringIO, env: dict[str, str], colour: bool) -> None:
    assert Look.of(stream, env).colour is colour


def test_progress_is_one_line_that_is_gone_in_the_end_and_only_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(terminal, "places", lambda: 20)
    live, bare = Terminal(), io.StringIO()
    for stream in (live, bare):
        progress = Progress(stream, {})
        progress.show("0 of 2 probed, waiting for a, b\x1b[2J")
        progress.show("1 of 2")
        progress.clear()
    assert bare.getvalue() == ""
    assert live.getvalue().split("\r\033[K") == ["", "0 of 2 probed, wai…\r", "1 of 2\r", ""]


def test_each_verdict_has_its_colour_and_hostile_details_move_no_cursor() -> None:
    at = Moment(WALL, 0.0)
    said = table(
        [
            Attempt("good", at, at, Verdict.OK),
            Attempt("bad", at, at, Verdict.FAILED, Reason.OVERLOADED, "no\x1b[2J\nway"),
            Attempt("ours", at, at, Verdict.LIMITED, Reason.QUOTA),
        ],
        Look(colour=True),
    )
    assert "\033[32mok\033[0m" in said
    assert "\033[31mfailed\033[0m" in said
    assert "\033[33mlimited\033[0m" in said
    assert said.endswith("\n\nbad: no�[2J way")


def test_an_open_outage_stands_out_and_a_wide_terminal_shows_more_of_the_detail() -> None:
    now = Moment(WALL + 60, 60.0)
    outage = outage_of("chat", 0, detail="x" * 100)
    said = as_table([outage], now, Look(colour=True, room=200))
    assert "\033[31m1 min so far\033[0m" in said and "x" * 100 in said
    bare = as_table([outage], now)
    assert "x" * 59 + "…" in bare and "\033" not in bare
    narrow = as_table([outage], now, Look(room=60)).splitlines()
    assert max(map(width, narrow[:2])) <= 60
