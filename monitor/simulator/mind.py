"""The simulated model: it can add one-digit numbers and is otherwise of few words."""

from __future__ import annotations

import random
import re
import time
from dataclasses import replace

from monitor.simulator.seam import Answer, Ask, Ending

SENTENCE = "Hello from a simulated model."
THOUGHT = "Let me think about this for a moment."

_SUM = re.compile(r"(?<![\d.])\d(?:\s*\+\s*\d)+(?!\d|\.\d|\s*\+)")
_TOKEN = re.compile(r"\s*\d|\s*[^\s\d]{1,6}|\s+")


def reply(question: str) -> str:
    """The result of the last sum of one-digit numbers in `question`, else a fixed sentence."""
    sums = _SUM.findall(question)
    return str(sum(int(term) for term in sums[-1].split("+"))) if sums else SENTENCE


def tokens(text: str) -> tuple[str, ...]:
    """`text` cut as a tokenizer might: digits one by one, the rest at about four characters."""
    return tuple(_TOKEN.findall(text))


def think(ask: Ask, says: str, *, aloud: bool, rng: random.Random) -> Answer:
    """The whole answer to `ask` within its token cap; `{reply}` in `says` is the right one."""
    text = says.replace("{reply}", reply(ask.question))
    whole = Answer(
        id=f"{rng.getrandbits(96):024x}",
        created=int(time.time()),
        model=ask.model,
        prompt_tokens=len(ask.question) // 4 + 4,
        thoughts=tokens(THOUGHT) if aloud and ask.thinking else (),
        pieces=tokens(text),
    )
    return whole if ask.cap is None else capped(whole, ask.cap)


def capped(answer: Answer, cap: int) -> Answer:
    """At most `cap` tokens of it; thinking counts, and may leave nothing for the answer."""
    if len(answer.thoughts) + len(answer.pieces) <= cap:
        return answer
    thoughts = answer.thoughts[:cap]
    pieces = answer.pieces[: cap - len(thoughts)]
    return replace(answer, thoughts=thoughts, pieces=pieces, ending=Ending.LENGTH)
