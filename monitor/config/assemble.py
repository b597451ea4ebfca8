"""Documents in, one `Config` out, or every error of all of them at once; opens nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monitor.config.case import World
from monitor.config.errors import ConfigErrors, Document, Findings, Place, hint, kind, shown
from monitor.config.notify import targets
from monitor.config.parts import PROTOCOLS
from monitor.config.presets import Preset, presets
from monitor.config.resolve import resolve
from monitor.config.schema import known_keys, validate
from monitor.config.shapes import CHECKS, DefaultsShape, FileShape, SettingsShape
from monitor.config.terms import PASSWORD, UNCHECKED, open_password
from monitor.config.trail import Trail
from monitor.config.variables import fill
from monitor.model import Check, Config, OutageSeries

GUARD_TARGETS = ("tcp://1.1.1.1:443", "https://www.gstatic.com/generate_204")
MAX_LABELS = 10

#: Where one of these is faulty, what else seems wrong with a check may only be its consequence.
_DECISIVE = frozenset(("provider", "prompt"))

_SECTIONS = tuple(FileShape.__annotations__)


def parse(
    documents: Sequence[Document],
    env: Mapping[str, str],
    read_file: Callable[[Path], bytes],
    protocols: Iterable[str] = PROTOCOLS,
    known: Mapping[str, Preset] | None = None,
    before: Config | None = None,
) -> Config:
    """The configuration that the documents describe; raises ConfigErrors, and nothing else.

    `read_file` is asked for the files of keys and certificates only.  A check that is as it was
    `before` is the same object.
    """
    findings = Findings(known_keys)
    for document in documents:
        for flaw in document.flaws:
            findings.error(Place(document, flaw.trail), flaw.message, flaw.line)
    sections = {place.trail[0]: place for place in _sections(documents, findings)}
    settings = _settings(sections, env, findings)
    at = sections.get("defaults", Place(documents[0], ("defaults",)))
    defaults = _validated(DefaultsShape, at, env, findings) if "defaults" in sections else None
    reader = _Reader(read_file)
    _warn_of_defaults(defaults or {}, at, findings)
    world = World(
        presets=presets() if known is None else known,
        protocols=frozenset(protocols),
        env=env,
        read_file=reader,
        findings=findings,
        defaults=defaults or {},
        defaults_place=at,
    )
    old = {check.name: check for check in before.checks} if before else {}
    checks = _checks(documents, world, old)
    if "notify" in sections:
        at = sections["notify"]
        data = _filled(at.document.data["notify"], at, env, findings)
        settings["notify"] = targets(data, at, checks, world)
    if findings:
        raise ConfigErrors(findings.errors)
    sources = (*(document.name for document in documents), *map(str, reader.read))
    return Config(checks=checks, warnings=findings.warnings, sources=sources, **settings)


class _Reader:
    """Reads each file once, and remembers which."""

    def __init__(self, read_file: Callable[[Path], bytes]) -> None:
        self._read_file = read_file
        self.read: dict[Path, bytes] = {}

    def __call__(self, path: Path) -> bytes:
        if path not in self.read:
            self.read[path] = self._read_file(path)
        return self.read[path]


def _sections(documents: Sequence[Document], findings: Findings) -> Iterator[Place]:
    """The top-level keys, `checks` apart; each may stand in one file only."""
    seen: dict[str, Place] = {}
    for document in documents:
        if document.data is not None and not isinstance(document.data, dict):
            seen_kind = kind(document.data)
            findings.error(Place(document), f"seen {seen_kind}, expected a mapping with 'checks'")
            continue
        for key in document.data or ():
            place = Place(document, (key,))
            if key not in _SECTIONS:
                findings.error(place, "unknown key" + _known_sections(key))
            elif key in seen:
                other = seen[key].where
                findings.error(place, f"seen here and at {other}, expected in one file only")
            elif key != "checks":
                seen[key] = place
                yield place


def _known_sections(key: str) -> str:
    return hint(key, _SECTIONS) or ", expected one of " + ", ".join(_SECTIONS)


def _validated(
    shape: Any, place: Place, env: Mapping[str, str], findings: Findings
) -> dict[str, Any] | None:
    """One top-level value with its variables put in, as its shape says; None with errors."""
    document = place.document
    data = _filled(document.data[place.trail[0]], place, env, findings)
    return validate(shape, data, place, findings)


def _filled(data: Any, place: Place, env: Mapping[str, str], findings: Findings) -> Any:
    def complain(trail: Trail, message: str) -> None:
        findings.error(place.below(trail), message)

    return fill(data, env, complain)


def _settings(
    sections: Mapping[Any, Place], env: Mapping[str, str], findings: Findings
) -> dict[str, Any]:
    """The fields of `Config` that are about the monitor as a whole."""
    settings: dict[str, Any] = {}
    for key in ("guard", "budget", "retention", "outage_series"):
        if key in sections:
            top = Place(sections[key].document)
            data = {key: _filled(top.document.data[key], sections[key], env, findings)}
            settings |= validate(SettingsShape, data, top, findings) or {}
    guard = settings.get("guard", {"targets": GUARD_TARGETS})
    found: dict[str, Any] = {"guard_targets": tuple(guard["targets"]) if guard else ()}
    if "budget" in settings:
        found["budget_usd_per_day"] = settings["budget"]["usd_per_day"]
    if "retention" in settings:
        found["retention"] = settings["retention"]
    if "outage_series" in settings:
        found["outage_series"] = OutageSeries(**settings["outage_series"])
    return found


def _warn_of_defaults(defaults: Mapping[str, Any], at: Place, findings: Findings) -> None:
    """Once, not for every check that takes them over."""
    if open_password(defaults.get("proxy")):
        findings.warn(at / "proxy", PASSWORD)
    if "prompt" in defaults and "expect" not in defaults:
        findings.warn(at / "prompt", UNCHECKED)


def _checks(
    documents: Sequence[Document], world: World, before: Mapping[str, Check]
) -> tuple[Check, ...]:
    """The checks that are switched on; all of them are validated and need names of their own."""
    found: list[Check] = []
    names: dict[str, Place] = {}
    labels = dict.fromkeys(world.defaults.get("labels", ()))
    empty = True
    for data, place in _entries(documents, world.findings):
        empty = False
        raw = _raw_check(data, place, world)
        check = resolve(raw, place, world) if raw is not None else None
        name = check.name if check else data.get("name") if isinstance(data, dict) else None
        _claim(name, place, names, world.findings)
        if raw is not None:
            _count_labels(raw, place, labels, world.findings)
            if check and raw.get("enabled", world.defaults.get("enabled", True)):
                known = before.get(check.name)
                found.append(known if known == check else check)
    if empty and not world.findings:
        at = Place(documents[0], ("checks",))
        world.findings.error(at, "no checks, expected at least one")
    return tuple(found)


def _entries(documents: Sequence[Document], findings: Findings) -> Iterator[tuple[Any, Place]]:
    for document in documents:
        checks = document.data.get("checks") if isinstance(document.data, dict) else None
        place = Place(document, ("checks",))
        if isinstance(checks, list):
            yield from ((data, place / index) for index, data in enumerate(checks))
        elif checks is not None:
            findings.error(place, f"seen {kind(checks)}, expected a list of checks")


def _raw_check(data: Any, place: Place, world: World) -> dict[str, Any] | None:
    """The check as its type's shape says; its key stays a template, which may lack its variable."""
    if not isinstance(data, dict):
        world.findings.error(place, f"seen {kind(data)}, expected a mapping")
        return None
    filled = _filled(
        {key: value for key, value in data.items() if key != "api_key"},
        place,
        world.env,
        world.findings,
    )
    if "api_key" in data:
        filled["api_key"] = data["api_key"]
    type_ = filled.get("type", "chat")
    if not isinstance(type_, str) or type_ not in CHECKS:
        close = hint(type_, CHECKS) if isinstance(type_, str) else ""
        expected = f"one of {', '.join(CHECKS)}{close}"
        world.findings.error(place / "type", f"seen {shown(type_)}, expected {expected}")
        return None
    valid = validate(CHECKS[type_], filled, place, world.findings)
    misleading = valid is not None and not _DECISIVE.isdisjoint(filled.keys() - valid.keys())
    return None if misleading else valid


def _claim(name: Any, place: Place, names: dict[str, Place], findings: Findings) -> None:
    """Names are unique, also those of checks that are switched off or wrong in another way."""
    if name == "":
        findings.error(place / "name", "missing, expected a name, as the address gives none")
    if not isinstance(name, str) or not name:
        return
    other = names.setdefault(name, place)
    if other is not place:
        seen = f"seen {shown(name)} again"
        findings.error(place / "name", f"{seen}, expected another name than at {other.where}")


def _count_labels(
    raw: Mapping[str, Any], place: Place, labels: dict[str, None], findings: Findings
) -> None:
    """All checks share one set of label names, which must stay small."""
    for label in raw.get("labels", ()):
        labels.setdefault(label)
        if len(labels) > MAX_LABELS and list(labels).index(label) >= MAX_LABELS:
            message = f"seen more than {MAX_LABELS} label names in all, expected at most so many"
            findings.error(place / "labels" / label, message)
