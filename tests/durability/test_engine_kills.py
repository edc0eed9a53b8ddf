"""Kills that meet segments being rolled, snapshots being written and the log being cut behind them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.server import ROOT

KILLS = 50
SEED = 4


class Child:
    """One life of the engine. `check` compares what it recovered, `run` lets it write until it is killed."""

    def __init__(self, directory: Path, seed: int) -> None:
        command = [sys.executable, "-m", "tests.durability.engine", str(directory), str(seed)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._lines = self._process.stdout
        self._tried: dict[str, str] = {}  # data id → the last that was tried

    def recovered(self) -> dict[str, str]:
        line = self._lines.readline()
        assert line.startswith("{"), "the engine did not start"
        return dict(json.loads(line))

    def run(self, states: dict[str, set[str]], acknowledgements: int) -> None:
        """Kills it after so many; notes in `states` what was acknowledged and what was in doubt."""
        for line in self._lines:  # to the end: what it said before it died counts
            if not line.endswith("\n"):
                break
            word, data_id, *digest = line.split()
            if word == "try":
                states.setdefault(data_id, {"-"}).add(digest[0])
                self._tried[data_id] = digest[0]
            else:
                states[data_id] = {self._tried[data_id]}
                acknowledgements -= 1
                if acknowledgements == 0:
                    self._process.kill()
        self.end()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._lines.close()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_snapshots_and_segments_lose_nothing_to_kills(tmp_path: Path) -> None:
    random = Random(SEED)
    states: dict[str, set[str]] = {}  # data id → what it may be, "-": not there
    newest_snapshot = 0
    for seed in range(KILLS + 1):
        child = Child(tmp_path, seed)
        try:
            recovered = child.recovered()
            assert recovered.keys() <= states.keys()
            for data_id, possible in states.items():
                found = recovered.get(data_id, "-")
                assert found in possible, data_id
                states[data_id] = {found}
            if seed < KILLS:
                child.run(states, random.choice((1, 10, 100, 300, 600)))
        finally:
            child.end()
        snapshots = sorted((tmp_path / "snapshots").glob("*.snapshot"))
        assert len(snapshots) <= 3  # the newest two, and for a moment the one before
        newest_snapshot = int(snapshots[-1].stem, 16) if snapshots else newest_snapshot
        segments = sorted((tmp_path / "log").glob("*.wal"))
        assert segments
    assert newest_snapshot > 1000
    assert int(segments[0].stem.split("-")[1], 16) > 1, "the log was never cut"
