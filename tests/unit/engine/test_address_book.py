"""A member is known by its id, wherever it is; an address belongs to whoever answered there last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nacosx.engine.address_book import ADDRESSES_MAX, AddressBook


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.sampled_from("xyz"))))
def test_a_member_has_one_address_and_an_address_one_member(steps: list[tuple[bool, str, str]]) -> None:
    book = AddressBook()
    changes: list[None] = []
    book.watch(lambda: changes.append(None))
    expected: dict[str, str] = {}
    changed = 0
    for learns, member, address in steps:
        if learns:
            changed += expected.get(member) != address
            expected = {m: a for m, a in expected.items() if a != address} | {member: address}
            book.learn(member, address)
        else:
            expected = {m: a for m, a in expected.items() if a != address}
            book.forget(address)
        assert book.addresses == expected
        assert all(book.member(a) == m and book.address(m) == a for m, a in expected.items())
    assert len(changes) == changed


def test_it_is_not_filled_without_end() -> None:
    book = AddressBook(["x", "x", "y"])
    assert book.configured == ("x", "y")
    for number in range(ADDRESSES_MAX):
        book.learn(f"m{number}", f"a{number}")
    with pytest.raises(OSError, match="more than"):
        book.learn("another", "elsewhere")
    book.learn("another", "a0")  # in the place of m0
    assert book.member("a0") == "another"
