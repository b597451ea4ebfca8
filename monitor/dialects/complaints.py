"""Error objects of any shape, flattened; what they mean is decided in `explain`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

SAID_LIMIT = 4096
"""Characters kept of a provider's words; shortened for people once secrets are removed."""

#: Where an error keeps its words; AWS spells `Message` where its gateway speaks, not its service.
_WORDS = ("message", "Message", "detail", "errors")
#: Codes that gateways give to what went well.
_FINE = frozenset({"ok", "success"})
#: By what a flat object under an error status is known to be an error.
_LOOSE = (*_WORDS, "code", "__type")


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error object of any shape, flattened: lower-case `codes`, `message`, numeric `number`."""

    codes: tuple[str, ...]
    message: str
    number: int | None = None
    retry_after: float | None = None


def decode(data: bytes) -> Any:
    """JSON of one event or body; raises ValueError when it is none.

    Invalid UTF-8 inside a string is replaced and a bare control character left as it is: a broken
    character is no broken stream.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data.decode("utf-8", "replace"), strict=False)
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error


def complaint(document: Any) -> Complaint | None:
    """The error object in a decoded document, or None where it holds none.

    Seen in the wild: `error` as object, string or list; a flat object with `object: "error"`; the
    whole document as a list, of one element or with the answer's chunks before it (Gemini); a
    `detail` text or list (FastAPI, Mistral); flat `code` and `message` (DashScope, gateways), which
    some write of a success as well.
    """
    if isinstance(document, list):
        inside = (complaint(item) for item in document if isinstance(item, dict))
        return next((found for found in inside if found), None)
    if not isinstance(document, dict):
        return None
    error = document.get("error")
    if error:
        return _flatten(error, document)
    flat = document.get("object") == "error" or document.get("type") == "error"
    if flat or ("code" in document and _is_coded(document)):
        return _flatten(document, document)
    return None


def _is_coded(document: Mapping[str, Any]) -> bool:
    code, message = document.get("code"), document.get("message")
    if not isinstance(message, str) or not isinstance(code, int | str):
        return False
    number = _number(code)
    return bool(code) and (number is None or number >= 300) and code_name(str(code)) not in _FINE


def loose_complaint(document: Any) -> Complaint | None:
    """Like `complaint`, for a body whose status already says that it is an error."""
    found = complaint(document)
    if found or not isinstance(document, dict):
        return found
    if any(key in document for key in _LOOSE):
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
        error.get("__type"),
        document.get("error_type"),
    )
    told = next((error[key] for key in _WORDS if error.get(key)), error)
    message = _text(told)
    if inner:
        message = f"{message} {_text(inner.get('raw') or '')}".strip()
    number = _number(error.get("code")) or _number(error.get("statusCode"))
    return Complaint(codes, message, number, _detail_delay(details))


def _codes(*values: Any) -> tuple[str, ...]:
    return tuple(code_name(value) for value in values if isinstance(value, str))


def code_name(text: str) -> str:
    """A code in lower case and bare: AWS may write `com.amazon.coral#XException:http://…`."""
    return text.lower().rpartition("#")[2].partition(":")[0]


def _detail_codes(details: Any) -> list[Any]:
    if isinstance(details, dict):
        return [details.get("error_code")]
    codes: list[Any] = []
    for item in details if isinstance(details, list) else ():
        if isinstance(item, dict):
            codes += [_spent(item.get("violations")), item.get("reason")]
    return codes


def _spent(violations: Any) -> str | None:
    """Which of Gemini's quotas is used up: those of a day and of a minute look alike otherwise."""
    for one in violations if isinstance(violations, list) else ():
        name = one.get("quotaId") if isinstance(one, dict) else None
        if isinstance(name, str) and "PerDay" in name:
            return "quota_per_day"
        if isinstance(name, str) and "PerMinute" in name:
            return "quota_per_minute"
    return None


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
        pass
    try:
        return repr(value)
    except RecursionError:
        return "words nested too deeply to be told"


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    # More digits than Python turns into a number (4,300) are no status either.
    short = isinstance(value, str) and len(value) < 10 and value.isascii() and value.isdigit()
    return int(value) if short else None


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
