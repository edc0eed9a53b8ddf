"""A connection this member makes to another one: dial, handshake, calls, and again when it breaks.

Only the address is known at first; who answers there is learned by the handshake. Messages gather for one turn of the loop and
leave in one call. Nothing here is sure to arrive: what cannot be sent soon is dropped, and the rules of Raft send it again.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import capnp

from nacosx._core.capnp_call import FIRST_QUESTION, call
from nacosx._core.entry import Configuration, CorruptEntryError
from nacosx._core.wheel import Timeout
from nacosx.engine.ports import ForwardReply, PeerService, Standing
from nacosx.engine.ticker import Ticker
from nacosx.raft.messages import AppendEntries, Heartbeat
from nacosx.wire.peers_door import WORDS_MAX, read_greeting, write_greeting
from nacosx.wire.peers_messages import NODE, SCHEMA, Letter, Row, read, rows
from nacosx.wire.peers_proof import CLIENT, SERVER, Greeting, RefusedError, check, proof, verify
from nacosx.wire.peers_stream import Stream

log = logging.getLogger(__name__)

Result = TypeVar("Result")

CONNECT_MS_MAX = 2_000
HANDSHAKE_MS_MAX = 3_000
CALL_MS_MAX = 3_000  # a call without an answer for so long: the other side hangs, or the way to it is cut
# Between two attempts to connect; a random part, so that members do not dial in step.
RECONNECT_MS_MIN = 20
RECONNECT_MS_MAX = 1_000

# What nobody waits for leaves with the next message, or after this: where entries follow each other, the commit index travels
# with the next one instead of in a call of its own.
LINGER_MS = 2

CALL_BYTES_MAX = 1 << 20  # one call is closed when it holds this; one message may be larger
UNANSWERED_BYTES_MAX = 16 << 20  # limit: of calls under way; more wait
QUEUED_BYTES_MAX = 32 << 20  # limit: of messages that wait; more appends and heartbeats are dropped
QUEUED_MAX = 16_384  # limit: of messages that wait
VAIN_ATTEMPTS = 20  # take about 15 s

QUESTIONS = FIRST_QUESTION - 1  # calls are numbered with these bits

OFFLINE_MAX = 64  # limit: of messages kept while there is no connection, the newest


class Owner(Protocol):
    """What a link needs to know of the house."""

    service: PeerService
    secret: bytes
    ticker: Ticker
    tls: ssl.SSLContext | None
    local_address: tuple[str, int] | None

    def greeting(self) -> Greeting: ...

    def random_below(self, bound: int) -> int: ...

    def linked(self, link: Link, greeting: Greeting) -> None:
        """RefusedError: this connection is not wanted. Then the link may have been ended."""

    def unlinked(self, link: Link) -> None: ...

    def in_vain(self, link: Link) -> None:
        """So many attempts failed that the link may be ended."""


class Link:
    """To one address. `member` is who answered there; its id stays known while the link is down."""

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop, address: str) -> None:
        self.address = address
        self.member = ""
        self.announced = ""  # where it says that it listens
        self._owner = owner
        self._loop = loop
        self._node: Any = None  # while connected
        self._target = 0  # the same, for calls that pycapnp does not make
        self._stream: Stream | None = None
        self._ended: asyncio.Future[None] | None = None  # of this connection
        self._pause: asyncio.Future[None] | None = None  # between two attempts
        self._attempts = 0  # since it was last connected
        self._task: asyncio.Task[None] | None = None
        # Messages that wait, those of this turn of the loop included.
        self._queue: deque[Letter] = deque()
        self._queued_bytes = 0
        self._flushing = False
        self._lingering: Timeout | None = None  # until what can wait leaves by itself
        # Calls without an answer: when they were made, and their bytes. Answers come in order, nearly.
        self._calls: dict[int, tuple[int, int]] = {}
        self._question = FIRST_QUESTION  # the number of the last one
        self._unanswered_bytes = 0
        self._deadline: Timeout | None = None
        self.dropped = 0  # messages, ever

    @property
    def connected(self) -> bool:
        return self._node is not None

    @property
    def _full(self) -> bool:
        return self._queued_bytes >= QUEUED_BYTES_MAX or len(self._queue) >= QUEUED_MAX

    def start(self) -> None:
        self._task = self._loop.create_task(self._run())

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def nudge(self) -> None:
        """There is reason to believe that somebody answers there now."""
        self._attempts = 0
        self._end_pause()

    def _end_pause(self, _: object = None) -> None:
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)

    # --- messages ----------------------------------------------------------------------------------------------------

    def send(self, letter: Letter) -> None:
        queue = self._queue
        if self._node is None:
            if letter.entries:  # it would be old, and will be sent again
                self.dropped += 1
                return
            if len(queue) >= OFFLINE_MAX:
                self._queued_bytes -= queue.popleft().size
                self.dropped += 1
        elif self._full and type(letter.message) in (AppendEntries, Heartbeat):
            self.dropped += 1
            return
        if queue and letter.says_more_than(queue[-1]):
            self._queued_bytes -= queue.pop().size
        queue.append(letter)
        self._queued_bytes += letter.size
        if self._flushing or self._node is None:
            return
        if letter.can_wait:
            if self._lingering is None:
                self._lingering = self._owner.ticker.schedule(LINGER_MS, self._flush)
        else:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self, _: object = None) -> None:
        self._flushing = False
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        while self._queue and self._node is not None and self._unanswered_bytes < UNANSWERED_BYTES_MAX:
            letters = [self._queue.popleft()]
            size = letters[0].size
            while self._queue and size + self._queue[0].size <= CALL_BYTES_MAX:
                letter = self._queue.popleft()
                letters.append(letter)
                size += letter.size
            self._queued_bytes -= size
            self._deliver(letters, size)

    def _deliver(self, letters: Sequence[Letter], size: int) -> None:
        stream = self._stream
        assert stream is not None, "there is a node and no connection to it"
        self._question = question = FIRST_QUESTION | (self._question + 1) & QUESTIONS
        stream.send(call(question, self._target, NODE, rows(letters)))  # io
        self._calls[question] = self._owner.ticker.now_ms(), size
        self._unanswered_bytes += size
        if self._deadline is None:
            self._deadline = self._owner.ticker.schedule(CALL_MS_MAX, self._check_deadline)

    def _answered(self, question: int, replies: list[Row] | None) -> None:
        asked = self._calls.pop(question, None)
        if asked is None or replies is None:
            self._break(ConnectionAbortedError("the other side answers what it was not asked, or could not take it"))
            return
        self._unanswered_bytes -= asked[1]
        service, member = self._owner.service, self.member
        try:
            for group, message in read(replies):
                service.on_message(member, group, message)
        except CorruptEntryError as error:
            self._break(error)
        except Exception as error:
            log.exception("a reply of %s could not be taken", member)
            self._break(error)
        if self._queue and not self._flushing:
            self._flush()

    def _check_deadline(self, _: object) -> None:
        self._deadline = None
        if not self._calls:
            return
        called_ms, _ = next(iter(self._calls.values()))
        waited_ms = self._owner.ticker.now_ms() - called_ms
        if waited_ms >= CALL_MS_MAX:
            self._break(TimeoutError(f"no answer for {waited_ms} ms"))
        else:
            self._deadline = self._owner.ticker.schedule(CALL_MS_MAX - waited_ms, self._check_deadline)

    # --- calls with an answer of their own ----------------------------------------------------------------------------

    async def fetch(self, group: str, index: int, offset: int, size: int) -> bytes:
        """OSError."""
        chunk = await self._ask(lambda node: node.fetch(group, index, offset, size))
        if chunk.which() != "data":
            raise OSError(chunk.refused)
        return bytes(chunk.data)

    async def forward(self, group: str, proposals: Sequence[bytes]) -> list[ForwardReply]:
        """OSError."""
        placed = await self._ask(lambda node: node.forward(group, list(proposals)))
        if placed.which() != "replies":
            raise OSError(placed.refused)
        return [ForwardReply(place.index, place.term, place.error, place.leader) for place in placed.replies]

    async def standing(self, group: str) -> Standing:
        """OSError."""
        told = await self._ask(lambda node: node.standing(group))
        if told.which() != "member":
            raise OSError(told.refused)
        member = told.member
        try:
            configuration = Configuration.decode(member.configuration)
        except CorruptEntryError as error:
            raise OSError(f"{self.address} answers something else: {error}") from error
        earlier = {digest.index: read_digest(digest) for digest in member.earlier}
        applied = member.applied
        return Standing(member.term, member.leader, configuration, applied.index, read_digest(applied), earlier)

    async def _ask(self, call: Callable[[Any], Awaitable[Result]]) -> Result:
        if self._node is None:
            raise OSError(f"there is no connection to {self.address}")
        return await within(self._owner.ticker, CALL_MS_MAX, self._kj(call(self._node)))

    @staticmethod
    async def _kj(awaitable: Awaitable[Result]) -> Result:
        """pycapnp's error as one of ours."""
        try:
            return await awaitable
        except capnp.KjException as error:
            raise OSError(error.description) from error

    # --- the connection -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Until it is cancelled."""
        while True:
            self._ended = self._loop.create_future()
            rpc = None
            try:
                rpc = await self._connect()
                await self._ended
            except OSError as error:
                log.log(
                    logging.WARNING if isinstance(error, (RefusedError, ssl.SSLError)) else logging.DEBUG,
                    "no connection to %s: %s", self.address, error,
                )  # fmt: skip
            finally:
                self._disconnected(rpc)
            if self._attempts and self._attempts % VAIN_ATTEMPTS == 0:
                self._owner.in_vain(self)
            await self._wait()

    async def _connect(self) -> Any:
        """The RPC system, once the other side has shown who it is. OSError."""
        owner = self._owner
        host, _, port = self.address.rpartition(":")
        _, stream = await within(
            owner.ticker,
            CONNECT_MS_MAX,
            self._loop.create_connection(
                lambda: Stream(lambda _: None, self._closed, admitted=True),
                host.strip("[]"),
                int(port),
                ssl=owner.tls,
                local_addr=owner.local_address,
            ),
        )
        self._stream = stream
        rpc = capnp.TwoPartyClient(stream.kj, traversal_limit_in_words=WORDS_MAX)
        try:
            node, target, greeting = await within(
                owner.ticker, HANDSHAKE_MS_MAX, self._kj(self._handshake(rpc, stream))
            )
            if greeting.member != self.member:
                self._forget_queue()  # it was meant for somebody else
                self.member = greeting.member
            owner.linked(self, greeting)
            self.announced = greeting.address
        except BaseException:
            rpc.close()
            raise
        self._attempts = 0
        stream.answered = self._answered
        self._target = target
        self._node = node
        self._flush()
        return rpc

    async def _handshake(self, rpc: Any, stream: Stream) -> tuple[Any, int, Greeting]:
        """The node, also as a target for calls that pycapnp does not make, and who answers there."""
        door = rpc.bootstrap().cast_as(SCHEMA.Door)
        client = self._owner.greeting()
        hello = door._request("hello")
        write_greeting(hello.init("greeting"), client)
        welcome = await hello.send()
        if welcome.which() != "greeted":
            raise RefusedError(welcome.refused)
        server = read_greeting(welcome.greeted.greeting)
        check(server, client.version)
        verify(welcome.greeted.proof, self._owner.secret, SERVER, client, server)
        entrance = await door.enter(proof(self._owner.secret, CLIENT, client, server))
        if entrance.which() != "node":
            raise RefusedError(entrance.refused)
        if stream.capability < 0:
            raise RefusedError("its node is not one that can be called by a number")
        return entrance.node, stream.capability, server

    def _closed(self, stream: Stream) -> None:
        if stream is self._stream:
            self._break(ConnectionResetError("closed by the other side"))

    def _break(self, error: Exception) -> None:
        """Ends this connection; the next attempt follows."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(
                error if isinstance(error, OSError) else ConnectionAbortedError(str(error) or repr(error))
            )

    def _disconnected(self, rpc: Any) -> None:
        was_connected = self._node is not None
        self._node = None
        if rpc is not None:
            rpc.close()
        if self._stream is not None:
            self._stream.abort()
            self._stream = None
        if self._ended is not None and self._ended.done() and not self._ended.cancelled():
            self._ended.exception()  # seen, or of no interest any more
        self._calls.clear()
        self._unanswered_bytes = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        self._forget_queue()
        if was_connected:
            self._owner.unlinked(self)

    def _forget_queue(self) -> None:
        self.dropped += len(self._queue)
        self._queue.clear()
        self._queued_bytes = 0

    async def _wait(self) -> None:
        """20 ms, doubled after every failure up to 1 s, and up to half as much again by chance."""
        delay_ms = min(RECONNECT_MS_MAX, RECONNECT_MS_MIN << min(self._attempts, 16))
        delay_ms += self._owner.random_below(delay_ms // 2 + 1)
        self._attempts += 1
        self._pause = pause = self._loop.create_future()
        timeout = self._owner.ticker.schedule(delay_ms, self._end_pause)
        try:
            await pause
        finally:
            timeout.cancel()
            self._pause = None


async def within(ticker: Ticker, delay_ms: int, awaitable: Awaitable[Result]) -> Result:
    """TimeoutError (an OSError) when it takes longer; it is cancelled then."""
    task = asyncio.ensure_future(awaitable)
    late = False

    def on_deadline(_: object) -> None:
        nonlocal late
        late = True
        task.cancel()

    timeout = ticker.schedule(delay_ms, on_deadline)
    try:
        return await task
    except asyncio.CancelledError:
        if late and task.cancelled():
            raise TimeoutError(f"not within {delay_ms} ms") from None
        task.cancel()
        raise
    finally:
        timeout.cancel()


def read_digest(told: Any) -> int:
    digest: int = told.outcomes << 32 | told.data
    return digest
