"""The bytes of a connection between members: cut anywhere, spoilt anyhow, they are read as what they are or refused.

That the messages are those of Cap'n Proto is shown in tests/unit/wire/test_peers.py, against pycapnp.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nacosx._core.capnp_call import CALL, FIRST_QUESTION, OTHER, RESULTS, Inbox, call, results

INTERFACE = 0xF8D5DE13D80988FD
UINT64 = st.integers(0, 2**64 - 1)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 2**16 - 1),
        *[UINT64] * 3,
        st.integers(0, 255),
        *[UINT64] * 2,
        st.text(st.characters(exclude_characters="\0"), max_size=9),
        st.binary(max_size=20),
    ),
    max_size=4,
)
NUMBERS = st.integers(FIRST_QUESTION, 2**32 - 1)
OTHERS = st.builds(
    # A message of several segments, and a word that is no call.
    lambda lengths, word: (
        bytes(b"".join(n.to_bytes(4, "little") for n in (len(lengths) - 1, *lengths, *[0] * (~len(lengths) & 1))))
        + word.to_bytes(8, "little") * sum(lengths)
    ),
    st.lists(st.integers(0, 3), min_size=2, max_size=5),
    UINT64,
)
MESSAGES = st.one_of(
    st.tuples(st.just(CALL), NUMBERS, ROWS),
    st.tuples(st.just(RESULTS), NUMBERS, ROWS),
    st.tuples(st.just(OTHER), st.just(0), OTHERS),
)


def written(kind: int, question: int, content: object) -> bytes:
    if kind == CALL:
        return call(question, 3, INTERFACE, content)  # type: ignore[arg-type]
    if kind == RESULTS:
        return results(question, content)  # type: ignore[arg-type]
    assert isinstance(content, bytes)
    return content


@given(st.lists(MESSAGES, max_size=6), st.lists(st.integers(0, 2000), max_size=8))
def test_what_is_cut_anywhere_is_read_as_it_was_written(
    messages: list[tuple[int, int, object]], cuts: list[int]
) -> None:
    stream = b"".join(written(*message) for message in messages)
    inbox = Inbox(INTERFACE)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    found = [message for begin, end in pairwise(edges) for message in inbox.take(stream[begin:end])]
    assert joined(found) == joined(messages)


def joined(messages: list[tuple[int, int, object]]) -> list[tuple[int, int, object]]:
    """What is left to others comes in pieces of whole messages, as it happens."""
    found: list[tuple[int, int, object]] = []
    for kind, question, content in messages:
        if kind == OTHER and found and found[-1][0] == OTHER:
            found[-1] = (OTHER, 0, found[-1][2] + content)  # type: ignore[operator]
        elif content != b"":
            found.append((kind, question, content))
    return found


@given(ROWS, st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=4), st.booleans())
def test_what_is_spoilt_is_read_or_refused_and_never_grows(
    rows: list[tuple[int, int, int, int, int, int, int, str, bytes]], changes: list[tuple[int, int]], answers: bool
) -> None:
    message = bytearray(results(FIRST_QUESTION, rows) if answers else call(FIRST_QUESTION, 3, INTERFACE, rows))
    for position, byte in changes:
        message[8 + position % (len(message) - 8)] = byte
    try:
        found = Inbox(INTERFACE).take(bytes(message))
    except ValueError:
        return
    for _, _, content in found:
        assert content is None or sum(len(row[-1]) for row in content if isinstance(row, tuple)) <= len(message)


@given(st.binary(max_size=200))
def test_noise_is_left_to_others_or_refused(noise: bytes) -> None:
    try:
        Inbox(INTERFACE).take(noise)
    except ValueError:
        return


def test_a_call_of_another_interface_and_an_answer_of_another_number_are_left_to_others() -> None:
    other = call(1, 3, INTERFACE + 1, []) + results(FIRST_QUESTION - 1, [])
    assert Inbox(INTERFACE).take(other) == [(OTHER, 0, other)]


def test_an_answer_that_is_an_exception_says_so() -> None:
    failed = bytearray(results(FIRST_QUESTION, []))
    failed[8 + 3 * 8 + 6] = 1  # the member of Return: exception
    assert Inbox(INTERFACE).take(bytes(failed)) == [(RESULTS, FIRST_QUESTION, None)]


def test_more_than_a_limit_is_refused() -> None:
    row = (0, 1, 2, 3, 0, 4, 5, "g", b"")
    with pytest.raises(ValueError, match="rows"):
        call(1, 1, INTERFACE, [row] * 65537)
    with pytest.raises(ValueError, match="bytes"):
        results(1, [(*row[:-1], bytes(64 << 20))])
    with pytest.raises(ValueError, match="not one"):
        Inbox(INTERFACE).take((512).to_bytes(4, "little") + bytes(4))  # segments
    with pytest.raises(ValueError, match="not one"):
        Inbox(INTERFACE).take(bytes(4) + (8 << 20 | 1).to_bytes(4, "little"))  # words


def test_few_bytes_cannot_claim_to_be_many_rows() -> None:
    """A list of structs without anything in them takes no room, however long it is; two rows may not share their data."""
    message = bytearray(call(1, 3, INTERFACE, []))
    tag = 8 + 14 * 8
    message[tag : tag + 8] = (65537 << 2).to_bytes(8, "little")
    with pytest.raises(ValueError, match="not one"):
        Inbox(INTERFACE).take(bytes(message))
    rows = [(2, 1, 2, 3, 0, 4, 5, "", bytes(8000)), (2, 1, 2, 3, 0, 4, 5, "", b"x" * 8)]
    message = bytearray(call(1, 3, INTERFACE, list(rows)))
    first, second = 8 + (15 + 7) * 8, 8 + (15 + 15) * 8  # the pointers to the data
    target = int.from_bytes(message[first : first + 4], "little") >> 2
    message[second : second + 8] = ((target - 8) << 2 | 1 | 2 << 32 | 8000 << 35).to_bytes(8, "little")
    with pytest.raises(ValueError, match="not one"):
        Inbox(INTERFACE).take(bytes(message))
