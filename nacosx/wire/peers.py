"""The other members of the cluster, over Cap'n Proto RPC: `engine.ports.Peers`.

::

    this member                                       another member
      Link ─ deliver(messages) ─────────────────────→ Guest ─→ PeerService.on_message      (requests of Raft)
        ←──────────────────── results: replies ──────             Peers.send               (its replies ride back)
      Guest ←──────────────── deliver(messages) ─────  Link                                (what it asks by itself)

A member dials every address it knows (`peers_link`) and is dialed (`peers_door`); both begin with a handshake (`peers_proof`).
Measured between two processes on one machine of two cores, a round of heartbeats with everything around it, from a read that
asks for it until it is served: 80–210 µs, and 90–200 µs of CPU on both sides together, by where the scheduler wakes them
(`bench raft`; 430 and 640 with all calls left to pycapnp and every member asked).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from secrets import token_bytes
from typing import cast

import capnp

from nacosx.engine.address_book import ADDRESSES_MAX, AddressBook
from nacosx.engine.ports import ForwardReply, PeerService, Standing
from nacosx.engine.ticker import Ticker
from nacosx.raft.messages import Message
from nacosx.wire.peers_door import STRANGERS_MAX, Guest
from nacosx.wire.peers_link import Link
from nacosx.wire.peers_messages import REPLIES, Letter
from nacosx.wire.peers_proof import NONCE_BYTES, Greeting, RefusedError
from nacosx.wire.peers_stream import Stream

log = logging.getLogger(__name__)

VERSION = 1  # of the protocol; see nacosx.capnp
BACKLOG = 128


def kj_loop() -> AbstractAsyncContextManager[None]:
    """The event loop of Cap'n Proto on top of the running one: once, around everything that speaks it."""
    return cast(AbstractAsyncContextManager[None], capnp.kj_loop())


