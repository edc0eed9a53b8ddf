"""`python -m bench raft`: our members beside SOFAJRaft and etcd, in rounds, and the report. It wants the machine for itself."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import cast

import msgspec

from bench import report, rounds
from bench.driver import DriverError
from bench.raft.bars import BARS
from bench.raft.etcd import Etcd
from bench.raft.members import Members
from bench.raft.scenario import QUICK, SCENARIOS, Effort, Scenario, Side
from bench.raft.sofajraft import SofaJRaft
from bench.serve.closed_loop import AnswerError, LineError

OURS = Members.name
SIDES: tuple[type[Members] | type[SofaJRaft] | type[Etcd], ...] = (Members, SofaJRaft, Etcd)

RETRIED_S = 4.0  # after a load that met an election
THROWN_AWAY_MAX = 2  # runs of a side in one measurement

ROUNDS = 5


def main(arguments: Sequence[str]) -> int:
    """Measure what the arguments name. 0: every bar holds; 1: one falls short; 2: nothing could be measured."""
    options = _options(arguments)
    chosen = rounds.chosen(SCENARIOS, options.only)
    if not chosen:
        return 2
    effort = msgspec.structs.replace(QUICK if options.quick else Effort(), data=options.data)
    if options.seconds is not None:
        effort = msgspec.structs.replace(effort, seconds=options.seconds)
    count = options.rounds or (1 if options.quick else ROUNDS)
    remarks = [report.circumstances(count)]
    rows: list[report.Row] = []
    try:
        with ExitStack() as opened:
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="nacosx-bench-", dir=effort.data)))
            sides = {
                side.name: cast(Side, opened.enter_context(closing(side(folder))))
                for side in SIDES
                if side.name == OURS or not options.without_rival
            }
            for scenario in chosen:
                figures = _side_by_side(scenario, sides, count, effort, remarks)
                rows += rounds.rows(
                    scenario.name, scenario.units, figures, ours=OURS, bars={} if options.quick else BARS
                )
    except (DriverError, LineError, AnswerError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.quick:
        remarks.append(rounds.QUICK_REMARK)
    return report.publish(rows, json_path=options.json, remarks=remarks)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = rounds.parser("raft", __doc__, rounds=ROUNDS)
    parser.add_argument("--seconds", type=float, help="of load in a round (3)")
    parser.add_argument("--without-rival", action="store_true", help="measure nacosx alone")
    return parser.parse_args(arguments)


def _side_by_side(
    scenario: Scenario, sides: dict[str, Side], count: int, effort: Effort, remarks: list[str]
) -> rounds.Figures:
    """Every side that can, once a round, the order turned round each time: a slow spell of the machine meets all."""
    able = {name: side for name, side in sides.items() if scenario.needs in side.able}
    figures: rounds.Figures = {name: {} for name in able}
    if scenario.needs != "fail_over":
        for side in able.values():
            for _ in range(effort.warm_ups):
                scenario.measure(side, effort)
    for number in range(count):
        for name in able if number % 2 == 0 else reversed(able):
            with alone(able[name], sides.values(), effort.resumed_s):
                taken = _sound(scenario, name, able[name], effort, remarks)
            rounds.taken(figures, scenario.name, name, f"{number + 1}/{count}", taken)
    return figures


def _sound(scenario: Scenario, name: str, side: Side, effort: Effort, remarks: list[str]) -> dict[str, float]:
    """One round that counts: whoever stood still may elect once more, and a load does not survive that."""
    for _ in range(THROWN_AWAY_MAX):
        try:
            return scenario.measure(side, effort)
        except (DriverError, AnswerError) as error:
            remarks.append(f"{scenario.name}, a run of {name} thrown away: {error}")
            time.sleep(RETRIED_S)
    return scenario.measure(side, effort)


@contextmanager
def alone(side: Side, sides: Iterable[Side], resumed_s: float) -> Iterator[None]:
    """The other sides stand still: a resting SOFAJRaft takes a tenth of a core, and each wakes often."""
    others = [pid for other in sides if other is not side for pid in other.pids] if resumed_s else []
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)
        if others:
            time.sleep(resumed_s)
