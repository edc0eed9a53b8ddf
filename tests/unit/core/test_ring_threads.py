"""C threads hand over every event, once and in order, whatever the topology, the strategy and the size of the ring."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.core import stress
from bench.core.build import ROOT
from bench.core.topology import TOPOLOGIES
from nacosx._core.ring import STRATEGIES


def test_ten_million_events_in_c_threads() -> None:
    """The short form of `ci/stress`."""
    assert stress.main(["--events", "1e7"]) == 0


def test_a_stress_goes_through_every_topology_strategy_and_load() -> None:
    plan = list(stress.plan(1e9))
    assert sum(events for *_, events in plan) >= 10**9
    assert {(shape.name, wait) for shape, wait, _, _ in plan} == {
        (s.name, wait) for s in TOPOLOGIES for wait in STRATEGIES
    }
    assert {load for _, _, load, _ in plan} == set(stress.LOADS)


@pytest.mark.slow
@pytest.mark.timeout(600)  # it compiles the core anew
def test_no_data_race_is_seen_by_thread_sanitizer() -> None:
    """The short form of `ci/race`."""
    library = subprocess.run(
        [os.environ.get("CC", "cc"), "-print-file-name=libtsan.so"], capture_output=True, text=True
    )
    if not Path(library.stdout.strip()).is_absolute():
        pytest.skip("this compiler has no ThreadSanitizer")
    environment = {**os.environ, "NACOSX_PYTHON": sys.executable}
    command = [ROOT / "ci" / "race", "3e5", "6e3"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=580)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0 runs of them wrong" in ran.stdout
    assert "operations on 3 logs" in ran.stdout
