"""The Raft groups of this process (MULTI-RAFT-GROUP): what arrives for one of them finds it by its name.

They share what is handed to each of them when it is made: the ticker, the disk thread of their logs, `Peers`. The rules align
their heartbeats to multiples of the interval, so those of all groups to one member leave in one turn, and so in one call.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator, Sequence

from nacosx.engine.ports import ForwardReply, Standing
from nacosx.engine.raft.group import RaftGroup
from nacosx.raft.messages import Message

log = logging.getLogger(__name__)


class RaftNode:
    """`engine.ports.PeerService`."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[str, RaftGroup] = {}

    def __iter__(self) -> Iterator[RaftGroup]:
        return iter(self._groups.values())

    def __getitem__(self, name: str) -> RaftGroup:
        """KeyError."""
        return self._groups[name]

    def add(self, group: RaftGroup) -> None:
        """A group that is about to start; the name of no other."""
        assert group.name not in self._groups, "two groups of one name"
        self._groups[group.name] = group

    def on_message(self, sender: str, group: str, message: Message) -> None:
        found = self._groups.get(group)
        if found is None:  # of a member that knows more groups than this one
            log.debug("%s speaks of the group %r, which is not here", sender, group)
        else:
            found.on_message(sender, message)

    def read_chunk(self, group: str, index: int, offset: int, size: int) -> bytes:
        return self._group(group).read_chunk(index, offset, size)

    def standing(self, group: str) -> Standing:
        return self._group(group).standing

    async def on_proposals(self, group: str, proposals: Sequence[bytes]) -> Sequence[ForwardReply]:
        return self._group(group).on_proposals(proposals)

    async def stop(self) -> None:
        """Stops every group, the last one first."""
        for group in reversed(self._groups.values()):
            await group.stop()

    def _group(self, name: str) -> RaftGroup:
        found = self._groups.get(name)
        if found is None:
            raise OSError(errno.ENOENT, f"the group {name!r} is not here")
        return found
