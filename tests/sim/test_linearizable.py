"""The checker of histories is checked: with histories known to be good and bad, and against trying every order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations, permutations

import pytest

from tests.sim.linearizable import APPEND, CAS, NEVER, READ, SET, Operation, after, contradiction


def read(began: int, ended: int, answer: str, key: str = "x") -> Operation:
    return Operation(READ, key, began, ended=ended, answer=answer)


def put(began: int, ended: int, value: str, key: str = "x") -> Operation:
    return Operation(SET, key, began, value, ended=ended)


def add(began: int, ended: int, value: str) -> Operation:
    return Operation(APPEND, "x", began, value, ended=ended)


def swap(began: int, ended: int, expected: str, value: str, answer: bool | None) -> Operation:
    return Operation(CAS, "x", began, value, expected, ended=ended, answer=answer)


GOOD = {
    "nothing": [],
    "one after the other": [put(0, 1, "a"), read(2, 3, "a"), put(4, 5, "b"), read(6, 7, "b")],
    "a read beside a write sees the value before": [put(0, 10, "a"), read(1, 2, ""), read(3, 4, "a")],
    "two writes at once, in either order": [put(0, 10, "a"), put(0, 10, "b"), read(11, 12, "a")],
    "two writes at once, the other order": [put(0, 10, "a"), put(0, 10, "b"), read(11, 12, "b")],
    "a write nobody heard of was done": [put(0, NEVER, "a"), read(5, 6, ""), read(7, 8, "a")],
    "a write nobody heard of was not done": [put(0, NEVER, "a"), read(5, 6, ""), read(700, 800, "")],
    "appends at once": [add(0, 9, "a"), add(0, 9, "b"), add(0, 9, "c"), read(10, 11, "bca")],
    "one of two swaps wins": [put(0, 1, "a"), swap(2, 9, "a", "b", True), swap(2, 9, "a", "c", False)],
    "a swap nobody heard of": [put(0, 1, "a"), swap(2, NEVER, "a", "b", None), read(3, 4, "a"), read(5, 6, "b")],
    "a swap nobody heard of that failed": [put(0, 1, "a"), swap(2, NEVER, "z", "b", None), read(3, 4, "a")],
    "a read nobody heard of": [put(0, 1, "a"), Operation(READ, "x", 2)],
    "what begins when another ends may come first": [put(0, 5, "a"), read(5, 6, "")],
    "two registers": [put(0, 1, "a"), put(2, 3, "b", "y"), read(4, 5, "a"), read(4, 5, "b", "y")],
}

BAD = {
    "a stale read": [put(0, 1, "a"), put(2, 3, "b"), read(4, 5, "a")],
    "a value from nowhere": [put(0, 1, "a"), read(2, 3, "b")],
    "a value from the future": [read(0, 1, "a"), put(2, 3, "a")],
    "a read goes back": [put(0, 20, "a"), read(1, 2, "a"), read(3, 4, "")],
    "a lost append": [add(0, 1, "a"), add(2, 3, "b"), read(4, 5, "b")],
    "an append done twice": [add(0, 1, "a"), read(2, 3, "aa")],
    "appends in the wrong order": [add(0, 1, "a"), add(2, 3, "b"), read(4, 5, "ba")],
    "both swaps win": [put(0, 1, "a"), swap(2, 9, "a", "b", True), swap(2, 9, "a", "c", True)],
    "a swap that had to win": [put(0, 1, "a"), swap(2, 3, "a", "b", False)],
    "a write nobody heard of is done twice": [put(0, NEVER, "a"), read(1, 2, "a"), put(3, 4, "b"), read(5, 6, "a")],
    "readers disagree about the order": [
        put(0, 20, "a"), put(0, 20, "b"), read(1, 2, "a"), read(3, 4, "b"), read(5, 6, "a"),
    ],
    "one register of two": [put(0, 1, "a"), put(0, 1, "b", "y"), read(2, 3, "a"), read(2, 3, "", "y")],
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_history_that_some_order_explains(name: str) -> None:
    assert contradiction(GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_a_history_that_no_order_explains(name: str) -> None:
    assert contradiction(BAD[name])


def every_order(history: Sequence[Operation]) -> bool:
    """The slow twin: every subset of what nobody heard of, in every order."""
    answered = [operation for operation in history if operation.ended != NEVER]
    unheard = [operation for operation in history if operation.ended == NEVER and operation.kind != READ]
    for count in range(len(unheard) + 1):
        for chosen in combinations(unheard, count):
            for order in permutations([*answered, *chosen]):
                if any(later.ended < earlier.began for earlier, later in combinations(order, 2)):
                    continue
                held = ""
                for operation in order:
                    left = after(operation, held)
                    if left is None:
                        break
                    held = left
                else:
                    return True
    return False


def test_it_agrees_with_trying_every_order() -> None:
    draw = random.Random(5)
    verdicts = []
    for _ in range(600):
        history = [drawn(draw) for _ in range(draw.randint(1, 5))]
        verdict = not contradiction(history)
        assert verdict == every_order(history), "\n".join(map(str, history))
        verdicts.append(verdict)
    assert 150 < sum(verdicts) < 450, "both kinds must be met often"


def drawn(draw: random.Random) -> Operation:
    kind = draw.choice((READ, READ, SET, APPEND, CAS))
    began = draw.randint(0, 8)
    ended = NEVER if draw.random() < 0.25 else began + draw.randint(0, 5)
    answer: str | bool | None = {READ: draw.choice(("", "a", "b", "ab")), CAS: draw.random() < 0.5}.get(kind)
    return Operation(
        kind, "x", began, draw.choice("ab"), draw.choice(("", "a", "b")), ended, draw.randint(0, 3), answer
    )
