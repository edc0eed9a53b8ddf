"""The scripts beside this file, each a story with what is to be seen. See tests/raft_script.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.raft_script import replay

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script_prints_what_it_says(path: Path) -> None:
    """Every line of it."""
    told = path.read_text("utf-8")
    printed = replay(told)
    if os.environ.get("NACOSX_REWRITE"):
        path.write_text(printed, "utf-8")
        return
    assert printed == told


def test_the_scripts_are_found() -> None:
    """An empty folder would pass the test above."""
    assert len(SCRIPTS) >= 10
