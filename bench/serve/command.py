"""`python -m bench serve`: the scenarios in rounds, side by side, and the report."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench import report
from bench.serve import requests
from bench.serve.bars import BARS
from bench.serve.closed_loop import AnswerError, LineError
from bench.serve.fanout import ConfigPush, ServicePush
from bench.serve.memory import Memory
from bench.serve.rivals import RivalError
from bench.serve.scenario import QUICK, Effort, Scenario
from bench.serve.servers import LOAD_CORE, OURS, RIVAL, SERVER_CORE, Contender, UnsoundError
from bench.serve.startup import StartUp

SCENARIOS: tuple[Scenario, ...] = (*requests.SCENARIOS, ServicePush(), ConfigPush(), Memory(), StartUp())

Rounds = dict[str, list[float]]  # metric → one figure for each round


def main(arguments: Sequence[str]) -> int:
    """Measure what the arguments name. 0: every bar holds; 1: one falls short; 2: nothing could be measured."""
    options = _options(arguments)
    wanted = options.only or [""]
    chosen = [scenario for scenario in SCENARIOS if any(name in scenario.name for name in wanted)]
    if not chosen:
        print(f"no such scenario; there are: {', '.join(scenario.name for scenario in SCENARIOS)}", file=sys.stderr)
        return 2
    if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        print(f"server and load need cores {SERVER_CORE} and {LOAD_CORE} each for themselves", file=sys.stderr)
        return 2
    sides = [OURS] if options.without_rival else [RIVAL] if options.rival_only else [OURS, RIVAL]
    if RIVAL in sides and not _obtainable(RIVAL):
        return 2
    os.sched_setaffinity(0, {LOAD_CORE})
    effort = msgspec.structs.replace(QUICK if options.quick else Effort(), data=options.data)
    if options.seconds is not None:
        effort = msgspec.structs.replace(effort, seconds=options.seconds)
    rounds = options.rounds or (1 if options.quick else 3)
    rows: list[report.Row] = []
    remarks = [_circumstances(rounds, effort)]
    try:
        for scenario in chosen:
            figures = _side_by_side(scenario, sides, rounds, effort, remarks)
            rows += _rows(scenario, figures, judged=not options.quick)
    except (UnsoundError, LineError, AnswerError) as error:
        print(f"{scenario.name}: {error}", file=sys.stderr)
        return 2
    if options.quick:
        remarks.append("quick: everything is small, the figures mean nothing, no bar is judged")
    return report.publish(rows, json_path=options.json, remarks=remarks)


def _obtainable(rival: Contender) -> bool:
    """Find or build it now: on all cores, and before anything is measured."""
    try:
        rival.command()
    except RivalError as error:
        print(error, file=sys.stderr)
        return False
    return True


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench serve", description=__doc__)
    parser.add_argument(
        "--only", action="append", metavar="SCENARIO", help="those whose name contains this; may be repeated"
    )
    parser.add_argument("--rounds", type=int, help="rounds of which the median counts (3)")
    parser.add_argument("--seconds", type=float, help="of load in a round (3)")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one tiny round, no bar is judged")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    parser.add_argument("--data", type=Path, metavar="DIR", help="make the data directories there, on a real disk")
    side = parser.add_mutually_exclusive_group()
    side.add_argument("--without-rival", action="store_true", help="measure nacosx alone")
    side.add_argument("--rival-only", action="store_true", help="measure the rival alone")
    return parser.parse_args(arguments)


def _side_by_side(
    scenario: Scenario, sides: Sequence[Contender], rounds: int, effort: Effort, remarks: list[str]
) -> dict[str, Rounds]:
    """Every side once a round, the order turned round each time: a slow spell of the machine meets both."""
    figures: dict[str, Rounds] = {side.name: {metric: [] for metric in scenario.units} for side in sides}
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            taken, reasons = _sound(scenario, side, effort)
            for metric, figure in taken.items():
                figures[side.name][metric].append(figure)
            remarks += [f"{scenario.name}, a run of {side.name} thrown away: {reason}" for reason in reasons]
            shown = ", ".join(f"{metric} {report.number(figure)}" for metric, figure in taken.items())
            print(f"{scenario.name} | {side.name} | {number + 1}/{rounds} | {shown}", file=sys.stderr, flush=True)
    return figures


def _sound(scenario: Scenario, side: Contender, effort: Effort) -> tuple[dict[str, float], list[str]]:
    """One round that counts, and why runs before it did not."""
    reasons: list[str] = []
    while True:
        try:
            return scenario.measure(side, effort), reasons
        except UnsoundError as unsound:
            reasons.append(str(unsound))
            if len(reasons) > side.thrown_away_max:
                raise


def _rows(scenario: Scenario, figures: dict[str, Rounds], *, judged: bool) -> list[report.Row]:
    def median(side: Contender, metric: str) -> float | None:
        return statistics.median(figures[side.name][metric]) if side.name in figures else None

    return [
        report.row(
            scenario.name,
            metric,
            unit,
            ours=median(OURS, metric),
            rival=median(RIVAL, metric),
            rival_name=RIVAL.name if RIVAL.name in figures else None,
            bars=BARS if judged else {},
        )
        for metric, unit in scenario.units.items()
    ]


def _circumstances(rounds: int, effort: Effort) -> str:
    return f"{report.circumstances(rounds)} of {effort.seconds:g} s"
