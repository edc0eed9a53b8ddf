"""`python -m bench core`: the core beside its Java originals, in rounds, and the report.

It wants the machine for itself: threads of both sides use every core. The originals need a JDK and Maven, which brings
their jars on the first run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import msgspec

from bench import report, rounds
from bench.core import idle, logs, rings, timers
from bench.core.bars import BARS
from bench.core.originals import originals
from bench.core.scenario import QUICK, Effort, Scenario, UnsoundError
from bench.driver import DriverError
from bench.java import Original

SCENARIOS: tuple[Scenario, ...] = (*rings.SCENARIOS, *timers.SCENARIOS, *logs.SCENARIOS, *idle.SCENARIOS)

OURS = "nacosx"

ROUNDS = 5


def main(arguments: Sequence[str]) -> int:
    """Measure what the arguments name. 0: every bar holds; 1: one falls short; 2: nothing could be measured."""
    options = _options(arguments)
    chosen = rounds.chosen(SCENARIOS, options.only)
    if not chosen:
        return 2
    effort = msgspec.structs.replace(QUICK if options.quick else Effort(), data=options.data)
    count = options.rounds or (1 if options.quick else ROUNDS)
    with_rivals = not options.without_rival
    opened: AbstractContextManager[dict[str, Original]] = originals() if with_rivals else nullcontext({})
    remarks = [report.circumstances(count)]
    rows: list[report.Row] = []
    try:
        with opened as started:
            for scenario in chosen:
                figures = _side_by_side(scenario, started, count, effort, with_rivals=with_rivals)
                rows += rounds.rows(
                    scenario.name, scenario.units, figures, ours=OURS, bars={} if options.quick else BARS
                )
    except (DriverError, UnsoundError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.quick:
        remarks.append(rounds.QUICK_REMARK)
    return report.publish(rows, json_path=options.json, remarks=remarks)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = rounds.parser("core", __doc__, rounds=ROUNDS)
    parser.add_argument("--without-rival", action="store_true", help="measure nacosx alone")
    return parser.parse_args(arguments)


def _side_by_side(
    scenario: Scenario, started: Mapping[str, Original], count: int, effort: Effort, *, with_rivals: bool
) -> rounds.Figures:
    """Every side once a round, the order turned round each time: a slow spell of the machine meets all."""
    rivals = dict(scenario.rivals) if with_rivals else {}
    sides = [OURS, *rivals]
    figures: rounds.Figures = {side: {} for side in sides}
    for _ in range(effort.warm_ups):
        for rival in rivals.values():
            rival(started, effort)
    for number in range(count if scenario.rivals else 1):
        for side in sides if number % 2 == 0 else reversed(sides):
            taken = scenario.measure(effort) if side == OURS else rivals[side](started, effort)
            rounds.taken(figures, scenario.name, side, f"{number + 1}/{count}", taken)
    return figures
