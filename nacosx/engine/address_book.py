"""Which member answers at which address. A member is known by its id; where it lives is what it said last."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping

ADDRESSES_MAX = 256  # limit: of all members; only members of the cluster can add to them


class AddressBook:
    """`configured` are the addresses to begin with (cluster.conf), the own one among them or not; the rest is learned when
    members greet one another. `on_changed()` is called after every change.

    invariant: a member has one address and an address one member.
    """

    __slots__ = ("_addresses", "_members", "_watchers", "configured")

    def __init__(self, configured: Iterable[str] = ()) -> None:
        self.configured = tuple(dict.fromkeys(configured))
        self._addresses: dict[str, str] = {}  # member → address
        self._members: dict[str, str] = {}  # address → member
        self._watchers: list[Callable[[], None]] = []

    def watch(self, on_changed: Callable[[], None]) -> None:
        self._watchers.append(on_changed)

    def learn(self, member: str, address: str) -> None:
        """It answers there: whoever did so before has gone, and where it was before it is no longer. OSError: too many."""
        if self._addresses.get(member) == address:
            return
        if address not in self._members and len(self._members) >= ADDRESSES_MAX:
            raise OSError(errno.ENOSPC, f"more than {ADDRESSES_MAX} addresses of members")
        gone = self._members.pop(address, None)
        if gone is not None:
            del self._addresses[gone]
        left = self._addresses.pop(member, None)
        if left is not None:
            del self._members[left]
        self._addresses[member] = address
        self._members[address] = member
        for on_changed in self._watchers:
            on_changed()

    def forget(self, address: str) -> None:
        """Nobody answers there any more, or will."""
        gone = self._members.pop(address, None)
        if gone is not None:
            del self._addresses[gone]

    def address(self, member: str) -> str | None:
        return self._addresses.get(member)

    def member(self, address: str) -> str | None:
        return self._members.get(address)

    @property
    def addresses(self) -> Mapping[str, str]:
        """Member → address."""
        return self._addresses
