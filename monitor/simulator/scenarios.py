"""Scenarios that users write: a name or a few lines of YAML in, a `Script` or a clear error out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from monitor.simulator.behaviours import BEHAVIOURS, unknown
from monitor.simulator.script import Scene, Script, always
from monitor.simulator.stories import STORY

_KEYS = ("scenes", "loop", "length")
_SCENE_KEYS = ("from", "to", "behaviour", "share", "params")
_DURATION = re.compile(
    r"(?=\d)(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?(?:(\d{1,9})s)?(?:(\d{1,9})ms)?",
    re.ASCII,
)
_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_TIMES = ("first_token", "gap", "every", "after", "retry_after")


def load_scenario(argument: str) -> Script:
    """The script for what a user named: a behaviour, a provider of the story, or a file."""
    if argument in BEHAVIOURS or argument in STORY:
        return scenario(argument)
    path = Path(argument)
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ValueError(f"{_unknown(argument)}; or a file, and there is none so named") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{argument}: cannot be read: {error}") from None
    try:
        return scenario(text)
    except ValueError as error:
        raise ValueError(
            "\n".join(f"{argument}: {line}" for line in str(error).split("\n"))
        ) from None


def scenario(text: str) -> Script:
    """The script that `text` describes: a name, or YAML with `scenes`.

    Raises ValueError with one line for each thing that is wrong, saying what was seen and what
    was expected.
    """
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"expected YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ValueError("seen YAML nested without end, expected a few lines") from None
    if isinstance(said, str):
        return _named(said)
    if not isinstance(said, dict):
        raise ValueError(f"seen {_kind(said)}, expected a name or a mapping with `scenes`")
    return _script(said)


def _named(name: str) -> Script:
    if name in BEHAVIOURS:
        return always(name)
    if name in STORY:
        return STORY[name].script
    raise ValueError(_unknown(name))


def _unknown(name: str) -> str:
    return f"{unknown(name)}; or a provider of the story: {', '.join(STORY)}"


def _script(said: dict[Any, Any]) -> Script:
    wrong = [_stray(key, _KEYS) for key in said if key not in _KEYS]
    loop = said.get("loop", False)
    if not isinstance(loop, bool):
        wrong.append(f"loop: seen {loop!r}, expected true or false")
    length = _caught(
        wrong, "scenario", lambda: _seconds(said, "length") if "length" in said else 0.0
    )
    scenes = said.get("scenes")
    if not isinstance(scenes, list) or not scenes:
        wrong.append(f"scenes: seen {_kind(scenes)}, expected a list of at least one scene")
        scenes = []
    played = [
        _caught(wrong, f"scenes[{place}]", lambda scene=scene: _scene(scene))
        for place, scene in enumerate(scenes)
    ]
    if not wrong:
        script = _caught(wrong, "scenario", lambda: Script(tuple(played), length, loop))
    if wrong:
        raise ValueError("\n".join(wrong))
    return script  # type: ignore[no-any-return]


def _caught(wrong: list[str], where: str, build: Any) -> Any:
    """What `build` gives; its complaint joins the others, so that all are told at once."""
    try:
        return build()
    except ValueError as error:
        wrong.append(f"{where}: {error}")
        return None


def _scene(said: Any) -> Scene:
    if not isinstance(said, dict):
        raise ValueError(f"seen {_kind(said)}, expected a mapping with from, to and behaviour")
    for key in said:
        if key not in _SCENE_KEYS:
            raise ValueError(_stray(key, _SCENE_KEYS))
    for key in ("from", "behaviour"):
        if key not in said:
            raise ValueError(f"seen no {key!r}, expected one")
    share = said.get("share", 1.0)
    if isinstance(share, bool) or not isinstance(share, (int, float)):
        raise ValueError(f"seen share {share!r}, expected a number from 0 to 1")
    return Scene(
        start=_seconds(said, "from"),
        end=_seconds(said, "to") if "to" in said else math.inf,
        behaviour=str(said["behaviour"]),
        share=float(share),
        params=_params(said.get("params", {})),
    )


def _params(said: Any) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise ValueError(f"params: seen {_kind(said)}, expected a mapping")
    return {
        str(key): _seconds(said, key) if key in _TIMES and value is not None else value
        for key, value in said.items()
    }


def _seconds(holder: Mapping[Any, Any], key: str) -> float:
    """A duration as in `checks.yaml`: `90s`, `1m30s`, `500ms`; a bare number has no unit."""
    said = holder[key]
    found = _DURATION.fullmatch(said) if isinstance(said, str) else None
    if found is None:
        raise ValueError(f"seen {key} {said!r}, expected a duration such as 30s or 1m30s")
    return sum(float(part or 0) * unit for part, unit in zip(found.groups(), _UNITS, strict=True))


def _stray(key: Any, known: tuple[str, ...]) -> str:
    return f"seen key {key!r}, expected one of: {', '.join(known)}"


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"
