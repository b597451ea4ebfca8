"""Tables, colours and progress for people at a terminal; whatever is read by a program stays bare.

Colours: only on a terminal, unless FORCE_COLOR is set, and never where NO_COLOR is.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TextIO

from monitor import words

BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"
GAP = "  "
LEAST = 12
"""A column that gives way keeps so many places, if it can."""


@dataclass(frozen=True, slots=True)
class Look:
    """How to write to one stream: with colours or not, and in how many places (None: any)."""

    colour: bool = False
    room: int | None = None

    @classmethod
    def of(cls, stream: TextIO, env: Mapping[str, str]) -> Look:
        live = is_terminal(stream, env)
        forced = bool(env.get("FORCE_COLOR")) or live
        return cls(forced and not env.get("NO_COLOR"), places() if live else None)

    def painted(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self.colour and colour and text else text


BARE = Look()


class Cell(NamedTuple):
    """A text in a table, and its colour."""

    text: str
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """`spare` ones are left out where there is no room, the highest number first."""

    title: str
    right: bool = False
    gives: bool = False
    """Is cut short before anything is left out; one column of a table does."""
    spare: int = 0


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], look: Look) -> str:
    """Aligned lines, the titles first; fitted into the room where there is a limit."""
    titles = [Cell(column.title, BOLD) for column in columns]
    lines = [titles, *rows]
    widths = [max(width(line[at].text) for line in lines) for at in range(len(columns))]
    shown = _fitted(columns, widths, look.room) if look.room else list(range(len(columns)))
    return "\n".join(
        _line([(line[at], columns[at], widths[at]) for at in shown], look) for line in lines
    )


def _fitted(columns: Sequence[Column], widths: list[int], room: int) -> list[int]:
    """The columns that are shown; `widths` of those that give way are made smaller."""
    shown = list(range(len(columns)))

    def excess(least: int) -> int:
        """By how much it is too wide, were the columns that give cut down to `least`."""
        needed = [min(widths[at], least) if columns[at].gives else widths[at] for at in shown]
        return sum(needed) + len(GAP) * (len(shown) - 1) - room

    for at in sorted(shown, key=lambda at: -columns[at].spare):
        if columns[at].spare and excess(LEAST) > 0:
            shown.remove(at)
    over = excess(max(widths))
    for at in shown:
        if columns[at].gives and over > 0:
            widths[at] = max(1, widths[at] - over)
    return shown


def _line(cells: Sequence[tuple[Cell, Column, int]], look: Look) -> str:
    parts = []
    for place, (cell, column, wide) in enumerate(cells):
        text = shortened(cell.text, wide)
        blank = " " * (wide - width(text))
        text = look.painted(text, cell.colour)
        last = place == len(cells) - 1
        parts.append(blank + text if column.right else text if last else text + blank)
    return GAP.join(parts).rstrip()


# -------------------------------------------------------------------------------------- widths


def width(text: str) -> int:
    """In how many places a terminal shows it: wide characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_places, text))


def _places(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def shortened(text: str, most: int) -> str:
    """At most so many places of it; that something is missing shows."""
    if width(text) <= most:
        return text
    kept, left = "", most - 1
    for character in text:
        left -= _places(character)
        if left < 0:
            break
        kept += character
    return kept + "…"


def one_line(text: str) -> str:
    """Hostile text in one line that moves no cursor."""
    return words.printable(" ".join(text.split()))


# ------------------------------------------------------------------------------------ the stream


def is_terminal(stream: TextIO, env: Mapping[str, str]) -> bool:
    return stream.isatty() and env.get("TERM") != "dumb"


def places() -> int:
    return shutil.get_terminal_size().columns


class Progress:
    """One line that is written over and over, and taken away in the end; only on a terminal."""

    def __init__(self, stream: TextIO, env: Mapping[str, str]) -> None:
        self._stream = stream
        self._live = is_terminal(stream, env)

    def show(self, text: str) -> None:
        if self._live:
            # The cursor stays in front, so that a line of the log goes over it, not behind it.
            self._write(f"\r\033[K{shortened(one_line(text), places() - 1)}\r")

    def clear(self) -> None:
        if self._live:
            self._write("\r\033[K")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
