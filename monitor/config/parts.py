"""The mappings inside of a check: `timeout`, `expect`, `maintenance` and their like.

Where a key takes a short form or a mapping, pydantic is told which by a tag that begins with `~`.
"""

from __future__ import annotations

from typing import Annotated, Any, Required

from pydantic import ConfigDict, Discriminator, Field, Tag, with_config
from typing_extensions import TypedDict

from monitor.config import fields, rules
from monitor.config.rules import Rule
from monitor.config.windows import DAYS

#: Every chat protocol that the file format knows; a version may speak fewer of them.
PROTOCOLS = (
    "openai-chat",
    "openai-responses",
    "anthropic",
    "gemini",
    "ollama",
    "azure-openai",
    "cohere",
    "bedrock",
)
#: Every format of an official status feed.
FEEDS = (
    "statuspage",
    "incident-io",
    "flashcat",
    "instatus",
    "datadog",
    "google",
    "aws",
    "azure",
    "rss",
)

#: What can be told of an outage.
EVENTS = ("opened", "escalated", "resolved")

strict = with_config(ConfigDict(extra="forbid"))


def about(description: str) -> Any:
    """What editors show beside a key."""
    return Field(description=description)


def _total(value: Any) -> dict[str, float]:
    try:
        return {"total": rules.length().read(value)}
    except rules.Unfit as unfit:
        raise rules.Unfit(unfit.expected + ", or a mapping of timeouts", unfit.seen) from None


def _any(value: Any) -> dict[str, bool]:
    if value != "any":
        raise rules.Unfit("a mapping or any")
    return {"any": True}


def _shape(value: Any) -> str:
    """Tags begin with `~` so that they can be told from keys in pydantic's locations."""
    return "~mapping" if isinstance(value, dict) else "~short"


def _window(value: Any) -> str:
    weekly = isinstance(value, dict) and not {"days", "at", "duration"}.isdisjoint(value)
    return "~weekly" if weekly else "~single"


Length = Annotated[float, rules.length()]
Interval = Annotated[float, rules.length(least=1.0)]
Count = Annotated[int, rules.whole(1, 100)]
Off = Annotated[Any, rules.off()]
Switch = Annotated[bool, rules.switch()]
Dollars = Annotated[float, fields.DOLLARS]
Text = Annotated[str, rules.text("a text", 100_000)]
Line = Annotated[str, rules.line("a text", 256)]
SecretLine = Annotated[str, rules.line("a text such as ${WEBHOOK_URL}", 4096, keep=True)]
Names = Annotated[list[Line], Field(min_length=1)]
Regex = Annotated[str, fields.REGEX]
FilePath = Annotated[str, rules.line("the path of a file", 4096, keep=True)]
Provider = Annotated[str, rules.line("a preset", 256, keep=True)]
Zone = Annotated[str, fields.ZONE, about("Time zone of the local times (default UTC).")]
Address = Annotated[Any, fields.URL]
Json = Annotated[Any, fields.JSON]
JsonObject = Annotated[dict[str, Any], fields.JSON_OBJECT]
Name = Annotated[str, fields.NAME]
Protocol = Annotated[str, rules.choice(*PROTOCOLS)]
Feed = Annotated[str, rules.choice(*FEEDS)]
Headers = dict[Annotated[str, fields.HEADER_NAME], Annotated[str, fields.HEADER_TEXT]]
Labels = dict[Annotated[str, fields.LABEL_NAME], Annotated[str, rules.line("a text", 256, least=0)]]


@strict
class TimeoutShape(TypedDict, total=False):
    connect: Annotated[Length, about("DNS, TCP and TLS together (default 5s).")]
    first_byte: Annotated[Length, about("Request written to response head (default 20s).")]
    first_token: Annotated[Length, about("Request written to first output (default 30s).")]
    idle: Annotated[Length, about("Between two outputs after the first (default 15s).")]
    total: Annotated[Length, about("Over all (default 60s).")]


@strict
class SlowShape(TypedDict, total=False):
    first_token: Annotated[Length, about("A later first output is slow (default 8s).")]
    total: Annotated[Length, about("A longer answer is slow (default 30s).")]


@strict
class RatioShape(TypedDict, total=False):
    bad: Annotated[int, rules.whole(1, 1000), about("So many bad rounds (default 3) …")]
    of: Annotated[
        int, rules.whole(1, 1000), about("… of so many (default 10) are a partial outage.")
    ]


@strict
class ConfirmShape(TypedDict, total=False):
    down: Annotated[Count, about("Failed attempts in a row that confirm down (default 3).")]
    degraded: Annotated[Count, about("Slow or wrong ones that confirm degraded (default 3).")]
    limited: Annotated[Count, about("Refusals of our account that confirm limited (default 2).")]
    up: Annotated[Count, about("Good ones that confirm up again (default 2).")]
    ratio: Annotated[RatioShape, about("When scattered failures are a partial outage.")]
    recheck: Annotated[Length, about("Delay of the first recheck (default 5s).")]


@strict
class DefaultReachabilityShape(TypedDict, total=False):
    interval: Annotated[Interval, about("Time between two of these probes (default 15s).")]


@strict
class ReachabilityShape(DefaultReachabilityShape, total=False):
    url: Annotated[
        str, fields.BARE_URL, about("Free address to ask (default from the preset, else `url`).")
    ]


@strict
class PriceShape(TypedDict, total=False):
    input: Required[Annotated[Dollars, about("US dollars per million input tokens.")]]
    output: Required[Annotated[Dollars, about("US dollars per million output tokens.")]]
    cached: Annotated[Dollars, about("… per million input tokens found in the vendor's cache.")]


@strict
class BudgetShape(TypedDict, total=False):
    usd_per_day: Required[Annotated[Dollars, about("US dollars that probes may cost in a day.")]]


