"""The table of everything a simulated provider can do: name, function, parameters.

To add one: write an `async def name(x: Exchange)` in `streams`, `refusals` or `hostile` whose
docstring says in one line what the client sees, and add a line below.
"""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from monitor.simulator import hostile, refusals, streams
from monitor.simulator.exchange import Exchange, Params

PLAIN = Params()

Run = Callable[[Exchange], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the simulated provider does with a request."""

    run: Run
    params: Params = PLAIN
    front: bool = False
    """Whether every path shows it, because it happens before the API proper is reached.

    The others leave `/models` and `/` alone: a model list is often green while nothing answers.
    """

    about: str = ""
    """What the client sees; needed only where several share a function."""

    @property
    def says(self) -> str:
        """What the client sees, in one line."""
        return self.about or (self.run.__doc__ or "").partition("\n")[0]


_STEPS = "Let me add them up, one after another: {reply}"

BEHAVIOURS: Mapping[str, Behaviour] = {
    # complete answers, some of them slow
    "healthy": Behaviour(streams.healthy),
    "slow_first_token": Behaviour(
        streams.healthy,
        Params(first_token=10.0),
        about="A complete answer whose first token is late.",
    ),
    "slow_drip": Behaviour(
        streams.healthy,
        Params(gap=4.0, answer=_STEPS),
        about="A complete answer, token by token with long gaps.",
    ),
    "json_200": Behaviour(streams.json_200),
    # complete answers that are not what was wanted
    "wrong_answer": Behaviour(
        streams.healthy,
        Params(answer="I would say it is 1."),
        about="A complete answer that is wrong.",
    ),
    "other_model": Behaviour(
        streams.healthy,
        Params(model="another-model-1"),
        about="A complete answer that names another model than the one asked for.",
    ),
    "empty": Behaviour(streams.empty),
    "reasoning_only": Behaviour(streams.reasoning_only),
    "filtered": Behaviour(streams.filtered),
    "insufficient_resource": Behaviour(streams.insufficient_resource),
    # streams that begin well or at least with 200
    "keepalive": Behaviour(streams.keepalive),
    "silent": Behaviour(streams.silent),
    "stall": Behaviour(streams.stall),
    "no_end": Behaviour(streams.no_end),
    "no_done": Behaviour(streams.no_done),
    "clean_end": Behaviour(streams.clean_end),
    "cut": Behaviour(streams.cut),
    "mid_stream_error": Behaviour(streams.mid_stream_error),
    "mid_stream_overload": Behaviour(streams.mid_stream_overload),
    "malformed": Behaviour(streams.malformed),
    "json_error_200": Behaviour(streams.json_error_200),
    "endless": Behaviour(streams.endless, Params(answer="On and on it goes, ")),
    # refusals
    "fast_503": Behaviour(refusals.fast_503),
    "overloaded_429": Behaviour(refusals.overloaded_429),
    "rate_limited": Behaviour(refusals.rate_limited),
    "quota_402": Behaviour(refusals.quota_402),
    "quota_429": Behaviour(refusals.quota_429),
    "auth_401": Behaviour(refusals.auth_401, front=True),
    "model_404": Behaviour(refusals.model_404),
    "bad_request_400": Behaviour(refusals.bad_request_400),
    "server_500": Behaviour(refusals.server_500),
    "edge_502": Behaviour(refusals.edge_502, front=True),
    "html_200": Behaviour(refusals.html_200, front=True),
    "redirect": Behaviour(refusals.redirect, front=True),
    "blocked": Behaviour(refusals.blocked, front=True),
    # the wire itself
    "refused": Behaviour(hostile.refused, front=True),
    "hang": Behaviour(hostile.hang, front=True),
    "garbage": Behaviour(hostile.garbage, front=True),
    "reset": Behaviour(hostile.reset),
    "huge_line": Behaviour(hostile.huge_line),
    "header_flood": Behaviour(hostile.header_flood, Params(size=10_000_000), front=True),
    "gzip_bomb": Behaviour(hostile.gzip_bomb),
}

_KINDS: Mapping[str, tuple[type, ...]] = {
    field.name: {"str": (str,), "int": (int,), "float": (int, float)}.get(
        str(field.type), (int, float, type(None))
    )
    for field in fields(Params)
}


def params_of(name: str, changes: Mapping[str, Any]) -> Params:
    """The behaviour's parameters with `changes`; raises ValueError naming seen and expected."""
    behaviour = BEHAVIOURS.get(name)
    if behaviour is None:
        raise ValueError(unknown(name))
    for key, value in changes.items():
        kinds = _KINDS.get(key)
        if kinds is None:
            raise ValueError(f"seen parameter {key!r}, expected one of: {', '.join(_KINDS)}")
        if isinstance(value, bool) or not isinstance(value, kinds):
            expected = " or ".join(kind.__name__ for kind in kinds)
            raise ValueError(f"seen {value!r} for {key}, expected {expected}")
        if isinstance(value, (int, float)) and not value >= 0:
            raise ValueError(f"seen {value!r} for {key}, expected 0 or more")
    return replace(behaviour.params, **changes)


def unknown(name: str) -> str:
    """The message for a name that is no behaviour."""
    close = difflib.get_close_matches(name, BEHAVIOURS, 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"seen behaviour {name!r}{hint}, expected one of: {', '.join(BEHAVIOURS)}"
