"""The built-in pages in a real Chromium: what is seen, reached, read aloud, and stays alive.

Needs `chromium` on PATH (or CHROMIUM), and for the rules of accessibility axe-core in `build/axe`
(`make test-page` fetches it) or AXE naming its script.  Skips, saying why, where a part is missing.
Pictures of every page are left in `build/pages`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from monitor.model import Moment
from monitor.show.metrics import Metrics
from monitor.show.server import build_app
from tests import scenes
from tests.browser.chromium import Tab, binary, browser, tab
from tests.scenes import NOW, SCENES, Scene

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

ROOT = Path(__file__).parent.parent.parent
PICTURES = ROOT / "build/pages"
WIDE, TABLET, PHONE = 1280, 820, 390


@pytest.fixture(scope="module")
def chromium() -> Iterator[Path]:
    found = binary()
    if not found:
        pytest.skip("no chromium on PATH, and CHROMIUM names none")
    with browser(found) as profile:
        yield profile


@pytest.fixture(scope="module")
def axe() -> str:
    place = os.environ.get("AXE") or ROOT / "build/axe/node_modules/axe-core/axe.min.js"
    try:
        return Path(place).read_text("utf-8")
    except OSError:
        pytest.skip(f"no axe-core in {place}: make test-page fetches it")


class Site:
    """A running server whose scene can be changed under the eyes of its reader."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.now = NOW
        self.server = TestServer(
            build_app(
                scrape=Metrics("1.2.3").scrape,
                ready=lambda: True,
                views=lambda: self.scene.checks,
                past=lambda: self.scene.past,
                now=lambda: self.now,
                version="1.2.3",
            )
        )

    def url(self, path: str = "/") -> str:
        return str(self.server.make_url(path))


@contextlib.asynccontextmanager
async def opened(chromium: Path, scene: Scene) -> AsyncIterator[tuple[Site, Tab]]:
    site = Site(scene)
    async with site.server, tab(chromium) as reader:
        yield site, reader


async def until(reader: Tab, expression: str) -> None:
    """Wait until it is true in the page; the time limit of the test is the limit."""
    while not await reader.run(expression):
        await asyncio.sleep(0.02)


# --------------------------------------------------------------------- all pages, in every guise


def addresses() -> dict[str, tuple[Scene, str]]:
    found = {name: (make(), "/") for name, make in SCENES.items()}
    trouble = scenes.troubled()
    old = next(one for one in trouble.past.outages if one.ended)
    now = next(one for one in trouble.past.outages if not one.ended)
    return found | {
        "two-hundred": (scenes.many(200), "/"),
        "check": (trouble, "/checks/deepseek-chat"),
        "check-started": (scenes.started(), "/checks/gpt-6-luna"),
        "outage-open": (trouble, f"/outages/{now.id}"),
        "outage-over": (trouble, f"/outages/{old.id}"),
        "missing": (trouble, "/checks/none"),
    }


