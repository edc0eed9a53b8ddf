"""The one form every benchmark reports in, the bars it is held to, and the exit status they give.

A benchmark makes `Row`s, hands them to `publish`, and returns what that returns as its exit status.

`--json` writes a list of `{scenario, metric, unit, ours, rival, rival_name, ratio, bar, holds}`; `rival`, `ratio`,
`bar` and `holds` are null where nothing was compared or promised. `bar` is the promise in its issue's words.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec


class Bar(msgspec.Struct, frozen=True):
    """A promise: at most `limit`, in the row's unit, or at most `ratio` times the rival, or `least_ratio` times it at least.

    One of the three is set.
    """

    words: str
    limit: float | None = None
    ratio: float | None = None
    least_ratio: float | None = None

    def holds(self, ours: float | None, rival: float | None) -> bool | None:
        """None where the number that the promise compares with was not taken."""
        if ours is None:
            return None
        if self.limit is not None:
            return ours <= self.limit
        if rival is None:
            return None
        if self.least_ratio is not None:
            return ours >= self.least_ratio * rival
        return None if self.ratio is None else ours <= self.ratio * rival


class Row(msgspec.Struct, frozen=True):
    scenario: str
    metric: str
    unit: str
    ours: float | None
    rival: float | None
    rival_name: str | None
    ratio: float | None  # ours / rival
    bar: str | None
    holds: bool | None


def row(
    scenario: str,
    metric: str,
    unit: str,
    *,
    ours: float | None,
    rival: float | None = None,
    rival_name: str | None = None,
    bars: Mapping[tuple[str, str], Bar],
) -> Row:
    """One line of the report; its bar is `bars[scenario, metric]`, if there is one."""
    bar = bars.get((scenario, metric))
    return Row(
        scenario=scenario,
        metric=metric,
        unit=unit,
        ours=ours,
        rival=rival,
        rival_name=rival_name,
        ratio=ours / rival if ours is not None and rival else None,
        bar=bar.words if bar else None,
        holds=bar.holds(ours, rival) if bar else None,
    )


def circumstances(rounds: int) -> str:
    """What a figure cannot be understood without."""
    git = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
    return (
        f"commit {git.stdout.strip() or 'unknown'}, Python {platform.python_version()}, Linux {platform.release()}, "
        f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f} before; medians of {rounds} rounds"
    )


def publish(rows: Sequence[Row], *, json_path: Path | None, remarks: Iterable[str] = ()) -> int:
    """Print the table, write the JSON, and return the exit status: 1 when a bar falls short."""
    print(table(rows))
    for remark in remarks:
        print(f"* {remark}")
    short = [each for each in rows if each.holds is False]
    judged = sum(each.holds is not None for each in rows)
    print(f"{judged - len(short)} of {judged} bars hold")
    for each in short:
        print(f"falls short: {each.scenario}, {each.metric}: {number(each.ours)} {each.unit}, bar {each.bar}")
    if json_path is not None:
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")
    return 1 if short else 0


def table(rows: Sequence[Row]) -> str:
    """The rows for people: a scenario is named on its first line only, numbers stand under each other.

    One rival is named at the head of its column; where there are several, each row names its own.
    """
    rivals = sorted({each.rival_name for each in rows if each.rival_name})
    lines = [
        ["scenario", "metric", "unit", "nacosx", rivals[0] if len(rivals) == 1 else "rival", "ratio", "bar", "holds"]
    ]
    before = ""
    for each in rows:
        lines.append(
            [
                "" if each.scenario == before else each.scenario,
                each.metric,
                each.unit,
                number(each.ours),
                number(each.rival) + (f" {each.rival_name}" if each.rival_name and len(rivals) > 1 else ""),
                f"{each.ratio:.2f}" if each.ratio is not None else "",
                each.bar or "",
                {True: "yes", False: "NO", None: ""}[each.holds],
            ]
        )
        before = each.scenario
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    numeric = {3, 4, 5}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in numeric else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def number(value: float | None) -> str:
    """Three significant digits are all that a measurement on a shared machine is worth."""
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
