"""Who should be in the group by cluster.conf, and who is: the founding of a cluster, members that were wiped, new ones.

A member that has no data belongs to no cluster. When every address of cluster.conf is answered by such a member they found one:
each of them sees the same ids, so each begins with the same configuration. Where a cluster is already, its leader takes the new
ones in: it adds them while cluster.conf has more addresses than the group has members, and in the place of members that nobody
answers for any more. A new member votes once it has caught up.

Whoever stands in the configuration is never put out for being silent: only when its address is answered by another member.

What members tell of themselves is compared, too: two that have applied the same entries hold the same state, or one is broken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from nacosx._core.wheel import Timeout
from nacosx.engine.address_book import AddressBook
from nacosx.engine.ports import Standing
from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.raft.refusals import RefusedError
from nacosx.engine.raft.state_digests import differs_at, known, odd_one_out_at
from nacosx.engine.ticker import Ticker
from nacosx.raft.member import parse

log = logging.getLogger(__name__)

ROUND_MS = 1_000  # between two looks at the others; a member that is met for the first time is looked at at once
CATCH_UP_MS = 50  # between two attempts to hear how far the group is
MEET_MS = 10  # after that, for others that come in the same moment


class Acquaintances(Protocol):
    def connected(self, member: str) -> bool: ...

    async def standing(self, member: str, group: str) -> Standing:
        """OSError."""
        ...


class ClusterMembers:
    """`member` is this one. What it decides is carried out by the rules."""

    def __init__(
        self,
        member: str,
        group: RaftGroup,
        book: AddressBook,
        peers: Acquaintances,
        *,
        ticker: Ticker,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.differences = 0  # times that another member held something else
        self._member = member
        self._group = group
        self._book = book
        self._peers = peers
        self._ticker = ticker
        self._loop = loop
        self._timeout: Timeout | None = None
        self._task: asyncio.Task[None] | None = None
        self._said: set[str] = set()  # what was logged once

    def start(self) -> None:
        self._book.watch(self._met)
        self._schedule(MEET_MS)

    async def stop(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _met(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._schedule(MEET_MS)

    def _schedule(self, delay_ms: int) -> None:
        self._timeout = self._ticker.schedule(delay_ms, self._begin)

    def _begin(self, _: object) -> None:
        self._timeout = None
        self._task = self._loop.create_task(self._round())

    async def _round(self) -> None:
        try:
            standings = await self._ask()
            self._compare(standings)
            configuration = self._group.standing.configuration
            if not configuration.peers:
                self._maybe_found(standings)
            elif self._group.is_leader and not configuration.old_peers:
                await self._maybe_take_in(configuration.peers, standings)
        except RefusedError as error:
            log.info("the members stay as they are for now: %s", error.detail)
        except Exception:
            log.exception("looking at the other members failed")
        finally:
            if self._task is not None:
                self._schedule(ROUND_MS)

    async def _ask(self) -> dict[str, Standing]:
        """Of everybody who answers now."""
        others = [member for member in self._book.addresses if member != self._member and self._peers.connected(member)]
        answers = await asyncio.gather(
            *[self._peers.standing(member, self._group.name) for member in others], return_exceptions=True
        )
        standings = {}
        for member, answer in zip(others, answers, strict=True):
            if isinstance(answer, Standing):
                standings[member] = answer
            elif not isinstance(answer, OSError):
                raise answer
        return standings

    # --- founding ----------------------------------------------------------------------------------------------------

    def _maybe_found(self, standings: Mapping[str, Standing]) -> None:
        """All were asked in this round: they are there together, and none of them has begun."""
        founders = [self._book.member(address) for address in self._book.configured]
        members = sorted(member for member in founders if member is not None)
        everybody = {self._member, *standings}
        for member, standing in standings.items():
            peers = standing.configuration.peers
            if peers:
                mine = self._member in {parse(peer).id for peer in peers}
                self._say(f"{member} has a cluster already, waiting {'for its leader' if mine else 'to be taken in'}")
                return
        if len(members) < len(founders) or not everybody.issuperset(members):
            self._say("a new cluster begins when every member of cluster.conf is there: waiting for the others")
        elif self._member not in members:
            self._say("this server is not in its cluster.conf: waiting")
        else:
            log.info(
                "a new cluster of %s", ", ".join(f"{member} at {self._book.address(member)}" for member in members)
            )
            self._group.found(members)

    # --- new members --------------------------------------------------------------------------------------------------

    async def _maybe_take_in(self, peers: tuple[str, ...], standings: Mapping[str, Standing]) -> None:
        configured = self._book.configured
        answering = {self._book.member(address) for address in configured}
        voters = {parse(peer).id for peer in peers}
        newcomers = []
        for member in sorted(standings.keys() - voters):
            if member not in answering:
                continue
            if standings[member].configuration.peers:
                self._say(
                    f"{member} at {self._book.address(member)} holds the data of a cluster, it is not taken into this one"
                )
            else:
                newcomers.append(member)
        if not newcomers:
            return
        room = max(0, len(configured) - len(voters))
        gone = sorted(
            voter for voter in voters - answering if voter != self._member and not self._peers.connected(voter)
        )
        if len(newcomers) > room and len(gone) > len(newcomers) - room and None in answering:
            # One of the addresses nobody answers at may be that of a member that is only away.
            self._say(f"{', '.join(newcomers)} cannot be taken in: which of {', '.join(gone)} has gone for good?")
            return
        newcomers = newcomers[: room + len(gone)]
        leaving = gone[: max(0, len(newcomers) - room)]
        if not newcomers:
            return
        log.info("taking in %s%s", ", ".join(newcomers), f" in place of {', '.join(leaving)}" if leaving else "")
        staying = [peer for peer in peers if parse(peer).id not in leaving]
        await self._group.change_peers([*staying, *newcomers])
        log.info("the members are %s", ", ".join(self._group.standing.configuration.peers))

    # --- one state -----------------------------------------------------------------------------------------------------

    def _compare(self, standings: Mapping[str, Standing]) -> None:
        """Who is alone with its state against a majority of the voters takes no part any more."""
        standing = self._group.standing
        ours = known(standing)
        others = {member: known(theirs) for member, theirs in standings.items()}
        for member, theirs in others.items():
            index = differs_at(ours, theirs)
            if index is not None:
                self.differences += 1
                log.critical("%s holds another state than this member since entry %d or before", member, index)
        voters = {parse(peer).id for peer in standing.configuration.peers}
        index = odd_one_out_at(ours, [theirs for member, theirs in others.items() if member in voters], len(voters))
        if index is not None and not self._group.ended:
            self._group.halt(f"a majority of the members holds another state since entry {index} or before")

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            log.info("%s", text)


async def caught_up(group: RaftGroup, ticker: Ticker, loop: asyncio.AbstractEventLoop) -> None:
    """Returns once this member has applied everything that its group had committed when it first could be asked."""
    while True:
        try:
            await group.read_index()
            return
        except RefusedError:  # there is no leader, or no group yet
            pause: asyncio.Future[None] = loop.create_future()
            ticker.schedule(CATCH_UP_MS, end, pause)
            await pause


def end(pause: asyncio.Future[None]) -> None:
    if not pause.done():
        pause.set_result(None)
