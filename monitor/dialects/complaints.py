"""Error objects of any shape, flattened; what they mean is decided in `explain`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

SAID_LIMIT = 4096
"""Characters kept of a provider's words; shortened for people once secrets are removed."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error object of any shape, flattened: lower-case `codes`, `message`, numeric `number`."""

    codes: tuple[str, ...]
    message: str
    number: int | None = None
    retry_after: float | None = None


def decode(data: bytes) -> Any:
    """JSON of one event or body; raises ValueError when it is none.

    Invalid UTF-8 inside a string is replaced: a broken character is no broken stream.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error


def complaint(document: Any) -> Complaint | None:
    """The error object in a decoded document, or None where it holds none.

    Seen in the wild: `error` as object, string or list; a flat object with `object: "error"`; the
    whole document as a one-element list (Gemini); a `detail` text or list (FastAPI, Mistral);
    flat `code` and `message` (DashScope, gateways).
    """
    if isinstance(document, list):
        return complaint(document[0]) if len(document) == 1 else None
    if not isinstance(document, dict):
        return None
    error = document.get("error")
    if error:
        return _flatten(error, document)
    if document.get("object") == "error" or document.get("type") == "error":
        return _flatten(document, document)
    return None


def loose_complaint(document: Any) -> Complaint | None:
    """Like `complaint`, for a body whose status already says that it is an error."""
    found = complaint(document)
    if found or not isinstance(document, dict):
        return found
    if any(key in document for key in ("message", "detail", "code", "errors")):
        return _flatten(document, document)
    return None


def _flatten(error: Any, document: Mapping[str, Any]) -> Complaint:
    if isinstance(error, list):
        error = error[0] if error else {}
    if not isinstance(error, dict):
        outer = (document.get("error_type"), document.get("code"), document.get("type"))
        return Complaint(_codes(*outer), _text(error), _number(document.get("code")))
    details = error.get("details")
    inner = error.get("metadata") if isinstance(error.get("metadata"), dict) else {}
    codes = _codes(
        *_detail_codes(details),
        error.get("code"),
        error.get("type"),
        error.get("status"),
        document.get("error_type"),
    )
    message = _text(error.get("message") or error.get("detail") or error.get("errors") or error)
    if inner:
        message = f"{message} {_text(inner.get('raw') or '')}".strip()
    number = _number(error.get("code")) or _number(error.get("statusCode"))
    return Complaint(codes, message, number, _detail_delay(details))


def _codes(*values: Any) -> tuple[str, ...]:
    return tuple(value.lower() for value in values if isinstance(value, str))


def _detail_codes(details: Any) -> list[Any]:
    if isinstance(details, dict):
        return [details.get("error_code")]
    if isinstance(details, list):
        return [item.get("reason") for item in details if isinstance(item, dict)]
    return []


def _detail_delay(details: Any) -> float | None:
    """Gemini says how long to wait in the body: `{"retryDelay": "27s"}`."""
    for item in details if isinstance(details, list) else ():
        delay = item.get("retryDelay") if isinstance(item, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            return seconds(delay[:-1])
    return None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):
        return repr(value)


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None


def shorten(text: str, limit: int = SAID_LIMIT) -> str:
    """One line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def seconds(text: str) -> float | None:
    """A sane number of seconds, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 10**7 else None
