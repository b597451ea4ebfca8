"""The verdict on many checks: one sentence, one colour, and what is not up.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.model import State

Known = Sequence[tuple[str, State]]
"""Checks by name and state."""

NAMES_SHOWN = 12
"""In the summary; all are in the list."""
_WORST_FIRST = (
    State.DOWN,
    State.DEGRADED,
    State.LIMITED,
    State.UNKNOWN,
    State.MAINTENANCE,
)


def headline(states: Known) -> str:
    """The verdict as one sentence without its full stop."""
    if not states:
        return "No endpoint is being watched"
    if len(states) == 1:
        name, state = states[0]
        return f"{name} {IS[state]}"
    worst = mood([state for _, state in states])
    count, total = sum(state is worst for _, state in states), len(states)
    if count == total and worst is State.UNKNOWN:
        nobody = "Neither endpoint" if total == 2 else f"None of {total} endpoints"
        return f"{nobody} can be judged now"
    if count == total:
        return f"{'Both' if total == 2 else f'All {total}'} endpoints {_ARE[worst]}"
    rest = "" if worst in {State.DOWN, State.DEGRADED} else ", none is known to be down"
    return f"{count} of {total} endpoints {(IS if count == 1 else _ARE)[worst]}{rest}"


IS = {
    State.UP: "is up",
    State.DEGRADED: "is degraded",
    State.DOWN: "is down",
    State.LIMITED: "is limited",
    State.MAINTENANCE: "is in maintenance",
    State.UNKNOWN: "cannot be judged now",
}
_ARE = {state: text.replace("is ", "are ", 1) for state, text in IS.items()}


def mood(states: Sequence[State]) -> State:
    """The state that the sentence is about: trouble first, then good news."""
    for state in (State.DOWN, State.DEGRADED, State.UP, State.LIMITED, State.MAINTENANCE):
        if state in states:
            return state
    return State.UNKNOWN


def tone(states: Sequence[State]) -> State:
    """The colour of the whole: green only where at least half is known to be up."""
    worst = mood(states)
    if worst is State.UP and states.count(State.UP) * 2 < len(states):
        return State.UNKNOWN
    return worst


def troubles(states: Known) -> list[tuple[State, list[str], int]]:
    """What is not up, worst first: state, the first names, and how many more there are."""
    found = []
    for state in _WORST_FIRST:
        names = [name for name, its in states if its is state]
        if names:
            found.append((state, names[:NAMES_SHOWN], max(0, len(names) - NAMES_SHOWN)))
    return found
