"""What a dialect reads out of an answer: the small vocabulary between wire and verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from monitor.model import Reason, Tokens


class Channel(StrEnum):
    """Where output belongs: hidden thinking, or the visible answer."""

    REASONING = "reasoning"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request ready to be written; headers hold keys and are hidden in `repr`."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    exact: bool = False
    """The URL is part of a signature: its escapes are to be sent as they are."""

    def __repr__(self) -> str:
        return f"Request({self.method} {self.url}, {len(self.headers)} headers)"


@dataclass(frozen=True, slots=True)
class Output:
    """Non-empty output; role-only and empty deltas are noise and never become one."""

    text: str
    channel: Channel = Channel.ANSWER


@dataclass(frozen=True, slots=True)
class Usage:
    tokens: Tokens


class Ending(StrEnum):
    """What a finish reason means, whatever the dialect calls it."""

    COMPLETE = "complete"
    LENGTH = "length"
    FILTERED = "filtered"
    OVERLOADED = "overloaded"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finish:
    """The provider's finish reason: `said` in its own word, `ending` in ours."""

    ending: Ending
    said: str


@dataclass(frozen=True, slots=True)
class Done:
    """The dialect's terminal marker: nothing after it is read."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answered; absent parts are None."""

    model: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """The provider said that something is wrong; `said` is its own words, shortened."""

    reason: Reason
    said: str
    retry_after: float | None = None
    rule: str = "an error in the stream"
    """What gave the reason away, in words for people."""
    late: Reason | None = None
    """What it is instead where the answer had begun, if that makes a difference."""


Signal = Output | Usage | Finish | Done | Identity | Problem
