"""What ships about each provider: one readable data file in, one `Preset` per provider out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Required

from typing_extensions import TypedDict

from monitor.config import fields, rules
from monitor.config.errors import ConfigErrors, Document, Findings, Place
from monitor.config.parts import (
    Address,
    Feed,
    Interval,
    JsonObject,
    Line,
    Protocol,
    SlowShape,
    Switch,
    Timeout,
    strict,
)
from monitor.config.schema import known_keys, validate
from monitor.config.shapes import WiredShape
from monitor.config.tree import read_tree

PRESETS = Path(__file__).with_name("presets.yaml")

#: Facts about a provider that hold whichever of its protocols is spoken.
NEUTRAL = ("model", "price", "interval", "timeout", "slow")


@strict
class ReachabilityPreset(TypedDict, total=False):
    interval: Interval
    url: Line


@strict
class WiredPreset(WiredShape, total=False):
    """As in a check, except that addresses may hold variables."""

    url: Line
    body: JsonObject
    max_tokens: Annotated[int, rules.whole(1, 1_000_000)]
    reachability: ReachabilityPreset


@strict
class StatusPageShape(TypedDict, total=False):
    page: Required[Address]
    feed: Required[Feed]
    url: Required[Address]
    components: list[Line]


@strict
class PresetShape(WiredPreset, total=False):
    """One provider in `presets.yaml`; the file's head says what the keys mean."""

    title: Required[Line]
    otel: Required[Line]
    protocol: Required[Protocol]
    key: Line
    key_required: Switch
    interval: Interval
    timeout: Timeout
    slow: SlowShape
    protocols: dict[Protocol, WiredPreset]
    status_page: StatusPageShape
    source: Required[Line]
    date: Required[Annotated[Any, fields.MOMENT]]


@dataclass(frozen=True, slots=True)
class Preset:
    """A provider: `facts` are keys of a check, `variants` replace them for other protocols."""

    key: str
    title: str
    otel: str
    protocol: str
    facts: Mapping[str, Any]
    variants: Mapping[str, Mapping[str, Any]]
    key_name: str | None
    key_required: bool
    status_page: Mapping[str, Any] | None
    source: str

    def speaking(self, protocol: str) -> Mapping[str, Any]:
        """The facts for a protocol; for one that the preset does not know, what holds for any."""
        if protocol == self.protocol:
            return self.facts
        neutral = {key: self.facts[key] for key in NEUTRAL if key in self.facts}
        return {**neutral, **self.variants.get(protocol, {})}


def read_presets(document: Document) -> Mapping[str, Preset]:
    """Every preset of the file; raises ConfigErrors with all that is wrong in it."""
    findings = Findings(known_keys)
    for flaw in document.flaws:
        findings.error(Place(document, flaw.trail), flaw.message, flaw.line)
    found = {
        key: _preset(key, raw)
        for key, data in (document.data or {}).items()
        if (raw := validate(PresetShape, data, Place(document, (key,)), findings))
    }
    if findings:
        raise ConfigErrors(findings.errors)
    return found


def _preset(key: str, raw: dict[str, Any]) -> Preset:
    apart = ("title", "otel", "protocol", "protocols", "key", "key_required", "status_page")
    return Preset(
        key=key,
        title=raw["title"],
        otel=raw["otel"],
        protocol=raw["protocol"],
        facts={name: raw[name] for name in raw if name not in (*apart, "source", "date")},
        variants=raw.get("protocols", {}),
        key_name=raw.get("key"),
        key_required=raw.get("key_required", "key" in raw),
        status_page=raw.get("status_page"),
        source=raw["source"],
    )


@cache
def presets() -> Mapping[str, Preset]:
    """The presets that ship with the monitor, by key."""
    tree = read_tree(PRESETS.read_text("utf-8"))
    return read_presets(Document(PRESETS.name, tree.data, tree.line_of, flaws=tree.flaws))
