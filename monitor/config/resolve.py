"""One valid mapping of `checks.yaml`, laid over `defaults` and its preset, becomes a `Check`.

The rule of precedence is one for all keys: the check, then `defaults`, then the preset, then what
is built in; mappings merge key by key.  Who is asked, and where, stands here; the rest in `terms`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from monitor.config import urls
from monitor.config.case import Case, World
from monitor.config.errors import Place, hint, shown
from monitor.config.keys import AUTH_HEADERS, LITERAL, Key, KeyFinder
from monitor.config.terms import asked, common, judged
from monitor.config.variables import expand
from monitor.model import Check, Mode, Price, Reachability, Secret, WebExpect

REACHABILITY_INTERVAL = 15.0

#: What the protocols append to a base address; people paste addresses that have it already.
APPENDED = {
    "openai-chat": "/chat/completions",
    "openai-responses": "/responses",
    "anthropic": "/v1/messages",
    "ollama": "/api/chat",
    "cohere": "/v2/chat",
}


def resolve(raw: Mapping[str, Any], place: Place, world: World) -> Check | None:
    """The check; None where it cannot be one, with the reasons in the world's findings."""
    case = Case(raw, place, world)
    named = raw.get("provider")
    if named is not None:
        preset = world.presets.get(named)
        if preset is None:
            close = "a preset" + hint(named, world.presets)
            known = "one of " + ", ".join(sorted(world.presets)) if close == "a preset" else close
            case.error(place / "provider", f"seen {shown(named)}, expected {known}")
            return None
        case = replace(case, preset=preset)
    return _TYPES[raw.get("type", "chat")](case)


def chat_check(case: Case) -> Check | None:
    protocol = case.raw.get("protocol") or (case.preset.protocol if case.preset else "openai-chat")
    case = replace(case, facts=case.preset.speaking(protocol) if case.preset else {})
    address, model = base_address(case, protocol), case.raw.get("model") or case.facts.get("model")
    case = replace(case, name=name_of(case, address))
    _demand_spoken(case, protocol)
    if not model:
        of = f" (the preset '{case.preset.key}' has none)" if case.preset else ""
        case.error(case.place / "model", f"missing, expected the id of a model{of}")
    if address is None or not model:
        return None
    _warn_of_path(case, address, protocol)
    basic = _basic(case, address)
    key, reachability = _key(case, basic), reachability_of(case, address)
    if key.wanted:
        _warn_keyless(case, key, reachability)
    return Check(
        mode=Mode.REACHABILITY if key.wanted else Mode.CHAT,
        url=address.text,
        provider=_label(case, address),
        protocol=protocol,
        model=model,
        api_key=key.secret,
        key_name=key.name,
        basic=basic,
        reachability=reachability,
        price=_price(case, model),
        **asked(case),
    )


def web_check(case: Case) -> Check:
    address: urls.Url = case.raw["url"]
    case = replace(case, name=name_of(case, address))
    return Check(
        mode=Mode.WEB,
        url=address.text,
        provider=_label(case, address),
        basic=_basic(case, address),
        page=WebExpect(**case.raw.get("expect", {})),
        follow_redirects=case.layers.pick("follow_redirects", False),
        **judged(case),
    )


def status_check(case: Case) -> Check | None:
    known = (case.preset.status_page if case.preset else None) or {}
    address: urls.Url | None = case.raw.get("url") or known.get("url")
    feed = case.raw.get("feed") or known.get("feed")
    case = replace(case, name=name_of(case, case.raw.get("url") or known.get("page")))
    of = f" (the preset '{case.preset.key}' knows of none)" if case.preset else ""
    for key, value in (("url", address), ("feed", feed)):
        if not value:
            case.error(case.place / key, f"missing, expected the {key} of the status page{of}")
    if address is None or not feed:
        return None
    inherited = () if "url" in case.raw else known.get("components", ())
    return Check(
        mode=Mode.STATUS_PAGE,
        url=address.text,
        provider=_label(case, address),
        basic=_basic(case, address),
        feed=feed,
        components=tuple(case.raw.get("components", inherited)),
        **common(case),
    )


_TYPES = {"chat": chat_check, "web": web_check, "status-page": status_check}


