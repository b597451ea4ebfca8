"""Where the key of a chat check comes from, and every secret that a configuration holds.

A key that is named but not there is no error: the check then only asks whether the API answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.config.errors import Findings, Place, shown
from monitor.config.presets import Preset
from monitor.config.urls import secret_parts, spellings, spellings_of_userinfo
from monitor.config.variables import expand
from monitor.model import Check, Config, Secret

#: Request headers that authenticate as well as a key does.
AUTH_HEADERS = frozenset(("authorization", "x-api-key", "api-key", "x-goog-api-key"))
LITERAL = "the key stands in the file itself, better put it into a variable (${…}) or api_key_file"

_SENDABLE = re.compile(r"[\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Key:
    """A key, or none; `wanted` says that one is needed but not there."""

    secret: Secret | None = None
    name: str | None = None
    wanted: bool = False
    literal: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class KeyFinder:
    """Looks keys up in the environment and in files; faults go to `findings`."""

    env: Mapping[str, str]
    read_file: Callable[[Path], bytes]
    findings: Findings

    def find(self, raw: Mapping[str, Any], preset: Preset | None, place: Place) -> Key:
        """The key of a check: its own, else its file's, else the one its preset names."""
        if "api_key" in raw and "api_key_file" in raw:
            self.findings.error(
                place / "api_key_file", "seen api_key as well, expected one of them"
            )
        if "api_key" in raw:
            return self._written(raw["api_key"], place / "api_key")
        if "api_key_file" in raw:
            return self._filed(raw["api_key_file"], place / "api_key_file")
        if preset is None or preset.key_name is None:
            return Key()
        value = self.env.get(preset.key_name, "").strip()
        return self._key(value, preset.key_name, place / "provider", preset.key_required)

    def _written(self, template: str, place: Place) -> Key:
        expansion = expand(template, self.env)
        if expansion.fault:
            self.findings.error(place, expansion.fault)
        value = "" if expansion.unset else expansion.text.strip()
        name = (*expansion.unset, *expansion.names, None)[0]
        if name is None and not value:
            self.findings.error(
                place, "seen an empty text, expected a text such as ${DEEPSEEK_API_KEY}"
            )
        return self._key(value, name, place, wanted=True)

    def _filed(self, name: str, place: Place) -> Key:
        path = place.document.folder / name
        try:
            text = self.read_file(path).decode().strip()
        except OSError as error:
            told = error.strerror or "unreadable"
            self._refuse(place, f"{shown(name)} ({told})")
            return Key(name=str(path))
        except UnicodeDecodeError:
            text = "\0"  # refused below, like any other character that no header can carry
        if not text:
            self._refuse(place, f"{shown(name)}, which is empty")
        return self._key(text, str(path), place, wanted=True)

    def _refuse(self, place: Place, seen: str) -> None:
        """Shown with care: some put the key itself where the name of its file belongs."""
        self.findings.error(place, f"seen {seen}, expected the name of a file with the key")

    def _key(self, value: str, name: str | None, place: Place, wanted: bool) -> Key:
        if not value:
            return Key(name=name, wanted=True) if wanted else Key()
        if not _SENDABLE.fullmatch(value):
            source = f" from {name}" if name else ""
            message = (
                f"seen a character in the key{source} that no header can carry, expected ASCII"
            )
            self.findings.error(place, message)
        return Key(Secret(value), name, literal=name is None)


def secrets(config: Config) -> tuple[str, ...]:
    """Every secret text in a configuration, longest first, in each form it may turn up in."""
    found = {text for check in config.checks for text in _secrets(check) if text.strip()}
    found |= {text for target in config.notify for text in secret_parts(target.url.reveal())}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


def _secrets(check: Check) -> Iterator[str]:
    if check.api_key:
        yield check.api_key.reveal()
    if check.basic:
        yield from spellings(check.basic.reveal())
    for value in check.headers.values():
        yield value.reveal()
        yield value.reveal().partition(" ")[2]  # `Bearer …`: the token may be quoted alone
    if check.proxy:
        yield from spellings_of_userinfo(check.proxy)