LOOK = """(() => {
  const wide = document.documentElement.clientWidth;
  const cut = [...document.querySelectorAll("body *")].filter(one => {
    const box = one.getBoundingClientRect();
    return box.right > wide + 1 && !one.closest(".scroll, .seen, svg, dt") && box.width;
  }).map(one => one.outerHTML.slice(0, 120));
  return {cut, scroll: document.documentElement.scrollWidth - wide};
})()"""
RULES = """axe.run(document, {resultTypes: ["violations"]}).then(found =>
  found.violations.map(one => one.id + ": " + one.nodes.map(n => n.target + " " + n.failureSummary).slice(0, 3).join("; ")))"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, TABLET, PHONE])
@pytest.mark.parametrize("name", addresses())
async def test_a_page_fits_complains_of_nothing_and_asks_only_its_server(
    chromium: Path, name: str, width: int, dark: bool
) -> None:
    scene, path = addresses()[name]
    async with opened(chromium, scene) as (site, reader):
        await reader.open(site.url(path), width=width, dark=dark, ratio=2 if width == PHONE else 1)
        seen = await reader.run(LOOK)
        shade = "dark" if dark else "light"
        await reader.picture(PICTURES / f"{name}-{width}-{shade}.png")
        missing = "404"  # which the browser takes for an error of the page
        assert [one for one in reader.complaints if missing not in one] == []
        assert seen == {"cut": [], "scroll": 0}
        assert all(one.startswith((site.url(), "data:")) for one in reader.requests)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("name", addresses())
async def test_axe_finds_no_violation(
    chromium: Path, axe: str, name: str, width: int, dark: bool
) -> None:
    scene, path = addresses()[name]
    async with opened(chromium, scene) as (site, reader):
        await reader.open(site.url(path), width=width, dark=dark)
        await reader.run(f"{axe}; 0")
        assert await reader.run(RULES) == []


async def test_axe_would_find_a_violation(chromium: Path, axe: str) -> None:
    async with opened(chromium, scenes.healthy()) as (site, reader):
        await reader.open(site.url(), width=WIDE)
        await reader.run(f"{axe}; document.querySelector('h1').style.color = '#ddd'; 0")
        assert [one.partition(":")[0] for one in await reader.run(RULES)] == ["color-contrast"]


# ------------------------------------------------------------------------------ without a script


async def test_all_is_readable_without_scripts(chromium: Path) -> None:
    async with opened(chromium, scenes.troubled()) as (site, reader):
        await reader.script(False)
        await reader.open(site.url(), width=WIDE)
        await reader.script(True)
        text = await reader.run("document.body.innerText")
        await reader.picture(PICTURES / "no-script.png")
    assert "2 of 8 endpoints are down." in text
    assert "since 28 Nov, 13:20" in text
    assert "It says that it is overloaded." in text
    assert "ongoing" in text


# ------------------------------------------------------------------------------ the day in the bars


BOX = """(() => {{
  const bars = document.getElementById("bars-{}");
  bars.scrollIntoView({{block: "center"}});
  const box = bars.getBoundingClientRect();
  return [box.x, box.y, box.width, box.height];
}})()"""
TIP = (
    "(() => { const t = document.getElementById('tip'); return t.hidden ? null : t.textContent })()"
)
TODAY = "28 Nov 2026: down 41 min 40 s, known 99 %"


async def test_pointing_at_a_bar_tells_its_day(chromium: Path) -> None:
    async with opened(chromium, scenes.troubled()) as (site, reader):
        await reader.open(site.url(), width=WIDE)
        x, y, wide, high = await reader.run(BOX.format("deepseek-chat"))
        await reader.point(x + wide - 2, y + high / 2)
        assert await reader.run(TIP) == TODAY
        await reader.picture(PICTURES / "day.png", whole=False)
        x, y, wide, high = await reader.run(BOX.format("gemini-flash"))
        await reader.point(x + 2, y + high / 2)
        assert await reader.run(TIP) == "31 Aug 2026: nothing known"
        await reader.point(2, 2)
        assert await reader.run(TIP) is None


async def test_touching_a_bar_tells_its_day_and_the_page_stays(chromium: Path) -> None:
    async with opened(chromium, scenes.troubled()) as (site, reader):
        await reader.open(site.url(), width=PHONE, height=844, dark=True, ratio=2)
        x, y, wide, high = await reader.run(BOX.format("deepseek-chat"))
        spot = [{"x": x + wide - 1, "y": y + high / 2}]
        await reader.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=spot)
        await reader.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        assert await reader.run(TIP) == TODAY
        assert await reader.run("location.pathname") == "/"
        left, right = await reader.run(
            "(() => { const b = document.getElementById('tip').getBoundingClientRect(); return [b.left, b.right] })()"
        )
        assert left >= 0 and right <= PHONE
        await reader.picture(PICTURES / "phone.png", whole=False)


async def test_the_arrow_keys_walk_through_the_days(chromium: Path) -> None:
    async with opened(chromium, scenes.troubled()) as (site, reader):
        await reader.open(site.url("/checks/deepseek-chat"), width=WIDE)
        await reader.run("document.getElementById('bars-deepseek-chat').focus()")
        assert await reader.run(TIP) == TODAY
        await reader.key("ArrowLeft")
        assert (await reader.run(TIP)).startswith("27 Nov 2026: up")
        spoken = "document.activeElement.getAttribute('aria-valuetext')"
        assert (await reader.run(spoken)).startswith("27 Nov 2026: up")
        await reader.key("Home")
        assert (await reader.run(TIP)).startswith("31 Aug 2026")
        await reader.key("ArrowLeft")
        assert (await reader.run(TIP)).startswith("31 Aug 2026")
        await reader.key("Escape")
        assert await reader.run(TIP) is None


async def test_the_tab_key_reaches_every_check_and_shows_where_it_is(chromium: Path) -> None:
    async with opened(chromium, scenes.healthy()) as (site, reader):
        await reader.open(site.url(), width=WIDE)
        reached, outlined = set(), True
        for _ in range(40):
            await reader.key("Tab")
            href, outline = await reader.run(
                "[document.activeElement.getAttribute('href') || document.activeElement.id,"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
            reached.add(href)
            outlined = outlined and (not href or outline == "solid")
        wanted = {f"./checks/{name}" for name, *_ in scenes.ENDPOINTS}
        assert wanted | {f"bars-{name}" for name, *_ in scenes.ENDPOINTS} <= reached
        assert outlined


# ------------------------------------------------------------------------------------- the renewal

RENEW = "document.dispatchEvent(new Event('visibilitychange'))"
HEADLINE = "document.querySelector('h1').textContent"


async def test_the_page_renews_itself_in_place(chromium: Path) -> None:
    async with opened(chromium, scenes.healthy()) as (site, reader):
        await reader.open(site.url(), width=WIDE)
        assert await reader.run(HEADLINE) == "All 8 endpoints are up."
        icon = await reader.run("document.querySelector('link[rel=icon]').href")
        site.scene = scenes.troubled()
        await reader.run(RENEW)
        await until(reader, f"{HEADLINE} === '2 of 8 endpoints are down.'")
        assert await reader.run("document.title") == "2 of 8 endpoints are down"
        assert await reader.run("document.querySelector('link[rel=icon]').href") != icon
        assert await reader.run("!!document.querySelector('[data-part=ongoing]')")
        assert reader.complaints == []


async def test_a_renewal_takes_nobodys_focus_and_touches_only_what_changed(chromium: Path) -> None:
    async with opened(chromium, scenes.healthy()) as (site, reader):
        await reader.open(site.url(), width=WIDE)
        await reader.run(
            "document.querySelector('a[href=\"./checks/gpt-6-mini\"]').focus();"
            " window.same = document.activeElement; 0"
        )
        site.now = Moment(NOW.wall + 60, NOW.mono + 60)
        await reader.run(RENEW)
        await until(reader, "document.querySelector('.asof').textContent.includes('14:03')")
        assert await reader.run("document.activeElement === window.same && same.isConnected")
        site.scene = scenes.troubled()  # more parts than before: all of it is new
        await reader.run(RENEW)
        await until(reader, f"{HEADLINE}.startsWith('2 of 8')")
        assert await reader.run("!window.same.isConnected")
        assert (
            await reader.run("document.activeElement.getAttribute('href')") == "./checks/gpt-6-mini"
        )


async def test_an_old_page_says_that_it_is_old(chromium: Path) -> None:
    async with opened(chromium, scenes.healthy()) as (site, reader):
        await reader.open(site.url(), width=WIDE)
        await site.server.close()
        await reader.run(RENEW)
        await until(reader, "!!document.getElementById('lost').textContent")
        told = await reader.run("document.getElementById('lost').textContent")
        await reader.picture(PICTURES / "lost.png", whole=False)
    assert told.startswith("The monitor does not answer: this page is as it was at 14:02:1")


async def test_times_are_told_relative_to_the_monitors_clock(chromium: Path) -> None:
    # The browser's clock is far from the scene's, as that of a badly set phone is.
    async with opened(chromium, scenes.healthy()) as (site, reader):
        await reader.open(site.url(), width=WIDE)
        since: Any = await reader.run("document.querySelector('time[data-for]').textContent")
    assert since == "for 3 d 4 h"


async def test_a_thousand_checks_stay_usable(chromium: Path) -> None:
    async with opened(chromium, scenes.many(1_000)) as (site, reader):
        await reader.open(site.url(), width=WIDE)
        assert await reader.run("document.querySelectorAll('.check').length") == 1_000
        site.now = Moment(NOW.wall + 60, NOW.mono + 60)
        await reader.run(RENEW)
        await until(reader, "document.querySelector('.asof').textContent.includes('14:03')")
        x, y, wide, high = await reader.run(BOX.format("endpoint-0000"))
        await reader.point(x + wide / 2, y + high / 2)
        assert await reader.run(TIP)
        await reader.picture(PICTURES / "thousand.png", whole=False)
        assert reader.complaints == []
