"""The report says which bars hold, and its exit status is what CI believes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.report import Bar, Row, number, publish, row, table
from bench.serve.bars import BARS
from bench.serve.command import SCENARIOS

TWICE = Bar("half of it", ratio=0.5)
AT_MOST = Bar("at most 20 ms", limit=20)
AT_LEAST = Bar("one and a half times it", least_ratio=1.5)


def line(bar: Bar | None, ours: float | None, rival: float | None) -> Row:
    bars = {("start", "time"): bar} if bar else {}
    return row("start", "time", "ms", ours=ours, rival=rival, rival_name="other", bars=bars)


@pytest.mark.parametrize(
    ("bar", "ours", "rival", "holds"),
    [
        (TWICE, 5, 10, True),
        (TWICE, 5.1, 10, False),
        (TWICE, 5, None, None),
        (TWICE, None, 10, None),
        (AT_MOST, 20, None, True),
        (AT_MOST, 20.5, 100, False),
        (AT_LEAST, 15, 10, True),
        (AT_LEAST, 14.9, 10, False),
        (AT_LEAST, 15, None, None),
        (None, 5, 10, None),
    ],
)
def test_a_bar_compares_with_its_limit_or_with_the_rival(
    bar: Bar | None, ours: float | None, rival: float | None, holds: bool | None
) -> None:
    """A bar that lacks the number it compares with neither holds nor falls short."""
    assert line(bar, ours, rival).holds is holds


def test_one_short_bar_is_exit_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The status is 1 as soon as one bar falls short, and the JSON has every row with exactly the promised members."""
    path = tmp_path / "rows.json"
    assert publish([line(TWICE, 1, 10), line(None, 1, None)], json_path=path, remarks=["noisy"]) == 0
    assert publish([line(TWICE, 1, 10), line(TWICE, 9, 10)], json_path=path) == 1
    said = capsys.readouterr().out
    assert "* noisy" in said
    assert "1 of 2 bars hold" in said
    assert "falls short: start, time: 9.00 ms, bar half of it" in said
    assert msgspec.json.decode(path.read_bytes())[1] == {
        "scenario": "start",
        "metric": "time",
        "unit": "ms",
        "ours": 9,
        "rival": 10,
        "rival_name": "other",
        "ratio": 0.9,
        "bar": "half of it",
        "holds": False,
    }


def test_the_table_names_a_scenario_once() -> None:
    """People read a block of lines under one name, with numbers of three digits."""
    lines = table([line(TWICE, 1, 10), line(AT_MOST, 1234.5, None)]).splitlines()
    assert [text.split()[0] for text in lines] == ["scenario", "start", "time"]
    assert lines[1].split() == ["start", "time", "ms", "1.00", "10.0", "0.10", "half", "of", "it", "yes"]
    assert "1,234" in lines[2]
    assert lines[2].endswith("NO")
    assert number(None) == ""


def test_every_bar_belongs_to_a_metric_of_a_scenario() -> None:
    """A bar with a misspelt name would never be judged."""
    metrics = {(scenario.name, metric) for scenario in SCENARIOS for metric in scenario.units}
    assert metrics >= BARS.keys()
    assert len(BARS) == 18


def test_where_there_are_several_rivals_each_row_names_its_own() -> None:
    rows = [row("ring", "yield", "M/s", ours=2, rival=1, rival_name=name, bars={}) for name in ("old", "new")]
    head, first, second = table(rows).splitlines()
    assert head.split() == ["scenario", "metric", "unit", "nacosx", "rival", "ratio", "bar", "holds"]
    assert first.split() == ["ring", "yield", "M/s", "2.00", "1.00", "old", "2.00"]
    assert second.split() == ["yield", "M/s", "2.00", "1.00", "new", "2.00"]
