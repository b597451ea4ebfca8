"""What passes between behaviours and dialects: the question, the answer and its bytes.

A behaviour says *that* there are two tokens and then an error; a dialect says what a token and an
error look like.  So a new dialect gets every behaviour, and a new behaviour speaks every dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any


class Ending(Enum):
    """Why a model stopped."""

    STOP = auto()
    LENGTH = auto()
    FILTERED = auto()
    EXHAUSTED = auto()
    """Cut short by a lack of capacity: DeepSeek's `insufficient_system_resource`."""


class Trouble(Enum):
    """What an error answer complains about; each dialect has its words and its status for it."""

    NO_KEY = auto()
    BAD_KEY = auto()
    BAD_REQUEST = auto()
    NO_MODEL = auto()
    NO_ROUTE = auto()
    NO_METHOD = auto()
    RATE = auto()
    BALANCE = auto()
    QUOTA = auto()
    ENGINE = auto()
    """Overload in the dress of a throttle: 429 with a capacity code."""
    BUSY = auto()
    SERVER = auto()


@dataclass(frozen=True, slots=True)
class Flavour:
    """How one vendor's answers differ from another's of the same dialect."""

    name: str
    dialect: str = "openai-chat"
    """What its free paths speak, and its errors where nothing is spoken."""
    request_id: str = "x-request-id"
    """The header that carries the request id."""
    headers: Mapping[str, str] = field(default_factory=dict)
    chat_headers: Mapping[str, str] = field(default_factory=dict)
    """Added to chat answers alone."""
    owner: str = "simulator"
    models: tuple[str, ...] = ("sim-1",)
    root_needs_key: bool = False
    """Whether `GET /` answers 401 rather than 404."""
    thinks: bool = False
    """Whether the model thinks aloud unless it is told not to."""
    counts_cache: bool = False
    """Whether usage splits the prompt into cache hits and misses, as DeepSeek does."""
    counts_details: bool = False
    """Whether usage has OpenAI's `…_details` objects."""
    counts_unasked: bool = False
    """Whether a stream tells its usage to those too who did not ask for it."""
    errors: Mapping[Trouble, Mapping[str, Any]] = field(default_factory=dict)
    """Error objects in this vendor's own words."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What the client asked for."""

    model: str = ""
    question: str = ""
    stream: bool = False
    usage: bool = False
    cap: int | None = None
    """At most so many tokens, thoughts included."""
    thinking: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What the simulated model says, token by token."""

    id: str
    created: int
    model: str
    prompt_tokens: int
    thoughts: tuple[str, ...] = ()
    pieces: tuple[str, ...] = ()
    ending: Ending = Ending.STOP

    @property
    def spoken(self) -> int:
        """Tokens of output, thoughts included."""
        return len(self.thoughts) + len(self.pieces)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The bytes of an answer: `opening` before the first token, one piece a token, the rest after.

    An answer in one piece of JSON or HTML has slices of it as its pieces and nothing else, so
    that it can be cut, stalled and dripped just like a stream.
    """

    media: str
    pieces: tuple[bytes, ...]
    opening: tuple[bytes, ...] = ()
    closing: tuple[bytes, ...] = ()
    """Finish and usage."""
    marker: bytes = b""

    @property
    def half_token(self) -> bytes:
        """The first token's bytes broken off in the middle."""
        whole = (*self.pieces, *self.opening, b"<!")[0]
        return whole[: len(whole) // 2]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One chat protocol (or the web front): pure functions from meaning to bytes."""

    name: str
    route: str
    """A path in which this pattern is found speaks this dialect."""
    method: str
    ask: Callable[[Any, str], Ask]
    """Reads the JSON body and the path of a request; raises ValueError saying what is wrong."""
    render: Callable[[Ask, Answer, Flavour], Rendered]
    error: Callable[[Trouble, Flavour, str], tuple[int, bytes]]
    """Status and body of an error answer; the text replaces the usual message unless empty."""
    error_event: Callable[[Trouble, Flavour], bytes]
    """The same error in the middle of a stream."""
    keep_alive: Callable[[Ask], bytes]
    model_list: Callable[[Flavour, tuple[str, ...]], bytes] | None = None
    lists: str = "/models$"
    """Where the model list is; of several dialects that share a path the flavour's own answers."""
    error_media: str = "application/json"
    error_headers: Callable[[Trouble], Mapping[str, str]] = lambda _trouble: {}
    """What an error answer says in its head, where that is part of the dialect."""
    needs_key: bool = True


def slices(data: bytes, count: int) -> tuple[bytes, ...]:
    """`data` in at most `count` pieces of about the same length."""
    step = -(-len(data) // max(1, count)) or 1
    return tuple(data[start : start + step] for start in range(0, len(data), step))
