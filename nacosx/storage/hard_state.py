"""The hard state of a member on disk: its term and its vote. Written beside, fsynced, renamed.

::

    <directory>/hard_state    magic 8 │ crc32c u32 of the rest │ term u64 │ vote, UTF-8          little endian

SOFAJRaft keeps the same in its RaftMetaStorage (`raft_meta`).
"""

from __future__ import annotations

import os
from pathlib import Path

from nacosx._core.entry import crc32c
from nacosx.raft.ready import HardState
from nacosx.storage.snapshots import sync_directory

MAGIC = b"NACOSXHS"
HEADER_BYTES = len(MAGIC) + 4
FILE_BYTES_MAX = HEADER_BYTES + 8 + 255  # limit: the id of a member is at most 255 bytes


class HardStateFile:
    """`engine.ports.HardStates` in a directory, which it creates."""

    __slots__ = ("_path",)

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._path = Path(directory) / "hard_state"
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def load(self) -> HardState:
        try:
            with self._path.open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
        except FileNotFoundError:
            return HardState()
        body = content[HEADER_BYTES:]
        intact = content[: len(MAGIC)] == MAGIC and 8 <= len(body) <= FILE_BYTES_MAX - HEADER_BYTES
        if not intact or crc32c(body).to_bytes(4, "little") != content[len(MAGIC) : HEADER_BYTES]:
            # Whoever forgot its vote may vote twice in one term: better not to start.
            raise ValueError(f"{self._path} is damaged: this member does not know any more whom it has voted for")
        return HardState(int.from_bytes(body[:8], "little"), body[8:].decode())

    def save(self, state: HardState) -> None:
        body = state.term.to_bytes(8, "little") + state.vote.encode()
        draft = self._path.with_suffix(".tmp")
        try:
            with draft.open("wb") as file:
                file.write(MAGIC + crc32c(body).to_bytes(4, "little") + body)
                file.flush()
                os.fsync(file.fileno())  # io
            draft.rename(self._path)
            sync_directory(self._path.parent)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
