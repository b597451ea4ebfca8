"""Following the configuration file: signals, requests and changes on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from monitor.config import ConfigErrors
from monitor.model import Config
from monitor.run.calm import in_background

log = logging.getLogger("monitor.config")

LOOK_EVERY = 2.0
"""Seconds between looks at the files; ConfigMap swaps and bind mounts send no events."""

Print = tuple[tuple[str, int, int, int], ...]


class Reloader:
    """Loads the configuration again when told or when its files changed.

    A bad one changes nothing.
    """

    def __init__(
        self,
        path: Path,
        load: Callable[[], Config],
        apply: Callable[[Config], Awaitable[None]],
        done: Callable[[bool], None],
        first: Config,
    ) -> None:
        self._path = path
        self._load = load
        self._apply = apply
        self._done = done
        self._sources = first.sources
        self._print = self.fingerprint()
        self._lock = asyncio.Lock()

    async def reload(self) -> tuple[bool, list[str]]:
        """Load and apply off the event loop; false and the errors where the file is bad."""
        async with self._lock:
            self._print = await asyncio.to_thread(self.fingerprint)
            try:
                config = await in_background(self._load)
            except ConfigErrors as bad:
                lines = [str(error) for error in bad.errors]
                for line in lines:
                    log.error("configuration refused", extra={"fields": {"error": line}})
                self._done(False)
                return False, lines
            await self._apply(config)
            self._sources = config.sources
            self._print = await asyncio.to_thread(self.fingerprint)
            for warning in config.warnings:
                log.warning("configuration", extra={"fields": {"warning": warning}})
            log.info("configuration loaded", extra={"fields": {"checks": len(config.checks)}})
            self._done(True)
            return True, []

    async def watch(self) -> None:
        """Reload whenever a file that was read looks different, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if await asyncio.to_thread(self.fingerprint) != self._print:
                await self.reload()

    def fingerprint(self) -> Print:
        """What the files look like now; a missing one looks like zeros."""
        paths = {str(self._path), *self._sources}
        if self._path.is_dir():
            paths.update(str(found) for found in self._path.iterdir())
        return tuple(sorted(look(path) for path in paths))


def look(path: str) -> tuple[str, int, int, int]:
    try:
        seen = Path(path).stat()
    except OSError:
        return path, 0, 0, 0
    return path, seen.st_ino, seen.st_mtime_ns, seen.st_size
