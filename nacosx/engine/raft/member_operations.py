"""What is asked of a group about its members: who they are, who they are to be, who leads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from nacosx._core.entry import Configuration
from nacosx.engine.ports import Standing
from nacosx.engine.raft.fsm_caller import FSMCaller
from nacosx.engine.raft.membership import Membership
from nacosx.engine.raft.refusals import RefusedError
from nacosx.raft.errors import RaftError
from nacosx.raft.node import Node


class MemberOperations:
    """A part of `RaftGroup`. Changes are done when they are committed."""

    node: Node
    _membership: Membership
    _caller: FSMCaller
    _now_ms: Callable[[], int]

    def _schedule(self) -> None:
        """The rules have something to do in this turn."""

    @property
    def standing(self) -> Standing:
        node, caller = self.node, self._caller
        return Standing(
            node.term, node.leader, node.configuration, caller.applied_index, caller.digest, dict(caller.digests)
        )

    def add_peer(self, member: str) -> asyncio.Future[None]:
        """`member`: id, or id:priority. RefusedError."""
        return self._change(self._membership.with_peer(member))

    def remove_peer(self, member: str) -> asyncio.Future[None]:
        return self._change(self._membership.without_peer(member))

    def change_peers(self, members: Sequence[str]) -> asyncio.Future[None]:
        return self._change(self._membership.of_peers(members))

    def add_learner(self, member: str) -> asyncio.Future[None]:
        return self._change(self._membership.with_learner(member))

    def remove_learner(self, member: str) -> asyncio.Future[None]:
        return self._change(self._membership.without_learner(member))

    def found(self, members: Sequence[str]) -> None:
        """The first members of a group that had none; see `Node.found`. RefusedError: it has."""
        try:
            self.node.found(Configuration(members))
        except RaftError as error:
            raise RefusedError.of(error) from error
        self._schedule()

    def reset_peers(self, members: Sequence[str]) -> None:
        """The operator's last resort, when the quorum is lost for good: these are the members from now on. What the others
        had committed and this one has not is lost."""
        self._membership.reset(self._membership.of_peers(members))
        self._schedule()

    def transfer_leadership_to(self, member: str) -> asyncio.Future[None]:
        future = self._membership.transfer(member, self._now_ms())
        self._schedule()
        return future

    def _change(self, configuration: Configuration) -> asyncio.Future[None]:
        future = self._membership.change(configuration)
        self._schedule()
        return future
