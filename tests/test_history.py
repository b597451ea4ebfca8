"""`monitor outages` and `monitor export`, on a ledger written as the service writes it."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from monitor import history
from monitor.cli import main
from monitor.ledger import Reader, Span
from monitor.ledger.openmetrics import FAMILIES, RECORDED, openmetrics
from monitor.ledger.schema import FILE
from monitor.model import Moment, Outage, State
from monitor.show import catalogue
from tests.ledgers import START, Clock, Monitor, outage_of
from tests.making import chat_check
from tests.prometheus import Prometheus, needs_prometheus, prometheus

DAYS = 4
END = START + DAYS * 86_400.0
NOW = Moment(END, END)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of two checks of one provider; the second is worse off, and once nobody looked."""
    folder = tmp_path_factory.mktemp("ledger")
    rng = random.Random(7)
    for name, bad in (("calm", 0.002), ("worse", 0.01)):
        check = chat_check(name=name, interval=60.0)
        clock = Clock()
        monitor = Monitor(folder / FILE, clock, check)
        while clock.seconds < DAYS * 86_400.0:
            letters = "D" * rng.randint(3, 40) if rng.random() < bad else rng.choice("UUUUUS")
            monitor.play(letters)
            if 90_000 < clock.seconds < 90_100:
                monitor.turn().stop()
                clock.seconds += 7_200
                monitor = Monitor(folder / FILE, clock, check)
        monitor.turn().stop()
    return folder


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_json_csv_and_table_tell_the_same_outages(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("outages", "--data-dir", str(data_dir), "--since", "2026-11-01")
    rows = json.loads(printed(capsys, *where, "--format", "json"))
    assert len(rows) > 10
    assert list(rows[0]) == list(history.FIELDS)
    as_csv = list(csv.DictReader(io.StringIO(printed(capsys, *where, "--format", "csv"))))
    assert [row["id"] for row in as_csv] == [row["id"] for row in rows]
    table = printed(capsys, *where).splitlines()
    assert len(table) == 1 + len(rows) + 2
    assert table[-1].startswith(f"{len(rows)} outages, ")
    (one,) = {row["started"] for row in rows[:1]}
    assert one.endswith("Z") and "." in one


def test_one_check_and_a_later_beginning_leave_less(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("outages", "--data-dir", str(data_dir), "--format", "json")
    everything = json.loads(printed(capsys, *where, "--since", "2026-11-01"))
    calm = json.loads(printed(capsys, *where, "--since", "2026-11-01", "--check", "calm"))
    assert {row["check"] for row in calm} == {"calm"}
    assert 0 < len(calm) < len(everything)
    middle = everything[len(everything) // 2]["started"]
    later = json.loads(printed(capsys, *where, "--since", middle))
    assert later == [row for row in everything if row["ended"] > middle]


def test_outages_that_overlap_are_one_incident_with_members() -> None:
    one, two = outage_of(0), outage_of(0, id="b" * 12, check="d", ended=None)
    calm = Span("e", "p", "m-1", State.UP, START, END)
    (told,) = json.loads(history.as_incidents([one, two], [], NOW))
    assert not told["partial"]
    (told,) = json.loads(history.as_incidents([one, two], [calm], NOW))
    assert told["partial"], "one of its checks was well all the time"
    (told,) = json.loads(history.as_incidents([one, two], [replace(calm, provider="q")], NOW))
    assert not told["partial"]
    assert told["checks"] == ["c", "d"]
    assert told["ended"] is None
    assert told["seconds"] == END - START


@pytest.mark.parametrize("detail", ["=cmd|' /C calc'!A0", "@SUM(1)", "-1+1"])
def test_a_provider_cannot_write_formulas_into_a_spreadsheet(detail: str) -> None:
    row = next(csv.DictReader(io.StringIO(history.as_csv([outage_of(detail=detail)], NOW))))
    assert row["detail"] == f"'{detail}"


def test_a_table_shows_what_is_open_lost_or_hostile() -> None:
    table = history.as_table(
        [outage_of(0, ended=None), outage_of(1, end_known=False, detail="\x1b[2Jgone" + "x" * 99)],
        NOW,
    )
    assert "so far" in table
    assert "or more" in table
    assert "\x1b" not in table
    assert max(map(len, table.splitlines())) < 120


@pytest.mark.parametrize(
    "words",
    [
        ("outages", "--since", "yesterday"),
        ("export", "--step", "5m"),
        ("export", "--label", "check=x"),
        ("export", "--label", "job"),
        ("export", "--until", "2026-13-01"),
    ],
)
def test_what_cannot_be_is_refused(words: tuple[str, ...], data_dir: Path) -> None:
    with pytest.raises(SystemExit) as refused:
        main([*words, "--data-dir", str(data_dir)])
    assert refused.value.code == 2


@pytest.mark.parametrize("command", ["outages", "export"])
def test_no_ledger_is_said(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--data-dir", str(tmp_path)]) == 2
    assert "no ledger here" in capsys.readouterr().err


def test_families_are_those_of_the_service() -> None:
    known = {spec.name: spec.type for spec in catalogue.ALL}
    for family in FAMILIES:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert known[name] == family.type


def test_label_values_are_escaped() -> None:
    text = "".join(openmetrics([], [], {"job": 'a"b\\c\n'}, 60.0))
    assert text.endswith("# EOF\n")
    span = Span("c", "p", "m-1", State.UP, START, START + 60.0)
    text = "".join(openmetrics([span], [], {"job": 'a"b\\c\n'}, 60.0))
    assert r'job="a\"b\\c\n"' in text


def seconds_of(spans: list[Span], state: State, name: str) -> float:
    return sum(s.ended - s.started for s in spans if s.state is state and s.check == name)


def values(text: str, series: str) -> list[float]:
    return [float(line.split()[1]) for line in text.splitlines() if line.startswith(series)]


def test_no_outage_is_too_short_for_the_step() -> None:
    """Two seconds of it, four minutes between samples."""
    turns = (START, START + 1_000.0, START + 1_002.0, START + 2_000.0)
    states = (State.UP, State.DOWN, State.UP)
    spans = [
        Span("c", "p", "m-1", state, begun, over)
        for state, begun, over in zip(states, turns, turns[1:], strict=False)
    ]
    text = "".join(openmetrics(spans, [], {}, 240.0))
    assert values(text, "aichat_check_up{").count(0.0) == 1
    down = 'aichat_check_state_seconds_total{check="c",provider="p",model="m-1",state="down"}'
    assert values(text, down)[-1] == 2.0


def test_counters_begin_at_zero_where_the_history_begins() -> None:
    """What was confirmed before is not counted, as in a process that begins there."""
    span = Span("c", "p", "m-1", State.UP, START + 90.0, START + 900.0)
    outages = [outage_of(0, ended=None), outage_of(5)]
    counted = values("".join(openmetrics([span], outages, {}, 60.0)), "aichat_outages_total{")
    assert (counted[0], counted[-1]) == (0.0, 1.0)


@needs_prometheus
def test_a_new_prometheus_gets_the_history_back(data_dir: Path, tmp_path: Path) -> None:
    """Through promtool into blocks, then asked of a real Prometheus: the ledger's own figures."""
    exported = tmp_path / "history.om"
    with exported.open("w") as out:
        labels = {"job": "aichat", "instance": "127.0.0.1:9817"}
        out.writelines(history.export(data_dir, START, END, labels, 60.0, io.StringIO()))
    promtool = shutil.which("promtool") or ""
    blocks = [promtool, "tsdb", "create-blocks-from", "openmetrics", exported, tmp_path / "tsdb"]
    made = subprocess.run(blocks, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    with Reader(data_dir / FILE) as ledger:
        spans, outages = ledger.timeline(START, END), ledger.outages(START, END)
    width = f"{int(END - START)}s"
    with prometheus(tmp_path) as server:
        for name in ("calm", "worse"):
            told = server.query(
                f'sum by (state) (increase(aichat_check_state_seconds_total{{check="{name}"}}[{width}]))',
                END,
            )
            seen = {labels["state"]: value for labels, value in told}
            up, down = seen["up"] + seen["degraded"], seen["down"]
            true_up = sum(seconds_of(spans, s, name) for s in (State.UP, State.DEGRADED))
            true_down = seconds_of(spans, State.DOWN, name)
            assert true_down > 600
            assert up / (up + down) == pytest.approx(true_up / (true_up + true_down), abs=0.001)
            assert down == pytest.approx(true_down, rel=0.001)
        counted = server.query(f"sum(max_over_time(aichat_outages_total[{width}]))", END)
        assert counted[0][1] == len(outages)
        assert table_of(server, width) == truth_of(outages)
        for name, rule in recorded().items():
            for at in random.Random(3).sample(range(int(START) + 3_600, int(END) - 60), 20):
                told, would_be = (
                    sorted((sorted(unnamed(labels)), round(value, 2)) for labels, value in found)
                    for found in (server.query(name, at), server.query(rule, at))
                )
                assert told == would_be


def recorded() -> dict[str, str]:
    """The rules whose series are in an export, as they are shipped."""
    shipped = Path(__file__).parent.parent / "prometheus" / "rules" / "aichat-recording.yml"
    groups = yaml.safe_load(shipped.read_text("utf-8"))["groups"]
    rules = {rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}
    return {family.name: rules[family.name] for family in RECORDED}


def unnamed(labels: dict[str, str]) -> set[tuple[str, str]]:
    return set(labels.items()) - {("__name__", labels.get("__name__", ""))}


def table_of(server: Prometheus, width: str) -> dict[str, tuple[float, float]]:
    begun = server.query(f"last_over_time(aichat_outage_start_timestamp_seconds[{width}])", END)
    ended = server.query(f"last_over_time(aichat_outage_end_timestamp_seconds[{width}])", END)
    ends = {labels["outage"]: value for labels, value in ended}
    return {labels["outage"]: (value, ends[labels["outage"]]) for labels, value in begun}


def truth_of(outages: list[Outage]) -> dict[str, tuple[float, float]]:
    return {
        one.id: (round(one.started.wall, 3), round(one.ended.wall, 3) if one.ended else 0.0)
        for one in outages
    }
