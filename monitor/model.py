"""The nouns of the product, frozen; nothing here does I/O or reads a clock.

The failure vocabulary comes first, because everything else exists to arrive at it:

    verdict   ok  slow  wrong  limited  failed  void      what one attempt showed
    reason    the closed list below                       why
    state     up  degraded  down  limited  unknown  maintenance   what we claim

Durations are seconds as float; a `Moment` is a wall clock reading together with the monotonic
reading taken at the same instant.  Missing is `None`, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What one attempt showed."""

    OK = "ok"
    SLOW = "slow"
    WRONG = "wrong"
    LIMITED = "limited"
    FAILED = "failed"
    VOID = "void"


class Fault(StrEnum):
    """Whose fault a reason is."""

    PROVIDER = "provider"
    ACCOUNT = "account"
    US = "us"


class Reason(StrEnum):
    """Why an attempt was not `ok`; a closed list, used as a label value."""

    AUTH_OUTAGE = "auth_outage"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    CONNECT_TIMEOUT = "connect_timeout"
    FIRST_BYTE_TIMEOUT = "first_byte_timeout"
    FIRST_TOKEN_TIMEOUT = "first_token_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    TOTAL_TIMEOUT = "total_timeout"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    STREAM_ERROR = "stream_error"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    REDIRECTED = "redirected"
    UNEXPECTED_STATUS = "unexpected_status"
    WRONG_ANSWER = "wrong_answer"
    WRONG_MODEL = "wrong_model"
    FILTERED = "filtered"
    SLOW_FIRST_TOKEN = "slow_first_token"
    SLOW_TOTAL = "slow_total"
    AUTH = "auth"
    QUOTA = "quota"
    RATE_LIMITED = "rate_limited"
    BAD_REQUEST = "bad_request"
    MODEL_NOT_FOUND = "model_not_found"
    NO_KEY = "no_key"
    BLOCKED = "blocked"
    LOCAL_NETWORK = "local_network"
    STALLED = "stalled"
    BUDGET = "budget"
    SHUTDOWN = "shutdown"
    INTERNAL = "internal"


_ROWS: tuple[tuple[Fault, Verdict, str], ...] = (
    (Fault.PROVIDER, Verdict.FAILED, "auth_outage dns connect tls connect_timeout"),
    (Fault.PROVIDER, Verdict.FAILED, "first_byte_timeout first_token_timeout idle_timeout"),
    (Fault.PROVIDER, Verdict.FAILED, "total_timeout overloaded server_error stream_error"),
    (Fault.PROVIDER, Verdict.FAILED, "truncated empty malformed too_large redirected"),
    (Fault.PROVIDER, Verdict.FAILED, "unexpected_status"),
    (Fault.PROVIDER, Verdict.WRONG, "wrong_answer wrong_model filtered"),
    (Fault.PROVIDER, Verdict.SLOW, "slow_first_token slow_total"),
    (Fault.ACCOUNT, Verdict.LIMITED, "auth quota rate_limited bad_request model_not_found"),
    (Fault.ACCOUNT, Verdict.LIMITED, "no_key blocked"),
    (Fault.US, Verdict.VOID, "local_network stalled budget shutdown internal"),
)
#: The one table that says whose fault a reason is and which verdict it gives.
REASONS: Mapping[Reason, tuple[Fault, Verdict]] = {
    Reason(name): (fault, verdict) for fault, verdict, names in _ROWS for name in names.split()
}
#: What our own broken network would produce as well: of these the guard is asked before `down`.
NETWORK_REASONS = frozenset(r for r in Reason if r.endswith(("dns", "connect", "tls", "_timeout")))


class State(StrEnum):
    """What we claim about a check after confirmation."""

    DOWN = "down"
    DEGRADED = "degraded"
    LIMITED = "limited"
    UP = "up"
    UNKNOWN = "unknown"
    MAINTENANCE = "maintenance"


class Mode(StrEnum):
    """How a check is probed."""

    CHAT = "chat"
    REACHABILITY = "reachability"
    WEB = "web"
    STATUS_PAGE = "status-page"


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant: `wall` in Unix seconds for people, `mono` in monotonic seconds for lengths."""

    wall: float
    mono: float

    def plus(self, seconds: float) -> Moment:
        return Moment(self.wall + seconds, self.mono + seconds)


class Secret:
    """A string that cannot be printed by accident; `reveal()` is the only way to the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> Any:
        raise TypeError("a secret cannot be serialised")


