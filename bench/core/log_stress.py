"""`python -m bench.core.log_stress --operations 1e5`: logs that share a disk thread, each written from a thread of its own.

Every owner appends, cuts both ends, begins anew, reads and lets the disk fail, all at random; one more thread looks into every
log meanwhile. What the log answers is held against a list of what was told to be on disk; at the end each log is opened again.
AssertionError: something differed. `ci/race` runs this under ThreadSanitizer.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import faulthandler
import os
import random
import select
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from nacosx._core.disk import Faults
from nacosx._core.disk_thread import DiskThread
from nacosx._core.wal import Wal

LOGS = 3
WAITING_MAX = 400  # operations of one log
SEGMENT_BYTES = 256 << 10

Change = tuple[int, list[bytes]]  # entries up to this index stay, these follow


class Owner:
    """Writes one log. `stored`: the data of the entries on disk, the first of them `first_index`."""

    def __init__(self, directory: Path, disk: DiskThread, seed: int, operations: int) -> None:
        self.directory = directory
        self.disk = disk
        self.faults = Faults()
        self.log = self._open()
        self.random = random.Random(seed)
        self.operations = operations
        self.first_index = 1
        self.stored: list[bytes] = []
        self.waiting: deque[Change] = deque()
        self.failures = 0

    def _open(self) -> Wal:
        return Wal(str(self.directory), segment_bytes=SEGMENT_BYTES, disk=self.disk, faults=self.faults)

    def run(self) -> None:
        for _ in range(self.operations):
            chance = self.random.random()
            if chance < 0.9:
                self._append()
            elif chance < 0.95:
                self._truncate_suffix()
            elif chance < 0.96:
                self.faults.fail(self.random.choice(("sync", "write")), errno.EIO, times=1, written=100)
            elif chance < 0.99:
                self._settle()
                self._read()
                self._truncate_prefix()
            elif self.random.random() < 0.1:
                self._settle()
                self._reset()
            while len(self.waiting) >= WAITING_MAX:
                self._hear()
        self._settle()
        self.faults.heal()
        self.log.close()
        self._reopen()

    def _append(self) -> None:
        data = [os.urandom(self.random.randrange(600)) for _ in range(self.random.randint(1, 4))]
        last_index = self.log.append(data, term=1)
        self.waiting.append((last_index - len(data), data))

    def _truncate_suffix(self) -> None:
        with contextlib.suppress(ValueError):  # a failure has taken that entry away meanwhile
            kept = max(self.log.last_index - self.random.randrange(5), self.first_index - 1)
            self.log.truncate_suffix(kept)
            self.waiting.append((kept, []))

    def _hear(self) -> None:
        select.select([self.log], [], [])
        for count, error in self.log.completed():
            for _ in range(count):
                kept, data = self.waiting.popleft()
                self.failures += error != 0
                if not error:
                    assert self.first_index - 1 <= kept < self.first_index + len(self.stored), "it does not follow"
                    self.stored[kept + 1 - self.first_index :] = data

    def _settle(self) -> None:
        while self.waiting:
            self._hear()
        assert self.log.last_index == self.log.durable_index == self.first_index + len(self.stored) - 1

    def _read(self) -> None:
        if self.stored:
            position = self.random.randrange(len(self.stored))
            entries = self.log.read(self.first_index + position, bytes_max=5000)
            assert [entry.data for entry in entries] == self.stored[position : position + len(entries)]

    def _truncate_prefix(self) -> None:
        gone = self.random.randrange(len(self.stored) + 1) // 2
        self.first_index += gone
        del self.stored[:gone]
        self.log.truncate_prefix(self.first_index)

    def _reset(self) -> None:
        next_index = self.log.last_index + self.random.randint(1, 1000)
        with contextlib.suppress(OSError):
            self.log.reset(next_index)
            self.first_index = next_index
            self.stored = []

    def _reopen(self) -> None:
        with contextlib.closing(self._open()) as log:
            found = log.read(log.first_index, bytes_max=1 << 40)
            kept = [entry.data for entry in found if entry.index >= self.first_index]
            assert kept == self.stored, "another log was opened than was closed"


def look(owners: Sequence[Owner], done: threading.Event) -> None:
    while not done.is_set():
        for owner in owners:
            log = owner.log
            index = log.durable_index
            log.term(index)
            log.get(index)
            log.configurations()


def run(operations: int, seed: int) -> list[Owner]:
    """AssertionError when a log tells something else than its owner was told."""
    done = threading.Event()
    disk = DiskThread()
    with tempfile.TemporaryDirectory(prefix="nacosx-stress-") as folder, ThreadPoolExecutor(LOGS + 1) as threads:
        owners = [Owner(Path(folder) / f"{n}", disk, seed + n, operations // LOGS) for n in range(LOGS)]
        looking = threads.submit(look, owners, done)
        running = [threads.submit(owner.run) for owner in owners]
        wait(running)
        done.set()
        for future in (looking, *running):
            future.result()
    return owners


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.core.log_stress", description=__doc__)
    parser.add_argument("--operations", type=float, default=1e5, help="in all (1e5)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds-max", type=float, default=1800, help="longer is a hang (1800)")
    options = parser.parse_args(arguments)
    faulthandler.dump_traceback_later(options.seconds_max, exit=True)
    owners = run(int(options.operations), options.seed)
    faulthandler.cancel_dump_traceback_later()
    print(f"{int(options.operations):,} operations on {LOGS} logs, {sum(owner.failures for owner in owners):,} refused")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
