"""Validation of raw mappings, in our words, and the JSON Schema of `checks.yaml`.

pydantic finds the faults; what is said about them is decided here.  Secrets stay out: of a value
below one of the keys in `SECRET` only its type is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from monitor.config import shapes
from monitor.config.errors import Findings, Place, hint, kind, shown
from monitor.config.trail import Trail

#: What stands below these keys may be a secret, or hold one.
SECRET = frozenset(
    [
        "api_key",
        "headers",
        "proxy",
        "url",
        "targets",
        "body",
        "webhook",
        "apprise",
        "cert",
        "key",
        "basic_auth_users",
    ]
)

_LISTED = 13  # a mapping with more keys than this is not listed in a message


@cache
def adapter(shape: Any) -> TypeAdapter[Any]:
    """What validates one shape; built when it is first needed."""
    return TypeAdapter(shape)


def validate(shape: Any, data: Any, place: Place, findings: Findings) -> dict[str, Any] | None:
    """The keys of `data` that are as the shape says; every fault becomes an error in `findings`.

    What is left without the faulty keys can still be checked for faults of meaning.  None where
    nothing sensible is left.
    """
    try:
        return _valid(shape, data)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    for fault in faults:
        _complain(shape, fault, place, findings)
    faulty = {fault["loc"][0] for fault in faults if fault["loc"]}
    try:
        return _valid(shape, {key: data[key] for key in data if key not in faulty})
    except (ValidationError, TypeError, KeyError):
        return None


def _valid(shape: Any, data: Any) -> dict[str, Any]:
    valid: dict[str, Any] = adapter(shape).validate_python(data)
    return valid


def _complain(shape: Any, fault: Any, place: Place, findings: Findings) -> None:
    trail = tuple(part for part in fault["loc"] if not _is_tag(part))
    if fault["type"] == "extra_forbidden":
        message = _unknown(shape, trail)
    else:
        secret = any(part in SECRET for part in (*place.trail, *trail))
        if secret and fault["input"] is None:
            trail = trail[:-1] or trail  # a key without a value is often a value without its key
        message = _told(fault, secret)
    findings.error(place.below(trail), message)


def _is_tag(part: str | int) -> bool:
    return isinstance(part, str) and (part.startswith("~") or part == "[key]")


def _told(fault: Any, secret: bool) -> str:
    """`seen …, expected …` for a fault of a known key."""
    context = fault.get("ctx", {})
    if fault["type"] == "missing":
        return "missing, expected this key here"
    seen = kind(fault["input"]) if secret else shown(fault["input"])
    expected = {
        "unfit": context.get("expected"),
        "dict_type": "a mapping",
        "list_type": "a list",
        "too_short": "at least one entry",
    }.get(fault["type"], "something else")
    return f"seen {context.get('seen') or seen}, expected {expected}"


def _unknown(shape: Any, trail: Trail) -> str:
    """What to say about a key that does not belong where it stands."""
    key, allowed = str(trail[-1]), keys_at(shape, trail[:-1])
    homes = [name for name, other in shapes.CHECKS.items() if key in keys_at(other, ())]
    if len(trail) == 1 and homes and shape is shapes.DefaultsShape:
        return "seen a key that cannot have a default, expected it in the checks themselves"
    if len(trail) == 1 and homes and shape in shapes.CHECKS.values():
        mine = next(name for name, other in shapes.CHECKS.items() if other is shape)
        return f"seen a key of {' and '.join(homes)} checks, but this is a {mine} check"
    if key in allowed:
        return "seen a key that does not go with the others here, expected one kind of window"
    close = hint(key, allowed)
    if not close and len(allowed) <= _LISTED:
        close = ", expected one of " + ", ".join(allowed)
    return "unknown key" + (close or " (docs/configuration.md lists all of them)")


@cache
def _raw_schema(shape: Any) -> dict[str, Any]:
    return adapter(shape).json_schema()


@lru_cache(maxsize=1024)
def keys_at(shape: Any, trail: Trail) -> tuple[str, ...]:
    """The keys that may stand in the mapping at `trail` of a shape."""
    schema = _raw_schema(shape)
    nodes = [schema]
    for part in trail:
        inner = [_child(node, part) for node in _resolved(nodes, schema)]
        nodes = [node for node in inner if node]
    properties = [node.get("properties", {}) for node in _resolved(nodes, schema)]
    return tuple(dict.fromkeys(key for found in properties for key in found))


def _child(node: dict[str, Any], part: str | int) -> dict[str, Any]:
    child: Any = (
        node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
    )
    return child or {}


def _resolved(nodes: list[dict[str, Any]], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes with references followed and alternatives side by side."""
    done: list[dict[str, Any]] = []
    for node in nodes:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        alternatives = node.get("oneOf") or node.get("anyOf")
        done += _resolved(alternatives, schema) if alternatives else [node]
    return done


@cache
def known_keys() -> frozenset[str]:
    """Every key of every shape: words that are certainly no secrets."""
    schema = _raw_schema(shapes.FileShape)
    found = [schema, *schema["$defs"].values()]
    return frozenset(key for shape in found for key in shape.get("properties", {}))


def json_schema(providers: Iterable[str]) -> dict[str, Any]:
    """JSON Schema (2020-12) of `checks.yaml`, for editors; `providers` are the presets' keys."""
    schema = _untitled(adapter(shapes.FileShape).json_schema())
    items = {name: {"$ref": f"#/$defs/{shape.__name__}"} for name, shape in shapes.CHECKS.items()}
    schema["properties"]["checks"]["items"] = {
        "if": _says("web"),
        "then": items["web"],
        "else": {"if": _says("status-page"), "then": items["status-page"], "else": items["chat"]},
    }
    named = [*providers]
    for shape in shapes.CHECKS.values():
        field = schema["$defs"][shape.__name__]["properties"]["provider"]
        for key in ("type", "minLength", "maxLength"):
            del field[key]
        field["anyOf"] = [{"enum": named}, {"type": "string", "pattern": r"\$\{"}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "checks.yaml of the AI chat outage monitor",
        **schema,
    }


def _says(type_: str) -> dict[str, Any]:
    return {"properties": {"type": {"const": type_}}, "required": ["type"]}


def _untitled(node: Any) -> Any:
    """Without pydantic's `title`s, which repeat the keys, and its internal notes."""
    if isinstance(node, list):
        return [_untitled(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: _untitled(inner) for name, inner in value.items()}
        if key == "properties"
        else _untitled(value)
        for key, value in node.items()
        if key == "properties" or not (key == "title" and isinstance(value, str))
    }
