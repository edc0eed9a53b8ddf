"""A group of one in a process of its own that is going to be killed: `python -m tests.durability.engine DIRECTORY SEED`.

It prints the state it recovered as one line of JSON (data id → md5), then writes until the end: `try <data id> <md5 or ->`
before a proposal, `done <data id>` when it is acknowledged. Segments are small and snapshots frequent: kills meet both.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from hashlib import md5
from pathlib import Path
from random import Random

from nacosx._core.entry import Configuration
from nacosx.clock import SystemClock
from nacosx.config.catalog import Catalog
from nacosx.config.commands import DurableCommand, PublishConfig, RemoveConfig
from nacosx.config.model import ConfigKey
from nacosx.engine.raft.alone import ALONE
from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.raft.limits import Limits
from nacosx.engine.rooms import Rooms
from nacosx.engine.rooms_machine import RoomsMachine
from nacosx.engine.ticker import Ticker
from nacosx.namespaces import Namespaces
from nacosx.naming.registry import Registry
from nacosx.storage.hard_state import HardStateFile
from nacosx.storage.log import SegmentedLog
from nacosx.storage.rows import open_rows
from nacosx.storage.snapshots import SnapshotDirectory

WRITERS = 16
KEYS_EACH = 10
SEGMENT_BYTES = 128 << 10
SNAPSHOT_ENTRIES = 150


def say(*words: str) -> None:
    os.write(1, (" ".join(words) + "\n").encode())  # whole lines, or none: what is in the pipe survives a kill


async def write(group: RaftGroup, number: int, random: Random) -> None:
    while True:
        data_id = f"{number}-{random.randrange(KEYS_EACH)}"
        key = ConfigKey("public", "g", data_id)
        content = random.randbytes(random.choice((10, 100, 1000, 20_000))).hex().encode()
        digest = md5(content).hexdigest()
        command: DurableCommand = PublishConfig(key=key, content=content, md5=digest, now_ms=1, src_ip="127.0.0.1")
        if random.random() < 0.2:
            command, digest = RemoveConfig(key=key, now_ms=1, src_ip="127.0.0.1"), "-"
        say("try", data_id, digest)
        await group.propose(command)
        say("done", data_id)


async def main(directory: Path, seed: int) -> None:
    loop = asyncio.get_running_loop()
    clock = SystemClock()
    ticker = Ticker(loop, clock)
    catalog = Catalog()
    rows = open_rows(directory / "rows.sqlite", ticker.schedule)
    group = RaftGroup(
        "test",
        RoomsMachine(Rooms(Registry(), catalog, Namespaces()), rows, {}),
        id="a",
        configuration=Configuration(["a"]),
        log=SegmentedLog(directory / "log", loop, segment_bytes=SEGMENT_BYTES),
        hard_states=HardStateFile(directory / "raft"),
        snapshots=SnapshotDirectory(directory / "snapshots"),
        peers=ALONE,
        ticker=ticker,
        loop=loop,
        clock=clock,
        random_below=Random(seed).randrange,
        limits=Limits(snapshot_entries=SNAPSHOT_ENTRIES, snapshot_bytes=256 << 10),
    )
    group.start()
    for config in catalog.configs.values():
        assert config.md5 == md5(config.content).hexdigest()
    say(json.dumps({key.data_id: config.md5 for key, config in catalog.configs.items()}))
    await asyncio.gather(*(write(group, number, Random(seed * WRITERS + number)) for number in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
