"""Ninety days as bars: each day is stacked from what was known in it.  Pure.

Nothing known leaves a hole, through which the grey ground shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import groupby

from monitor import words
from monitor.model import State
from monitor.show.past import DAYS, HOUR24, PastDay, Share, share

HEIGHT = 32
"""Units of a bar; its width is one unit."""
LEAST = 11
"""Units of the shortest trouble: two minutes of a day are to be seen."""
LEAST_UP = 5
"""Units of the shortest good news: the first minutes of the first day."""
NEGLIGIBLE = 0.01
"""Share of a day that nobody misses: a restart is no hole."""
NAMED = 3
"""Days of trouble that a label names; all are told by the bars themselves and the check's page."""

_DRAWN = (State.DOWN, State.DEGRADED, State.LIMITED, State.MAINTENANCE, State.UP)
_TROUBLE = _DRAWN[:-1]
_UP, _UNKNOWN = State.UP, State.UNKNOWN  # a name of this module is cheaper than one of an enum


@dataclass(frozen=True, slots=True)
class Bars:
    """Ninety days of a check, drawn and told."""

    paths: tuple[tuple[State, str], ...]
    """One SVG path for each state that was seen."""
    label: str
    """The same in words, for those who cannot see it."""
    notes: str
    """What the script tells to who points at a bar, of days that were not simply up:
    `place.down.degraded.limited.maintenance.known` in seconds, the last one in percent, and
    `first-last` for days of which nothing is known."""


@dataclass(frozen=True, slots=True)
class DayRow:
    """One day, in words."""

    day: str
    known: str
    uptime: str
    told: str
    """`down 12 min, degraded 2 h`; empty where nothing was wrong."""
    probes: int
    bad: int
    state: State


def first_day(at: float) -> date:
    """The oldest of the days that end with the one of Unix time `at`."""
    return datetime.fromtimestamp(at, UTC).date() - timedelta(days=DAYS - 1)


def bars(days: Sequence[PastDay], at: float) -> Bars:
    """The bars of `days` as they were known at Unix time `at`."""
    first, today = first_day(at), at % HOUR24
    places = _places(first)
    stacks: list[_Stack] = [()] * DAYS
    notes = []
    troubles: dict[State, list[int]] = {}
    for day in days:
        place = places.get(day.day, DAYS)
        if place == DAYS:
            continue
        length = today if place == DAYS - 1 else HOUR24
        if _simply_up(day.seconds, length):
            stacks[place] = _ALL_UP
            continue
        lasted = [day.seconds.get(state, 0.0) for state in _DRAWN]
        stacks[place] = stack = _stack(lasted, max(length, 1.0))
        notes.append(_note(place, lasted, max(length, 1.0)))
        for state, _, _ in stack:
            troubles.setdefault(state, []).append(place)
    runs = _runs(stacks)
    notes.extend(f"{begin}-{begin + wide - 1}" for stack, begin, wide in runs if not stack)
    return Bars(_paths(runs), _label(days, troubles, _names(first)), " ".join(notes))


@lru_cache(maxsize=2)
def _places(first: date) -> dict[str, int]:
    return {(first + timedelta(days=place)).isoformat(): place for place in range(DAYS)}


@lru_cache(maxsize=2)
def _names(first: date) -> list[str]:
    return [words.day(first + timedelta(days=place)) for place in range(DAYS)]


def day_rows(days: Iterable[PastDay], at: float) -> list[DayRow]:
    """The days in words, newest first."""
    today, length = datetime.fromtimestamp(at, UTC).date().isoformat(), at % HOUR24
    return [
        _day_row(day, length if day.day == today else HOUR24) for day in sorted(days, key=_newest)
    ]


def _newest(day: PastDay) -> int:
    return -date.fromisoformat(day.day).toordinal()