class CapnpPeers:
    """`address` is where this member listens to the others, as they are told; `host` is where its connections come from, when
    that matters.

    `tls` of the connections made and `server_tls` of those accepted are contexts that ask the other side for a certificate.
    """

    def __init__(
        self,
        member: str,
        address: str,
        book: AddressBook,
        service: PeerService,
        *,
        secret: bytes,
        loop: asyncio.AbstractEventLoop,
        ticker: Ticker,
        random_below: Callable[[int], int],
        host: str | None = None,
        tls: ssl.SSLContext | None = None,
        server_tls: ssl.SSLContext | None = None,
    ) -> None:
        self.member = member
        self.address = address
        self.book = book
        self.service = service
        self.secret = secret
        self.ticker = ticker
        self.random_below = random_below
        self.local_address = (host, 0) if host is not None else None
        self.tls = tls
        self.unreachable = 0  # messages to members whose address is not known, ever
        self._server_tls = server_tls
        self._loop = loop
        self._links: dict[str, Link] = {}  # by address
        self._members: dict[str, Link] = {}  # the connected ones by member
        self._guests: dict[str, Guest] = {}  # by member, the newest of each
        self._connections: dict[Stream, Guest] = {}  # strangers, too
        self._strangers = 0
        self._ending: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        """Listens, and begins to dial; inside `kj_loop()`. OSError."""
        self._server = await self._loop.create_server(
            lambda: Stream(self._came, self._went), sock=listening, backlog=BACKLOG, ssl=self._server_tls
        )
        self.book.learn(self.member, self.address)
        for address in self.book.configured:
            if address != self.address:
                self._dial(address)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*[link.stop() for link in self._links.values()], *self._ending)
        for guest in list(self._connections.values()):
            guest.close()
        if self._server is not None:
            await self._server.wait_closed()

    # --- engine.ports.Peers -------------------------------------------------------------------------------------------

    def send(self, to: str, group: str, message: Message) -> None:
        letter = Letter(group, message)
        if type(message) in REPLIES:
            guest = self._guests.get(to)
            if guest is not None and guest.reply(letter):
                return
        link = self._link(to)
        if link is None:
            self.unreachable += 1
        else:
            link.send(letter)

    async def fetch(self, source: str, group: str, index: int, offset: int, size: int) -> bytes:
        return await self._known(source).fetch(group, index, offset, size)

    async def forward(self, to: str, group: str, proposals: Sequence[bytes]) -> Sequence[ForwardReply]:
        return await self._known(to).forward(group, proposals)

    # --- of the members -----------------------------------------------------------------------------------------------

    async def standing(self, member: str, group: str) -> Standing:
        """OSError."""
        return await self._known(member).standing(group)

    def connected(self, member: str) -> bool:
        return member in self._members

    def _link(self, member: str) -> Link | None:
        link = self._members.get(member)
        if link is None:
            address = self.book.address(member)
            link = self._links.get(address) if address is not None else None
        return link

    def _known(self, member: str) -> Link:
        link = self._link(member)
        if link is None:
            raise OSError(f"nobody knows where member {member} is")
        return link

    # --- what links and guests ask ------------------------------------------------------------------------------------

    def greeting(self) -> Greeting:
        return Greeting(VERSION, token_bytes(NONCE_BYTES), self.member, self.address)

    def linked(self, link: Link, greeting: Greeting) -> None:
        member, address = greeting.member, link.address
        if member == self.member:
            self._end(link)
            if greeting.address == self.address:
                self.book.learn(member, address)
            else:
                log.error("%s has the same id as this member: a data directory was copied", address)
            raise ConnectionAbortedError("that is this member itself")
        other = self._members.get(member)
        if other is not None and other.announced != greeting.address:
            log.error(
                "%s and %s have one id: a data directory was copied, or one of them is ending", address, other.address
            )
            raise ConnectionAbortedError(f"member {member} is connected at {other.address}")
        if other is not None and other is not link and address not in self.book.configured:
            self._end(link)
            raise ConnectionAbortedError(f"member {member} is connected at {other.address}")
        self.book.learn(member, address)
        log.info("connected to member %s at %s", member, address)
        self._members[member] = link

    def unlinked(self, link: Link) -> None:
        log.info("the connection to member %s at %s has ended", link.member, link.address)
        if self._members.get(link.member) is link:
            del self._members[link.member]

    def in_vain(self, link: Link) -> None:
        """A member that moved on from an address that it was only once heard of at; it will come in from where it is."""
        if link.address not in self.book.configured:
            self._end(link)
            self.book.forget(link.address)

    def admit(self, guest: Guest, greeting: Greeting) -> None:
        if greeting.member == self.member:
            raise RefusedError(f"this member has the id {self.member} itself")
        self._strangers -= 1
        self._guests[greeting.member] = guest
        # Whoever comes in may have been started just now, perhaps at an address nobody knew.
        link = self._link(greeting.member)
        if link is None or not link.connected:
            self._dial(greeting.address)
        if link is not None:
            link.nudge()

    def left(self, guest: Guest) -> None:
        if not guest.member:
            self._strangers -= 1
        elif self._guests.get(guest.member) is guest:
            del self._guests[guest.member]

    # --- connections --------------------------------------------------------------------------------------------------

    def _dial(self, address: str) -> None:
        known = self._links.get(address)
        if known is not None:
            known.nudge()
        elif len(self._links) < ADDRESSES_MAX:
            self._links[address] = link = Link(self, self._loop, address)
            link.start()

    def _end(self, link: Link) -> None:
        """For good: nothing that is wanted answers there."""
        del self._links[link.address]
        task = self._loop.create_task(link.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _came(self, stream: Stream) -> None:
        if self._strangers >= STRANGERS_MAX:
            stream.abort()
            return
        self._strangers += 1
        self._connections[stream] = Guest(self, self._loop, stream)

    def _went(self, stream: Stream) -> None:
        guest = self._connections.pop(stream, None)
        if guest is not None:
            guest.closed()
