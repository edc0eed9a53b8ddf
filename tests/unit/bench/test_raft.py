"""`python -m bench raft`: its bars are about what it measures, and it measures, beside SOFAJRaft and etcd."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from bench.raft import command
from bench.raft.bars import BARS
from bench.report import Row
from tests.server import wait_until


def test_every_bar_is_about_something_that_is_measured() -> None:
    rows = {
        (scenario.name, metric, side.name)
        for scenario in command.SCENARIOS
        for metric in scenario.units
        for side in command.SIDES
        if scenario.needs in side.able
    }
    assert set(BARS) <= rows


def test_an_unknown_scenario_measures_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--only", "perpetual motion"]) == 2
    assert "fail-over" in capsys.readouterr().err


class Sleeper:
    """A side that does nothing, in a process of its own."""

    able = frozenset[str]()

    def __init__(self) -> None:
        self.process = subprocess.Popen(["sleep", "1000"])

    @property
    def pids(self) -> list[int]:
        return [self.process.pid]

    def stands_still(self) -> bool:
        return Path(f"/proc/{self.process.pid}/stat").read_text().split()[2] == "T"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def test_one_side_is_measured_while_the_others_stand_still() -> None:
    sides = [Sleeper() for _ in range(3)]
    try:
        with command.alone(sides[1], sides, 0.01):
            for side in sides:
                wait_until(lambda side=side: side.stands_still() == (side is not sides[1]), "they stop", 10)
        for side in sides:
            wait_until(lambda side=side: not side.stands_still(), "they go on", 10)
        with command.alone(sides[1], sides, 0):
            assert not any(side.stands_still() for side in sides)
    finally:
        for side in sides:
            side.end()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_quick_round_beside_the_originals(tmp_path: Path) -> None:
    """Three members elect, commit, read, take puts and survive the death of their leader, and so do the others."""
    missing = [tool for tool in ("java", "javac", "mvn", "etcd") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    assert command.main(["--quick", "--json", str(tmp_path / "rows")]) == 0
    rows = msgspec.json.decode((tmp_path / "rows").read_bytes(), type=list[Row])
    assert {row.rival_name for row in rows} == {"SOFAJRaft", "etcd"}
    assert all(row.ours and row.rival and row.ratio for row in rows)
