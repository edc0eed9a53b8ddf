"""Calls that were read at once and wait for writes are answered together, each with what became of its own write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from nacosx._core.grpc_call import UNAVAILABLE
from nacosx._core.http2 import Session
from nacosx._core.payload import decode
from nacosx.api.later import Later
from nacosx.errors import PARAMETER_INVALID, NacosError
from nacosx.wire.grpc import Served
from nacosx.wire.grpc_writes import STOPPING, Writes

SERVED = Served(bytes, lambda *_: b"", "WriteResponse", False)
OK = b'{"resultCode":200}'


class Answers:
    """A session that keeps what it is told, by stream."""

    def __init__(self) -> None:
        self.told: dict[int, object] = {}

    def respond(self, stream_id: int, head: bytes, body: bytes) -> bool:
        type_name, _, _, read = decode((head + body)[5:])
        self.told[stream_id] = (type_name, read)
        return True

    def end(self, stream_id: int, status: int, message: str) -> None:
        self.told[stream_id] = (status, message)

    def refuse(self, stream_id: int, type_name: str, error: BaseException) -> None:
        self.told[stream_id] = (type_name, error)

    def of(self, writes: Writes) -> Writes | None:
        return writes.answer(cast(Session, self), self.refuse)


def run(story: Callable[[asyncio.AbstractEventLoop], None]) -> None:
    loop = asyncio.new_event_loop()
    try:
        story(loop)
    finally:
        loop.close()


def gather(loop: asyncio.AbstractEventLoop, count: int) -> tuple[Writes, list[asyncio.Future[Any]]]:
    writes = Writes("WriteRequest", SERVED)
    futures = [loop.create_future() for _ in range(count)]
    writes.calls += [(2 * number + 1, Later(future, OK)) for number, future in enumerate(futures)]
    return writes, futures


def test_each_call_hears_of_its_own_write() -> None:
    def story(loop: asyncio.AbstractEventLoop) -> None:
        writes, futures = gather(loop, 5)
        refusal, failure = NacosError(PARAMETER_INVALID, "too long"), ZeroDivisionError()
        writes.calls[4] = (9, Later(futures[4], OK, lambda error: error.detail.encode()))
        assert writes.last is futures[4]
        futures[0].set_result(1)
        futures[1].set_exception(refusal)
        futures[2].set_exception(failure)
        futures[3].cancel()
        futures[4].set_exception(refusal)
        answers = Answers()
        assert answers.of(writes) is None
        assert answers.told == {
            1: ("WriteResponse", OK),
            3: ("WriteRequest", refusal),
            5: ("WriteRequest", failure),
            7: (UNAVAILABLE, STOPPING),
            9: ("WriteResponse", b"too long"),
        }

    run(story)


def test_each_call_gets_its_own_answer() -> None:
    def story(loop: asyncio.AbstractEventLoop) -> None:
        writes, futures = gather(loop, 3)
        writes.calls[1] = (3, Later(futures[1], b'{"resultCode":200,"content":"longer"}'))
        for future in futures:
            future.set_result(None)
        answers = Answers()
        assert answers.of(writes) is None
        assert [body for _, body in cast("dict[int, tuple[str, bytes]]", answers.told).values()] == [
            reply.answer for _, reply in writes.calls
        ]

    run(story)


def test_a_write_that_is_overtaken_waits_on() -> None:
    def story(loop: asyncio.AbstractEventLoop) -> None:
        writes, futures = gather(loop, 3)
        futures[0].set_result(None)
        futures[2].set_result(None)
        answers = Answers()
        late = answers.of(writes)
        assert late is not None
        assert answers.told.keys() == {1, 5}
        assert late.calls == writes.calls[1:2]
        late.cancel()
        assert futures[1].cancelled()
        assert answers.of(late) is None
        assert answers.told[3] == (UNAVAILABLE, STOPPING)

    run(story)
