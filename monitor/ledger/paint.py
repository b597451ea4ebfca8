"""The timeline of a check as rows, written from its end only, and what a row can hold."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass

from monitor.model import Reason, State


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one state to be put at the end of a check's timeline."""

    state: str
    started: float
    ended: float
    confirmed: float | None = None
    reason: Reason | None = None
    detail: str | None = None


def last_span(connection: sqlite3.Connection, check_id: int) -> Piece | None:
    row = connection.execute(
        "SELECT state, started, ended FROM spans WHERE check_id = ? ORDER BY started DESC LIMIT 1",
        (check_id,),
    ).fetchone()
    return Piece(*row) if row else None


def paint(connection: sqlite3.Connection, check_id: int, piece: Piece) -> None:
    """Put `piece` at the end: the past is never painted over, and a hole before it is `unknown`.

    A wall clock that was set back repeats a time; what was seen first in it stays.
    """
    last = last_span(connection, check_id)
    if last and piece.started > last.ended and piece.state != State.UNKNOWN:
        _append(connection, check_id, Piece(State.UNKNOWN, last.ended, piece.started), last)
        last = last_span(connection, check_id)
    _append(connection, check_id, piece, last)


def _append(
    connection: sqlite3.Connection, check_id: int, piece: Piece, last: Piece | None
) -> None:
    """Extend `last` where `piece` goes on in the same state, else begin where it ended."""
    if last and last.state == piece.state:
        connection.execute(
            "UPDATE spans SET ended = max(ended, ?) WHERE check_id = ? AND started = ?",
            (piece.ended, check_id, last.started),
        )
        return
    started = last.ended if last else piece.started
    # A span without length makes way: it began where this one begins.
    connection.execute(
        "INSERT OR REPLACE INTO spans (check_id, started, ended, state, confirmed, reason, detail) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            check_id,
            started,
            max(started, piece.ended),
            str(piece.state),
            piece.confirmed,
            piece.reason.value if piece.reason else None,
            text_of(piece.detail),
        ),
    )


# ---- what the file can hold


def text_of(words: str | None) -> str | None:
    """Providers send lone surrogates, which no UTF-8 file can hold."""
    return words.encode("utf-8", "replace").decode() if words is not None else None


def real_of(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def whole_of(number: int | None) -> int | None:
    """Providers count tokens; one that counts beyond 64 bits counts nothing."""
    return number if number is not None and abs(number) < 1 << 63 else None
