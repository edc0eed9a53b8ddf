"""The term and the vote of a member: whole or as they were; damaged, the member does not start."""

from __future__ import annotations

import errno
import resource
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nacosx.raft.ready import HardState
from nacosx.storage.hard_state import HardStateFile


def test_what_was_saved_last_comes_back(tmp_path: Path) -> None:
    states = HardStateFile(tmp_path / "group")
    assert states.load() == HardState(0, "")
    for state in (HardState(1, "a"), HardState(2**63, "ä" * 100), HardState(3, "")):
        states.save(state)
        assert states.load() == HardStateFile(tmp_path / "group").load() == state
    assert [path.name for path in (tmp_path / "group").iterdir()] == ["hard_state"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_damaged_one_is_told(tmp_path: Path, data: st.DataObject) -> None:
    """A flipped bit, or a file that ends too early: who forgets its vote may vote twice."""
    states = HardStateFile(tmp_path)
    states.save(HardState(7, "member"))
    path = tmp_path / "hard_state"
    damaged = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
        damaged[bit // 8] ^= 1 << bit % 8
    else:
        del damaged[data.draw(st.integers(0, len(damaged) - 1)) :]
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="is damaged"):
        states.load()


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    states = HardStateFile(tmp_path)
    states.save(HardState(7, "member"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            states.save(HardState(8, "other"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert states.load() == HardState(7, "member")
    assert [path.name for path in tmp_path.iterdir()] == ["hard_state"]
