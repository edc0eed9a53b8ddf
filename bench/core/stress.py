"""`python -m bench.core.stress --events 1e9`: every topology, strategy and kind of ring in C threads, every event checked.

A third of the events goes through wide rings, where producers and consumers rarely meet; some through narrow ones, where they
meet at every slot; and some from producers that pause, so that consumers fall asleep and have to be called. Exit status 1:
an event was lost, repeated or out of order. A call that is lost hangs: after `--seconds-max` the stacks are printed instead.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
from collections.abc import Iterator, Sequence

import msgspec

from bench.core import topology
from bench.core.topology import TOPOLOGIES, Topology
from nacosx._core.ring import STRATEGIES


class Load(msgspec.Struct, frozen=True):
    name: str
    size: int
    batch: int
    idle_max: int
    share: float  # of the events of a run that nothing slows down


LOADS = (
    Load(name="wide", size=1 << 16, batch=1, idle_max=0, share=0.6),
    Load(name="wide, batches", size=1 << 16, batch=16, idle_max=0, share=0.4),
    Load(name="narrow", size=4, batch=1, idle_max=0, share=0.002),
    Load(name="narrow, batches", size=16, batch=3, idle_max=0, share=0.004),
    Load(name="pausing", size=1 << 10, batch=1, idle_max=400, share=0.002),
)

# More threads than cores that never give theirs away get through a ring once in a time slice.
SHARE_OF_STRATEGY = {"busy-spin": 0.1, "sleep": 0.5}


def plan(events: float) -> Iterator[tuple[Topology, str, Load, int]]:
    """At least `events` events in all."""
    shares = [
        (shape, wait, load, load.share * SHARE_OF_STRATEGY.get(wait, 1.0))
        for shape in TOPOLOGIES
        for wait in STRATEGIES
        for load in LOADS
        if wait != "busy-spin" or load.size >= 1 << 10
    ]
    unit = events / sum(share for *_, share in shares)
    for shape, wait, load, share in shares:
        grain = shape.producers * load.batch
        yield shape, wait, load, (int(unit * share) // grain + 1) * grain


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.core.stress", description=__doc__)
    parser.add_argument("--events", type=float, default=1e9, help="in all (1e9)")
    parser.add_argument("--seconds-max", type=float, default=3600, help="longer is a hang (3600)")
    options = parser.parse_args(arguments)
    faulthandler.dump_traceback_later(options.seconds_max, exit=True, file=2)
    events, seconds, unsound = 0, 0.0, 0
    for shape, wait, load, count in plan(options.events):
        run = topology.run(shape, wait=wait, events=count, size=load.size, batch=load.batch, idle_max=load.idle_max)
        events += run.events
        seconds += run.seconds
        unsound += not run.sound
        if not run.sound or options.events >= 1e8:
            told = (
                f"{run.rate / 1e6:8.2f} M/s" if run.sound else f"WRONG: {run.wrong} out of order, {run.missing} missing"
            )
            print(f"{shape.name:10} {wait:10} {load.name:16} {run.events:12,} events {told}", flush=True)
    print(f"{events:,} events in {seconds:.0f} s, {unsound} runs of them wrong")
    faulthandler.cancel_dump_traceback_later()
    return 1 if unsound else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
