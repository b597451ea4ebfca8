"""One check on its way from a valid mapping to a `Check`, and the world it is resolved in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.config.errors import Findings, Place
from monitor.config.layers import Layers
from monitor.config.presets import Preset


@dataclass(frozen=True, slots=True, repr=False)
class World:
    """What checks are resolved against, and where their faults go.  Holds secrets: has no repr."""

    presets: Mapping[str, Preset]
    protocols: frozenset[str]
    env: Mapping[str, str]
    read_file: Callable[[Path], bytes]
    findings: Findings
    defaults: Mapping[str, Any]
    defaults_place: Place


@dataclass(frozen=True, slots=True, repr=False)
class Case:
    """One check: what it says itself, its preset, and both with `defaults` in between.

    It holds secrets as they were written, so it has no repr.
    """

    raw: Mapping[str, Any]
    place: Place
    world: World
    preset: Preset | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The preset's keys for the protocol that is spoken."""
    name: str = ""

    @property
    def layers(self) -> Layers:
        return Layers(
            (self.raw, self.place),
            (self.world.defaults, self.world.defaults_place),
            (self.facts, self.place / "provider"),
        )

    @property
    def enabled(self) -> bool:
        return bool(self.raw.get("enabled", self.world.defaults.get("enabled", True)))

    def error(self, place: Place, message: str) -> None:
        self.world.findings.error(place, message)

    def warn(self, place: Place, message: str) -> None:
        """Nobody needs warnings about a check that is switched off."""
        if self.enabled:
            self.world.findings.warn(place, f"check '{self.name}': {message}")
