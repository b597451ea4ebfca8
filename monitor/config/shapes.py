"""The shape of `checks.yaml`: which keys there are, what each one takes, and what for.

This and `parts.py` are the only lists of keys: the loader, the presets, the JSON Schema for editors
and the test that every key is documented all read them.  A validated mapping holds the keys that
were written and no others, so that defaults and presets can be laid under it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Required

from pydantic import Field
from typing_extensions import TypedDict

from monitor.config import fields, rules
from monitor.config.parts import (
    Address,
    BudgetShape,
    ConfirmShape,
    DefaultReachability,
    Expect,
    Feed,
    FilePath,
    Guard,
    Headers,
    Interval,
    JsonObject,
    Labels,
    Line,
    Maintenance,
    Name,
    NotifyShape,
    OutageSeriesShape,
    PriceShape,
    Protocol,
    Provider,
    Reachability,
    SlowShape,
    Switch,
    Text,
    Timeout,
    TlsShape,
    WebExpectShape,
    about,
    strict,
)


@strict
class CommonShape(TypedDict, total=False):
    """Keys of every check that may also stand in `defaults`."""

    group: Annotated[str, rules.line("a text", 64), about("Heading under which it is shown.")]
    labels: Annotated[Labels, about("More labels for `aichat_check_info`.")]
    enabled: Annotated[Switch, about("`off` leaves the check out (default on).")]
    headers: Annotated[Headers, about("More request headers; their values are kept secret.")]
    interval: Annotated[Interval, about("Time between two probes (default 60s).")]
    timeout: Timeout
    tls: Annotated[TlsShape, about("How to verify the server and identify ourselves.")]
    proxy: Annotated[
        str, fields.PROXY, about("Address of a proxy, or `env` for the environment's.")
    ]
    ip: Annotated[str, rules.choice("any", "4", "6"), about("IP version to use (default any).")]


@strict
class JudgedShape(CommonShape, total=False):
    """Keys of the checks that have a state."""

    slow: Annotated[SlowShape, about("Over one of these a good answer is slow.")]
    confirm: Annotated[ConfirmShape, about("How many attempts in a row confirm a state.")]
    slo: Annotated[float, fields.SHARE, about("Share of the time it should be up (default 0.995).")]
    maintenance: Maintenance
    guard: Annotated[Switch, about("`off` never blames our own network (default on).")]
    evidence: Annotated[
        str,
        rules.choice("private", "public"),
        about("`private` keeps what bad answers said off the HTTP pages (default public)."),
    ]


@strict
class AskedShape(JudgedShape, total=False):
    """Keys about asking a model that may stand in `defaults`."""

    body: Annotated[JsonObject, about("JSON merged into the request; null takes a key out.")]
    prompt: Annotated[Text, about("Own question (default: a random sum).")]
    max_tokens: Annotated[
        int, rules.whole(1, 1_000_000), about("Cap of the answer in tokens (default 16).")
    ]
    expect: Expect
    budget: Annotated[BudgetShape, about("What this check alone may cost.")]


@strict
class WiredShape(TypedDict, total=False):
    """Keys that belong to one provider's way of speaking."""

    model: Annotated[Line, about("The model's id.")]
    token_field: Annotated[
        str,
        rules.choice("max_tokens", "max_completion_tokens"),
        about("Name of the request's token cap (default max_tokens)."),
    ]
    done_marker: Annotated[
        Switch, about("Whether the stream must end with its marker (default on).")
    ]
    usage_option: Annotated[Switch, about("Whether token counts must be asked for (default on).")]
    price: Annotated[PriceShape, about("What tokens cost.")]


@strict
class ChatShape(AskedShape, WiredShape, total=False):
    """A chat with a model."""

    type: Annotated[Literal["chat"], about("chat (default), web or status-page.")]
    name: Annotated[Name, about("Unique name (default: the preset's key, with the model's name).")]
    provider: Annotated[Provider, about("A preset, which fills in all that is not given.")]
    url: Annotated[Address, about("Base address, as the vendor's own SDK takes it.")]
    protocol: Annotated[
        Protocol, about("How to speak (default from the preset, else openai-chat).")
    ]
    api_key: Annotated[str, fields.KEY, about("The key: ${VARIABLE}.")]
    api_key_file: Annotated[FilePath, about("File that holds the key.")]
    reachability: Reachability


@strict
class WebShape(JudgedShape, total=False):
    """A web page."""

    type: Required[Annotated[Literal["web"], about("chat (default), web or status-page.")]]
    name: Annotated[Name, about("Unique name (default: the host).")]
    provider: Annotated[
        Provider, about("A preset that the page belongs to; only its label is used.")
    ]
    url: Required[Annotated[Address, about("Address of the page.")]]
    expect: Annotated[WebExpectShape, about("What the page must be; all of it must hold.")]
    follow_redirects: Annotated[Switch, about("Whether to follow redirects (default off).")]


@strict
class StatusPageShape(CommonShape, total=False):
    """What a provider says about itself."""

    type: Required[Annotated[Literal["status-page"], about("chat (default), web or status-page.")]]
    name: Annotated[Name, about("Unique name (default: the host).")]
    provider: Annotated[Provider, about("A preset, which knows where its status is published.")]
    url: Annotated[Address, about("Address of the feed.")]
    feed: Annotated[Feed, about("Format of the feed.")]
    components: Annotated[
        list[Line],
        Field(
            min_length=1, description="Parts of the names, or ids, of the components that matter."
        ),
    ]


@strict
class DefaultsShape(AskedShape, total=False):
    """Values for every check that does not say otherwise."""

    reachability: DefaultReachability
    follow_redirects: Annotated[Switch, about("Whether web checks follow redirects (default off).")]


#: By the value of `type`.
CHECKS: Mapping[str, Any] = {"chat": ChatShape, "web": WebShape, "status-page": StatusPageShape}


@strict
class SettingsShape(TypedDict, total=False):
    """Top-level keys that are no checks."""

    guard: Guard
    budget: Annotated[BudgetShape, about("What all probes together may cost.")]
    retention: Annotated[
        float,
        rules.length(least=60.0),
        about("How long single probes are remembered (default 30d)."),
    ]
    outage_series: Annotated[
        OutageSeriesShape, about("Which outages that ended still have series of their own.")
    ]
    notify: Annotated[
        list[NotifyShape], Field(min_length=1, description="Whom to tell of outages, and how.")
    ]


@strict
class FileShape(SettingsShape, total=False):
    """A whole file; of several in a folder not every one needs to have checks."""

    defaults: Annotated[DefaultsShape, about("What checks take over that say nothing else.")]
    checks: Annotated[
        list[ChatShape | WebShape | StatusPageShape],
        Field(min_length=1, description="What to watch."),
    ]
