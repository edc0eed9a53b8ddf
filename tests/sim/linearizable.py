"""Is there one order of these operations that explains every answer, and in which nothing is before what ended before it began?

Wing and Gong's search with Lowe's memory: an operation may come next when no other one that is still to come has ended before
it began. What was tried is remembered as (which operations are in, the value they leave). Registers are independent
(Herlihy and Wing: linearizability is local), so each is searched alone.

An operation that changed nothing is taken as soon as it may be: later it could only be worse. The others are tried by `rank`,
which whoever writes down the history may guess: a good guess makes a search without detours, a bad one a longer search.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

NEVER = 1 << 62  # when an operation ended of which nobody heard: it may take effect at any time from its beginning on
TRIES_MAX = 300_000  # limit: of one register

READ, SET, APPEND, CAS = "read", "set", "append", "cas"


class UndecidedError(RuntimeError):
    """The search was given up: no order explains it, or all ranks were bad guesses."""


class Operation(msgspec.Struct):
    """One operation on a register, which holds a string and begins empty. Times are of one clock, for all of them."""

    kind: str
    key: str
    began: int
    value: str = ""  # what is set or appended
    expected: str = ""  # cas: sets `value` when the register holds this
    ended: int = NEVER
    rank: int = 0
    answer: str | bool | None = None  # read: what it holds; cas: whether it did

    def __str__(self) -> str:
        argument = {READ: "", CAS: f" {self.expected!r} → {self.value!r}"}.get(self.kind, f" {self.value!r}")
        until = "…" if self.ended == NEVER else str(self.ended)
        return f"[{self.began}, {until}] {self.kind} {self.key}{argument}: {self.answer!r}"


def observes(operation: Operation) -> bool:
    """It certainly changed nothing."""
    return operation.ended != NEVER and (
        operation.kind == READ or (operation.kind == CAS and operation.answer is False)
    )


def after(operation: Operation, held: str) -> str | None:
    """What the register holds after the operation; None when its answer contradicts what it held."""
    answer = operation.answer
    match operation.kind:
        case "read":
            return held if answer == held else None
        case "set":
            return operation.value
        case "append":
            return held + operation.value
        case "cas":
            swaps = held == operation.expected
            if operation.ended != NEVER and answer is not swaps:
                return None
            return operation.value if swaps else held
    raise AssertionError(operation.kind)


def contradiction(history: Iterable[Operation]) -> list[Operation]:
    """The operations on one register that no order explains; nothing when every register has one."""
    registers: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        if operation.kind != READ or operation.ended != NEVER:  # a read that nobody heard of says nothing
            registers[operation.key].append(operation)
    for operations in registers.values():
        operations.sort(key=lambda operation: (operation.ended, operation.began))
        if not explained(operations):
            return sorted(operations, key=lambda operation: operation.began)
    return []


def explained(operations: Sequence[Operation]) -> bool:
    """`operations` of one register, sorted by their ends."""
    answered = sum(1 << number for number, operation in enumerate(operations) if operation.ended != NEVER)
    seen = {(0, "")}
    waiting = [(0, "")]
    tries = 0
    while waiting:
        taken, held = waiting.pop()
        if taken & answered == answered:
            return True
        deadline = NEVER
        following = []
        for number, operation in enumerate(operations):
            if taken >> number & 1:
                continue
            if deadline == NEVER:  # sorted by ends: the first that is not in is the first that ends
                deadline = operation.ended
            if operation.began > deadline:
                continue
            tries += 1
            left = after(operation, held)
            if left is not None:
                state = (taken | 1 << number, left)
                if observes(operation):
                    following = [(operation.rank, state)]
                    break
                following.append((operation.rank, state))
        following.sort(reverse=True)
        for _, state in following:
            if state not in seen:
                seen.add(state)
                waiting.append(state)
        if tries > TRIES_MAX:
            raise UndecidedError(f"{len(operations)} operations on {operations[0].key} have too many orders")
    return False
