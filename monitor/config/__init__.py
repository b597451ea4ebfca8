"""`checks.yaml` in, a `Config` out; or every error at once, each with its file, line and path.

Only `load` touches the file system.  No error, warning or repr holds the value of a secret.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monitor.config import schema
from monitor.config.assemble import GUARD_TARGETS, parse
from monitor.config.errors import ConfigError, ConfigErrors, Document
from monitor.config.keys import secrets
from monitor.config.parts import FEEDS, PROTOCOLS
from monitor.config.presets import Preset, presets
from monitor.config.source import read_documents, read_file
from monitor.model import Config

__all__ = [
    "FEEDS",
    "GUARD_TARGETS",
    "PROTOCOLS",
    "ConfigError",
    "ConfigErrors",
    "Document",
    "Preset",
    "json_schema",
    "load",
    "parse",
    "presets",
    "secrets",
]


def load(
    path: Path,
    env: Mapping[str, str],
    protocols: Iterable[str] = PROTOCOLS,
    before: Config | None = None,
) -> Config:
    """The configuration in a file, or in all `*.yaml` of a folder; raises ConfigErrors.

    `protocols` are those that this version can speak: a check that needs another one is an error.
    A check that is as it was `before` is the same object.
    """
    with _collector_at_rest():
        documents = read_documents(path)
        try:
            return parse(documents, env, read_file, protocols, before=before)
        finally:
            _let_go(documents)


def _let_go(documents: Iterable[Document]) -> None:
    """Forget long lists bit by bit: all at once, no other thread could run."""
    for document in documents:
        for value in document.data.values() if isinstance(document.data, dict) else ():
            while isinstance(value, list) and value:
                value.pop()


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """No garbage collection meanwhile: passing over hundreds of thousands of live objects again
    and again took half of the time of a large load, and found nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of `checks.yaml`, for editors."""
    return schema.json_schema(presets())
