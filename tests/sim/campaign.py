"""Many seeds on all cores."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator

from tests.sim.broken import VARIANTS
from tests.sim.run import Outcome, run
from tests.sim.schedule import STEPS, script_of
from tests.sim.script import Script
from tests.sim.shrink import shrink

CHUNK = 10  # seeds a worker takes at once; after them it collects what the worlds left behind


def outcome_of(
    seed: int, *, steps: int = STEPS, nodes: int = 0, broken: str = "", inner: bool = True, traced: bool = False
) -> Outcome:
    return run(script_of(seed, steps=steps, nodes=nodes), traced=traced, inner=inner, host_of=VARIANTS[broken])


def shrunk(outcome: Outcome, *, broken: str = "", inner: bool = True, tries_max: int = 600) -> Outcome:
    """The same failure, by as short a script as can be found."""

    def fails(script: Script) -> bool:
        return run(script, inner=inner, host_of=VARIANTS[broken]).law == outcome.law

    script = shrink(outcome.script, fails, tries_max=tries_max)
    return run(script, traced=True, inner=inner, host_of=VARIANTS[broken])


def campaign(
    seeds: Iterable[int], *, steps: int = STEPS, nodes: int = 0, broken: str = "", inner: bool = True, jobs: int = 0
) -> Iterator[Outcome]:
    """The outcomes, in the order of the seeds. Takes as many seeds as are asked for; there may be no end of them."""
    tasks = ((seed, steps, nodes, broken, inner) for seed in seeds)
    jobs = jobs or len(os.sched_getaffinity(0))
    if jobs == 1:
        yield from map(_task, tasks)
        return
    with multiprocessing.get_context("fork").Pool(jobs, _begin) as pool:
        yield from pool.imap(_task, tasks, CHUNK)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who stops the campaign ends its workers
    gc.disable()
    gc.freeze()


_since_collected = 0


def _task(task: tuple[int, int, int, str, bool]) -> Outcome:
    global _since_collected
    seed, steps, nodes, broken, inner = task
    outcome = outcome_of(seed, steps=steps, nodes=nodes, broken=broken, inner=inner)
    _since_collected += 1
    if _since_collected >= CHUNK:
        _since_collected = 0
        gc.collect()
    return outcome
