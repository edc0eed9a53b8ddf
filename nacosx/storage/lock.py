"""One process a data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class LockedError(Exception):
    """Another process uses the directory; the text names it."""


class DirectoryLock:
    """flock on `<directory>/lock`, which holds the pid of who has it. The kernel gives it back when the process ends."""

    __slots__ = ("_fd",)

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Creates the directory. LockedError, OSError."""
        path = Path(directory)
        path.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise LockedError(f"{path} is in use by another server, process {holder}") from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)  # closing is not enough while a child is between fork and exec
        os.close(self._fd)
