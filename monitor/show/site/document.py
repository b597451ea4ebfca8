"""One HTML document out of a template, its style and its script inside.  Pure but for its files.

Everything a provider said is hostile: the templates escape it, and control and direction characters
are taken out before.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from monitor.model import State

_HERE = Path(__file__).parent


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


STYLE = (_HERE / "page.css").read_text(encoding="utf-8")
SCRIPT = (_HERE / "page.js").read_text(encoding="utf-8")
STYLE_HASH, SCRIPT_HASH = _hash(STYLE), _hash(SCRIPT)
"""What a Content-Security-Policy has to allow for the page to be styled and to renew itself."""

#: Okabe and Ito's palette: told apart with any kind of colour vision.  The style sheet has it too.
COLOURS = {
    State.UP: "#009E73",
    State.DEGRADED: "#E69F00",
    State.DOWN: "#D55E00",
    State.LIMITED: "#CC79A7",
    State.MAINTENANCE: "#0072B2",
    State.UNKNOWN: "#999999",
}


def document(template: str, **shown: Any) -> str:
    """The whole document."""
    return _environment().get_template(template).render(shown)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(style=Markup(STYLE), script=Markup(SCRIPT), colours=COLOURS)
    return environment
