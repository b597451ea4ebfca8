"""One connection from its first request to its end: who is asked, what is played, who left."""

from __future__ import annotations

import asyncio
import hmac
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from monitor.simulator import (
    anthropic,
    azure_openai,
    bedrock,
    cohere,
    gemini,
    ollama,
    openai_chat,
    openai_responses,
    pages,
)
from monitor.simulator.behaviours import BEHAVIOURS, params_of, unknown
from monitor.simulator.exchange import Exchange, Params, Seen
from monitor.simulator.seam import Ask, Dialect, Flavour, Trouble
from monitor.simulator.wire import GoneError, Inbox, Line, Request, UnreadableError, read_request

#: To add a dialect, add it here; a path speaks the first whose route is found in it.
DIALECTS: tuple[Dialect, ...] = (
    azure_openai.DIALECT,
    openai_chat.DIALECT,
    openai_responses.DIALECT,
    anthropic.DIALECT,
    gemini.DIALECT,
    ollama.DIALECT,
    cohere.DIALECT,
    bedrock.DIALECT,
    pages.DIALECT,
)

#: What a path starts with to force a behaviour: `/as/cut/v1/chat/completions`.
FORCE = "/as/"

#: AWS's signature names the access key; whether it fits is not verified.
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/")
_KEY_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")


@dataclass(frozen=True, slots=True)
class Host:
    """What a conversation has to know of the provider it belongs to."""

    flavour: Flavour
    key: str | None
    models: tuple[str, ...]
    speed: float
    rng: random.Random
    play: Callable[[], tuple[str, Params]]
    """The behaviour in force now, with its parameters."""
    note: Callable[[Seen], None]


async def converse(host: Host, inbox: Inbox, line: Line) -> None:
    """Answers request after request until one side has had enough."""
    stayed = True
    while stayed:
        try:
            request = await read_request(inbox)
        except GoneError:
            return
        except UnreadableError as error:
            spoken = _own(host.flavour)
            _, body = spoken.error(Trouble.BAD_REQUEST, host.flavour, str(error))
            await line.answer(error.status, {"Content-Type": spoken.error_media}, body)
            return
        line.complete = False
        stayed = await _while_connected(inbox, _respond(host, line, request))
        stayed = stayed and line.complete and not request.wants_close


async def _while_connected(inbox: Inbox, work: Awaitable[None]) -> bool:
    """Does the work unless the client leaves first; says whether the client stayed."""
    stayed = True
    try:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(inbox.see_off())
            await work
            watch.cancel()
    except* (GoneError, OSError):
        stayed = False
    return stayed


async def _respond(host: Host, line: Line, request: Request) -> None:
    forced, path = _unforced(request.path)
    name, params = host.play() if forced is None else (forced, Params())
    behaviour = BEHAVIOURS.get(name)
    dialect = next((known for known in DIALECTS if re.search(known.route, path)), None)
    seen = _seen(request, name)
    host.note(seen)
    spoken = dialect or _own(host.flavour)
    x = Exchange(Ask(), spoken, host.flavour, params, line, seen, host.rng, host.speed)
    if behaviour is None:
        await x.refuse(Trouble.BAD_REQUEST, message=unknown(name))
        return
    if forced is not None:
        x = replace(x, params=params_of(name, {}))
    if behaviour.front:
        await behaviour.run(x)
    elif dialect is None:
        await _beside(host, x, request, path)
    elif (ready := await _admitted(host, x, request, path)) is not None:
        await behaviour.run(ready)


async def _admitted(host: Host, x: Exchange, request: Request, path: str) -> Exchange | None:
    """The exchange with its question read, or None after a refusal that no behaviour changes."""
    if request.method != x.dialect.method:
        await x.refuse(Trouble.NO_METHOD, {"Allow": x.dialect.method})
        return None
    if x.dialect.needs_key and (trouble := _key_trouble(host, request)):
        await x.refuse(trouble)
        return None
    try:
        return replace(x, ask=x.dialect.ask(request.json() if request.body else None, path))
    except ValueError as error:
        await x.refuse(Trouble.BAD_REQUEST, message=str(error))
        return None


async def _beside(host: Host, x: Exchange, request: Request, path: str) -> None:
    """The free paths beside the chat: the model list and the root."""
    listing = _listing(host.flavour, path)
    if not listing and not (path == "/" and x.flavour.root_needs_key):
        await x.refuse(Trouble.NO_ROUTE)
    elif request.method != "GET":
        await x.refuse(Trouble.NO_METHOD, {"Allow": "GET"})
    elif not listing:
        # `GET https://api.deepseek.com/` without a key: the gateway says 401, so it is alive.
        await x.refuse(Trouble.NO_KEY)
    elif trouble := _key_trouble(host, request):
        await x.refuse(trouble)
    else:
        await x.whole(200, "application/json", listing(x.flavour, host.models))


def _own(flavour: Flavour) -> Dialect:
    return next(known for known in DIALECTS if known.name == flavour.dialect)


def _listing(flavour: Flavour, path: str) -> Callable[[Flavour, tuple[str, ...]], bytes] | None:
    """What writes the model list at `path`, if there is one."""
    known = (_own(flavour), *DIALECTS)
    return next((one.model_list for one in known if re.search(one.lists, path)), None)


def _key_trouble(host: Host, request: Request) -> Trouble | None:
    if host.key is None:
        return None
    shown = next((request.headers[name] for name in _KEY_HEADERS if name in request.headers), "")
    scheme, _, token = shown.partition(" ")
    presented = token.strip() if scheme.lower() == "bearer" else shown
    if signed := _SIGNED.match(shown):
        presented = signed[1]
    if not presented:
        return Trouble.NO_KEY
    good = hmac.compare_digest(presented.encode(), host.key.encode())
    return None if good else Trouble.BAD_KEY


def _unforced(path: str) -> tuple[str | None, str]:
    """The behaviour that the path forces, if any, and the rest of the path."""
    if not path.startswith(FORCE):
        return None, path
    name, slash, rest = path.removeprefix(FORCE).partition("/")
    return name, slash + rest


def _seen(request: Request, behaviour: str) -> Seen:
    return Seen(
        method=request.method,
        path=request.path,
        headers=_without_key(request.headers),
        body=_json_or_none(request),
        behaviour=behaviour,
        received=time.monotonic(),
    )


def _without_key(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: "…" if name in _KEY_HEADERS else value for name, value in headers.items()}


def _json_or_none(request: Request) -> Any:
    try:
        return request.json() if request.body else None
    except ValueError:
        return None
