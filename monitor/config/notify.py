"""`notify`: whom to tell of outages.  The address of a target is a secret, like the key of a check.

Which checks a target is about is settled here, so that nothing later has to know of its filters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from monitor.config.case import World
from monitor.config.errors import Findings, Place, hint, kind, looks_secret, shown
from monitor.config.parts import NotifyShape
from monitor.config.schema import validate
from monitor.config.urls import ADDRESS, is_webhook
from monitor.config.variables import FromVariable
from monitor.model import Check, NotifyTarget, Secret

WAYS = ("webhook", "webhook_file", "apprise", "apprise_file")
EXTRA = 'pip install "ai-chat-outage-monitor[notify]"'
LITERAL = "the address stands in the file itself, better put it into a variable (${…}) or a file"

_APPRISE_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_EXPECTED = {"webhook": ADDRESS, "apprise": "an Apprise URL, such as slack://…"}


def apprise_is_installed() -> bool:
    return find_spec("apprise") is not None


def targets(
    data: Any, place: Place, checks: Sequence[Check], world: World
) -> tuple[NotifyTarget, ...]:
    """The targets; faults go to the world's findings, and what they leave is not used."""
    if not isinstance(data, list) or not data:
        seen = kind(data) if data != [] else "an empty list"
        world.findings.error(place, f"seen {seen}, expected a list of targets")
        return ()
    found: list[NotifyTarget] = []
    names: dict[str, Place] = {}
    for index, raw in enumerate(data):
        at = place / index
        entry = validate(NotifyShape, raw, at, world.findings)
        if entry is None:
            continue
        other = names.setdefault(entry["name"], at)
        if other is not at:
            seen = f"seen {shown(entry['name'])} again"
            world.findings.error(
                at / "name", f"{seen}, expected another name than at {other.where}"
            )
        # What is faulty is told already; without it, it is missing no less.
        target = _target(entry, _way(raw, at, world.findings), at, checks, world)
        found += [target] if target else []
    return tuple(found)


def _target(
    entry: Mapping[str, Any], way: str | None, at: Place, checks: Sequence[Check], world: World
) -> NotifyTarget | None:
    url = _address(entry, way, at, world) if way and way in entry else None
    only = _only(entry, at, checks, world)
    if way is None or url is None:
        return None
    options = {key: entry[key] for key in ("after", "repeat") if key in entry}
    if "on" in entry:
        options["on"] = tuple(entry["on"])
    how = way.removesuffix("_file")
    return NotifyTarget(entry["name"], how, Secret(url), checks=only, **options)


def _way(entry: Mapping[str, Any], at: Place, findings: Findings) -> str | None:
    """Which of the keys says where to send; there must be one."""
    said = [way for way in WAYS if way in entry]
    if not said:
        findings.error(at, f"missing, expected one of {', '.join(WAYS)}")
    for way in said[1:]:
        findings.error(at / way, f"seen {said[0]} as well, expected one of them")
    if len(said) != 1:
        return None
    if said[0].startswith("apprise") and not apprise_is_installed():
        findings.error(at / said[0], f"Apprise is not installed, expected it: {EXTRA}")
    return said[0]


def _address(entry: Mapping[str, Any], way: str, at: Place, world: World) -> str | None:
    """The address itself, out of the file, a variable, or a file of its own."""
    value, how, at = entry[way], way.removesuffix("_file"), at / way
    if way == how:
        text, seen = (
            str(value).strip(),
            shown(value) if isinstance(value, FromVariable) else kind(value),
        )
        if not isinstance(value, FromVariable) and looks_secret(text):
            world.findings.warn(at, f"target '{entry['name']}': {LITERAL}")
    else:
        try:
            text = world.read_file(at.document.folder / value).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            seen = f"{shown(value)} ({getattr(error, 'strerror', None) or 'unreadable'})"
            world.findings.error(at, f"seen {seen}, expected the name of a file with the address")
            return None
        seen = f"the content of {shown(value)}"
    if not (is_webhook(text) if how == "webhook" else _APPRISE_URL.fullmatch(text)):
        world.findings.error(at, f"seen {seen}, expected {_EXPECTED[how]}")
        return None
    return text


def _only(
    entry: Mapping[str, Any], at: Place, checks: Sequence[Check], world: World
) -> frozenset[str] | None:
    """Names of the checks that fit any of the filters; None without filters."""
    said = [key for key in ("checks", "groups", "providers") if key in entry]
    if not said:
        return None
    found: set[str] = set()
    for key in said:
        for index, wanted in enumerate(entry[key]):
            fits = {check.name for check in checks if wanted in _words(check, key)}
            words = {word for check in checks for word in _words(check, key)}
            # A preset that no check uses at the moment is no slip.
            if not fits and not (key == "providers" and wanted in world.presets):
                expected = f"one that a check has{hint(wanted, words)}"
                world.findings.error(at / key / index, f"seen {shown(wanted)}, expected {expected}")
            found |= fits
    return frozenset(found)


def _words(check: Check, key: str) -> tuple[str, ...]:
    """What a filter may call `check` by."""
    if key == "checks":
        return (check.name,)
    if key == "groups":
        return (check.group,) if check.group else ()
    return (check.provider, check.preset) if check.preset else (check.provider,)