# -------------------------------------------------------------------------------- configuration


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines in seconds; see `docs/configuration.md` for where each one starts."""

    connect: float = 5.0
    first_byte: float = 20.0
    first_token: float = 30.0
    idle: float = 15.0
    total: float = 60.0


@dataclass(frozen=True, slots=True)
class Slow:
    """Over one of these (seconds) a complete, right answer is `slow`."""

    first_token: float = 8.0
    total: float = 30.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """Partial outage: `bad` of the first attempts of the last `of` rounds went badly."""

    bad: int = 3
    of: int = 10


@dataclass(frozen=True, slots=True)
class Confirm:
    """How many attempts in a row confirm a state; `recheck` is the first recheck's delay (s)."""

    down: int = 3
    degraded: int = 3
    limited: int = 2
    up: int = 2
    ratio: Ratio = Ratio()
    recheck: float = 5.0


@dataclass(frozen=True, slots=True)
class Reachability:
    """The free tier: a GET of `url` every `interval` seconds; any HTTP answer counts."""

    interval: float
    url: str


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; `cached` is None where cached input costs the same."""

    input: float
    output: float
    cached: float | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """How to verify the server and identify ourselves; None means the system's defaults."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None
    insecure_skip_verify: bool = False


class Expecting(StrEnum):
    """What a chat check demands of the visible answer."""

    SUM = "sum"
    CONTAINS = "contains"
    EQUALS = "equals"
    REGEX = "regex"
    JSON = "json"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class ChatExpect:
    """`value` is the text, pattern or JSON demanded (None for `sum` and `any`)."""

    kind: Expecting = Expecting.SUM
    value: Any = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class WebExpect:
    """Demands on a web page; all that are given must hold.  `status` are inclusive ranges."""

    status: tuple[tuple[int, int], ...] = ((200, 299),)
    contains: str | None = None
    not_contains: str | None = None
    regex: str | None = None
    header: Mapping[str, str] = field(default_factory=dict)
    json: Any = None


@dataclass(frozen=True, slots=True)
class Window:
    """One maintenance window: `start`/`end` for a single one, or `days`/`at`/`seconds` weekly.

    `start` and `end` are Unix seconds; `days` are 0 (Monday) to 6; `at` is "HH:MM" in `zone`.
    """

    zone: str = "UTC"
    start: float | None = None
    end: float | None = None
    days: tuple[int, ...] = ()
    at: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One entry of `checks.yaml` with preset, defaults and variables resolved."""

    name: str
    mode: Mode
    provider: str
    """Label value: the preset's OpenTelemetry name, else the URL's host."""
    url: str
    """Base URL of a chat check, page of a web check, feed of a status-page check."""
    preset: str | None = None
    protocol: str | None = None
    model: str = ""
    group: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    api_key: Secret | None = None
    key_name: str | None = None
    """Name of the variable or file the key comes from (for messages; never the value)."""
    basic: Secret | None = None
    """`user:password` taken out of the URL; sent as Basic only where there is no `api_key`."""
    headers: Mapping[str, Secret] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    max_tokens: int = 16
    token_field: str = "max_tokens"
    done_marker: bool = True
    """Whether the dialect's terminal marker is demanded (a few vendors leave it out)."""
    usage_option: bool = True
    """Whether usage has to be asked for in the request (`stream_options`)."""
    expect: ChatExpect = ChatExpect()
    page: WebExpect = WebExpect()
    follow_redirects: bool = False
    interval: float = 60.0
    timeout: Timeouts = Timeouts()
    slow: Slow = Slow()
    confirm: Confirm = Confirm()
    reachability: Reachability | None = None
    price: Price | None = None
    budget: float | None = None
    """US dollars a day for this check alone; None means no limit of its own."""
    slo: float = 0.995
    maintenance: tuple[Window, ...] = ()
    tls: Tls = Tls()
    proxy: str | None = None
    """Proxy URL, `env` for the environment's, None for a direct connection."""
    ip: str = "any"
    guard: bool = True
    evidence_private: bool = False
    feed: str | None = None
    components: tuple[str, ...] = ()

    @property
    def labels3(self) -> tuple[str, str, str]:
        """Values of the labels `check, provider, model` that every check metric has."""
        return (self.name, self.provider, self.model)


@dataclass(frozen=True, slots=True)
class OutageSeries:
    """Which outages that ended still have a pair of series; those that are open always do."""

    keep: float = 30 * 86400.0
    """Seconds after its end."""
    per_check: int = 20
    total: int = 500


