"""How the rooms come back from disk: the newest snapshot, then the entries of the log after it."""

from __future__ import annotations

import logging

import msgspec

from nacosx.config.events import Event as ConfigEvent
from nacosx.engine.ports import LogStorage, RowStore, Snapshot, Snapshots
from nacosx.engine.rooms import CONFIG_COMMANDS, Rooms, decode
from nacosx.errors import NacosError

log = logging.getLogger(__name__)

ROW_EVENTS_MAX = 512  # handed to the rows at once


class RecoveryError(Exception):
    """What is on disk is not one consistent state; the text tells the operator what is missing."""


class Recovered(msgspec.Struct, frozen=True):
    applied_index: int
    entries: int  # replayed
    entries_bytes: int
    snapshot_bytes: int


def recover(rooms: Rooms, entries: LogStorage, snapshots: Snapshots, rows: RowStore) -> Recovered:
    index, size = _restore(rooms, entries, snapshots, rows.applied_index)
    if rows.applied_index < index or rows.applied_index > max(index, entries.last_index):
        # The rows were deleted, restored from a copy, or belong to another log. History before `index` is gone with them.
        rows.rebuild(index, rooms.catalog.rows())
        rows_index = index
    else:
        rows_index = rows.applied_index
    if index > entries.last_index:
        if entries.last_index or index:
            log.info("the log ends at %d, before the snapshot at %d: it begins anew", entries.last_index, index)
            entries.reset(index + 1)
        return Recovered(index, 0, 0, size)
    return _replay(rooms, entries, rows, index, rows_index, size)


def _restore(rooms: Rooms, entries: LogStorage, snapshots: Snapshots, rows_index: int) -> tuple[int, int]:
    """Restores the newest snapshot that the log continues; an older one when the rows have yet to catch up from there."""
    chosen: Snapshot | None = None
    for snapshot in snapshots.load():
        if snapshot.index + 1 < entries.first_index:
            break
        chosen = snapshot
        if snapshot.index <= rows_index:
            break
    if chosen is None:
        if entries.first_index > 1:
            raise RecoveryError(
                f"the log begins at entry {entries.first_index} and there is no intact snapshot of the state before it"
            )
        return 0, 0
    index = chosen.index
    try:
        rooms.restore(chosen.rooms)
    except (ValueError, KeyError) as error:
        raise RecoveryError(f"the snapshot at entry {index} is not one this version can read: {error!r}") from error
    return index, sum(map(len, chosen.rooms.values()))


def _replay(
    rooms: Rooms, entries: LogStorage, rows: RowStore, snapshot_index: int, rows_index: int, snapshot_bytes: int
) -> Recovered:
    applied_index = snapshot_index
    entries_bytes = 0
    events: list[ConfigEvent] = []
    for index, data in entries.read(snapshot_index + 1):
        if index != applied_index + 1:
            raise RecoveryError(f"entry {applied_index + 1} is missing: the log continues with {index}")
        applied_index = index
        entries_bytes += len(data)
        try:
            command = decode(data)
        except msgspec.MsgspecError as error:
            raise RecoveryError(f"entry {index} is not a command this version knows: {error}") from error
        try:
            applied = rooms.apply(command)
        except NacosError:
            continue  # its proposer was told so
        except Exception:
            log.exception("applying entry %d failed: %r", index, type(command))
            continue
        if type(command) in CONFIG_COMMANDS and index > rows_index:
            events.extend(applied)
            if len(events) >= ROW_EVENTS_MAX:
                rows.write(index, events)
                events = []
    if events:
        rows.write(applied_index, events)
    return Recovered(applied_index, applied_index - snapshot_index, entries_bytes, snapshot_bytes)
