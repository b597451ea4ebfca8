"""What a chat check asks and what it demands of the answer."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor.model import ChatExpect, Check, Expecting

ANSWER_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt, and the sum that must stand in its answer (None for the user's own prompt)."""

    prompt: str
    total: int | None = None


def question(check: Check, rng: random.Random) -> Question:
    """The user's own prompt, or a random sum.

    A sum is new each time, which defeats caches; its result has two digits while every summand
    has one, so that an endpoint which echoes the prompt never seems to answer it.
    """
    if check.prompt is not None:
        return Question(check.prompt)
    if check.expect.kind is Expecting.ANY:
        return Question("Reply with OK")
    parts = [rng.randint(1, 9), rng.randint(1, 9), rng.randint(1, 9)]
    while sum(parts) < 10:
        parts[rng.randrange(3)] = rng.randint(5, 9)
    terms = " + ".join(map(str, parts))
    return Question(f"What is {terms}? Reply with the number only.", sum(parts))


def mismatch(expect: ChatExpect, asked: Question, answer: str) -> str | None:
    """Why the visible answer is not the one demanded (expected and seen), or None if it is."""
    if expect.kind is Expecting.ANY:
        return None
    if expect.kind is Expecting.SUM:
        return _sum_mismatch(asked, answer)
    value = expect.value
    if expect.kind is Expecting.CONTAINS:
        good = str(value) in answer
    elif expect.kind is Expecting.EQUALS:
        good = answer.strip() == str(value).strip()
    elif expect.kind is Expecting.REGEX:
        good = re.search(str(value), answer) is not None
    else:
        return json_mismatch(value, answer)
    return None if good else f"expected {expect.kind} {value!r}, seen {shown(answer)}"


def _sum_mismatch(asked: Question, answer: str) -> str | None:
    if asked.total is None or re.search(rf"(?<!\d){asked.total}(?!\d)", answer):
        return None
    return f"expected {asked.total} for {asked.prompt!r}, seen {shown(answer)}"


def json_mismatch(expected: Any, text: str) -> str | None:
    """Why `text` is no JSON that holds `expected` (objects may hold more keys), or None."""
    fenced = re.fullmatch(r"\s*```(?:json)?\s*(.*?)\s*```\s*", text, re.DOTALL)
    try:
        seen = json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError):
        return f"expected JSON, seen {shown(text)}"
    return (
        None if _holds(seen, expected) else f"expected JSON with {expected!r}, seen {shown(text)}"
    )


def _holds(seen: Any, expected: Any) -> bool:
    if isinstance(expected, Mapping):
        return isinstance(seen, Mapping) and all(
            key in seen and _holds(seen[key], value) for key, value in expected.items()
        )
    return bool(seen == expected)


def shown(text: str) -> str:
    """`text` as a short quoted line for a message."""
    line = " ".join(text.split())
    return repr(line if len(line) <= ANSWER_SHOWN else line[: ANSWER_SHOWN - 1] + "…")
