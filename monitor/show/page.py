"""The built-in page: what is seen now in, one HTML document out.  Pure but for its own files.

Everything a provider said is hostile: it is escaped by the template, and stripped of control and
direction characters before.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from monitor import words
from monitor.model import Mode, Moment, State
from monitor.show.rows import groups, outage_rows, when
from monitor.show.views import PageCheck

__all__ = ["STYLE_HASH", "PageCheck", "headline", "render_page"]

_HERE = Path(__file__).parent
STYLE = (_HERE / "page.css").read_text(encoding="utf-8")
STYLE_HASH = "sha256-" + b64encode(sha256(STYLE.encode()).digest()).decode()
"""What a Content-Security-Policy has to allow for the page to be styled."""

#: Okabe and Ito's palette: told apart with any kind of colour vision.  The style sheet has it too.
COLOURS = {
    State.UP: "#009E73",
    State.DEGRADED: "#E69F00",
    State.DOWN: "#D55E00",
    State.LIMITED: "#CC79A7",
    State.MAINTENANCE: "#0072B2",
    State.UNKNOWN: "#999999",
}
_WORST_FIRST = (
    State.DOWN,
    State.DEGRADED,
    State.LIMITED,
    State.UNKNOWN,
    State.MAINTENANCE,
)
NAMES_SHOWN = 12
"""In the summary; all are in the table."""


def render_page(checks: Iterable[PageCheck], now: Moment, version: str) -> str:
    """The whole document; status pages of others are no endpoints and left out."""
    shown = [found for found in checks if found.view.check.mode is not Mode.STATUS_PAGE]
    states = [(found.view.check.name, found.view.state) for found in shown]
    mood = _mood([state for _, state in states])
    return _template().render(
        style=STYLE,
        headline=headline(states),
        mood=mood,
        icon=COLOURS[mood],
        troubles=_troubles(states) if len(states) > 1 else [],
        groups=groups(shown, now),
        outages=outage_rows(shown, now),
        state_words=words.STATES,
        at=when(now.wall),
        version=version,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


# ------------------------------------------------------------------------------- the one sentence


def headline(states: Sequence[tuple[str, State]]) -> str:
    """The verdict on all checks, given by name and state, as one sentence without its full stop."""
    if not states:
        return "No endpoint is being watched"
    if len(states) == 1:
        name, state = states[0]
        return f"{name} {_IS[state]}"
    mood = _mood([state for _, state in states])
    count, total = sum(state is mood for _, state in states), len(states)
    if count == total and mood is State.UNKNOWN:
        nobody = "Neither endpoint" if total == 2 else f"None of {total} endpoints"
        return f"{nobody} can be judged now"
    if count == total:
        return f"{'Both' if total == 2 else f'All {total}'} endpoints {_ARE[mood]}"
    rest = "" if mood in {State.DOWN, State.DEGRADED} else ", none is known to be down"
    return f"{count} of {total} endpoints {(_IS if count == 1 else _ARE)[mood]}{rest}"


_IS = {
    State.UP: "is up",
    State.DEGRADED: "is degraded",
    State.DOWN: "is down",
    State.LIMITED: "is limited",
    State.MAINTENANCE: "is in maintenance",
    State.UNKNOWN: "cannot be judged now",
}
_ARE = {state: text.replace("is ", "are ", 1) for state, text in _IS.items()}


def _mood(states: Sequence[State]) -> State:
    """The state that the page as a whole takes its colour from: trouble first, then good news."""
    for state in (State.DOWN, State.DEGRADED, State.UP, State.LIMITED, State.MAINTENANCE):
        if state in states:
            return state
    return State.UNKNOWN


def _troubles(states: Sequence[tuple[str, State]]) -> list[tuple[State, list[str], int]]:
    """What is not up, worst first: state, the first names, and how many more there are."""
    found = []
    for state in _WORST_FIRST:
        names = [name for name, its in states if its is state]
        if names:
            found.append((state, names[:NAMES_SHOWN], max(0, len(names) - NAMES_SHOWN)))
    return found
