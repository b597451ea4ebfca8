"""Reads `tests/transcripts/<dialect>/<case>.yaml`: what was on the wire, and what it must mean.

A file holds `about` (who does this), `status`, `headers` (the dialect's content type if not told),
`body` or, where it is binary, `body_hex` (a list of pieces), `end` (`eof`, `cut` without the last
chunk, `open` with the socket left open), `check` (changed fields) and `expect`.

`expect` holds `verdict` and `reason`, and what else is worth saying of the answer.  Its `clocks`
tell by a part of its text which event stops the clock of the first output, of the first visible
answer and of the last output; null is a clock that nothing stops.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from monitor.dialects import DIALECTS, Dialect
from monitor.model import Check
from tests.making import chat_check, expecting

ROOT = Path(__file__).parent / "transcripts"


@dataclass(frozen=True)
class Transcript:
    dialect: Dialect
    name: str
    about: str
    status: int
    headers: dict[str, str]
    body: bytes
    end: str
    changes: dict[str, Any]
    expect: dict[str, Any]

    def check(self, url: str = "http://127.0.0.1:9/v1") -> Check:
        changes = dict(self.changes)
        if "expect" in changes:
            changes["expect"] = expecting(**changes["expect"])
        return chat_check(url, protocol=self.dialect.name, **changes)

    @property
    def streams(self) -> bool:
        """Whether the body is read as a stream."""
        content_type = self.headers.get("content-type", "")
        return 200 <= self.status < 300 and self.dialect.streams(content_type)


KEYS = {"about", "status", "headers", "body", "body_hex", "end", "check", "expect"}


def _read(path: Path) -> Transcript:
    raw = yaml.safe_load(path.read_text("utf-8"))
    assert not raw.keys() - KEYS, f"{path}: unknown keys {raw.keys() - KEYS}"
    assert ("body" in raw) != ("body_hex" in raw), f"{path}: one of body and body_hex"
    dialect = DIALECTS[path.parent.name]
    return Transcript(
        dialect=dialect,
        name=path.stem,
        about=raw["about"],
        status=raw.get("status", 200),
        headers=raw.get("headers", {"content-type": dialect.media}),
        body=bytes.fromhex("".join(raw.get("body_hex", ""))) or (raw.get("body") or "").encode(),
        end=raw.get("end", "eof"),
        changes=raw.get("check", {}),
        expect=raw["expect"],
    )


TRANSCRIPTS = [_read(path) for path in sorted(ROOT.glob("*/*.yaml"))]
STREAMS = [one for one in TRANSCRIPTS if one.streams]


def transcript(dialect: str, name: str) -> Transcript:
    """One by its name."""
    return next(one for one in TRANSCRIPTS if (one.dialect.name, one.name) == (dialect, name))
