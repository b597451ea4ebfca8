"""Simulated providers: real sockets, faithful bytes, every failure that was seen in the wild.

They are what `monitor demo` and `monitor simulate` run and what the tests probe, and they know
nothing of the monitor.  `SimulatedProvider` listens; a `Script` of `Scene`s says when it does what;
`BEHAVIOURS` is the table of what it can do.

To add a behaviour: write an `async def name(x: Exchange)` in `streams`, `refusals` or `hostile`
whose docstring's first line says what the client sees; add one line to `behaviours.BEHAVIOURS`, one
to the table in `tests/test_simulator.py` and one to `docs/simulator.md`.  A test fails while one of
them is missing.
To add a dialect: copy `openai_chat.py` and add it to `conversation.DIALECTS`; it gets every
behaviour there is.
"""

from __future__ import annotations

from monitor.simulator.behaviours import BEHAVIOURS
from monitor.simulator.exchange import Params, Seen
from monitor.simulator.flavours import FLAVOURS
from monitor.simulator.scenarios import load_scenario, scenario
from monitor.simulator.script import Scene, Script, always
from monitor.simulator.server import SimulatedProvider
from monitor.simulator.stories import STORY, Role

__all__ = [
    "BEHAVIOURS",
    "FLAVOURS",
    "STORY",
    "Params",
    "Role",
    "Scene",
    "Script",
    "Seen",
    "SimulatedProvider",
    "always",
    "load_scenario",
    "scenario",
]
