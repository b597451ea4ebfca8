"""Patterns of users against texts of strangers: bounded in time, for a pattern may backtrack."""

from __future__ import annotations

import regex

PATIENCE = 0.1
"""Seconds that one search may hold up the loop."""


def unmatched(pattern: str, text: str) -> str | None:
    """Why `pattern` does not match somewhere in `text`, or None if it does."""
    try:
        found = regex.search(pattern, text, timeout=PATIENCE)
    except TimeoutError:
        return f"no match found within {PATIENCE:g} s: the pattern backtracks, simplify it"
    return None if found else "no match"
