"""A real disk that can be full: a small tmpfs, where one may be mounted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk_at(directory: Path, size: str) -> Iterator[Path]:
    """Mounted on a directory that it creates, of a size as mount(8) takes it; skips the test where that is not allowed."""
    directory.mkdir(parents=True)
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", directory], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"no file system may be mounted here: {mount.stderr.decode().strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)
