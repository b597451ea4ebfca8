"""The log: one line an event, logfmt or JSON; no text can forge a line, no secret gets out.

Call sites give a short constant message and `extra={"fields": {...}}`; a field that is None is
left out.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from monitor.redact import redact

Format = Literal["logfmt", "json"]
Secrets = Callable[[], Iterable[str]]

_OURS = "monitor"
_FIXED = ("ts", "level", "msg")
_BARE = re.compile(r"[A-Za-z0-9_.:/@%+,-]+")
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_.-]")
_SHORT_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def configure(level: str, format: Format, secrets: Secrets, stream: TextIO) -> None:
    """Send everything that is logged in this process to `stream`, and nowhere else of ours.

    `level` is for the product; libraries speak up from `warning` on.  `secrets` is asked anew for
    every line, so that a reload takes effect at once.  Calling again replaces the earlier set-up.
    """
    handler = _Handler(stream)
    handler.setFormatter(LineFormatter(format, secrets))
    root = logging.getLogger()
    for old in [found for found in root.handlers if isinstance(found, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    number = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(number, logging.WARNING))
    logging.getLogger(_OURS).setLevel(number)


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that a second `configure` can tell it from handlers of others."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with what the stream cannot encode spelled out rather than lost."""
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        return super().format(record).encode(encoding, "backslashreplace").decode(encoding)


class LineFormatter(logging.Formatter):
    """One record as one line, redacted."""

    def __init__(self, format: Format, secrets: Secrets) -> None:
        super().__init__()
        self._write = _as_json if format == "json" else _as_logfmt
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        secrets = tuple(self._secrets())
        # Once before escaping, which could hide a secret, and once over the finished line.
        pairs = {key: _redacted(value, secrets) for key, value in self._pairs(record).items()}
        return redact(self._write(pairs), secrets)

    def _pairs(self, record: logging.LogRecord) -> dict[str, Any]:
        pairs: dict[str, Any] = {
            "ts": _timestamp(record.created),
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
        }
        if record.name.partition(".")[0] != _OURS:
            pairs["logger"] = record.name
        fields = getattr(record, "fields", None)
        if isinstance(fields, Mapping):
            pairs |= {_key(key): value for key, value in fields.items() if value is not None}
        if record.exc_info:
            pairs["exc"] = self.formatException(record.exc_info)
        if record.stack_info:
            pairs["stack"] = record.stack_info
        return pairs


def _timestamp(created: float) -> str:
    text = datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _key(name: object) -> str:
    key = _NOT_IN_KEYS.sub("_", str(name)) or "_"
    return f"{key}_" if key in _FIXED else key


def _redacted(value: Any, secrets: tuple[str, ...]) -> Any:
    """A number or a truth value as it is, all else as text without secrets."""
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return redact(str(value), secrets)


def _as_json(pairs: Mapping[str, Any]) -> str:
    # ASCII only: line separators and direction marks of Unicode come out as \u escapes.
    return json.dumps(pairs)


def _as_logfmt(pairs: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={_logfmt_value(value)}" for key, value in pairs.items())


def _logfmt_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if _BARE.fullmatch(text):
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    """Everything that does not print as itself is spelled out: no new line, no terminal trick."""
    short = _SHORT_ESCAPES.get(character)
    if short or character.isprintable():
        return short or character
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