@strict
class OutageSeriesShape(TypedDict, total=False):
    keep: Annotated[float, rules.length(least=60.0), about("So long after their end (30d).")]
    per_check: Annotated[
        int, rules.whole(1, 1_000), about("At most so many of one check (default 20).")
    ]
    total: Annotated[int, rules.whole(1, 100_000), about("At most so many in all (default 500).")]


@strict
class SingleShape(TypedDict, total=False):
    start: Required[
        Annotated[Any, fields.MOMENT, about("When it opens, such as 2026-12-01T02:00.")]
    ]
    end: Required[Annotated[Any, fields.MOMENT, about("When it closes.")]]
    zone: Zone


@strict
class WeeklyShape(TypedDict, total=False):
    days: Required[
        Annotated[
            list[Annotated[str, rules.choice(*DAYS)]],
            Field(
                min_length=1, description="Days of the week on which it opens, such as [sat, sun]."
            ),
        ]
    ]
    at: Required[
        Annotated[str, fields.CLOCK, about("Time of day at which it opens, such as 02:00.")]
    ]
    duration: Required[
        Annotated[float, rules.length(most=7 * 86400.0), about("How long it stays open.")]
    ]
    zone: Zone


@strict
class TlsShape(TypedDict, total=False):
    ca_file: Annotated[FilePath, about("PEM file of the authorities to trust.")]
    cert_file: Annotated[FilePath, about("PEM file of our client certificate.")]
    key_file: Annotated[FilePath, about("PEM file of its key, if `cert_file` does not hold it.")]
    server_name: Annotated[Line, about("Name to ask for and to verify, if not the URL's host.")]
    insecure_skip_verify: Annotated[Switch, about("Trust any certificate (default false).")]


@strict
class ChatExpectShape(TypedDict, total=False):
    contains: Annotated[Text, about("Text that must stand somewhere in the answer.")]
    equals: Annotated[Text, about("The whole answer, white space around it aside.")]
    regex: Annotated[Regex, about("Pattern that must match somewhere in the answer.")]
    json: Annotated[Json, about("JSON that the answer must be.")]
    model: Annotated[Line, about("Model that must say it answered.")]


@strict
class WebExpectShape(TypedDict, total=False):
    status: Annotated[Any, fields.STATUS, about("Statuses that are fine (default 200-299).")]
    contains: Annotated[Text, about("Text that the page must hold.")]
    not_contains: Annotated[Text, about("Text that the page must not hold.")]
    regex: Annotated[Regex, about("Pattern that must match somewhere in the page.")]
    header: Annotated[
        dict[Annotated[str, fields.HEADER_NAME], Regex],
        about("Response headers and the pattern that each must match."),
    ]
    json: Annotated[Json, about("JSON that the page must be.")]


Timeout = Annotated[
    Annotated[TimeoutShape, Tag("~mapping")]
    | Annotated[Any, Rule(_total, rules.length().schema), Tag("~short")],
    Discriminator(_shape),
    about("Deadlines: one duration for the whole, or one each."),
]
Expect = Annotated[
    Annotated[ChatExpectShape, Tag("~mapping")]
    | Annotated[Any, Rule(_any, rules.or_variable({"const": "any"})), Tag("~short")],
    Discriminator(_shape),
    about("What the answer must be; `any` for anything.  Default: a random sum must be right."),
]
Reachability = Annotated[
    Annotated[ReachabilityShape, Tag("~mapping")] | Annotated[Off, Tag("~short")],
    Discriminator(_shape),
    about("The free probe between chats that only asks whether the API answers; or `off`."),
]
DefaultReachability = Annotated[
    Annotated[DefaultReachabilityShape, Tag("~mapping")] | Annotated[Off, Tag("~short")],
    Discriminator(_shape),
    about("The free probe between chats that only asks whether the API answers; or `off`."),
]
Maintenance = Annotated[
    list[
        Annotated[
            Annotated[WeeklyShape, Tag("~weekly")] | Annotated[SingleShape, Tag("~single")],
            Discriminator(_window),
        ]
    ],
    about("Windows in which nothing counts: single ones, or weekly ones."),
]


@strict
class GuardShape(TypedDict, total=False):
    targets: Required[
        Annotated[
            list[Annotated[str, fields.TARGET]],
            Field(min_length=1, description="tcp://host:port or http(s) addresses to try."),
        ]
    ]


Guard = Annotated[
    Annotated[GuardShape, Tag("~mapping")] | Annotated[Off, Tag("~short")],
    Discriminator(_shape),
    about("What to try before an outage is believed that our own network would explain; or `off`."),
]


@strict
class NotifyShape(TypedDict, total=False):
    name: Required[Annotated[Name, about("Unique name; logs and metrics call the target so.")]]
    webhook: Annotated[SecretLine, about("http(s) address that takes our JSON: ${VARIABLE}.")]
    webhook_file: Annotated[FilePath, about("File that holds the address.")]
    apprise: Annotated[SecretLine, about("Apprise URL, such as slack://…: ${VARIABLE}.")]
    apprise_file: Annotated[FilePath, about("File that holds the URL.")]
    on: Annotated[
        list[Annotated[str, rules.choice(*EVENTS)]],
        Field(min_length=1, description="What to tell: opened, escalated, resolved (default all)."),
    ]
    after: Annotated[float, rules.length(), about("How long an outage has to last first.")]
    repeat: Annotated[float, rules.length(least=60.0), about("Tell again while it lasts.")]
    checks: Annotated[Names, about("Only of these checks …")]
    groups: Annotated[Names, about("… of checks in these groups …")]
    providers: Annotated[Names, about("… or of these providers (label or preset).")]
