"""One service per data directory."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from pathlib import Path

log = logging.getLogger("monitor")

#: A disk in trouble is no reason to stop watching others; a directory that is not ours is.
_TROUBLE = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO})


class DataDirError(Exception):
    """The data directory cannot be used; the message says why."""


class DataDir:
    """Holds the data directory's lock from construction until `close`.

    The kernel drops the lock with the process, so a killed service leaves nothing to clean up.
    A full, read-only or failing disk is said, and the service goes on without the lock.
    Raises DataDirError where the directory cannot be made or another service holds it.
    """

    def __init__(self, path: Path) -> None:
        self._file: int | None = None
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if error.errno not in _TROUBLE:
                raise DataDirError(f"--data-dir {path}: {error.strerror}") from error
            fields = {"data_dir": str(path), "error": error.strerror}
            log.error("the data directory cannot be locked", extra={"fields": fields})
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise DataDirError(f"--data-dir {path}: another monitor is using it") from error

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