@dataclass(frozen=True, slots=True)
class NotifyTarget:
    """Whom to tell of outages: where (`kind` says how), of which checks (None: all), and when."""

    name: str
    kind: str
    url: Secret
    on: tuple[str, ...] = ("opened", "escalated", "resolved")
    after: float = 0.0
    repeat: float | None = None
    checks: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """A valid `checks.yaml`, enabled checks only; `warnings` are one line each, no secrets."""

    checks: tuple[Check, ...]
    guard_targets: tuple[str, ...]
    budget_usd_per_day: float | None = None
    retention: float = 30 * 86400.0
    """Seconds for which per-probe results are kept."""
    outage_series: OutageSeries = OutageSeries()
    notify: tuple[NotifyTarget, ...] = ()
    warnings: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    """The files that were read, secrets' files included: a change of one is a reason to reload."""


# --------------------------------------------------------------------------- what an attempt saw


@dataclass(frozen=True, slots=True)
class Tokens:
    """Usage as billed; `output` includes `reasoning`, `input` includes `cached`."""

    input: int | None = None
    output: int | None = None
    reasoning: int | None = None
    cached: int | None = None


@dataclass(frozen=True, slots=True)
class Phases:
    """Durations in seconds of the attempt's layers; None where a layer was not reached.

    `first_byte`, `first_token` and `first_answer` run from the moment the request was written.
    """

    dns: float | None = None
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None
    first_token: float | None = None
    first_answer: float | None = None
    stream: float | None = None
    """First output to last output."""
    stall: float | None = None
    """Longest silence between two outputs."""
    uncertainty: float = 0.0
    """How much earlier than stamped the first output may have arrived (one read, many events)."""
    lag: float | None = None
    """How long the first output lay in the kernel until we read it; None without its stamps."""
    doubtful: tuple[str, ...] = ()
    """Those of the four token clocks above that may be off by more than is vouched for (one read
    held many events, or the wall clock was stepped): they are kept out of the histograms."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP exchange and what it showed.  Compare: a probe is a round of attempts."""

    check: str
    started: Moment
    ended: Moment
    verdict: Verdict
    reason: Reason | None = None
    detail: str | None = None
    """One line for people, secrets removed."""
    rule: str | None = None
    """What decided the verdict, in words for people."""
    status: int | None = None
    request_id: str | None = None
    model: str | None = None
    """The model that the provider says it used."""
    phases: Phases = Phases()
    tokens: Tokens | None = None
    cost_usd: float | None = None
    evidence: str | None = None
    """The first 2 KiB of what a bad answer said, secrets removed."""
    retry_after: float | None = None
    """Seconds the provider asked us to wait."""
    headroom: Mapping[str, float] = field(default_factory=dict)
    """Rate limit left, as a ratio: `requests`, `tokens`."""
    certificate_expires: float | None = None
    """Unix seconds."""

    @property
    def seconds(self) -> float:
        return self.ended.mono - self.started.mono


@dataclass(frozen=True, slots=True)
class Probe:
    """One scheduled round: at least one attempt, the last of which decides verdict and reason."""

    id: str
    check: str
    attempts: tuple[Attempt, ...]
    delay: float = 0.0
    """Seconds by which the round began later than planned."""

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]


@dataclass(frozen=True, slots=True)
class Outage:
    """From the first failed attempt of the confirming streak to the recovery's first good one."""

    id: str
    check: str
    provider: str
    model: str
    started: Moment
    confirmed: Moment
    reason: Reason
    detail: str | None = None
    status: int | None = None
    request_id: str | None = None
    evidence: str | None = None
    """These four as the confirming attempt had them."""
    ended: Moment | None = None
    end_known: bool = True
    """False where it was lost from sight: `ended` is the last evidence then."""

    def seconds(self, now: Moment) -> float:
        """Length so far, or in all."""
        return (self.ended or now).mono - self.started.mono


@dataclass(frozen=True, slots=True)
class Change:
    """A confirmed change of state.  Observers are told; none of them can alter it."""

    check: str
    before: State
    after: State
    since: Moment
    """Where the new state begins: the start of the streak that confirmed it."""
    at: Moment
    """When it was confirmed."""
    reason: Reason | None = None
    detail: str | None = None
    outage: Outage | None = None
    """The outage that this change opened or closed."""
