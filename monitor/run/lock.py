"""One service per data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class DataDirError(Exception):
    """The data directory cannot be used; the message says why."""


class DataDir:
    """Holds the data directory's lock from construction until `close`.

    The kernel drops the lock with the process, so a killed service leaves nothing to clean up.
    Raises DataDirError where the directory cannot be made or another service holds it.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise DataDirError(f"--data-dir {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise DataDirError(f"--data-dir {path}: another monitor is using it") from error

    def close(self) -> None:
        os.close(self._file)
