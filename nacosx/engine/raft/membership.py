"""Who is in the group, and who leads it: changes asked of the rules, and who waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from nacosx._core.entry import Configuration
from nacosx.engine.raft.refusals import EINVAL, RefusedError
from nacosx.errors import PARAMETER_INVALID
from nacosx.raft.errors import RaftError
from nacosx.raft.member import parse
from nacosx.raft.node import Node
from nacosx.raft.ready import Role


class Membership:
    """At most one change and one transfer is waited for: the rules refuse a second one (EBUSY)."""

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop) -> None:
        self._node = node
        self._loop = loop
        self._change: tuple[Configuration, asyncio.Future[None]] | None = None
        self._transfer: tuple[str, asyncio.Future[None]] | None = None

    @property
    def waiting(self) -> bool:
        return self._change is not None or self._transfer is not None

    def change(self, configuration: Configuration) -> asyncio.Future[None]:
        """Done when it is committed. RefusedError."""
        try:
            self._node.change(configuration)
        except RaftError as error:
            raise RefusedError.of(error) from error
        future: asyncio.Future[None] = self._loop.create_future()
        self._change = configuration, future
        return future

    def reset(self, configuration: Configuration) -> None:
        """RefusedError."""
        try:
            self._node.reset_peers(configuration)
        except RaftError as error:
            raise RefusedError.of(error) from error

    def transfer(self, to: str, now_ms: int) -> asyncio.Future[None]:
        """Done when that member leads. RefusedError; also when it is not elected in an election timeout."""
        try:
            self._node.transfer(to, now_ms)
        except RaftError as error:
            raise RefusedError.of(error) from error
        future: asyncio.Future[None] = self._loop.create_future()
        self._transfer = to, future
        return future

    def settle(self) -> None:
        """Answers what is over: the rules may have done something."""
        node = self._node
        if self._change is not None and not node.changing:
            configuration, future = self._change
            self._change = None
            if future.done():
                pass
            elif node.role is not Role.LEADER:
                future.set_exception(RefusedError.lost("leadership was lost before the change was confirmed"))
            elif node.configuration == configuration:
                future.set_result(None)
            else:
                future.set_exception(RefusedError.timed_out("a new member did not catch up"))
        if self._transfer is not None and not node.transferring and node.leader:
            to, future = self._transfer
            self._transfer = None
            if future.done():
                pass
            elif node.leader == to:
                future.set_result(None)
            else:
                future.set_exception(RefusedError.timed_out(f"{to} has not become the leader, {node.leader} is"))

    def stop(self, refusal: RefusedError) -> None:
        for waiting in (self._change, self._transfer):
            if waiting is not None and not waiting[1].done():
                waiting[1].set_exception(refusal.again())
        self._change = self._transfer = None

    # --- what the members are to be ------------------------------------------------------------------------------------

    def with_peer(self, member: str) -> Configuration:
        """A voter more; a learner becomes one."""
        now = self._node.configuration
        return configured((*without(now.peers, member), member), without(now.learners, member))

    def without_peer(self, member: str) -> Configuration:
        now = self._node.configuration
        return configured(without(now.peers, member), now.learners)

    def with_learner(self, member: str) -> Configuration:
        now = self._node.configuration
        return configured(now.peers, (*without(now.learners, member), member))

    def without_learner(self, member: str) -> Configuration:
        now = self._node.configuration
        return configured(now.peers, without(now.learners, member))

    def of_peers(self, members: Iterable[str]) -> Configuration:
        """Other voters, the learners stay."""
        peers = tuple(members)
        learners = self._node.configuration.learners
        for peer in peers:
            learners = without(learners, peer)
        return configured(peers, learners)


def configured(peers: Iterable[str], learners: Iterable[str]) -> Configuration:
    """RefusedError: somebody is in it twice, or has a name that no member can have."""
    try:
        return Configuration(peers, learners)
    except ValueError as error:
        raise RefusedError(PARAMETER_INVALID, str(error), EINVAL) from error


def without(members: Iterable[str], member: str) -> tuple[str, ...]:
    gone = member.partition(":")[0]
    return tuple(each for each in members if parse(each).id != gone)
