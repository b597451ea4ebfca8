"""What is asked, how often, and how strictly it is judged: the keys that `defaults` may set."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from monitor.config.case import Case
from monitor.config.errors import Place, shown
from monitor.config.layers import Layers, folded
from monitor.config.urls import HiddenUrl
from monitor.config.windows import window
from monitor.duration import spelled
from monitor.model import (
    ChatExpect,
    Confirm,
    Expecting,
    Ratio,
    Secret,
    Slow,
    Timeouts,
    Tls,
    Window,
)

UNCHECKED = "a prompt without an 'expect' for its answer: no answer will be wrong"
PASSWORD = "a password stands in the address, better put it into a variable (${…})"

_DEMANDS = ("contains", "equals", "regex", "json")
_TIMEOUTS, _SLOW, _CONFIRM, _TLS = Timeouts(), Slow(), Confirm(), Tls()


def common(case: Case) -> dict[str, Any]:
    """The fields that every type of check has."""
    layers = case.layers
    headers = folded(layers.merged("headers"))
    if open_password(case.raw.get("proxy")):
        case.warn(case.place / "proxy", PASSWORD)
    return {
        "name": case.name,
        "preset": case.preset.key if case.preset else None,
        "group": layers.pick("group"),
        "labels": layers.merged("labels"),
        "headers": {name: Secret(value) for name, value in headers.items()},
        "interval": layers.pick("interval", 60.0),
        "timeout": timeouts(case, layers),
        "tls": tls(case, layers),
        "proxy": layers.pick("proxy"),
        "ip": layers.pick("ip", "any"),
    }


def open_password(proxy: str | None) -> bool:
    """Whether the file itself spells out a proxy's password."""
    return isinstance(proxy, HiddenUrl) and proxy.literal


def judged(case: Case) -> dict[str, Any]:
    """The fields of the checks that have a state."""
    layers = case.layers
    return {
        **common(case),
        "slow": slow(case, layers),
        "confirm": confirm(case, layers),
        "slo": layers.pick("slo", 0.995),
        "maintenance": maintenance(case, layers),
        "guard": layers.pick("guard", True),
        "evidence_private": layers.pick("evidence", "public") == "private",
    }


def asked(case: Case) -> dict[str, Any]:
    """The fields of the checks that ask a model."""
    layers = case.layers
    budget = layers.pick("budget")
    return {
        **judged(case),
        "body": layers.merged("body"),
        "prompt": layers.pick("prompt"),
        "max_tokens": layers.pick("max_tokens", 16),
        "token_field": layers.pick("token_field", "max_tokens"),
        "done_marker": layers.pick("done_marker", True),
        "usage_option": layers.pick("usage_option", True),
        "expect": expectation(case, layers),
        "budget": budget["usd_per_day"] if budget else None,
    }


def expectation(case: Case, layers: Layers) -> ChatExpect:
    """What the answer must be; a demand of one's own needs a prompt of one's own."""
    said, prompt = layers.pick("expect", {}), layers.pick("prompt")
    demands = [name for name in _DEMANDS if name in said]
    at = layers.place("expect")
    if len(demands) > 1:
        case.error(at, f"seen {' and '.join(demands)}, expected one of them")
    elif demands and prompt is None:
        lack = f"seen '{demands[0]}' without a 'prompt'"
        case.error(at, f"{lack}, expected one, as the default prompt is a random sum")
    elif "prompt" in case.raw and not demands and "any" not in said:
        case.warn(case.place / "prompt", UNCHECKED)
    free = prompt is not None or "any" in said
    kind = Expecting(demands[0]) if demands else Expecting.ANY if free else Expecting.SUM
    return ChatExpect(kind, said[kind.value] if demands else None, said.get("model"))


def timeouts(case: Case, layers: Layers) -> Timeouts:
    """A part over the total is an error, unless the total is said nearer: then the part is cut.

    So `timeout: 10s` in a check is fine whatever parts `defaults` or a preset give.
    """
    said = layers.merged("timeout")
    if not said:
        return _TIMEOUTS
    total, rank = said.get("total", _TIMEOUTS.total), layers.rank("timeout", "total")
    for part, value in said.items():
        of = layers.rank("timeout", part)
        if value > total and of <= rank:
            seen = f"seen {spelled(value)}, expected at most the total, {spelled(total)}"
            case.error(layers.place_at(of) / "timeout" / part, seen)
    whole = {part.name: said.get(part.name, part.default) for part in fields(Timeouts)}
    return Timeouts(**{part: min(value, total) for part, value in whole.items()})


def slow(case: Case, layers: Layers) -> Slow:
    """Limits that the deadlines make unreachable get a warning where the check says them."""
    said = layers.merged("slow")
    if not said:
        return _SLOW
    limits = timeouts(case, layers)
    for part in case.raw.get("slow", ()):
        limit = getattr(limits, part)
        if said[part] > limit:
            seen = f"{spelled(said[part])} is over timeout.{part} ({spelled(limit)})"
            case.warn(case.place / "slow" / part, f"{seen}, so nothing will ever be slow by it")
    return Slow(**said)


def confirm(case: Case, layers: Layers) -> Confirm:
    said = layers.merged("confirm")
    if not said:
        return _CONFIRM
    ratio = Ratio(**said.pop("ratio", {}))
    if ratio.bad > ratio.of:
        at = layers.place("confirm") / "ratio"
        case.error(at, f"seen {ratio.bad} bad of {ratio.of}, expected no more bad than 'of'")
    return Confirm(**said, ratio=ratio)


def maintenance(case: Case, layers: Layers) -> tuple[Window, ...]:
    """The windows of the nearest layer that has any."""
    at = layers.place("maintenance")
    windows = []
    for index, raw in enumerate(layers.pick("maintenance", ())):
        try:
            windows.append(window(raw))
        except ValueError as error:
            case.error(at / index, str(error))
    return tuple(windows)


def tls(case: Case, layers: Layers) -> Tls:
    """Files are read once, so that a missing one is known now and not at the first probe."""
    said = layers.merged("tls")
    if not said:
        return _TLS
    if "key_file" in said and "cert_file" not in said:
        at = layers.place_at(layers.rank("tls", "key_file")) / "tls" / "key_file"
        case.error(at, "seen a key_file without a cert_file, expected both")
    for part in ("ca_file", "cert_file", "key_file"):
        if part in said:
            at = layers.place_at(layers.rank("tls", part)) / "tls" / part
            said[part] = _readable(case, said[part], at)
    return Tls(**said)


def _readable(case: Case, name: str, place: Place) -> str:
    """The path, from the file's folder; one of a check that is switched off is not tried."""
    path = place.document.folder / name
    if case.enabled:
        try:
            case.world.read_file(path)
        except OSError as error:
            told = error.strerror or "unreadable"
            case.error(place, f"seen {shown(name)} ({told}), expected a PEM file that can be read")
    return str(path)
