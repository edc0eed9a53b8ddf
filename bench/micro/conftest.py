"""How the micro-benchmarks run: without garbage collection in between, on one core, and named in groups by file."""

from __future__ import annotations

import os

import pytest

BENCH_CORE = 1  # away from core 0, where interrupts tend to arrive


def pytest_configure(config: pytest.Config) -> None:
    config.option.benchmark_disable_gc = True
    cores = os.sched_getaffinity(0)
    if BENCH_CORE in cores:
        os.sched_setaffinity(0, {BENCH_CORE})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.benchmark(group=item.path.stem.removeprefix("test_")))
