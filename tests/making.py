"""Makers of the nouns, with the values that most tests do not care about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from monitor.judge.expect import Question
from monitor.model import ChatExpect, Check, Expecting, Mode, Slow, Timeouts

ASKED = Question("What is 3 + 4 + 7? Reply with the number only.", 14)

QUICK = Timeouts(connect=2.0, first_byte=2.0, first_token=2.0, idle=2.0, total=4.0)


def chat_check(url: str = "http://127.0.0.1:9/v1", **changes: Any) -> Check:
    """A chat check with short deadlines; `changes` override its fields."""
    check = Check(
        name="c",
        mode=Mode.CHAT,
        provider="p",
        url=url,
        protocol="openai-chat",
        model="m-1",
        timeout=QUICK,
        slow=Slow(first_token=1.0, total=3.0),
    )
    return replace(check, **changes)


def web_check(url: str = "http://127.0.0.1:9/", **changes: Any) -> Check:
    check = Check(name="w", mode=Mode.WEB, provider="p", url=url, timeout=QUICK)
    return replace(check, **changes)


def expecting(kind: str = "sum", value: Any = None, model: str | None = None) -> ChatExpect:
    return ChatExpect(Expecting(kind), value, model)