def _day_row(day: PastDay, length: float) -> DayRow:
    known = share(day.seconds, max(length, 1.0))
    worst = next((state for state in _DRAWN if day.seconds.get(state, 0.0) > 0), State.UNKNOWN)
    told = [
        f"{state} {words.length(seconds)}"
        for state in _TROUBLE
        if (seconds := day.seconds.get(state, 0.0)) > 0
    ]
    return DayRow(
        words.day(date.fromisoformat(day.day)),
        words.coverage(known.coverage),
        uptime(known),
        ", ".join(told),
        day.probes,
        day.bad,
        worst,
    )


def uptime(of: Share) -> str:
    return "–" if of.uptime is None else words.percent(of.uptime)


# -------------------------------------------------------------------------------------- drawing

_Stack = tuple[tuple[State, int, int], ...]
"""State, top and bottom in units, from the bottom up."""

_ALL_UP: _Stack = ((State.UP, 0, HEIGHT),)


def _simply_up(seconds: Mapping[State, float], length: float) -> bool:
    """Nearly all of ninety days of a thousand checks: to compare is cheaper than to look up."""
    up = 0.0
    for state, lasted in seconds.items():
        if state is _UP:
            up = lasted
        elif state is not _UNKNOWN and lasted:
            return False
    return up >= length * (1 - NEGLIGIBLE)


def _stack(lasted: Sequence[float], length: float) -> _Stack:
    """One day by its seconds of `_DRAWN`; the rest, unknown, is left out."""
    *troubles, up = lasted
    known = sum(lasted) / length
    top = HEIGHT if known >= 1 - NEGLIGIBLE else round(HEIGHT * known)
    return _piled(tuple([_units(trouble / length) for trouble in troubles]), top, up > 0)


def _units(share: float) -> int:
    return max(round(HEIGHT * share), LEAST) if share > 0 else 0


@lru_cache(maxsize=4096)
def _piled(troubles: tuple[int, ...], top: int, up: bool) -> _Stack:
    """What comes first takes its place, the rest has what is left."""
    pile: list[tuple[State, int, int]] = []
    bottom = HEIGHT
    for state, wanted in zip(_TROUBLE, troubles, strict=True):
        if units := min(wanted, bottom):
            pile.append((state, bottom - units, bottom))
            bottom -= units
    if up and bottom:
        pile.append((State.UP, min(HEIGHT - top, max(bottom - LEAST_UP, 0)), bottom))
    return tuple(pile)


_Run = tuple[_Stack, int, int]
"""Days alike that follow each other: the first one's place, and how many they are."""


def _runs(stacks: Sequence[_Stack]) -> list[_Run]:
    runs, place = [], 0
    for stack, those in groupby(stacks):
        wide = len(list(those))
        runs.append((stack, place, wide))
        place += wide
    return runs


def _paths(runs: Iterable[_Run]) -> tuple[tuple[State, str], ...]:
    """A run is one rectangle, which the page cuts into bars."""
    drawn: dict[State, list[str]] = {}
    for stack, begin, wide in runs:
        for state, top, bottom in stack:
            rectangle = f"M{begin} {top}h{wide}v{bottom - top}h-{wide}z"
            drawn.setdefault(state, []).append(rectangle)
    return tuple((state, "".join(drawn[state])) for state in _DRAWN if state in drawn)


# -------------------------------------------------------------------------------------- telling


def _note(place: int, lasted: Sequence[float], length: float) -> str:
    down, degraded, limited, planned, up = lasted
    known = min(1.0, (up + down + degraded) / length)
    return f"{place}.{down:.0f}.{degraded:.0f}.{limited:.0f}.{planned:.0f}.{int(100 * known)}"


def _label(
    days: Sequence[PastDay], troubles: Mapping[State, Sequence[int]], names: Sequence[str]
) -> str:
    if not days:
        return f"Nothing is known of the last {DAYS} days"
    told = [
        _on_days(state, [names[place] for place in sorted(troubles[state], reverse=True)])
        for state in (State.DOWN, State.DEGRADED)
        if state in troubles
    ]
    return f"Last {DAYS} days: {'; '.join(told) or 'neither down nor degraded while watched'}"


def _on_days(state: State, names: Sequence[str]) -> str:
    named = ", ".join(names[:NAMED])
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{state} on {len(names)} day{'s' if len(names) > 1 else ''} ({named}{more})"
