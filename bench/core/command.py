"""`python -m bench core`: the core beside its Java originals, in rounds, and the report.

It wants the machine for itself: threads of both sides use every core. The originals need a JDK and Maven, which brings
their jars on the first run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

from bench import report
from bench.core import idle, logs, rings, timers
from bench.core.bars import BARS
from bench.core.originals import originals
from bench.core.scenario import QUICK, Effort, Scenario, UnsoundError
from bench.driver import DriverError
from bench.java import Original

SCENARIOS: tuple[Scenario, ...] = (*rings.SCENARIOS, *timers.SCENARIOS, *logs.SCENARIOS, *idle.SCENARIOS)

OURS = "nacosx"

Rounds = dict[str, dict[str, list[float]]]  # side → metric → one figure for each round


def main(arguments: Sequence[str]) -> int:
    """Measure what the arguments name. 0: every bar holds; 1: one falls short; 2: nothing could be measured."""
    options = _options(arguments)
    wanted = options.only or [""]
    chosen = [scenario for scenario in SCENARIOS if any(name in scenario.name for name in wanted)]
    if not chosen:
        print(f"no such scenario; there are: {', '.join(scenario.name for scenario in SCENARIOS)}", file=sys.stderr)
        return 2
    effort = msgspec.structs.replace(QUICK if options.quick else Effort(), data=options.data)
    rounds = options.rounds or (1 if options.quick else 5)
    with_rivals = not options.without_rival
    opened: AbstractContextManager[dict[str, Original]] = originals() if with_rivals else nullcontext({})
    remarks = [report.circumstances(rounds)]
    rows: list[report.Row] = []
    try:
        with opened as started:
            for scenario in chosen:
                figures = _side_by_side(scenario, started, rounds, effort, with_rivals=with_rivals)
                rows += _rows(scenario, figures, judged=not options.quick)
    except (DriverError, UnsoundError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.quick:
        remarks.append("quick: everything is small, the figures mean nothing, no bar is judged")
    return report.publish(rows, json_path=options.json, remarks=remarks)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench core", description=__doc__)
    parser.add_argument(
        "--only", action="append", metavar="SCENARIO", help="those whose name contains this; may be repeated"
    )
    parser.add_argument("--rounds", type=int, help="rounds of which the median counts (5)")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one tiny round, no bar is judged")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    parser.add_argument("--data", type=Path, metavar="DIR", help="make files there, on a real disk")
    parser.add_argument("--without-rival", action="store_true", help="measure nacosx alone")
    return parser.parse_args(arguments)


def _side_by_side(
    scenario: Scenario, started: Mapping[str, Original], rounds: int, effort: Effort, *, with_rivals: bool
) -> Rounds:
    """Every side once a round, the order turned round each time: a slow spell of the machine meets all."""
    rivals = dict(scenario.rivals) if with_rivals else {}
    sides = [OURS, *rivals]
    figures: Rounds = {side: {} for side in sides}
    for _ in range(effort.warm_ups):
        for rival in rivals.values():
            rival(started, effort)
    for number in range(rounds if scenario.rivals else 1):
        for side in sides if number % 2 == 0 else reversed(sides):
            taken = scenario.measure(effort) if side == OURS else rivals[side](started, effort)
            for metric, figure in taken.items():
                figures[side].setdefault(metric, []).append(figure)
            shown = ", ".join(f"{metric} {report.number(figure)}" for metric, figure in taken.items())
            print(f"{scenario.name} | {side} | {number + 1}/{rounds} | {shown}", file=sys.stderr, flush=True)
    return figures


def _rows(scenario: Scenario, figures: Rounds, *, judged: bool) -> list[report.Row]:
    """A row for each metric and each rival that took it; ours alone where none did."""
    rows: list[report.Row] = []
    for metric, unit in scenario.units.items():
        ours = statistics.median(figures[OURS][metric])
        rivals: list[str | None] = [side for side in figures if side != OURS and metric in figures[side]]
        for rival in rivals or [None]:
            bar = BARS.get((scenario.name, metric, rival)) if judged else None
            rows.append(
                report.row(
                    scenario.name,
                    metric,
                    unit,
                    ours=ours,
                    rival=statistics.median(figures[rival][metric]) if rival else None,
                    rival_name=rival,
                    bars={(scenario.name, metric): bar} if bar else {},
                )
            )
    return rows
