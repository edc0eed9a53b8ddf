"""A member keeps its id as long as it keeps its data."""

from __future__ import annotations

from pathlib import Path

import pytest

from nacosx.storage.identity import FILE, MEMBER_ID, DamagedError, member_id


def test_an_id_is_made_once(tmp_path: Path) -> None:
    made = member_id(tmp_path)
    assert MEMBER_ID.fullmatch(made)
    assert member_id(tmp_path) == made
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_two_directories_are_two_members(tmp_path: Path) -> None:
    ids = set()
    for name in "abc":
        (tmp_path / name).mkdir()
        ids.add(member_id(tmp_path / name))
    assert len(ids) == 3


@pytest.mark.parametrize("content", ["", "me", "0123456789abcde", "0123456789ABCDEF"])
def test_a_damaged_id_is_told_and_not_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(DamagedError, match="does not hold the id of a member"):
        member_id(tmp_path)
    assert (tmp_path / FILE).read_text() == content
