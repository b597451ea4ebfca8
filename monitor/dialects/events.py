"""What dialects share when they read an event: decode it, dig in it, explain its complaint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.dialects.complaints import complaint, decode, loose_complaint, shorten
from monitor.dialects.explain import explain_in_band
from monitor.dialects.signals import (
    Channel,
    Ending,
    Finish,
    Identity,
    Output,
    Problem,
    Signal,
)
from monitor.dialects.sse import Event
from monitor.model import Reason


def unpack(event: Event) -> dict[str, Any] | Problem:
    """The object in an event, or the problem it tells; raises ValueError where it does not decode.

    An `event: error` is one whatever it holds, JSON or not (the Anthropic SDK falls back to text).
    """
    failed = event.name == "error"
    try:
        document = decode(event.data)
    except ValueError:
        if not failed:
            raise
        document = None
    found = loose_complaint(document) if failed else complaint(document)
    if found:
        return explain_in_band(found, streaming=True)
    if failed:
        said = shorten(event.data.decode("utf-8", "replace"))
        return Problem(Reason.STREAM_ERROR, said or "an error event without a word")
    if not isinstance(document, dict):
        raise ValueError(f"an event that is {type(document).__name__}, not an object")
    return document


def dig(value: Any, *path: str | int) -> Any:
    """What lies at `path` inside decoded JSON; None where a step is missing or of another kind."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and len(value) > step else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def word(value: Any) -> str:
    """A string as it is, anything else as the empty one."""
    return value if isinstance(value, str) else ""


def output(text: Any, channel: Channel = Channel.ANSWER) -> list[Signal]:
    """The output in a text field: none where it is empty, null or no text."""
    return [Output(text, channel)] if isinstance(text, str) and text else []


def finish(why: Any, endings: Mapping[str, Ending]) -> list[Signal]:
    """The finish in a field for its reason, if it holds one; an unknown reason is no success."""
    said = word(why)
    return [Finish(endings.get(said, Ending.BROKEN), said)] if said else []


def identity(model: Any, request_id: Any = None) -> list[Signal]:
    """Who answered, as far as the fields tell."""
    who = Identity(word(model) or None, word(request_id) or None)
    return [] if who == Identity() else [who]


def count(value: Any) -> int | None:
    """A number of tokens, or None; Cohere writes whole numbers as `5.0`."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < 10**9 else None


def total(*counts: int | None) -> int | None:
    """The sum of the counts that are known, None where none is."""
    known = [one for one in counts if one is not None]
    return sum(known) if known else None
