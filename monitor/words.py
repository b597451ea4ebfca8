"""Plain words for people: reasons, states, lengths of time.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

from monitor.model import Reason, State

#: One for every reason; each completes "It is not all right, because: …".
REASONS: Mapping[Reason, str] = {
    Reason.AUTH_OUTAGE: "It refuses every key, even those that worked before",
    Reason.DNS: "Its name cannot be resolved",
    Reason.CONNECT: "It refuses or drops connections",
    Reason.TLS: "No secure connection can be made",
    Reason.CONNECT_TIMEOUT: "No connection came about in time",
    Reason.FIRST_BYTE_TIMEOUT: "It took the question, but no response began in time",
    Reason.FIRST_TOKEN_TIMEOUT: "The response began, but no word of an answer came in time",
    Reason.IDLE_TIMEOUT: "The answer stopped midway",
    Reason.TOTAL_TIMEOUT: "The answer was not complete in time",
    Reason.OVERLOADED: "It says that it is overloaded",
    Reason.SERVER_ERROR: "It reports an error of its own",
    Reason.STREAM_ERROR: "An error came in the middle of the answer",
    Reason.TRUNCATED: "The answer broke off before its end",
    Reason.EMPTY: "The response was complete, but empty",
    Reason.MALFORMED: "The response makes no sense in its protocol",
    Reason.TOO_LARGE: "The response was far too large",
    Reason.REDIRECTED: "It sends us elsewhere instead of answering",
    Reason.UNEXPECTED_STATUS: "It answered with an unexpected HTTP status",
    Reason.WRONG_ANSWER: "It answers, but wrongly",
    Reason.WRONG_MODEL: "Another model answers than was asked for",
    Reason.FILTERED: "A content filter withheld the answer",
    Reason.SLOW_FIRST_TOKEN: "The first word of the answer comes late",
    Reason.SLOW_TOTAL: "The whole answer takes long",
    Reason.AUTH: "It does not accept our API key",
    Reason.QUOTA: "Our credit or quota is used up",
    Reason.RATE_LIMITED: "It limits how often we may ask",
    Reason.BAD_REQUEST: "It rejects our request as invalid",
    Reason.MODEL_NOT_FOUND: "It does not know the model, or does not let us use it",
    Reason.NO_KEY: "No API key is set: we only see that it can be reached",
    Reason.BLOCKED: "A bot wall turns us away: we cannot see further",
    Reason.LOCAL_NETWORK: "Our own network was down",
    Reason.STALLED: "The monitor was too busy to measure",
    Reason.BUDGET: "The budget for probes is spent",
    Reason.SHUTDOWN: "The monitor was shutting down",
    Reason.INTERNAL: "An error in the monitor itself; its log says more",
}

#: What each state claims.
STATES: Mapping[State, str] = {
    State.UP: "It answers completely, correctly and in time.",
    State.DEGRADED: "It answers, but slowly, wrongly, or only some of the time.",
    State.DOWN: "It does not answer; confirmed by several attempts in a row.",
    State.LIMITED: "It is there, but refuses our account. Not counted as downtime.",
    State.MAINTENANCE: "A planned window is open. Not counted as downtime.",
    State.UNKNOWN: "We cannot tell at the moment. Not counted as uptime.",
}

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def length(seconds: float) -> str:
    """`3 d 4 h`, `12 min 5 s`, `0 s`: the two largest units, cut off and not rounded up."""
    left = max(0, int(seconds + 0.0005))  # the difference of two moments is a hair too small
    for rank, (unit, size) in enumerate(_UNITS):
        if left >= size or size == 1:
            whole, rest = divmod(left, size)
            smaller = _UNITS[rank + 1] if rank + 1 < len(_UNITS) else None
            more = f" {rest // smaller[1]} {smaller[0]}" if smaller and rest >= smaller[1] else ""
            return f"{whole} {unit}{more}"
    raise AssertionError("a second is the last unit")


def latency(seconds: float | None) -> str:
    """`412 ms`, `1.24 s`, `12.4 s`; a dash where nothing was measured."""
    if seconds is None:
        return "–"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"


def percent(ratio: float) -> str:
    """Cut off after two digits, so that only what is whole reads `100 %`."""
    hundredths = int(ratio * 10_000 + 1e-9)
    return "100 %" if hundredths >= 10_000 else f"{hundredths / 100:.2f} %"


def coverage(ratio: float) -> str:
    """`97 %`, cut off, so that only what is whole reads `100 %`; `<1 %` where it is not nothing."""
    whole = int(ratio * 100 + 1e-9)
    return "<1 %" if whole == 0 and ratio > 0 else f"{whole} %"


def day(of: date) -> str:
    """`24 Nov`."""
    return f"{of.day} {of:%b}"


def moment(wall: float) -> str:
    """`24 Nov 2026, 14:02` in UTC."""
    at = datetime.fromtimestamp(wall, UTC)
    return f"{at.day} {at:%b %Y, %H:%M}"


def short_moment(wall: float) -> str:
    """`24 Nov, 14:02` in UTC."""
    at = datetime.fromtimestamp(wall, UTC)
    return f"{at.day} {at:%b, %H:%M}"


def machine_moment(wall: float) -> str:
    """ISO 8601, for `<time datetime>`."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def precise_moment(wall: float) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    at = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds")
    return at.replace("+00:00", "Z")


def printable(text: str) -> str:
    """Hostile text without what moves a cursor or turns the direction of writing."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)
