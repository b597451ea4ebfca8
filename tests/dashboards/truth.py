"""What really happened, from what the simulated providers were asked and how they answered.  Pure.

An outage begins with the first request that got a bad answer and ends with the first that got a
good one: nobody who asks now and then can know more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from monitor.model import State

STATES = {"healthy": State.UP, "slow_first_token": State.DEGRADED, "auth_401": State.LIMITED}
"""What a behaviour comes to; every other one in these stories is a failure."""

GOOD = {State.UP, State.DEGRADED}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was answered; `at` is in Unix seconds."""

    at: float
    behaviour: str

    @property
    def state(self) -> State:
        return STATES.get(self.behaviour, State.DOWN)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The check was in `state` from the first answer that showed it to the first of the next."""

    state: State
    start: float
    end: float
    open: bool = False
    """It is the last one: it goes on."""

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Life:
    """One check."""

    name: str
    provider: str
    """As the metrics call it."""
    stretches: tuple[Stretch, ...]
    away: tuple[tuple[float, float], ...]
    """When no monitor was there to look."""

    @property
    def outages(self) -> list[Stretch]:
        return [one for one in self.stretches if one.state is State.DOWN]

    def seconds(self, states: set[State], start: float, end: float) -> float:
        """Of these states between two moments, while somebody looked."""
        mine = [
            (max(one.start, start), min(one.end, end))
            for one in self.stretches
            if one.state in states
        ]
        unseen = sum(_overlap(one, away) for one in mine for away in self.away)
        return sum(_overlap(one, one) for one in mine) - unseen

    @property
    def state(self) -> State:
        return self.stretches[-1].state


def life(
    name: str,
    provider: str,
    asked: Iterable[Asked],
    away: Sequence[tuple[float, float]],
    now: float,
) -> Life:
    runs = [(state, next(run).at) for state, run in groupby(asked, key=lambda one: one.state)]
    edges = pairwise([*runs, (State.UNKNOWN, now)])
    made = [Stretch(state, start, end) for (state, start), (_, end) in edges]
    made[-1] = Stretch(made[-1].state, made[-1].start, now, open=True)
    return Life(name, provider, tuple(made), tuple(away))


def uptime(lives: Iterable[Life], start: float, end: float) -> float:
    """By time: good of known."""
    lives = list(lives)
    good = sum(one.seconds(GOOD, start, end) for one in lives)
    return good / (good + sum(one.seconds({State.DOWN}, start, end) for one in lives))


def repair(lives: Iterable[Life]) -> float | None:
    """Mean length of the outages that ended; None without one."""
    ended = [out.seconds for one in lives for out in one.outages if not out.open]
    return sum(ended) / len(ended) if ended else None


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
