"""The JSON API: what is told, what is refused, what stays private; over real sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from monitor.ledger.schema import FILE
from monitor.model import Check, Moment, Phases, Reason, State, Verdict
from monitor.run.hindsight import Hindsight
from monitor.show.api import answers, asking
from monitor.show.api.asking import OutagesAsked, Problem
from monitor.show.api.routes import Api
from monitor.show.past import Past
from monitor.show.records import attempt_record, outage_record
from monitor.show.shared import Shared
from monitor.show.views import PageCheck
from tests.ledgers import CHECK, START, Clock, Monitor
from tests.making import chat_check, web_check
from tests.snapshots import (
    HOSTILE,
    NOW,
    SECRETS,
    attempt,
    crowd,
    ended,
    guarded_check,
    history,
    outage,
    page,
    remembered,
    served,
    snapshot,
)

PATHS = [
    "/api/v1/checks",
    "/api/v1/checks/down",
    "/api/v1/outages",
    "/badge/down.svg",
    "/outages.atom",
    "/openapi.json",
]
LABELS = ("c", "p", "m-1")


async def get(path: str | URL, **headers: str) -> tuple[int, Any, Any]:
    """Status, headers and JSON of one answer."""
    async with served() as client:
        response = await client.get(path, headers=headers)
        text = await response.text()
        return response.status, response.headers, json.loads(text) if text else None


def checks(pages: Iterable[PageCheck], past: Past | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answers.checks_answer(snapshot(pages, past))["checks"]
    return found


def told(query: OutagesAsked, *pages: PageCheck, past: Past | None = None) -> dict[str, Any]:
    return answers.outages_answer(snapshot(pages, past), query)


EVERYTHING = OutagesAsked(0.0, None, 100)


# ---------------------------------------------------------------------------------------- checks


async def test_all_checks_are_told_in_the_order_of_the_file_but_for_status_pages() -> None:
    status, headers, answer = await get("/api/v1/checks")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    names = [check["name"] for check in answer["checks"]]
    assert names == ["up", "down", "web", "new.one_-", "free", "resting"]
    assert answer["ledger_readable"] is True


def test_a_check_that_is_up() -> None:
    (check,) = checks([page(last=attempt())], Past(0.0, {LABELS: history()}))
    assert check == {
        "name": "c",
        "provider": "p",
        "model": "m-1",
        "group": None,
        "mode": "chat",
        "state": "up",
        "since": "2027-01-15T06:58:20.250Z",
        "up": True,
        "reason": None,
        "detail": None,
        "uptime": {
            window: {"ratio": pytest.approx(0.75 / 0.9), "coverage": pytest.approx(0.9)}
            for window in ("24h", "7d", "90d")
        },
        "first_token": {"p50_seconds": 0.412, "p95_seconds": 1.5},
        "last_probe": attempt_record(chat_check(), attempt()) | {"at": "2027-01-15T07:59:48.250Z"},
        "outage": None,
    }


def test_a_check_that_is_down_tells_why_and_its_open_outage() -> None:
    now = attempt(Verdict.FAILED, Reason.OVERLOADED, detail="HTTP 503")
    (check,) = checks([page(state=State.DOWN, last=now, outages=[ended(5), outage(1)])])
    assert (check["up"], check["reason"], check["detail"]) == (
        False,
        "first_token_timeout",
        "no token within 30 s",
    )
    assert check["outage"] == outage_record(outage(1), NOW) | {"end_known": None}
    assert check["outage"]["seconds"] == 3600.0
    assert check["last_probe"]["reason"] == "overloaded"


@pytest.mark.parametrize(
    ("state", "up", "reason"),
    [
        (State.UP, True, None),
        (State.DEGRADED, True, "auth"),
        (State.DOWN, False, "auth"),
        (State.LIMITED, None, "auth"),
        (State.UNKNOWN, None, "auth"),
        (State.MAINTENANCE, None, None),
    ],
)
def test_only_a_claim_is_up_or_not_and_only_trouble_has_a_reason(
    state: State, up: bool | None, reason: str | None
) -> None:
    (check,) = checks([page(state=state, last=attempt(Verdict.LIMITED, Reason.AUTH))])
    assert (check["up"], check["reason"]) == (up, reason)


def test_missing_is_null_and_never_zero() -> None:
    (check,) = checks([page(web_check(), State.UNKNOWN)])
    assert check["model"] is check["last_probe"] is check["outage"] is check["up"] is None
    assert check["first_token"] == {"p50_seconds": None, "p95_seconds": None}
    assert check["uptime"]["24h"] == {"ratio": None, "coverage": 0.0}
    failed = attempt(Verdict.FAILED, Reason.DNS, status=None, phases=Phases(), tokens=None)
    (check,) = checks([page(last=failed)])
    assert check["last_probe"]["first_token_seconds"] is None
    assert set(check["last_probe"]["tokens"].values()) == {None}


def test_a_page_without_tokens_has_no_time_to_the_first() -> None:
    past = Past(0.0, {web_check().labels3: history()})
    (check,) = checks([page(web_check(), last=attempt())], past)
    assert check["first_token"]["p50_seconds"] is None
    assert check["uptime"]["90d"]["ratio"] is not None


def test_a_single_check_also_has_its_days_its_outages_and_evidence() -> None:
    past = Past(0.0, {LABELS: history(days=90)}, (remembered(ended(3)), remembered(ended(900))))
    bad = attempt(Verdict.FAILED, Reason.EMPTY, evidence="[DONE]", request_id="req-9")
    seen = page(state=State.DOWN, last=bad, outages=[outage(1)])
    whole = snapshot([seen], past)
    answer = answers.check_answer(seen, whole)
    (brief,) = answers.checks_answer(whole)["checks"]
    assert {name: answer[name] for name in brief if name != "last_probe"} == {
        name: value for name, value in brief.items() if name != "last_probe"
    }
    assert answer["last_probe"] == brief["last_probe"] | {
        "evidence": "[DONE]",
        "request_id": "req-9",
    }
    assert len(answer["days"]) == 90
    assert answer["days"][0] == {
        "day": "2026-08-01",
        "ratio": pytest.approx(0.75 / 0.9),
        "coverage": pytest.approx(0.9),
        "seconds": {"up": 64800.0, "down": pytest.approx(12960.0), "unknown": 8640.0},
        "probes": 1440,
        "bad": 30,
    }
    assert [one["id"] for one in answer["outages"]] == [outage(number).id for number in (1, 3, 900)]
    assert answer["outages"][0] | {} == outage_record(outage(1), NOW) | {
        "end_known": None,
        "confirmed": "2027-01-15T07:00:20.250Z",
        "status": 200,
        "request_id": "req-1",
        "evidence": "data: {}",
    }


def test_a_single_check_has_no_more_than_its_latest_outages_and_none_of_others() -> None:
    many = tuple(remembered(ended(number)) for number in range(1, 60))
    others = tuple(remembered(ended(n + 99, check="other")) for n in range(9))
    seen = page()
    answer = answers.check_answer(seen, snapshot([seen], Past(0.0, {}, many + others)))
    assert [one["id"] for one in answer["outages"]] == [one.id for one in many[: answers.LATEST]]


# --------------------------------------------------------------------------------------- outages


def test_outages_have_the_fields_of_the_command_line() -> None:
    one = ended(5, end_known=False)
    (record,) = told(EVERYTHING, page(), past=Past(0.0, {}, (remembered(one),)))["outages"]
    assert record == outage_record(one, NOW) | {"end_known": False}
    assert record["seconds"] == 720.0


def test_what_the_service_knows_of_an_outage_is_newer_than_the_ledger() -> None:
    old = Past(0.0, {}, (remembered(outage(1)), remembered(ended(9))))
    answer = told(EVERYTHING, page(outages=[ended(1, seconds=60)]), past=old)
    assert [(one["id"], one["seconds"]) for one in answer["outages"]] == [
        (outage(1).id, 60.0),
        (outage(9).id, 720.0),
    ]


def test_lengths_are_those_of_the_clock_that_timed_them() -> None:
    """The wall clock was set back by a minute during the outage; the monotonic one knows better."""
    moved = replace(outage(1), started=Moment(NOW.wall - 3540, NOW.mono - 3600))
    (record,) = told(EVERYTHING, page(outages=[moved]))["outages"]
    assert record["seconds"] == 3600.0
    (record,) = told(EVERYTHING, page(), past=Past(0.0, {}, (remembered(outage(2)),)))["outages"]
    assert record["seconds"] == 7200.0


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        (OutagesAsked(NOW.wall - 4 * 3600, None, 9), [1, 3]),
        (OutagesAsked(NOW.wall - 6 * 3600, None, 9), [1, 3, 6]),
        (OutagesAsked(NOW.wall + 99, None, 9), [1]),
        (OutagesAsked(0.0, "other", 9), [6]),
        (OutagesAsked(0.0, None, 2), [1, 3]),
    ],
)
def test_outages_are_chosen_by_time_check_and_number(asked: OutagesAsked, ids: list[int]) -> None:
    kept = (remembered(ended(3)), remembered(ended(6, check="other")))
    answer = told(asked, page(outages=[outage(1)]), past=Past(0.0, {}, kept))
    assert [int(one["id"], 16) for one in answer["outages"]] == ids
    assert answer["more"] is (asked.limit == 2)


@pytest.mark.parametrize(
    ("query", "status", "count"),
    [
        ("", 200, 4),
        ("?since=90d", 200, 5),
        ("?since=2027-01-13T18:00:00Z", 200, 3),
        ("?since=2027-01-13T18:00:00%2B02:00", 200, 4),
        ("?since=2027-01-15", 200, 2),
        ("?since=90d&limit=1", 200, 1),
        ("?since=90d&check=gone", 200, 1),
        ("?check=up", 200, 0),
        ("?check=nobody", 404, None),
    ],
)
async def test_outages_over_the_wire(query: str, status: int, count: int | None) -> None:
    got, _, answer = await get(URL(f"/api/v1/outages{query}", encoded=True))
    assert got == status
    assert count is None or len(answer["outages"]) == count


@pytest.mark.parametrize(
    ("query", "parameter", "expected"),
    [
        ("since=yesterday", "since", "a duration such as 30d, or a moment"),
        ("since=", "since", "a duration such as 30d, or a moment"),
        ("since=91d", "since", "at most 90d ago"),
        ("since=0001-01-01T00:00:00%2B14:00", "since", "at most 90d ago"),
        ("since=1d&since=2d", "since", "it once"),
        ("limit=0", "limit", "a whole number from 1 to 1000"),
        ("limit=1001", "limit", "a whole number from 1 to 1000"),
        ("limit=-1", "limit", "a whole number from 1 to 1000"),
        ("limit=%D9%A3", "limit", "a whole number from 1 to 1000"),
        ("limit=" + "9" * 5000, "limit", "a whole number from 1 to 1000"),
        ("target=http%3A%2F%2Fevil.example", "query", "no parameter but since, check, limit"),
        ("Since=1d", "query", "no parameter but since, check, limit"),
    ],
)
async def test_a_wrong_parameter_is_named_with_what_was_seen_and_expected(
    query: str, parameter: str, expected: str
) -> None:
    status, headers, answer = await get(URL(f"/api/v1/outages?{query}", encoded=True))
    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert (answer["status"], answer["title"], answer["parameter"]) == (
        400,
        "Bad Request",
        parameter,
    )
    assert answer["expected"].startswith(expected)
    assert len(answer["seen"]) <= asking.REPEATED + 1
    assert answer["expected"] in answer["detail"]


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/badge/down.svg"])
async def test_no_route_takes_a_parameter_it_does_not_know(path: str) -> None:
    status, headers, answer = await get(f"{path}?target=http://evil.example")
    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert answer["seen"] == "target"


def test_a_moment_as_old_as_the_oldest_that_is_told_is_no_mistake() -> None:
    asked = asking.outages_asked({"since": ["90d"]}, NOW.wall)
    assert asked.since == NOW.wall - 90 * 86400
    with pytest.raises(Problem):
        asking.outages_asked({"since": ["90d1s"]}, NOW.wall)


# ---------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.b-c_d", "a.b-c_d"),
        ("a/b", "a%2Fb"),
        ("../../etc/passwd", "..%2F..%2Fetc%2Fpasswd"),
        ("..", "%2E%2E"),
        ("größe 模型", "gr%C3%B6%C3%9Fe%20%E6%A8%A1%E5%9E%8B"),
        ("50%", "50%25"),
        ("%2F", "%252F"),
        ("a?b#c", "a%3Fb%23c"),
        ("{name}", "%7Bname%7D"),
        ("x.svg", "x.svg"),
    ],
)
async def test_any_name_can_be_asked_for_percent_encoded(name: str, path: str) -> None:
    other = page(chat_check(name="other"))
    async with served([other, page(chat_check(name=name))]) as client:
        response = await client.get(URL(f"/api/v1/checks/{path}", encoded=True))
        assert (await response.json())["name"] == name
        badge = await client.get(URL(f"/badge/{path}.svg", encoded=True))
        assert badge.status == 200
    async with served([other]) as client:
        response = await client.get(URL(f"/api/v1/checks/{path}", encoded=True))
        assert response.status == 404


async def test_a_check_that_is_not_there_is_a_problem() -> None:
    status, headers, answer = await get("/api/v1/checks/nobody")
    assert (status, headers["Content-Type"]) == (404, "application/problem+json")
    assert answer == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "No check has this name.",
        "parameter": "name",
    }


# ---------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1", 404),
        ("GET", "/api/v1/checks/", 404),
        ("GET", "/api/v2/checks", 404),
        ("GET", "/api/v1/checks/a/b", 404),
        ("POST", "/api/v1/checks", 405),
        ("DELETE", "/api/v1/checks/down", 405),
        ("OPTIONS", "/api/v1/checks", 405),
    ],
)
async def test_under_api_every_error_is_json(method: str, path: str, status: int) -> None:
    async with served() as client:
        response = await client.request(method, path)
        assert (response.status, response.content_type) == (status, "application/problem+json")
        assert json.loads(await response.text())["status"] == status
        assert response.headers["Cache-Control"] == "no-store"
        assert status != 405 or response.headers["Allow"] == "GET,HEAD"


async def test_a_bug_of_ours_is_json_too_and_tells_nothing() -> None:
    def broken() -> list[PageCheck]:
        raise RuntimeError("secret inner workings")

    async with served(views=broken) as client:
        response = await client.get("/api/v1/checks")
        text = await response.text()
    assert (response.status, response.content_type) == (500, "application/problem+json")
    assert "inner workings" not in text
    assert json.loads(text)["detail"] == "See the monitor's log."


# ---------------------------------------------------------------------------- what stays private


async def everything(pages: list[PageCheck], past: Past) -> str:
    """All that the surface tells, in one text."""
    names = [seen.view.check.name for seen in pages]
    paths = [
        "/api/v1/checks",
        "/api/v1/outages?since=90d&limit=1000",
        "/outages.atom",
        *(f"/api/v1/checks/{name}" for name in names),
        *(f"/badge/{name}.svg?show={show}" for name in names for show in ("state", "ttft")),
    ]
    async with served(pages, past) as client:
        return "".join([await (await client.get(path)).text() for path in paths])


async def test_no_secret_no_address_and_no_setting_is_told() -> None:
    check = guarded_check(name="down")
    _, past = crowd()
    text = await everything([page(check, State.DOWN, attempt(), [outage(1, check="down")])], past)
    assert '"down"' in text
    for secret in (*SECRETS.values(), "api.example", "proxy.example", "SOME_KEY_NAME"):
        assert secret not in text
    assert "the-prompt" not in text
    assert "***" not in text and "Secret(" not in text


@pytest.mark.parametrize("private", [False, True])
async def test_private_evidence_stays_off_every_answer(private: bool) -> None:
    check = chat_check(evidence_private=private)
    quoting = {"detail": "inner words", "evidence": "inner words", "request_id": "inner words"}
    last = attempt(Verdict.FAILED, Reason.EMPTY, **quoting)
    kept = remembered(ended(5, **quoting))
    text = await everything(
        [page(check, State.DOWN, last, [outage(1, **quoting)])], Past(0.0, {}, (kept,))
    )
    assert text.count("first_token_timeout") >= 4
    assert ("inner words" in text) is not private


async def test_evidence_of_a_check_that_is_gone_may_have_been_private() -> None:
    kept = remembered(ended(5, check="gone", detail="inner words"))
    text = await everything([page()], Past(0.0, {}, (kept,)))
    assert '"gone"' in text
    assert "inner words" not in text


def test_a_field_that_a_check_gets_is_not_told_by_itself() -> None:
    """What is told of a check is a list: whoever adds to it adds to this one, too."""
    secret = {
        "url", "preset", "labels", "api_key", "key_name", "basic", "headers", "body", "prompt",
        "expect", "page", "proxy", "tls", "reachability", "feed", "components",
    }  # fmt: skip
    known = {field.name for field in fields(Check)}
    assert secret <= known
    (told,) = checks([page()])
    assert not secret & told.keys()
    assert told.keys() & known == {"name", "provider", "model", "group", "mode"}


async def test_hostile_texts_stay_valid_json_without_what_moves_a_cursor() -> None:
    async with served() as client:
        answer = await (await client.get("/api/v1/checks/down")).json()
    said = answer["last_probe"]["evidence"]
    assert said.startswith("<script>alert('&\"1')</script>")
    assert not {"\u202e", "\x1b", "\ud800"} & set(said)
    assert HOSTILE not in said


# --------------------------------------------------------------------------- caching and headers


@pytest.mark.parametrize("path", PATHS)
async def test_an_answer_that_is_still_right_is_not_sent_again(path: str) -> None:
    async with served() as client:
        first = await client.get(path)
        assert first.headers["ETag"].startswith('W/"')
        for known in (first.headers["ETag"], '"other", ' + first.headers["ETag"], "*"):
            again = await client.get(path, headers={"If-None-Match": known})
            assert (again.status, await again.read()) == (304, b"")
            assert again.headers["ETag"] == first.headers["ETag"]
            assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
            assert again.headers["Vary"] == "Accept-Encoding"
            assert again.headers["X-Content-Type-Options"] == "nosniff"
        for unknown in ('"other"', "garbage", '"', ""):
            again = await client.get(path, headers={"If-None-Match": unknown})
            assert (again.status, await again.read()) == (200, await first.read())


async def test_an_answer_that_changed_is_sent_and_has_another_tag() -> None:
    state = [State.UP]
    async with served(views=lambda: [page(state=state[0])]) as client:
        first = await client.get("/api/v1/checks")
        state[0] = State.DEGRADED
        again = await client.get("/api/v1/checks", headers={"If-None-Match": first.headers["ETag"]})
        assert again.status == 200
        assert again.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize("path", PATHS)
async def test_head_is_get_without_the_body(path: str) -> None:
    async with served() as client:
        full, head = await client.get(path), await client.head(path)
        assert head.status == 200
        assert await head.read() == b""
        for name in ("Content-Length", "Content-Type", "ETag", "Cache-Control"):
            assert head.headers[name] == full.headers[name]


@pytest.mark.parametrize("path", PATHS)
async def test_answers_are_packed_when_asked_for_under_the_same_tag(path: str) -> None:
    async with served() as client:
        plain = await client.get(path)
        packed = await client.get(path, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["ETag"] == plain.headers["ETag"]
        if "Content-Encoding" in packed.headers:
            assert gzip.decompress(await packed.read()) == await plain.read()
        else:
            assert len(await plain.read()) < 1000


@pytest.mark.parametrize("path", PATHS)
async def test_pages_of_others_may_show_badges_and_read_nothing(path: str) -> None:
    async with served() as client:
        response = await client.get(path, headers={"Origin": "https://other.example"})
    is_badge = path.startswith("/badge")
    assert not [name for name in response.headers if name.lower().startswith("access-control")]
    assert response.headers["Cross-Origin-Resource-Policy"] == (
        "cross-origin" if is_badge else "same-origin"
    )
    assert response.headers["Cache-Control"] == ("max-age=60" if is_badge else "no-cache")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


# ------------------------------------------------------------------------------------- the work


async def test_answers_are_made_off_the_loop() -> None:
    threads: set[int] = set()

    def past() -> Past:
        threads.add(threading.get_ident())
        return Past()

    async with served(past=past) as client:
        for path in PATHS:
            assert (await client.get(path)).status != 500
    assert threads and threading.get_ident() not in threads


async def test_who_asks_at_the_same_time_shares_one_look() -> None:
    looks: list[str] = []

    def past() -> Past:
        looks.append("past")
        return Past()

    def views() -> list[PageCheck]:
        looks.append("views")
        return []

    api = Api(views, past, lambda: NOW, Shared(), "1.2.3", "here")
    first, *others = await asyncio.gather(*(api.snapshot() for _ in range(5)))
    assert looks == ["past", "views"]
    assert all(other is first for other in others)


async def test_a_ledger_that_cannot_be_read_is_told_without_its_place(tmp_path: Path) -> None:
    hindsight = Hindsight(tmp_path / "none")
    async with served([page()], past=lambda: hindsight.look(NOW.wall)) as client:
        response = await client.get("/api/v1/checks")
        text = await response.text()
    assert json.loads(text)["ledger_readable"] is False
    assert str(tmp_path) not in text


async def test_what_the_ledger_remembers_is_told(tmp_path: Path) -> None:
    clock = Clock()
    monitor = Monitor(tmp_path / FILE, clock)
    monitor.play("U" * 60 + "D" * 20 + "U" * 20)
    monitor.tick()
    monitor.turn()
    at = START + clock.seconds
    hindsight = Hindsight(tmp_path)
    async with served(
        [page(CHECK)], past=lambda: hindsight.look(at), now=lambda: Moment(at, 99.0)
    ) as client:
        check = await (await client.get("/api/v1/checks/c")).json()
        told = await (await client.get("/api/v1/outages")).json()
    assert check["uptime"]["24h"]["ratio"] == pytest.approx(0.8, abs=0.02)
    assert check["first_token"] == {"p50_seconds": 0.25, "p95_seconds": 0.25}
    assert sum(day["probes"] for day in check["days"]) == 100
    (one,) = check["outages"]
    assert one["evidence"] == "Internal <Server> Error"
    assert told["outages"][0]["seconds"] == pytest.approx(1200.0, abs=61)
