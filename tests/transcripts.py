"""Reads `tests/transcripts/<dialect>/<case>.yaml`: what was on the wire, and what it must mean.

A file holds `about` (who does this), `status`, `headers`, `body`, `end` (`eof`, `cut` without the
last chunk, `open` with the socket left open), `check` (changed fields) and `expect`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from monitor.model import Check
from tests.making import chat_check, expecting

ROOT = Path(__file__).parent / "transcripts"


@dataclass(frozen=True)
class Transcript:
    dialect: str
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
        return chat_check(url, protocol=self.dialect, **changes)


def _read(path: Path) -> Transcript:
    raw = yaml.safe_load(path.read_text("utf-8"))
    unknown = raw.keys() - {"about", "status", "headers", "body", "end", "check", "expect"}
    assert not unknown, f"{path}: unknown keys {unknown}"
    return Transcript(
        dialect=path.parent.name,
        name=path.stem,
        about=raw["about"],
        status=raw.get("status", 200),
        headers=raw.get("headers", {"content-type": "text/event-stream"}),
        body=(raw["body"] or "").encode(),
        end=raw.get("end", "eof"),
        changes=raw.get("check", {}),
        expect=raw["expect"],
    )


TRANSCRIPTS = [_read(path) for path in sorted(ROOT.glob("*/*.yaml"))]
STREAMS = [one for one in TRANSCRIPTS if one.headers.get("content-type") == "text/event-stream"]