def name_of(case: Case, address: urls.Url | None) -> str:
    """The name that is written, or one made of what the check names."""
    if "name" in case.raw:
        return str(case.raw["name"])
    chat = case.raw.get("type", "chat") == "chat"
    host = urls.slug(address.host) if address else ""
    first = case.preset.key if chat and case.preset else host
    model = urls.slug(case.raw.get("model", ""))
    return "-".join(part for part in (first, model) if part)[:64]


def base_address(case: Case, protocol: str) -> urls.Url | None:
    """The check's address, or its preset's with the variables put in."""
    if "url" in case.raw:
        address: urls.Url = case.raw["url"]
        return address
    if "url" in case.facts:
        return _filled(case, case.facts["url"])
    lack = "expected a provider or a url"
    if case.preset:
        lack = f"expected an address, as the preset '{case.preset.key}' has none for {protocol}"
    case.error(case.place / "url", f"missing, {lack}")
    return None


def _filled(case: Case, template: str) -> urls.Url | None:
    expansion = expand(template, case.world.env)
    if expansion.unset:
        name = expansion.unset[0]
        message = f"missing, expected it or the variable {name}, which is not set"
        case.error(case.place / "url", message)
        return None
    try:
        return urls.read_url(re.sub(r"(?<![:/])//+", "/", expansion.text))
    except ValueError as error:
        name = "".join(expansion.names[:1])
        case.error(case.place / "provider", f"seen the value of ${{{name}}}, expected {error}")
        return None


def _demand_spoken(case: Case, protocol: str) -> None:
    if protocol not in case.world.protocols:
        spoken = ", ".join(sorted(case.world.protocols))
        at = case.place / ("protocol" if "protocol" in case.raw else "provider")
        message = f"this version does not speak '{protocol}' yet, expected one of {spoken}"
        case.error(at, message)


def _warn_of_path(case: Case, address: urls.Url, protocol: str) -> None:
    path = APPENDED.get(protocol)
    if path and address.text.partition("?")[0].rstrip("/").endswith(path):
        case.warn(case.place / "url", f"the address ends in {path}, which is appended once more")


def _label(case: Case, address: urls.Url) -> str:
    return case.preset.otel if case.preset else address.host


def _basic(case: Case, address: urls.Url) -> Secret | None:
    if address.basic is None:
        return None
    case.warn(case.place / "url", "a password stands in the address, better send it by 'headers'")
    return Secret(address.basic)


def _key(case: Case, basic: Secret | None) -> Key:
    """The key; a preset's is not missed where the check authenticates in another way."""
    if not case.enabled:
        return Key()
    finder = KeyFinder(case.world.env, case.world.read_file, case.world.findings)
    key = finder.find(case.raw, case.preset, case.place)
    if key.literal:
        case.warn(case.place / "api_key", LITERAL)
    named = "api_key" in case.raw or "api_key_file" in case.raw
    headers = {name.lower() for name in case.layers.merged("headers")}
    return Key() if key.wanted and not named and (basic or headers & AUTH_HEADERS) else key


def _warn_keyless(case: Case, key: Key, reachability: Reachability | None) -> None:
    at = case.place / ("api_key" if "api_key" in case.raw else "provider")
    rest = "so only whether the API answers is probed"
    if reachability is None:
        rest = "and reachability is off, so nothing is probed"
    case.warn(at, f"no key, {key.name} is not set, {rest}")


def reachability_of(case: Case, address: urls.Url) -> Reachability | None:
    """The free tier; its address is the check's, else the preset's, else the base address."""
    layers = case.layers
    if layers.pick("reachability") is False:
        return None
    url = (case.raw.get("reachability") or {}).get("url")
    interval = layers.merged("reachability").get("interval", REACHABILITY_INTERVAL)
    return Reachability(interval, url or _free_address(case, address))


def _free_address(case: Case, address: urls.Url) -> str:
    """The preset's free address, moved along where the check has a base address of its own."""
    base: str = case.facts.get("url", "")
    free: str = case.facts.get("reachability", {}).get("url", "")
    if base and free.startswith(base):
        head, mark, query = address.text.partition("?")
        return head.rstrip("/") + free.removeprefix(base.rstrip("/")) + mark + query
    return address.text if "url" in case.raw or not free else free


def _price(case: Case, model: str) -> Price | None:
    """The check's price, or the preset's if it is for this very model."""
    said = case.raw.get("price")
    if said is None and model == case.facts.get("model"):
        said = case.facts.get("price")
    return Price(**said) if said else None
