"""Parts of a request that the dialects share."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import orjson

from monitor import __version__
from monitor.model import Check

USER_AGENT = f"ai-chat-outage-monitor/{__version__}"


def under(base: str, path: str, **query: str) -> str:
    """`path` below the base URL; a query of the base stays at the end.

    `query` is added to it, unless the base has that parameter already.
    """
    parts = urlsplit(base)
    given = {part.partition("=")[0] for part in parts.query.split("&")}
    added = [f"{name}={value}" for name, value in query.items() if name not in given]
    whole = "&".join([*([parts.query] if parts.query else []), *added])
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path, query=whole, fragment=""))


def in_path(name: str) -> str:
    """A model's name as one segment of a path."""
    return quote(name, safe="")


def plain_headers(check: Check, own: Mapping[str, str]) -> dict[str, str]:
    """Headers of any request of a check: ours, then the dialect's `own`, then the user's.

    `Accept-Encoding: identity` keeps a compressing proxy from holding tokens back.
    """
    headers = {
        "User-Agent": USER_AGENT,
        "Accept-Encoding": "identity",
        **own,
    }
    if check.basic and not check.api_key:
        userinfo = check.basic.reveal().encode()
        headers["Authorization"] = "Basic " + b64encode(userinfo).decode()
    folded = {name.lower(): name for name in headers}
    for name, value in check.headers.items():
        headers.pop(folded.get(name.lower(), name), None)
        headers[name] = value.reveal()
    return headers


def bearer(check: Check) -> dict[str, str]:
    """The header that most vendors take the key in; none without a key."""
    return {"Authorization": f"Bearer {check.api_key.reveal()}"} if check.api_key else {}


def key_header(check: Check, name: str) -> dict[str, str]:
    """The key in a header of the vendor's own; none without a key."""
    return {name: check.api_key.reveal()} if check.api_key else {}


def chat_headers(
    check: Check, own: Mapping[str, str], accept: str = "text/event-stream"
) -> dict[str, str]:
    """Headers of a streamed chat request; `own` are the dialect's, keys included."""
    return plain_headers(check, {"Accept": accept, "Content-Type": "application/json", **own})


def merge(body: dict[str, Any], extra: Mapping[str, Any]) -> bytes:
    """The JSON body with `extra` merged in as RFC 7386 says: objects merge, null removes."""
    return orjson.dumps(_merged(body, extra))


def _merged(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            inner = result.get(key)
            result[key] = _merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            result[key] = value
    return result
