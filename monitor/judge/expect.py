"""What a chat check asks and what it demands of the answer."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitor.judge.patterns import unmatched
from monitor.model import ChatExpect, Check, Expecting

ANSWER_SHOWN = 1000

#: Letters and signs that look like nothing: Hangul fillers, the blank of Braille.
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
#: An answer is a loop if it is nothing but a piece of at most so many characters …
_PIECE = 100
#: … at least so many times: with the usual cap of 16 tokens a loop gets no further.
_TIMES = 12
#: A prompt of fewer words may well be a good answer, too: "hi".
_ECHO_WORDS = 3

#: What may stand between the digits of one number, LaTeX's ways included.
_BETWEEN = r"(?:[.,'’_\u00a0\u2009\u202f]|\{,\}|\\[,;!])"
#: A whole number with its sign, thousands and decimals; a dash after a word is no sign.
_NUMBER = re.compile(rf"(?:(?<![\w)])[-−])?\d+(?:{_BETWEEN}\d+)*")
_TENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
_OVER = "thirty forty fifty sixty seventy eighty ninety"
_UNITS = "one two three four five six seven eight nine"
#: Every number in words that a sum can be.
WORDS: Mapping[str, int] = {
    **{word: 10 + place for place, word in enumerate(_TENS.split())},
    **{f"twenty {word}": 21 + place for place, word in enumerate(_UNITS.split())},
}
_COUNTING = "|".join(
    [*_TENS.split(), *_UNITS.split(), *_OVER.split(), "hundred", "thousand", "point"]
)
_IN_WORDS = re.compile(rf"\b(?:{_COUNTING})(?:[-\s]+(?:and\s+)?(?:{_COUNTING}))*\b", re.IGNORECASE)


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


def is_visible(text: str) -> bool:
    """Whether anything of `text` can be seen: blanks, control and zero-width characters cannot."""
    return any(unicodedata.category(one)[0] in "LNPS" and one not in _BLANKS for one in text)


def mismatch(expect: ChatExpect, asked: Question, answer: str) -> str | None:
    """Why the visible answer is not the one demanded (expected and seen), or None if it is."""
    match expect.kind:
        case Expecting.EQUALS:
            good = answer.strip() == str(expect.value).strip()
            return None if good else _unlike(expect, answer)
        case Expecting.JSON:
            return json_mismatch(expect.value, answer)
    said = _without_echo(asked.prompt, answer)
    match expect.kind:
        case Expecting.CONTAINS:
            return None if str(expect.value) in said else _unlike(expect, answer)
        case Expecting.REGEX:
            why = unmatched(str(expect.value), said)
            return why and f"{_unlike(expect, answer)} ({why})"
    wanted = "any answer" if asked.total is None else f"{asked.total} for {asked.prompt!r}"
    if not is_visible(said):
        return f"expected {wanted}, seen the question itself"
    if is_loop(said):
        return f"expected {wanted}, seen the same over and over: {shown(said[:_PIECE])}"
    if expect.kind is Expecting.ANY or asked.total is None or holds_number(said, asked.total):
        return None
    return f"expected {wanted}, seen {shown(answer)}"


def _unlike(expect: ChatExpect, answer: str) -> str:
    return f"expected {expect.kind} {expect.value!r}, seen {shown(answer)}"


def _without_echo(prompt: str, answer: str) -> str:
    """The answer without the question: an endpoint that sends it back has not answered it."""
    return answer.replace(prompt, "") if len(prompt.split()) >= _ECHO_WORDS else answer


def is_loop(text: str) -> bool:
    """Whether `text` is one character or short phrase over and over, the last perhaps cut."""
    line = "".join(text.split())
    longest = min(_PIECE, len(line) // _TIMES)
    return any(line[size:] == line[:-size] for size in range(1, longest + 1))


def holds_number(text: str, wanted: int) -> bool:
    """Whether the whole number `wanted` stands in `text`, in digits of any script or in English.

    Only as a number of its own: 14 stands neither in 1145 nor in 14,000, 0.14 or -14.
    """
    plain = "".join(_digit(one) for one in text if unicodedata.category(one) != "Cf")
    numbers = (found[0] for found in _NUMBER.finditer(plain))
    if any(re.fullmatch(rf"{wanted}(?:\.0+)?", number) for number in numbers):
        return True
    spoken = (re.sub(r"[-\s]+", " ", found[0].lower()) for found in _IN_WORDS.finditer(plain))
    return any(WORDS.get(one) == wanted for one in spoken)


def _digit(one: str) -> str:
    value = unicodedata.decimal(one, None)
    return one if value is None else str(value)


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
