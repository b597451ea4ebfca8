"""One check as a small picture (SVG) for a README or a wiki: state, uptime or first token.  Pure.

Two fields with a text each, as badges look everywhere.  A badge asks nobody for anything: no font,
no style sheet, no script.  Colours are those of the page, and a word says the same as the colour.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from monitor import words
from monitor.model import Mode, State
from monitor.show.page import COLOURS
from monitor.show.past import CheckPast
from monitor.show.views import PageCheck

HEIGHT, PADDING = 20, 6
DARK, LIGHT = "#000000", "#ffffff"
LABEL_COLOUR = "#444444"
GOOD, FAIR, BAD, NOTHING = (
    COLOURS[state] for state in (State.UP, State.DEGRADED, State.DOWN, State.UNKNOWN)
)
ENOUGH = 0.5
"""Coverage under which an uptime says how much of the time it speaks of."""

#: Of Verdana and DejaVu Sans at 11 pixels, the two that are nearly everywhere; all other ASCII: 7.
_WIDTHS = {
    letter: width
    for letters, width in (
        ("ijlIJ' ", 3.3),
        (",./:;\\|f-", 3.8),
        ('()[]t!r"', 4.5),
        ("*_`–s?zcL", 5.8),
        ("FkvxyPTYaoe·", 6.5),
        ("KABVXZRC", 7.5),
        ("UNHDG&OQ", 8.5),
        ("w#+<=>^~M", 9.2),
        ("%mW@…", 10.8),
    )
    for letter in letters
}


@dataclass(frozen=True, slots=True)
class Badge:
    """Two texts and the colour of the second."""

    label: str
    value: str
    colour: str = NOTHING
    more: str = ""
    """For those who hover over it or have it read to them."""


UNKNOWN_CHECK = Badge("monitor", "unknown check")
WRONG_QUESTION = Badge("monitor", "unknown badge", more="show=state, uptime or ttft")


def state(page: PageCheck, _past: CheckPast) -> Badge:
    """What is claimed now."""
    now = page.view.state
    return Badge(page.view.check.name, now.value, COLOURS[now], words.STATES[now])


def uptime(page: PageCheck, past: CheckPast) -> Badge:
    """Over 90 days; green where the check's target is met."""
    check, found = page.view.check, past.shares()[-1]
    label = f"{check.name} uptime 90 d"
    if found.uptime is None:
        return Badge(label, "not known")
    known = f"known {words.percent(found.coverage)}"
    value = words.percent(found.uptime)
    return Badge(
        label,
        value if found.coverage >= ENOUGH else f"{value}, {known}",
        GOOD if found.uptime >= check.slo else BAD,
        f"{known} of the time; the target is {words.percent(check.slo)}",
    )


def first_token(page: PageCheck, past: CheckPast) -> Badge:
    """The median of 24 hours; green where it is not slow."""
    check, median = page.view.check, past.latency.p50
    label = f"{check.name} first token"
    if median is None or check.mode is not Mode.CHAT:
        return Badge(label, "not known")
    colour = GOOD if median <= check.slow.first_token else FAIR
    return Badge(label, words.latency(median), colour, "median of the last 24 hours")


#: By the value of `show`.
SHOWN = {"state": state, "uptime": uptime, "ttft": first_token}


def svg(badge: Badge) -> bytes:
    """The picture."""
    label, value = words.printable(badge.label), words.printable(badge.value)
    left, right = _width(label), _width(value)
    whole = left + right
    said = f"{label}: {value}"
    title = words.printable(f"{said}. {badge.more}" if badge.more else said)
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{HEIGHT}" '
        f'viewBox="0 0 {whole} {HEIGHT}" role="img" aria-label={quoteattr(said)}>'
        f"<title>{escape(title)}</title>"
        f'<rect width="{left}" height="{HEIGHT}" fill="{LABEL_COLOUR}"/>'
        f'<rect x="{left}" width="{right}" height="{HEIGHT}" fill="{badge.colour}"/>'
        f'<g font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f"{_text(label, 0, left, LABEL_COLOUR)}{_text(value, left, right, badge.colour)}"
        "</g></svg>\n"
    )
    return picture.encode()


def _text(text: str, x: int, width: int, background: str) -> str:
    # With its length given, a text fits its field in whatever font there is.
    return (
        f'<text x="{x + width / 2:g}" y="14" textLength="{width - 2 * PADDING}" '
        f'lengthAdjust="spacingAndGlyphs" fill="{ink(background)}">{escape(text)}</text>'
    )


def _width(text: str) -> int:
    return round(sum(map(_letter, text))) + 2 * PADDING


def _letter(letter: str) -> float:
    if letter.isascii() or letter in _WIDTHS:
        return _WIDTHS.get(letter, 7.0)
    if unicodedata.combining(letter):
        return 0.0
    return 11.0 if unicodedata.east_asian_width(letter) in "WF" else 7.5


def ink(background: str) -> str:
    """Black or white, whichever stands out more from `background`, as WCAG computes contrast."""
    luminance = _luminance(background)
    black, white = (luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05)
    return DARK if black > white else LIGHT


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
