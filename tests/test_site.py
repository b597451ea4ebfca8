"""The built-in pages: what they say, what they keep to themselves, how large they grow."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from html import escape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from monitor.model import Check, Mode, Moment, Outage, Reason, State
from monitor.show.metrics import Metrics
from monitor.show.page import COLOURS
from monitor.show.past import DAYS, HOUR24, SLOTS, CheckPast, Latency, Past, PastDay
from monitor.show.server import HEADERS, build_app, packed
from monitor.show.site import days, lines
from monitor.show.site.document import STYLE
from monitor.show.site.verdict import headline, tone
from monitor.show.views import Claim, PageCheck
from tests import scenes
from tests.making import chat_check, web_check
from tests.scenes import NOW, Scene, ago, day, outage, remembered, seen

HOSTILE = "<script>alert(1)</script>\"'>\u202ecod.exe\x1b[2J"
UP, DOWN, DEGRADED = State.UP, State.DOWN, State.DEGRADED
LIMITED, UNKNOWN, MAINTENANCE = State.LIMITED, State.UNKNOWN, State.MAINTENANCE
CHECK = chat_check()


def scene(*shown: PageCheck, past: Past | None = None) -> Scene:
    return Scene(shown, past or Past(NOW.wall))


def past(of: CheckPast | None = None, *outages: Outage) -> Past:
    known = {CHECK.labels3: of} if of else {}
    return Past(NOW.wall, known, tuple(map(remembered, outages)))


def text_of(document: str | None) -> str:
    """What a reader sees, in one line."""
    assert document is not None
    found: list[str] = []

    class Reader(HTMLParser):
        skipping = False

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.skipping = tag in {"style", "title", "script"}

        def handle_endtag(self, tag: str) -> None:
            self.skipping = False

        def handle_data(self, data: str) -> None:
            if not self.skipping:
                found.append(data)

    Reader().feed(document)
    return " ".join(" ".join(found).split())


def overview(*shown: PageCheck, past: Past | None = None) -> str:
    return scene(*shown, past=past).pages().overview()


# ------------------------------------------------------------------------------- the one sentence


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ([], "No endpoint is being watched"),
        ([UP], "c0 is up"),
        ([DOWN], "c0 is down"),
        ([UNKNOWN], "c0 cannot be judged now"),
        ([UP, UP], "Both endpoints are up"),
        ([UP, UP, UP], "All 3 endpoints are up"),
        ([DOWN, UP, UP, DOWN, UP, DEGRADED, LIMITED], "2 of 7 endpoints are down"),
        ([DOWN, UP], "1 of 2 endpoints is down"),
        ([DEGRADED, UP, UNKNOWN], "1 of 3 endpoints is degraded"),
        ([UP, LIMITED, UNKNOWN], "1 of 3 endpoints is up, none is known to be down"),
        ([LIMITED, LIMITED, LIMITED], "All 3 endpoints are limited"),
        ([UNKNOWN, LIMITED], "1 of 2 endpoints is limited, none is known to be down"),
        ([UNKNOWN, UNKNOWN], "Neither endpoint can be judged now"),
        ([UNKNOWN] * 3, "None of 3 endpoints can be judged now"),
        ([MAINTENANCE, UNKNOWN], "1 of 2 endpoints is in maintenance, none is known to be down"),
    ],
)
def test_the_headline_is_one_honest_sentence(found: list[State], sentence: str) -> None:
    assert headline([(f"c{rank}", state) for rank, state in enumerate(found)]) == sentence


@pytest.mark.parametrize(
    ("found", "colour"),
    [
        ([], UNKNOWN),
        ([UP, UP], UP),
        ([UP, UNKNOWN], UP),
        ([UP, UNKNOWN, UNKNOWN], UNKNOWN),
        ([UP, UP, DOWN], DOWN),
        ([LIMITED, LIMITED], LIMITED),
    ],
)
def test_the_whole_is_green_only_where_half_is_known_to_be_up(
    found: list[State], colour: State
) -> None:
    assert tone(found) is colour


# ------------------------------------------------------------------------------------ the overview


def test_it_says_what_is_down_why_and_since_when() -> None:
    other = seen(web_check())
    text = text_of(overview(seen(CHECK, DOWN, Reason.OVERLOADED, 3700), other))
    assert "1 of 2 endpoints is down." in text
    assert "Down: c As of" in text
    assert "It says that it is overloaded. 503 server_overloaded" in text
    assert "Down since 28 Nov, 13:00" in text


def test_an_open_outage_explains_a_check_whose_last_attempt_does_not() -> None:
    open_ = outage(CHECK, 2_530, None, Reason.CONNECT, detail="refused")
    text = text_of(overview(seen(CHECK, DOWN, outages=(open_,))))
    assert text.count("It refuses or drops connections. refused") == 2


def test_uptime_stands_beside_its_coverage() -> None:
    known = CheckPast(
        (day(1, {UP: 43_200.0, DOWN: 100.0}),),
        {UP: 43_000.0, DEGRADED: 100.0, DOWN: 100.0},
        {UP: 302_400.0},
    )
    document = overview(seen(CHECK), past=past(known))
    told = re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)<small>([^<]+)", document)
    assert told == [
        ("24 h", "99.76 %", "known 50 %"),
        ("7 d", "100 %", "known 50 %"),
        ("90 d", "99.76 %", "known &lt;1 %"),
    ]
    assert document.count('class="faint"') == 1


@pytest.mark.parametrize("seconds", [{}, {UNKNOWN: 500.0}, {LIMITED: 500.0, MAINTENANCE: 5.0}])
def test_what_is_not_known_is_neither_up_nor_down(seconds: Mapping[State, float]) -> None:
    document = overview(seen(CHECK, UNKNOWN), past=past(CheckPast((), seconds, seconds)))
    assert re.findall(r"<dd>([^<]+)<small>([^<]+)", document) == [("–", "known 0 %")] * 3
    assert 'class="up"' not in document
    assert "Nothing is known of the last 90 days" in document


def test_a_history_that_cannot_be_read_is_said_without_inner_workings() -> None:
    text = text_of(scenes.blind().pages().overview())
    assert "The history cannot be read at the moment" in text
    assert "on fire" not in text


def test_checks_stand_under_their_group_or_their_provider_in_the_order_of_the_file() -> None:
    names = [("a1", None), ("b1", "Own"), ("a2", None)]
    document = overview(*[seen(chat_check(name=name, group=group)) for name, group in names])
    assert re.findall(r'data-part="check-(\w+)"', document) == ["a1", "a2", "b1"]
    assert re.findall(r'<h3 data-part="group-(\w+)', document) == ["p", "Own"]


def test_a_group_says_how_its_members_are() -> None:
    shown = [
        seen(chat_check(name=f"c{n}"), state) for n, state in enumerate([UP, UP, DEGRADED])
    ] + [seen(chat_check(name=f"d{n}", group="Own")) for n in range(3)]
    document = overview(*shown)
    assert "1 of 3 degraded" in document
    assert "all 3 up" in document


def test_status_pages_of_others_are_no_endpoints() -> None:
    status = replace(web_check(name="official"), mode=Mode.STATUS_PAGE)
    document = overview(seen(CHECK), seen(status, UNKNOWN))
    assert "official" not in document
    assert "c is up." in document


def test_a_long_list_of_troubles_is_cut_in_the_summary() -> None:
    assert "c11 and 8 more" in text_of(
        overview(*[seen(chat_check(name=f"c{rank}"), DOWN) for rank in range(20)])
    )


def test_outages_of_the_past_are_shown_newest_first_and_the_rest_is_counted() -> None:
    many = [outage(CHECK, (n + 1) * HOUR24, 600, Reason.CONNECT) for n in range(20)]
    document = overview(seen(CHECK), past=past(None, *reversed(many)))
    shown = re.findall(r'href="./outages/(\w+)"', document)
    assert shown == [one.id for one in many[:15]]
    assert "5 more in 90 days" in document


def test_an_outage_that_goes_on_stands_on_top_and_is_not_told_twice() -> None:
    open_ = outage(CHECK, 2_530, None, Reason.CONNECT)
    document = overview(seen(CHECK, DOWN, outages=(open_,)), past=past(None, open_))
    assert document.count(f"./outages/{open_.id}") == 1
    assert "ongoing 42 min 10 s" in text_of(document)


def test_what_lives_knows_of_an_outage_better_than_what_was_read_before() -> None:
    read = outage(CHECK, 2_530, None, Reason.CONNECT)
    over = replace(read, ended=ago(100))
    document = overview(seen(CHECK, outages=(over,)), past=past(None, read))
    assert "Ongoing" not in document
    assert "40 min 30 s" in document


def test_outages_of_checks_that_are_gone_are_left_out() -> None:
    gone = outage(chat_check(name="gone"), 2_530, 600, Reason.CONNECT)
    assert gone.id not in overview(seen(CHECK), past=past(None, gone))


def test_the_length_of_an_outage_outlives_a_restart() -> None:
    # The monotonic clock began anew: only the wall clock knows how long it has been.
    open_ = replace(outage(CHECK, 0, None, Reason.CONNECT), started=Moment(NOW.wall - 7_200, 3.0))
    assert "ongoing 2 h " in text_of(overview(seen(CHECK, DOWN, outages=(open_,))))


@pytest.mark.parametrize(
    ("state", "claim", "odd"),
    [
        (DOWN, "operational", True),
        (DOWN, "major_outage", False),
        (UP, "operational", False),
        (UP, "partial_outage", True),
        (DOWN, "unknown", False),
    ],
)
def test_the_providers_own_claim_stands_beside_ours(state: State, claim: str, odd: bool) -> None:
    document = overview(seen(CHECK, state, claim=Claim(claim, NOW.wall - 45)))
    assert f"says: {claim.replace('_', ' ')} read 28 Nov 2026, 14:01" in text_of(document)
    assert ('class="claim odd"' in document) is odd
    assert "status page says" not in overview(seen(CHECK, state))


# ---------------------------------------------------------------------------------- ninety days


def drawn(*past: PastDay) -> dict[State, str]:
    return dict(days.bars(past, NOW.wall).paths)


def test_days_alike_are_one_stroke_and_each_state_is_one_path() -> None:
    whole = [day(back, {UP: HOUR24}) for back in range(1, 10)]
    assert drawn(*whole) == {UP: "M80 0h9v32h-9z"}
    mixed = [*whole, day(20, {UP: 43_200.0, DOWN: 43_200.0}), day(22, {DOWN: HOUR24})]
    assert drawn(*mixed) == {
        DOWN: "M67 0h1v32h-1zM69 16h1v16h-1z",
        UP: "M69 0h1v16h-1zM80 0h9v32h-9z",
    }


def test_the_shortest_trouble_is_seen_and_what_is_unknown_is_a_hole() -> None:
    found = drawn(day(3, {UP: 43_200.0, DOWN: 1.0}))
    assert found == {DOWN: "M86 21h1v11h-1z", UP: "M86 16h1v5h-1z"}


def test_the_first_minute_of_the_first_day_is_seen() -> None:
    assert drawn(day(0, {UP: 60.0})) == {UP: "M89 27h1v5h-1z"}
    assert drawn(day(0, {UP: 60.0, DOWN: 9.0})) == {DOWN: "M89 21h1v11h-1z", UP: "M89 16h1v5h-1z"}


def test_troubles_of_all_kinds_fit_into_one_day() -> None:
    found = drawn(day(3, {state: 100.0 for state in State if state is not UP} | {UP: 86_000.0}))
    heights = [int(v) for path in found.values() for v in re.findall(r"v(\d+)", path)]
    assert sum(heights) == days.HEIGHT
    assert DOWN in found


def test_today_is_measured_by_what_has_passed_of_it() -> None:
    assert drawn(day(0, {UP: NOW.wall % HOUR24})) == {UP: "M89 0h1v32h-1z"}


def test_a_restart_is_no_hole() -> None:
    assert drawn(day(1, {UP: HOUR24 - 300})) == {UP: "M88 0h1v32h-1z"}


def test_days_out_of_the_ninety_are_not_drawn() -> None:
    assert drawn(day(DAYS, {UP: HOUR24}), day(-1, {UP: HOUR24})) == {}


def test_bars_are_told_in_words() -> None:
    found = [day(back, {UP: 80_000.0, DOWN: 100.0}) for back in (1, 3, 5, 40)]
    label = days.bars([*found, day(2, {UP: 1.0, DEGRADED: 5.0})], NOW.wall).label
    assert label == (
        "Last 90 days: down on 4 days (27 Nov, 25 Nov, 23 Nov and 1 more); "
        "degraded on 1 day (26 Nov)"
    )


def test_the_script_is_told_of_the_days_that_were_not_simply_up() -> None:
    found = [day(back, {UP: HOUR24}) for back in range(DAYS) if back not in (0, 7, 8)]
    found.append(day(0, {UP: 40_000.0, DOWN: 2_500.0, LIMITED: 60.0}))
    # 2 and a half hours of an unfinished day are missing as well.
    assert days.bars(found, NOW.wall).notes == "89.2500.0.60.0.84 81-82"


def test_a_day_is_told_in_full_on_the_page_of_its_check() -> None:
    known = CheckPast((day(1, {UP: 80_000.0, DOWN: 725.0, DEGRADED: 3_600.0}, 1400, 12),))
    text = text_of(scene(seen(CHECK), past=past(known)).pages().check("c"))
    assert "27 Nov 99.14 % 97 % down 12 min 5 s, degraded 1 h 1400 12" in text


# ----------------------------------------------------------------------------------- the latency


def slots(**values: float) -> Latency:
    given = tuple(values.get(f"at{place}") for place in range(SLOTS))
    return Latency(given, 0.5, 1.0)


def test_the_line_breaks_where_nothing_was_answered() -> None:
    found = lines.line(slots(at0=1.0, at1=0.5, at5=1.0, at47=1.0))
    assert found and found.path == "M0 6l1 29M5 6h1.5M45.5 6h1.5"
    assert (found.p50, found.p95, found.top) == ("500 ms", "1.00 s", "1.10 s")


def test_without_answers_there_is_no_line_but_a_word() -> None:
    assert lines.line(Latency()) is None
    assert "nothing answered in 24 h" in text_of(overview(seen(CHECK)))


# ------------------------------------------------------------------- the pages of check and outage


def test_the_page_of_a_check_shows_its_last_attempt_with_what_was_said() -> None:
    text = text_of(scenes.troubled().pages().check("deepseek-chat"))
    assert "deepseek-chat is down." in text
    assert "Since 28 Nov 2026, 13:20 UTC, for 42 min 10 s" in text
    assert "Verdict failed HTTP status 503 Answered by deepseek-chat Request id req_" in text
    assert '"type": "server_overloaded"' in text


def test_a_check_that_was_never_asked_says_so() -> None:
    assert "Not asked yet." in text_of(scene(seen(CHECK, UNKNOWN)).pages().check("c"))


def test_the_page_of_an_outage_has_the_evidence_and_its_neighbours() -> None:
    found = scenes.troubled()
    reasoner = next(one for one in found.past.outages if one.check == "deepseek-reasoner" and one.ended)  # fmt: skip
    text = text_of(found.pages().outage(reasoner.id))
    assert "deepseek-reasoner was down for 1 h 20 min." in text
    assert "Start 17 Nov 2026, 14:07 Confirmed 17 Nov 2026, 14:07 End 17 Nov 2026, 15:27" in text
    assert "HTTP status 503 Request id req_8f14e45fceea167a" in text
    assert "The engine is currently overloaded, please try again later" in text
    assert "Also down at deepseek meanwhile 17 Nov 2026, 14:02 deepseek-chat" in text
    assert "claude" not in text


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"ended": None}, "End ongoing Length 2 h"),
        ({"end_known": False}, "End end unknown last seen 28 Nov 2026, 12:22 Length at least 20"),
        ({}, "End 28 Nov 2026, 12:22 Length 20 min"),
    ],
)
def test_the_end_of_an_outage_is_known_or_not(changes: dict[str, Any], shown: str) -> None:
    one = replace(outage(CHECK, 7_200, 1_200, Reason.CONNECT), **changes)
    text = text_of(scene(seen(CHECK), past=past(None, one)).pages().outage(one.id))
    assert shown in text


@pytest.mark.parametrize(
    ("began", "length", "beside"),
    [(9_000, 2_000, True), (9_000, 1_800, False), (6_000, 100, True), (5_999, None, False)],
)
def test_neighbours_are_outages_of_the_same_provider_at_the_same_time(
    began: float, length: float | None, beside: bool
) -> None:
    one = outage(CHECK, 7_200, 1_201, Reason.CONNECT)
    other = outage(chat_check(name="d"), began, length, Reason.DNS)
    shown = scene(seen(CHECK), past=past(None, one, other)).pages().outage(one.id)
    assert shown and (other.id in shown) is beside


async def test_each_page_has_its_address_and_others_are_missing_in_the_same_design() -> None:
    found = scenes.troubled()
    app = build_app(
        scrape=Metrics("1").scrape,
        ready=lambda: True,
        views=lambda: found.checks,
        past=lambda: found.past,
        now=lambda: NOW,
        version="1",
    )
    async with TestClient(TestServer(app)) as client:
        old = next(one for one in found.past.outages if one.ended)
        for path in ("/", "/checks/gpt-6-luna", f"/outages/{old.id}"):
            assert (await client.get(path)).status == 200
        for path in ("/checks/gone", "/outages/0123456789ab", "/checks/%3Cscript%3E"):
            answer = await client.get(path)
            assert (answer.status, answer.content_type) == (404, "text/html")
            text = await answer.text()
            assert "There is no such" in text and STYLE in text
            assert "gone" not in text and "0123456789ab" not in text


# ---------------------------------------------------------------------------- hostile and private


def pages_of(found: Scene) -> list[str]:
    pages = found.pages()
    shown = [pages.overview(), *(pages.check(one.view.check.name) for one in found.checks)]
    shown += [pages.outage(one.id) for one in found.past.outages]
    assert all(shown)
    return [one for one in shown if one]


def told_everywhere(text: str, check: Check) -> Scene:
    """A check in trouble about which `text` was said in every place that can be said anything."""
    found = seen(check, DOWN, Reason.SERVER_ERROR)
    assert found.last
    last = replace(found.last, detail=text, evidence=text, request_id=text, model=text)
    one = outage(check, 600, None, Reason.SERVER_ERROR, detail=text, evidence=text, request_id=text)
    old = replace(one, id="0" * 12, ended=ago(100))
    claimed = Claim(text, NOW.wall)
    view = replace(found.view, outages=(one,))
    return Scene([PageCheck(view, last, claimed)], past(None, one, old))


def test_hostile_text_is_escaped_wherever_it_stands() -> None:
    check = chat_check(model=HOSTILE, group=HOSTILE, labels={"team": HOSTILE})
    for document in pages_of(told_everywhere(HOSTILE, check)):
        assert document.count("<script") == 1
        assert escape("<script>alert(1)</script>") in document
    for document in pages_of(told_everywhere(HOSTILE, CHECK)):
        assert "\u202e" not in document and "\x1b" not in document


def test_private_evidence_stays_off_every_page() -> None:
    for document in pages_of(told_everywhere("inner", chat_check(evidence_private=True))):
        assert "It reports an error of its own." in document
        assert "inner" not in re.sub(r'<p class="claim.*', "", document)


def test_what_a_check_said_that_is_gone_stays_private() -> None:
    gone = outage(chat_check(name="gone"), 600, 100, Reason.CONNECT, detail="inner", evidence="inner")  # fmt: skip
    text = text_of(scene(seen(CHECK), past=past(None, gone)).pages().outage(gone.id))
    assert "gone no longer watched" in text
    assert "What it said is kept private." in text
    assert "inner" not in text and "req_" not in text


# ------------------------------------------------------------------------------------ the document


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_colour_and_its_word(state: State) -> None:
    assert f"--{state}: {COLOURS[state]}" in STYLE
    assert state.value.capitalize() in text_of(overview(seen(CHECK, state)))


def test_a_page_is_one_file_that_asks_nobody_for_anything() -> None:
    for document in pages_of(scenes.troubled()):
        addresses = re.findall(r'(?:src|href)="([^"]*)"', document)
        assert all(
            re.match(r"\.\.?/(?:$|metrics$|outages.atom$|checks/|outages/)|data:", one)
            for one in addresses
        )
        assert "url(" not in document and "@import" not in document
        assert not re.search(r"<[^>]+\s(?:style|on\w+)=", document), "the policy forbids it"


def test_the_policy_allows_exactly_the_style_and_the_script_on_the_page() -> None:
    document, policy = overview(), HEADERS["Content-Security-Policy"]
    for tag in ("style", "script"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", document, re.DOTALL)
        hashed = b64encode(sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{hashed}';" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_browser_without_scripts_renews_the_page_itself() -> None:
    assert '<noscript><meta http-equiv="refresh" content="30"></noscript>' in overview()


def test_the_page_names_the_metrics_and_their_documentation() -> None:
    document = overview()
    assert 'href="./metrics"' in document
    named = re.search(r"docs/\w+\.md", document)
    assert named and (Path(__file__).parent.parent / named[0]).is_file()


def test_two_hundred_checks_stay_below_a_hundred_kilobytes() -> None:
    assert len(packed([scenes.many(200).pages().overview().encode()])) < 100_000


def test_a_page_grows_with_its_checks_and_not_faster() -> None:
    sizes = [len(scenes.many(count).pages().overview()) for count in (50, 100, 150)]
    steps = [later - before for before, later in pairwise(sizes)]
    assert abs(steps[1] - steps[0]) < steps[0] / 4


def test_bars_are_drawn_once_for_each_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn_for: list[float] = []
    real = days.bars

    def counting(those: Any, at: float) -> days.Bars:
        drawn_for.append(at)
        return real(those, at)

    monkeypatch.setattr("monitor.show.site.rows.bars", counting)
    pages = scenes.healthy().pages()
    pages.overview()
    pages.overview()
    assert len(drawn_for) == len(scenes.ENDPOINTS)
