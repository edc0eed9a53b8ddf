"""The rules and the engine in thousands of small worlds, each drawn from its seed, each with trouble of its own."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.campaign import campaign, outcome_of
from tests.sim.loop import ProcessLoop
from tests.sim.run import Outcome, run
from tests.sim.schedule import script_of
from tests.sim.script import parse

SEEDS = 2000
SHARE = 200
KEPT = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


def explain(outcome: Outcome) -> str:
    seed = outcome.script.settings.seed
    return f"{outcome.failure}\nshrink it: python -m tests.sim --seed {seed}\n{outcome.script}"


@pytest.mark.parametrize("first", range(0, SEEDS, SHARE))
def test_every_law_holds_in_every_world(first: int) -> None:
    outcomes = list(campaign(range(first, first + SHARE)))
    failed = [outcome for outcome in outcomes if outcome.failure]
    assert not failed, f"{len(failed)} of {SHARE} failed; the first: {explain(failed[0])}"
    # What nobody did in these worlds would not be judged.
    assert sum(outcome.answered for outcome in outcomes) > 0.6 * sum(outcome.operations for outcome in outcomes)
    assert sum(outcome.terms for outcome in outcomes) > 2 * SHARE
    assert sum(outcome.snapshots for outcome in outcomes) > SHARE // 4


@pytest.mark.parametrize("path", KEPT, ids=[path.stem for path in KEPT])
def test_what_was_found_once_is_not_there_again(path: Path) -> None:
    outcome = run(parse(path.read_text("utf-8")))
    assert not outcome.failure, explain(outcome)


def test_nothing_is_left_of_a_world_that_has_ended() -> None:
    """Else a campaign that runs all night fills the memory: a megabyte a seed, once."""
    for seed in range(6):
        outcome_of(seed)
    gc.collect()
    left = [thing for thing in gc.get_objects() if isinstance(thing, ProcessLoop)]
    assert not left


def test_a_script_is_its_text() -> None:
    for seed in range(300):
        script = script_of(seed)
        assert parse(str(script)) == script


def test_a_seed_replays_exactly() -> None:
    for seed in range(12):
        first, second = (outcome_of(seed, traced=True) for _ in range(2))
        assert first.trace == second.trace
        assert first.trace_hash == second.trace_hash


def test_a_seed_replays_exactly_in_another_process() -> None:
    told = set()
    for hash_seed in ("0", "1", "4242"):
        command = [sys.executable, "-m", "tests.sim", "--seed", "7", "--nodes", "5"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        told.add(ran.stdout)
    assert len(told) == 1, told
    assert "trace" in told.pop()
