"""What every command shares that measures sides in rounds: its options, the choice of scenarios, the figures, their rows."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from bench import report

QUICK_REMARK = "quick: everything is small, the figures mean nothing, no bar is judged"

Figures = dict[str, dict[str, list[float]]]  # side → metric → one figure for each round


class Named(Protocol):
    @property
    def name(self) -> str: ...


S = TypeVar("S", bound=Named)


def parser(command: str, description: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """With the options that all have; `rounds` is how many there are unless it is said."""
    made = argparse.ArgumentParser(prog=f"python -m bench {command}", description=description)
    made.add_argument(
        "--only", action="append", metavar="SCENARIO", help="those whose name contains this; may be repeated"
    )
    made.add_argument("--rounds", type=int, help=f"rounds of which the median counts ({rounds})")
    made.add_argument("--quick", action="store_true", help="a smoke test: one tiny round, no bar is judged")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    made.add_argument("--data", type=Path, metavar="DIR", help="make files there, on a real disk")
    return made


def chosen(scenarios: Sequence[S], only: Sequence[str] | None) -> list[S]:
    """Those that `--only` names; none, and a word about it, where it names none."""
    found = [scenario for scenario in scenarios if any(name in scenario.name for name in only or [""])]
    if not found:
        print(f"no such scenario; there are: {', '.join(scenario.name for scenario in scenarios)}", file=sys.stderr)
    return found


def taken(figures: Figures, scenario: str, side: str, round_: str, values: Mapping[str, float]) -> None:
    """Notes what one side gave in one round, and shows it to whoever waits."""
    for metric, figure in values.items():
        figures[side].setdefault(metric, []).append(figure)
    shown = ", ".join(f"{metric} {report.number(figure)}" for metric, figure in values.items())
    print(f"{scenario} | {side} | {round_} | {shown}", file=sys.stderr, flush=True)


def rows(
    scenario: str,
    units: Mapping[str, str],
    figures: Figures,
    *,
    ours: str,
    bars: Mapping[tuple[str, str, str | None], report.Bar],
) -> list[report.Row]:
    """A row for each metric and each rival that took it; ours alone where none did. `bars`: by scenario, metric, rival."""
    found: list[report.Row] = []
    for metric, unit in units.items():
        rivals: list[str | None] = [side for side in figures if side != ours and metric in figures[side]]
        for rival in rivals or [None]:
            bar = bars.get((scenario, metric, rival))
            found.append(
                report.row(
                    scenario,
                    metric,
                    unit,
                    ours=statistics.median(figures[ours][metric]),
                    rival=statistics.median(figures[rival][metric]) if rival else None,
                    rival_name=rival,
                    bars={(scenario, metric): bar} if bar else {},
                )
            )
    return found
