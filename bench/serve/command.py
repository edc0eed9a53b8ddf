"""`python -m bench serve`: the scenarios in rounds, side by side, and the report."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence

import msgspec

from bench import report, rounds
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

ROUNDS = 3


def main(arguments: Sequence[str]) -> int:
    """Measure what the arguments name. 0: every bar holds; 1: one falls short; 2: nothing could be measured."""
    options = _options(arguments)
    chosen = rounds.chosen(SCENARIOS, options.only)
    if not chosen:
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
    count = options.rounds or (1 if options.quick else ROUNDS)
    rows: list[report.Row] = []
    remarks = [_circumstances(count, effort)]
    try:
        for scenario in chosen:
            figures = _side_by_side(scenario, sides, count, effort, remarks)
            rows += _rows(scenario, figures, judged=not options.quick)
    except (UnsoundError, LineError, AnswerError) as error:
        print(f"{scenario.name}: {error}", file=sys.stderr)
        return 2
    if options.quick:
        remarks.append(rounds.QUICK_REMARK)
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
    parser = rounds.parser("serve", __doc__, rounds=ROUNDS)
    parser.add_argument("--seconds", type=float, help="of load in a round (3)")
    side = parser.add_mutually_exclusive_group()
    side.add_argument("--without-rival", action="store_true", help="measure nacosx alone")
    side.add_argument("--rival-only", action="store_true", help="measure the rival alone")
    return parser.parse_args(arguments)


def _side_by_side(
    scenario: Scenario, sides: Sequence[Contender], count: int, effort: Effort, remarks: list[str]
) -> rounds.Figures:
    """Every side once a round, the order turned round each time: a slow spell of the machine meets both."""
    figures: rounds.Figures = {side.name: {} for side in sides}
    for number in range(count):
        for side in sides if number % 2 == 0 else reversed(sides):
            taken, reasons = _sound(scenario, side, effort)
            remarks += [f"{scenario.name}, a run of {side.name} thrown away: {reason}" for reason in reasons]
            rounds.taken(figures, scenario.name, side.name, f"{number + 1}/{count}", taken)
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


def _rows(scenario: Scenario, figures: rounds.Figures, *, judged: bool) -> list[report.Row]:
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


def _circumstances(count: int, effort: Effort) -> str:
    return f"{report.circumstances(count)} of {effort.seconds:g} s"
