"""The clients: each operation is one of them. They ask a member, follow it to the leader, give up after a while, and write down
what they heard and when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from nacosx.engine.raft.group import RaftGroup
from nacosx.engine.raft.refusals import RefusedError
from nacosx.errors import NacosError
from tests.sim.laws import Laws
from tests.sim.linearizable import CAS, READ, Operation
from tests.sim.loop import MS, Agenda, Handle, ProcessLoop
from tests.sim.registers import Command, Registers

PATIENCE_MS = 700  # then the answer is no longer waited for
AGAIN_MS = 15  # after a refusal


class Server(Protocol):
    process: ProcessLoop | None
    group: RaftGroup
    registers: Registers

    @property
    def leads(self) -> bool: ...
    @property
    def term(self) -> int: ...


class Clients:
    def __init__(self, agenda: Agenda, laws: Laws, server: Callable[[str], Server], note: Callable[..., None]) -> None:
        """`server` finds who is meant by a WHO; it may not run."""
        self.history: list[Operation] = []
        self.numbers: list[list[int]] = []  # of the commands that were proposed for each operation
        self.heard: dict[str, str] = {}  # key → what it held when a client last heard of it
        self._agenda = agenda
        self._laws = laws
        self._server = server
        self._note = note
        self._number = 0

    def begin(self, kind: str, key: str, value: str, who: str) -> Operation:
        operation = Operation(kind, key, self._agenda.now_us, value)
        if kind == CAS:
            operation.expected = self.heard.get(key, "")
        number = len(self.history)
        self.history.append(operation)
        self.numbers.append([])
        self._try(number, who)
        return operation

    def told(self) -> list[Operation]:
        """The history without the writes that nobody heard of and that never happened, ranked by where the others did."""
        found = []
        for operation, numbers in zip(self.history, self.numbers, strict=True):
            indexes = list(filter(None, map(self._laws.index_of, numbers)))
            if operation.answer is not None or indexes:
                operation.rank = max(indexes, default=0)
                found.append(operation)
        return found

    def _try(self, number: int, who: str) -> None:
        operation = self.history[number]
        if self._agenda.now_us - operation.began > PATIENCE_MS * MS:
            return
        server = self._server(who)
        process = server.process
        if process is None:
            self._again(number, "any")
        else:
            self._agenda.at(self._agenda.now_us, Handle(process, self._ask, (number, server), False))

    def _again(self, number: int, who: str) -> None:
        self._agenda.later(AGAIN_MS * MS, self._try, number, who)

    def _ask(self, number: int, server: Server) -> None:
        operation = self.history[number]
        if operation.kind == READ:
            self._expect(number, 0, server, server.group.read_index)
            return
        self._number += 1
        self.numbers[number].append(self._number)
        command = Command(self._number, operation.kind, operation.key, operation.value, operation.expected)
        # Now and then a client wants to be sure that nobody led in between.
        term = server.term if operation.kind == CAS and server.leads else None
        self._expect(number, self._number, server, partial(server.group.propose, command, expected_term=term))

    def _expect(self, number: int, command: int, server: Server, ask: Callable[[], asyncio.Future[Any]]) -> None:
        try:
            future = ask()
        except NacosError as error:
            self._refused(number, command, error)
        else:
            future.add_done_callback(partial(self._answered, number, command, server))

    def _refused(self, number: int, command: int, refusal: NacosError) -> None:
        """What is refused, unless nobody knows, will never happen: the client may ask again."""
        self._note("refused", number, str(refusal))
        unknown, leader = False, ""
        if isinstance(refusal, RefusedError):
            unknown, leader = refusal.unknown, refusal.leader
        if command and not unknown:
            self._laws.refused.add(command)
        if not command or not unknown:
            self._again(number, leader or "any")

    def _answered(self, number: int, command: int, server: Server, future: asyncio.Future[object]) -> None:
        operation = self.history[number]
        now_us = self._agenda.now_us
        error = future.exception()
        if isinstance(error, NacosError):
            self._refused(number, command, error)
        elif error is not None:
            raise error
        elif now_us - operation.began <= PATIENCE_MS * MS:
            operation.ended = now_us
            operation.answer = server.registers.read(operation.key) if operation.kind == READ else bool(future.result())
            self._note("answered", number, operation.answer)
            self._hear(operation)

    def _hear(self, operation: Operation) -> None:
        if operation.kind == READ:
            assert isinstance(operation.answer, str)
            self.heard[operation.key] = operation.answer
        elif operation.kind != "append" and operation.answer:
            self.heard[operation.key] = operation.value
