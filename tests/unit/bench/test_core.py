"""`python -m bench core`: its bars are about what it measures, and it measures, with the originals and without."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from bench.core import command
from bench.core.bars import BARS
from bench.report import Row


def measured(path: Path) -> list[Row]:
    return msgspec.json.decode(path.read_bytes(), type=list[Row])


def test_every_bar_is_about_something_that_is_measured() -> None:
    rows = {
        (scenario.name, metric, rival)
        for scenario in command.SCENARIOS
        for metric in scenario.units
        for rival in (*scenario.rivals, None)
    }
    assert set(BARS) <= rows


def test_an_unknown_scenario_measures_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--only", "perpetual motion"]) == 2
    assert "ring 1P1C" in capsys.readouterr().err


def test_a_quick_round_of_our_side_alone(tmp_path: Path) -> None:
    """Nothing is judged, so nothing falls short."""
    arguments = [
        "--quick",
        "--without-rival",
        "--only",
        "ring",
        "--only",
        "append 32 × 128",
        "--json",
        str(tmp_path / "rows"),
    ]
    assert command.main(arguments) == 0
    rows = measured(tmp_path / "rows")
    assert {row.scenario for row in rows} == {
        *("ring 1P1C", "ring 3P1C", "ring pipeline", "ring diamond", "append 32 × 128 B")
    }
    assert all(row.ours and row.rival is None and row.holds is None for row in rows)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_quick_round_beside_the_originals(tmp_path: Path) -> None:
    """Maven brings them, they compile, and every command of the driver is answered."""
    missing = [tool for tool in ("java", "javac", "mvn") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    arguments = ["--quick", "--json", str(tmp_path / "rows")]
    for name in ("ring", "timer", "append"):
        arguments += ["--only", name]
    assert command.main(arguments) == 0
    rows = measured(tmp_path / "rows")
    assert {row.rival_name for row in rows} == {
        *("LMAX 3.4.4", "LMAX 4.0.0", "SOFAJRaft", "SOFAJRaft, ParallelGC", "Netty", "bare fdatasync")
    }
    # Nothing but the CPU time of so little work may be 0: the kernel counts it in ticks.
    assert all(row.ours and (row.rival or (row.rival == 0 and row.metric.endswith("cpu"))) for row in rows)
