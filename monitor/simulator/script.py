"""When a provider does what: scenes on a time line, read by pure functions of seconds passed."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.simulator.behaviours import params_of
from monitor.simulator.exchange import Params

USUAL = "healthy"


@dataclass(frozen=True, slots=True)
class Scene:
    """From `start` (included) to `end` (excluded) in seconds, one behaviour.

    With a `share` below 1 only that part of the requests gets it; the others are served as usual.
    Raises ValueError for what cannot be played.
    """

    start: float
    end: float
    behaviour: str
    share: float = 1.0
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"seen {self.start:g} s to {self.end:g} s, expected start before end")
        if not 0 < self.share <= 1:
            raise ValueError(f"seen share {self.share:g}, expected more than 0 and at most 1")
        if self.behaviour == "refused" and self.share < 1:
            # A socket listens or it does not.
            raise ValueError(f"seen share {self.share:g} of refused, expected 1")
        params_of(self.behaviour, self.params)

    def covers(self, moment: float) -> bool:
        return self.start <= moment < self.end


@dataclass(frozen=True, slots=True)
class Script:
    """Scenes in order; where none is on, the provider is healthy with the `usual` parameters.

    Of scenes that overlap the later one in the list is on.  `length` defaults to the end of the
    last scene; it matters to a loop alone.
    """

    scenes: tuple[Scene, ...] = ()
    length: float = 0.0
    loop: bool = False
    usual: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        last = max((scene.end for scene in self.scenes), default=0.0)
        object.__setattr__(self, "length", self.length or last)
        if self.length < last:
            raise ValueError(f"seen length {self.length:g} s, expected at least {last:g} s")
        if self.loop and not 0 < self.length < math.inf:
            raise ValueError(f"seen a loop of {self.length:g} s, expected a length to loop over")
        params_of(USUAL, self.usual)

    def scene(self, seconds: float) -> Scene | None:
        """The scene that is on so many seconds after the start."""
        moment = self._moment(seconds)
        return next((scene for scene in reversed(self.scenes) if scene.covers(moment)), None)

    def at(self, seconds: float, rng: random.Random) -> tuple[str, Params]:
        """Behaviour and parameters for one request; `rng` draws where a scene has a share."""
        scene = self.scene(seconds)
        if scene is None or (scene.share < 1 and rng.random() >= scene.share):
            return USUAL, params_of(USUAL, self.usual)
        return scene.behaviour, params_of(scene.behaviour, scene.params)

    def refuses(self, seconds: float) -> bool:
        """Whether nobody listens now."""
        scene = self.scene(seconds)
        return scene is not None and scene.behaviour == "refused"

    def until_turn(self, seconds: float) -> float:
        """Seconds until the next scene begins or ends; infinite when none does."""
        moment = self._moment(seconds)
        edges = {edge for scene in self.scenes for edge in (scene.start, scene.end)}
        ahead = [edge - moment for edge in edges if edge > moment]
        if self.loop:
            ahead.append(self.length - moment)
        return min(ahead, default=math.inf)

    def _moment(self, seconds: float) -> float:
        return seconds % self.length if self.loop else seconds


def always(behaviour: str, **params: Any) -> Script:
    """One behaviour for ever."""
    return Script((Scene(0.0, math.inf, behaviour, params=params),))
