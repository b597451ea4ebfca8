"""One key from several layers: what the check says, then `defaults`, then its preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.config.errors import Place


class Layers:
    """The layers from most to least specific, each with the place that errors about it name."""

    __slots__ = ("_layers",)

    def __init__(self, *layers: tuple[Mapping[str, Any], Place]) -> None:
        self._layers = layers

    def pick(self, key: str, default: Any = None) -> Any:
        """The value of the most specific layer that has the key."""
        for layer, _ in self._layers:
            if key in layer:
                return layer[key]
        return default

    def place(self, key: str) -> Place:
        """Where `pick` found its value; without one, where the check could say it."""
        for layer, place in self._layers:
            if key in layer:
                return place / key
        return self._layers[0][1] / key

    def merged(self, key: str) -> dict[str, Any]:
        """The mappings of all layers in one, key by key, the most specific value of each."""
        found = [layer[key] for layer, _ in self._layers if isinstance(layer.get(key), dict)]
        made: dict[str, Any] = dict(found.pop()) if found else {}
        while found:
            made = laid_over(found.pop(), made)
        return made

    def rank(self, key: str, part: str) -> int:
        """Which layer `merged` has a part from: 0 is the check, one past the last is built in."""
        for index, (layer, _) in enumerate(self._layers):
            said = layer.get(key)
            if isinstance(said, dict) and part in said:
                return index
        return len(self._layers)

    def place_at(self, rank: int) -> Place:
        return self._layers[min(rank, len(self._layers) - 1)][1]


def laid_over(upper: Mapping[str, Any], lower: Mapping[str, Any]) -> dict[str, Any]:
    """Both mappings in one; where both have a key, mappings merge and else `upper` wins."""
    made = dict(lower)
    for key, value in upper.items():
        below = made.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            value = laid_over(value, below)
        made[key] = value
    return made


def folded(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Headers of which each name stands once however it is cased; the last one written wins."""
    latest = {name.lower(): name for name in headers}
    return {name: headers[name] for name in latest.values()}
