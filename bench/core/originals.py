"""The Java originals of the core: the Disruptor, SOFAJRaft, Netty and RocksDB. `Originals.java` tells its commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.java import Original

SOURCES = Path(__file__).parent / "java"

DISRUPTORS = ("3.4.4", "4.0.0")  # 3.4 is what SOFAJRaft and Nacos ship, 4.0 the newest
PARALLEL = "ParallelGC"  # the process whose JVM has this collector instead of its default, G1


@contextmanager
def originals() -> Iterator[dict[str, Original]]:
    """One process for each version of the Disruptor, by that version, and the one named `PARALLEL`. Raises DriverError."""
    started: dict[str, Original] = {}
    try:
        for version in DISRUPTORS:
            started[version] = _original(version)
        started[PARALLEL] = _original(DISRUPTORS[0], "-XX:+UseParallelGC")
        yield started
    finally:
        for original in started.values():
            original.close()


def _original(disruptor: str, *java_options: str) -> Original:
    return Original(SOURCES, "Originals", properties={"disruptor.version": disruptor}, java_options=java_options)
