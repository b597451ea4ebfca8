"""What was told, kept in a small file beside the ledger: a restart tells nothing twice.

Only what was settled is in it: delivered, or given up.  What waited when the process died is told
by the next one, if it is still so.  Times of the process become Unix seconds in the file.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monitor.model import Moment
from monitor.notify.plan import Story, Told

log = logging.getLogger("monitor.notify")

FILE = "notified.json"
VERSION = 1

Key = tuple[str, str]
"""A target's name and a provider."""


def read(path: Path, now: Moment) -> dict[Key, Told]:
    """What the file says; nothing where it cannot be read: better to tell twice than not at all."""
    try:
        data = json.loads(path.read_bytes())
        if data["version"] != VERSION:
            raise ValueError("another version's")
        return {
            (target, provider): _told(entry, now)
            for target, providers in data["told"].items()
            for provider, entry in providers.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        fields = {"file": str(path), "error": type(error).__name__}
        log.error(
            "what was told cannot be read: open outages are told anew", extra={"fields": fields}
        )
        return {}


def write(path: Path, told: Mapping[Key, Told], now: Moment) -> None:
    """The whole file or none of it.  Raises OSError."""
    by_target: dict[str, dict[str, Any]] = {}
    for (target, provider), one in told.items():
        if one != Told():
            by_target.setdefault(target, {})[provider] = _plain(one, now)
    if not by_target and not path.exists():
        return
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump({"version": VERSION, "told": by_target}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _plain(told: Told, now: Moment) -> dict[str, Any]:
    offset = now.wall - now.mono
    story = told.story
    return {
        "openings": [at + offset for at in told.openings],
        "unsaid": told.unsaid,
        "story": story
        and {
            "id": story.id,
            "started": story.started.wall,
            "members": dict(story.members),
            "told": story.told,
            "whole": story.whole,
            "count": story.count,
            "last": story.last + offset,
        },
    }


def _told(entry: Mapping[str, Any], now: Moment) -> Told:
    def mono(wall: Any) -> float:
        # A wall clock that was set back must not make anything wait for it.
        return min(now.mono, now.mono - (now.wall - float(wall)))

    story = entry["story"]
    return Told(
        story=story
        and Story(
            id=str(story["id"]),
            started=Moment(float(story["started"]), mono(story["started"])),
            seen=now.mono,
            members={str(id): str(check) for id, check in story["members"].items()},
            told=int(story["told"]),
            whole=bool(story["whole"]),
            count=int(story["count"]),
            last=mono(story["last"]),
        ),
        openings=tuple(mono(at) for at in entry["openings"]),
        unsaid=int(entry["unsaid"]),
    )
