"""`python -m tests.sim`: runs seeds, tells what a failing one did, and makes it short.

One seed: `--seed 17`. Many: `--seed 17 --count 1000`. Without end: `--forever`. A script that was kept: `--script FILE`.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

from tests.sim.broken import VARIANTS
from tests.sim.campaign import campaign, outcome_of, shrunk
from tests.sim.run import Outcome, run
from tests.sim.schedule import STEPS
from tests.sim.script import parse

TOLD_S = 10  # how often `--forever` tells how it goes


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the (first) seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds")
    parser.add_argument(
        "--forever", action="store_true", help="until stopped; a failure is told and the next seed follows"
    )
    parser.add_argument("--script", type=Path, help="a script instead of a seed")
    parser.add_argument("--steps", type=int, default=STEPS, help="actions of a script")
    parser.add_argument("--nodes", type=int, choices=(3, 5, 7), default=0, help="instead of what the seed draws")
    parser.add_argument("--broken", choices=sorted(VARIANTS), default="", help="run rules with this mistake in them")
    parser.add_argument("--outer", action="store_true", help="judge only what a user can see")
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    parser.add_argument("--no-shrink", action="store_true", help="leave a failing script as long as it is")
    parser.add_argument("--jobs", type=int, default=0, help="processes; all cores unless told otherwise")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    inner = not options.outer
    if options.script is not None:
        host_of = VARIANTS[options.broken]
        outcome = run(parse(options.script.read_text("utf-8")), traced=True, inner=inner, host_of=host_of)
        return tell(outcome, options)
    if options.count == 1 and not options.forever:
        outcome = outcome_of(
            options.seed, steps=options.steps, nodes=options.nodes, broken=options.broken, inner=inner, traced=True
        )
        return tell(outcome, options)
    return tell_many(options)


def tell_many(options: argparse.Namespace) -> int:
    seeds = itertools.count(options.seed) if options.forever else range(options.seed, options.seed + options.count)
    began = told = time.monotonic()
    done = failed = committed = answered = operations = 0
    outcomes = campaign(
        seeds,
        steps=options.steps, nodes=options.nodes, broken=options.broken, inner=not options.outer, jobs=options.jobs,
    )  # fmt: skip
    try:
        for outcome in outcomes:
            done += 1
            committed += outcome.committed
            answered += outcome.answered
            operations += outcome.operations
            if outcome.failure:
                failed += 1
                tell(outcome, options)
            now = time.monotonic()
            if options.forever and now - told >= TOLD_S:
                told = now
                print(
                    f"seed {outcome.script.settings.seed}: {done / (now - began):.1f} seeds/s, {failed} failed",
                    flush=True,
                )
    except KeyboardInterrupt:
        print("stopped")
    seconds = time.monotonic() - began
    print(
        f"{done} seeds in {seconds:.1f} s ({done / seconds:.1f} seeds/s), {failed} failed; "
        f"{committed} entries committed, {answered} of {operations} operations answered"
    )
    return 1 if failed else 0


def tell(outcome: Outcome, options: argparse.Namespace) -> int:
    seed = outcome.script.settings.seed
    if options.trace:
        print("\n".join(outcome.trace))
    if not outcome.failure:
        print(
            f"seed {seed}: good, {outcome.committed} entries in {outcome.terms} terms, {outcome.snapshots} snapshots, "
            f"{outcome.answered} of {outcome.operations} operations answered, {outcome.runs} runs, trace {outcome.trace_hash}"
        )
        return 0
    print(f"seed {seed}: {outcome.failure}\ntrace {outcome.trace_hash}", flush=True)
    if options.no_shrink:
        return 1
    short = shrunk(outcome, broken=options.broken, inner=not options.outer)
    print(f"--- the shortest script that was found, {len(short.script.actions)} actions:\n{short.script}")
    print(f"--- {short.failure}\n", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
