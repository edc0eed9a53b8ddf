"""How a group comes back from disk: its newest snapshot, and a log that continues it."""

from __future__ import annotations

import logging

import msgspec

from nacosx._core.entry import Configuration
from nacosx.engine.ports import LogStorage, Snapshot, Snapshots, StateMachine

log = logging.getLogger(__name__)


class RecoveryError(Exception):
    """What is on disk is not one consistent state; the text tells the operator what is missing."""


class Restored(msgspec.Struct, frozen=True):
    """The machine holds the state at `index`, and the log continues it."""

    index: int = 0
    term: int = 0
    configuration: Configuration | None = None
    digest: int = 0
    rooms_bytes: int = 0
    size: int = 0  # of the snapshot, as it travels


def restore(machine: StateMachine, entries: LogStorage, snapshots: Snapshots) -> Restored:
    """RecoveryError, OSError."""
    snapshot = _choose(machine, entries, snapshots)
    if snapshot is None:
        machine.recovered(0, entries.last_index)
        return Restored()
    index = snapshot.index
    try:
        machine.restore(index, snapshot.rooms)
    except (ValueError, KeyError) as error:
        raise RecoveryError(f"the snapshot at entry {index} is not one this version can read: {error!r}") from error
    machine.recovered(index, entries.last_index)
    if index > entries.last_index:
        log.info("the log ends at %d, before the snapshot at %d: it begins anew", entries.last_index, index)
        entries.reset(index + 1)
    elif index >= entries.first_index and entries.term(index) != snapshot.term:
        # Another member's snapshot was installed, and the process ended before the log knew.
        log.info("the log is not that of the snapshot at %d: it begins anew", index)
        entries.reset(index + 1)
    rooms_bytes = sum(map(len, snapshot.rooms.values()))
    return Restored(index, snapshot.term, snapshot.configuration, snapshot.digest, rooms_bytes, snapshots.size(index))


def _choose(machine: StateMachine, entries: LogStorage, snapshots: Snapshots) -> Snapshot | None:
    """The newest snapshot that the log continues; an older one when a projection has yet to catch up from there."""
    chosen: Snapshot | None = None
    for snapshot in snapshots.load():
        if snapshot.index + 1 < entries.first_index:
            break
        chosen = snapshot
        if not machine.behind(snapshot.index):
            break
    if chosen is None and entries.first_index > 1:
        raise RecoveryError(
            f"the log begins at entry {entries.first_index} and there is no intact snapshot of the state before it"
        )
    return chosen
