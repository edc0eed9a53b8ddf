"""One process a data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nacosx.storage.lock import DirectoryLock, LockedError


def test_a_second_server_is_told_who_has_the_directory(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    lock = DirectoryLock(directory)
    with pytest.raises(LockedError, match=f"{directory} is in use by another server, process {os.getpid()}"):
        DirectoryLock(directory)
    lock.release()
    DirectoryLock(directory).release()


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    code = f"from nacosx.storage.lock import DirectoryLock; lock = DirectoryLock({str(tmp_path)!r}); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        with pytest.raises(LockedError, match=f"process {process.pid}"):
            DirectoryLock(tmp_path)
        process.kill()
    DirectoryLock(tmp_path).release()
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_child_does_not_inherit_the_lock(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False) as child:
        lock.release()
        DirectoryLock(tmp_path).release()
        child.communicate(b"\n")
