"""Badges: what they say, that they are valid SVG, and that they can be read."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from monitor.model import Mode, State
from monitor.show import badges
from monitor.show.badges import BAD, FAIR, GOOD, NOTHING, SHOWN, Badge, svg
from monitor.show.page import COLOURS
from monitor.show.past import CheckPast, Latency
from tests.making import chat_check
from tests.snapshots import HOSTILE, history, page, served

SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: bytes) -> list[str | None]:
    return [text.text for text in ElementTree.fromstring(picture).iter(f"{SVG}text")]


@pytest.mark.parametrize("state", State)
def test_a_badge_says_the_state_in_a_word_and_a_colour(state: State) -> None:
    badge = SHOWN["state"](page(state=state), CheckPast())
    assert (badge.label, badge.value, badge.colour) == ("c", state.value, COLOURS[state])


@pytest.mark.parametrize(
    ("past", "slo", "value", "colour"),
    [
        (CheckPast(), 0.995, "not known", NOTHING),
        (history(up=0.9), 0.995, "100 %", GOOD),
        (history(up=0.899), 0.995, "99.88 %", GOOD),
        (history(up=0.89), 0.995, "98.88 %", BAD),
        (history(up=0.89), 0.98, "98.88 %", GOOD),
        (history(up=0.9, days=9), 0.995, "100 %, known 9.00 %", GOOD),
    ],
)
def test_uptime_has_the_colour_of_its_target_and_says_what_it_does_not_know(
    past: CheckPast, slo: float, value: str, colour: str
) -> None:
    badge = SHOWN["uptime"](page(chat_check(slo=slo)), past)
    assert (badge.label, badge.value, badge.colour) == ("c uptime 90 d", value, colour)


@pytest.mark.parametrize(
    ("p50", "mode", "value", "colour"),
    [
        (None, Mode.CHAT, "not known", NOTHING),
        (0.412, Mode.CHAT, "412 ms", GOOD),
        (1.0, Mode.CHAT, "1.00 s", GOOD),
        (1.2, Mode.CHAT, "1.20 s", FAIR),
        (0.412, Mode.WEB, "not known", NOTHING),
    ],
)
def test_first_token_is_the_median_where_there_are_tokens(
    p50: float | None, mode: Mode, value: str, colour: str
) -> None:
    badge = SHOWN["ttft"](page(chat_check(mode=mode)), CheckPast(latency=Latency(p50=p50)))
    assert (badge.label, badge.value, badge.colour) == ("c first token", value, colour)


@pytest.mark.parametrize("text", ["up", "m" * 64, HOSTILE, "模型 größe", "ä" * 5 + "e\u0301", ""])
def test_any_text_makes_a_valid_picture_that_is_as_wide_as_its_fields(text: str) -> None:
    picture = svg(Badge(text, text, GOOD, text))
    root = ElementTree.fromstring(picture)
    assert root.tag == f"{SVG}svg"
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    widths = [int(rect.attrib["width"]) for rect in root.iter(f"{SVG}rect")]
    assert sum(widths) == int(root.attrib["width"])
    assert widths[0] == widths[1] >= 2 * badges.PADDING
    assert {element.tag for element in root.iter()} == {
        f"{SVG}{name}" for name in ("svg", "title", "rect", "g", "text")
    }


def test_a_badge_can_be_heard_and_asks_nobody_for_anything() -> None:
    picture = svg(Badge("c", "up", GOOD, "It answers."))
    root = ElementTree.fromstring(picture)
    assert (root.get("role"), root.get("aria-label")) == ("img", "c: up")
    assert root.findtext(f"{SVG}title") == "c: up. It answers."
    assert not re.search(rb"href|url\(|style|@import|<script|<image", picture)
    assert picture.count(b"://") == 1, "the name space, which nobody fetches"


def test_a_wider_text_has_a_wider_field() -> None:
    narrow, wide = (
        int(ElementTree.fromstring(svg(Badge(text, "up"))).attrib["width"])
        for text in ("iiiiiiii", "mmmmmmmm")
    )
    assert wide > 2 * narrow - 40
    assert wide > narrow


@pytest.mark.parametrize("colour", [*COLOURS.values(), badges.LABEL_COLOUR])
def test_texts_stand_out_from_their_field(colour: str) -> None:
    """As WCAG wants it for small text, at level AA."""
    field, text = badges._luminance(colour), badges._luminance(badges.ink(colour))
    light, dark = max(field, text), min(field, text)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


async def got(path: str) -> tuple[int, Any, bytes]:
    async with served() as client:
        response = await client.get(path)
        return response.status, response.headers, await response.read()


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/badge/up.svg", 200, ["up", "up"]),
        ("/badge/down.svg?show=state", 200, ["down", "down"]),
        ("/badge/up.svg?show=uptime", 200, ["up uptime 90 d", "83.33 %"]),
        ("/badge/up.svg?show=ttft", 200, ["up first token", "412 ms"]),
        ("/badge/nobody.svg", 404, ["monitor", "unknown check"]),
        ("/badge/official.svg", 404, ["monitor", "unknown check"]),
        ("/badge/up.svg?show=cost", 400, ["monitor", "unknown badge"]),
        ("/badge/up.svg?show=state&show=ttft", 400, ["monitor", "unknown badge"]),
        ("/badge/up.svg?style=flat", 400, ["monitor", "unknown badge"]),
    ],
)
async def test_whatever_is_asked_the_answer_is_a_picture(
    path: str, status: int, said: list[str]
) -> None:
    answered, headers, picture = await got(path)
    assert (answered, texts(picture)) == (status, said)
    assert headers["Content-Type"] == "image/svg+xml"
    assert headers["Cache-Control"] == "max-age=60"


async def test_what_was_asked_is_not_said_back() -> None:
    for path in ("/badge/%3Cscript%3E.svg", "/badge/up.svg?show=%3Cscript%3E"):
        assert b"script" not in (await got(path))[2]
