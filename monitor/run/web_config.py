"""The web configuration in force, followed as its file and its certificates change."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from monitor.config import ConfigErrors
from monitor.config.server_tls import peer_sans
from monitor.config.web import WebConfig, load
from monitor.run.reload import LOOK_EVERY, Print, look

log = logging.getLogger("monitor.config")


class WebFile:
    """Holds what the file said last that was good; `path` None is a file that asks for nothing."""

    def __init__(self, path: Path | None) -> None:
        """Raises ConfigErrors where the file is bad."""
        self._path = path
        self.now = WebConfig()
        self._print: Print = ()
        self._refused: tuple[str, ...] = ()
        if path is not None:
            self.now, self._print = _read(path)

    @property
    def scheme(self) -> str:
        return "https" if self.now.tls else "http"

    def admits(self, transport: asyncio.BaseTransport) -> bool:
        """Whether the client's certificate, verified by now, has an allowed name."""
        allowed = self.now.client_sans
        return not allowed or bool(allowed & peer_sans(transport.get_extra_info("peercert")))

    async def watch(self) -> None:
        """Follow the files for ever."""
        while self._path is not None:
            await asyncio.sleep(LOOK_EVERY)
            await self.look()

    async def look(self) -> None:
        """Read everything again where a file looks different; a bad one changes nothing.

        A refused one keeps looking different from the last good one and so is tried every time,
        since what it lacks may be a file that nobody looks at yet.
        """
        if self._path is None:
            return
        seen = await asyncio.to_thread(_fingerprint, self._path, self.now)
        if seen == self._print:
            return
        try:
            self.now, self._print = await asyncio.to_thread(_read, self._path)
        except ConfigErrors as bad:
            told = tuple(str(error) for error in bad.errors)
            for line in told if told != self._refused else ():
                log.error("web configuration refused", extra={"fields": {"error": line}})
            self._refused = told
            return
        self._refused = ()
        self.tell()

    def tell(self) -> None:
        """Log what is in force."""
        if self._path is None:
            return
        for warning in self.now.warnings:
            log.warning("web configuration", extra={"fields": {"warning": warning}})
        fields = {"tls": bool(self.now.tls), "users": len(self.now.users)}
        log.info("web configuration loaded", extra={"fields": fields})


def _read(path: Path) -> tuple[WebConfig, Print]:
    """What the file says, and how all files looked just before they were read.

    Were they looked at afterwards, a change in between would never be seen.
    """
    seen = _fingerprint(path, load(path))
    return load(path), seen


def _fingerprint(path: Path, config: WebConfig) -> Print:
    return tuple(look(str(file)) for file in (path, *config.files))
