"""Ninety days as bars: each day is stacked from what was known in it.  Pure.

Nothing known leaves a hole, through which the grey ground shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import groupby

from monitor.model import State
from monitor.show import words
from monitor.show.past import DAYS, HOUR24, PastDay, Share, share

HEIGHT = 32
"""Units of a bar; its width is one unit."""
LEAST = 11
"""Units of the shortest trouble: two minutes of a day are to be seen."""
NEGLIGIBLE = 0.01
"""Share of a day that nobody misses: a restart is no hole."""
NAMED = 3
"""Days of trouble that a label names; all are told by the bars themselves and the check's page."""

# Ninety days of a thousand checks: a name of this module is cheaper than one of an enum.
_UP, _UNKNOWN = State.UP, State.UNKNOWN
_TROUBLE = (State.DOWN, State.DEGRADED, State.LIMITED, State.MAINTENANCE)
_DRAWN = (*_TROUBLE, State.UP)


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
    first, today = first_day(at).toordinal(), at % HOUR24
    stacks: list[_Stack] = [()] * DAYS
    notes = []
    troubles: dict[State, list[int]] = {}
    for day in days:
        place = date.fromisoformat(day.day).toordinal() - first
        if not 0 <= place < DAYS:
            continue
        length = today if place == DAYS - 1 else HOUR24
        stack = stacks[place] = _stack(day.seconds, length)
        if stack is not _ALL_UP:
            notes.append(_note(place, day.seconds, length))
            for state, _, _ in stack:
                troubles.setdefault(state, []).append(place)
    notes.extend(_holes(stacks))
    return Bars(_paths(stacks), _label(days, troubles, first), " ".join(notes))


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


def _stack(seconds: Mapping[State, float], length: float) -> _Stack:
    """One day: trouble at the bottom, then what was up; the rest, unknown, is left out."""
    up = trouble = 0.0
    for state, lasted in seconds.items():
        if state is _UP:
            up = lasted
        elif state is not _UNKNOWN:
            trouble += lasted
    length = max(length, 1.0)
    if not trouble and up >= length * (1 - NEGLIGIBLE):
        return _ALL_UP
    lasting = [seconds.get(state, 0.0) for state in _TROUBLE]
    known = (up + trouble) / length
    top = HEIGHT if known >= 1 - NEGLIGIBLE else max(round(HEIGHT * known), known > 0)
    return _piled(tuple(_units(lasted / length) for lasted in lasting), top, up > 0)


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
    if up and bottom > HEIGHT - top:
        pile.append((State.UP, HEIGHT - top, bottom))
    return tuple(pile)


def _paths(stacks: Sequence[_Stack]) -> tuple[tuple[State, str], ...]:
    """Days alike that follow each other are one rectangle; a mask cuts it into bars."""
    drawn: dict[State, list[str]] = {}
    place = 0
    while place < DAYS:
        stack, begin = stacks[place], place
        while place < DAYS and stacks[place] == stack:
            place += 1
        for state, top, bottom in stack:
            wide, high = place - begin, bottom - top
            drawn.setdefault(state, []).append(f"M{begin} {top}h{wide}v{high}h-{wide}z")
    return tuple((state, "".join(drawn[state])) for state in _DRAWN if state in drawn)


# -------------------------------------------------------------------------------------- telling


def _note(place: int, seconds: Mapping[State, float], length: float) -> str:
    down, degraded, limited, planned = (seconds.get(state, 0.0) for state in _TROUBLE)
    known = min(1.0, (seconds.get(_UP, 0.0) + down + degraded) / max(length, 1.0))
    return f"{place}.{down:.0f}.{degraded:.0f}.{limited:.0f}.{planned:.0f}.{int(100 * known)}"


def _holes(stacks: Sequence[_Stack]) -> Iterator[str]:
    place = 0
    for empty, those in groupby(stacks, key=lambda stack: not stack):
        begin, place = place, place + len(list(those))
        if empty:
            yield f"{begin}-{place - 1}"


def _label(days: Sequence[PastDay], troubles: Mapping[State, Sequence[int]], first: int) -> str:
    if not days:
        return f"Nothing is known of the last {DAYS} days"
    told = [
        _on_days(state, troubles[state], first)
        for state in (State.DOWN, State.DEGRADED)
        if state in troubles
    ]
    return f"Last {DAYS} days: {'; '.join(told) or 'neither down nor degraded while watched'}"


def _on_days(state: State, places: Sequence[int], first: int) -> str:
    newest = sorted(places, reverse=True)
    named = ", ".join(words.day(date.fromordinal(first + place)) for place in newest[:NAMED])
    more = f" and {len(newest) - NAMED} more" if len(newest) > NAMED else ""
    return f"{state} on {len(newest)} day{'s' if len(newest) > 1 else ''} ({named}{more})"
