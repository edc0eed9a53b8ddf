"""Calls of one connection that wait for the disk together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nacosx._core.grpc_call import UNAVAILABLE
from nacosx._core.http2 import Session
from nacosx._core.payload import head
from nacosx.api.later import Later
from nacosx.errors import NacosError

if TYPE_CHECKING:
    from nacosx.wire.grpc import Served

STOPPING = "the server is stopping"


class Writes:
    """Calls of one type that were read at once. Their writes go the same way, so they are settled in their order, and most
    often in one turn of the loop: only the last one is listened to, and all are answered in one go."""

    __slots__ = ("calls", "served", "type_name")

    def __init__(self, type_name: str, served: Served) -> None:
        self.type_name = type_name
        self.served = served
        self.calls: list[tuple[int, Later[bytes]]] = []  # stream id and reply

    @property
    def last(self) -> asyncio.Future[Any]:
        return self.calls[-1][1].written

    def cancel(self) -> None:
        """Nobody waits for them any more."""
        for _, reply in self.calls:
            reply.written.cancel()

    def answer(self, session: Session, refuse: Callable[[int, str, BaseException], None]) -> Writes | None:
        """The last is settled. Returns those that are not."""
        reply_type, respond = self.served.reply_type, session.respond
        late: Writes | None = None
        answer = answer_head = b""
        for call in self.calls:
            stream_id, reply = call
            try:
                error = reply.written.exception()
            except asyncio.InvalidStateError:
                late = Writes(self.type_name, self.served) if late is None else late
                late.calls.append(call)
                continue
            except asyncio.CancelledError:
                session.end(stream_id, UNAVAILABLE, STOPPING)
                continue
            if error is None:
                if reply.answer is not answer:  # many writes have the same
                    answer = reply.answer
                    answer_head = head(reply_type, len(answer))
                respond(stream_id, answer_head, answer)
            elif isinstance(error, NacosError) and reply.refused is not None:
                refusal = reply.refused(error)
                respond(stream_id, head(reply_type, len(refusal)), refusal)
            else:
                refuse(stream_id, self.type_name, error)
        return late
