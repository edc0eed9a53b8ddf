"""The other members of a group that has none."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from nacosx.engine.ports import ForwardReply
from nacosx.raft.messages import Message


class Alone:
    """`engine.ports.Peers` of a stand-alone server."""

    __slots__ = ()

    def send(self, to: str, group: str, message: Message) -> None:
        """Lost."""

    async def fetch(self, source: str, group: str, index: int, offset: int, size: int) -> bytes:
        raise OSError(errno.EHOSTUNREACH, f"there is no member {source!r}")

    async def forward(self, to: str, group: str, proposals: Sequence[bytes]) -> Sequence[ForwardReply]:
        raise OSError(errno.EHOSTUNREACH, f"there is no member {to!r}")


ALONE = Alone()
