"""The connections other members make to this one: the door they come in by, and the node they then may call."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Protocol

import capnp
import msgspec

from nacosx._core.capnp_call import results
from nacosx._core.wheel import Timeout
from nacosx.engine.ports import PeerService
from nacosx.engine.ticker import Ticker
from nacosx.wire.peers_messages import SCHEMA, Letter, Row, read, rows
from nacosx.wire.peers_proof import CLIENT, SERVER, Greeting, RefusedError, check, proof, verify
from nacosx.wire.peers_stream import Stream

log = logging.getLogger(__name__)

HANDSHAKE_MS_MAX = 5_000
STRANGERS_MAX = 64  # limit: connections that have not shown who they are
# Calls kept back for the replies to come. More than a few are of no use; a call that is kept back must be answered well before
# its caller gives up (`peers_link.CALL_MS_MAX`).
HELD_MAX = 4
HELD_MS_MAX = 200
WORDS_MAX = (64 << 20) // 8  # limit: what one message may take, and what may be read of it
CHUNK_BYTES_MAX = 4 << 20
REPLIES_WAITING_MAX = 4096  # limit: replies that wait for a call to ride on; the oldest go, the caller asks again


class Host(Protocol):
    """What a door needs to know of the house."""

    service: PeerService
    secret: bytes
    ticker: Ticker

    def greeting(self) -> Greeting:
        """Ours, with a new nonce."""

    def admit(self, guest: Guest, greeting: Greeting) -> None:
        """It has shown that it is who its greeting says. RefusedError when it may not enter after all."""

    def left(self, guest: Guest) -> None: ...


class Guest:
    """A connection from another member, or from somebody who has yet to show that."""

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop, stream: Stream) -> None:
        self.member = ""  # its id; empty before it has shown who it is
        self._host = host
        self._loop = loop
        self._stream = stream
        self._deliveries = Deliveries(self, host, loop, stream)
        self._rpc = capnp.TwoPartyServer(stream.kj, bootstrap=Door(host, self), traversal_limit_in_words=WORDS_MAX)
        # Of bytes that are no Cap'n Proto the RPC system says farewell, and leaves the rest to us.
        self._gone = self._rpc.on_disconnect()
        self._gone.add_done_callback(lambda _: stream.close())
        self._deadline: Timeout | None = host.ticker.schedule(HANDSHAKE_MS_MAX, self._on_deadline)

    def enter(self, greeting: Greeting) -> Any:
        self._host.admit(self, greeting)
        self.member = greeting.member
        self._stream.admitted = True
        self._stream.called = self._deliveries.called
        self._forget_deadline()
        return Node(self._host)

    def reply(self, letter: Letter) -> bool:
        """Rides on a call that is held; False when there is none."""
        return self._deliveries.reply(letter)

    def close(self) -> None:
        """The rest follows when the stream says that it ended."""
        self._stream.close()

    def closed(self) -> None:
        self._forget_deadline()
        self._gone.cancel()
        self._deliveries.close()
        self._rpc.close()
        self._host.left(self)

    def _on_deadline(self, _: object) -> None:
        self._deadline = None
        log.info("somebody connected to the port of the members and did not say who it is")
        self._stream.abort()

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Deliveries:
    """The calls of `deliver` of a guest, and the replies that ride back on them."""

    def __init__(self, guest: Guest, host: Host, loop: asyncio.AbstractEventLoop, stream: Stream) -> None:
        self._guest = guest
        self._host = host
        self._loop = loop
        self._stream = stream
        self._held: deque[int] = deque()  # calls without an answer, the oldest first
        self._replies: deque[Letter] = deque(maxlen=REPLIES_WAITING_MAX)
        self._flushing = False
        self._sweep: Timeout | None = None

    def called(self, question: int, called: list[Row]) -> None:
        service, sender = self._host.service, self._guest.member
        self._held.append(question)
        try:
            for group, message in read(called):
                service.on_message(sender, group, message)
        except Exception:
            # Garbage, or a bug of ours. Neither gets better by going on with this connection.
            log.exception("a message of %s could not be taken", sender)
            self._guest.close()
            return
        while len(self._held) > HELD_MAX:
            self._answer([])
        if self._sweep is None:
            self._sweep = self._host.ticker.schedule(HELD_MS_MAX, self._release)

    def reply(self, letter: Letter) -> bool:
        if not self._held:
            return False
        self._replies.append(letter)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        return True

    def _flush(self) -> None:
        self._flushing = False
        if self._held and self._replies:
            replies = rows(self._replies)
            self._replies.clear()
            self._answer(replies)

    def _answer(self, replies: list[Row]) -> None:
        self._stream.send(results(self._held.popleft(), replies))  # io

    def _release(self, _: object) -> None:
        """What has waited long enough is answered without a reply."""
        self._sweep = None
        self._flush()
        while self._held:
            self._answer([])

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self._held.clear()
        self._replies.clear()


class Door(SCHEMA.Door.Server):  # type: ignore[misc]
    """Lets members in. pycapnp looks for `<method>_context`."""

    def __init__(self, host: Host, guest: Guest) -> None:
        self._host = host
        self._guest = guest
        self._client: Greeting | None = None
        self._server: Greeting | None = None

    async def hello_context(self, context: Any) -> None:
        try:
            if self._client is not None:
                raise RefusedError("one greeting is enough")
            self._client = client = read_greeting(context.params.greeting)
            server = self._host.greeting()
            check(client, server.version)
        except RefusedError as error:
            context.results.refused = str(error)
            return
        self._server = server
        greeted = context.results.init("greeted")
        write_greeting(greeted.init("greeting"), server)
        greeted.proof = proof(self._host.secret, SERVER, client, server)

    async def enter_context(self, context: Any) -> None:
        client, server, self._server = self._client, self._server, None  # one attempt
        try:
            if client is None or server is None:
                raise RefusedError("say hello first")
            verify(context.params.proof, self._host.secret, CLIENT, client, server)
            node = self._guest.enter(client)
        except RefusedError as error:
            log.warning("%s was refused: %s", client.address if client is not None else "somebody", error)
            context.results.refused = str(error)
            return
        context.results.node = node


class Node(SCHEMA.Node.Server):  # type: ignore[misc]
    """What a member may call, but for `deliver`: see `Deliveries`."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def fetch_context(self, context: Any) -> None:
        params = context.params
        try:
            if params.size > CHUNK_BYTES_MAX:
                raise OSError(f"a chunk has at most {CHUNK_BYTES_MAX} bytes")
            chunk = self._host.service.read_chunk(params.group, params.index, params.offset, params.size)
        except OSError as error:
            context.results.refused = str(error)
        else:
            context.results.data = chunk

    async def forward_context(self, context: Any) -> None:
        params = context.params
        try:
            places = await self._host.service.on_proposals(params.group, list(params.proposals))
        except OSError as error:
            context.results.refused = str(error)
            return
        into = context.results.init("replies", len(places))
        for number, place in enumerate(places):
            built = into[number]
            built.index, built.term, built.error, built.leader = place.index, place.term, place.error, place.leader

    async def standing_context(self, context: Any) -> None:
        try:
            standing = self._host.service.standing(context.params.group)
        except OSError as error:
            context.results.refused = str(error)
            return
        member = context.results.init("member")
        member.term, member.leader = standing.term, standing.leader
        member.configuration = standing.configuration.encode()
        write_digest(member.applied, standing.applied_index, standing.digest)
        earlier = member.init("earlier", len(standing.digests))
        for number, (index, digest) in enumerate(standing.digests.items()):
            write_digest(earlier[number], index, digest)


def write_digest(into: Any, index: int, digest: int) -> None:
    into.index, into.data, into.outcomes = index, digest & 0xFFFF_FFFF, digest >> 32


def read_greeting(greeting: Any) -> Greeting:
    return Greeting(greeting.version, greeting.nonce, greeting.member, greeting.address)


def write_greeting(into: Any, greeting: Greeting) -> None:
    for name, value in msgspec.structs.asdict(greeting).items():
        setattr(into, name, value)
