"""One service as the registry keeps it: who publishes what."""

from __future__ import annotations

from collections.abc import Iterator

from nacosx.naming.model import Instance, Publication, ServiceKey


class Service:
    """A singleton: it exists from the first registration (or its creation by an operator) until the cleaner drops it.

    Changed by `Registry.apply` only. There are many thousands of these: every slot costs 8 bytes each.
    """

    __slots__ = ("ephemeral", "key", "publishers", "rendered")

    def __init__(self, key: ServiceKey, *, ephemeral: bool) -> None:
        self.key = key
        self.ephemeral = ephemeral  # fixed by the first registration
        self.publishers: dict[str, Publication] = {}  # client id → what it publishes, in order of registration
        # What `views` rendered since the last change; None for the many services nobody asks for. See `rendered`.
        self.rendered: dict[tuple[str, bool, int], bytes] | None = None

    def instances(self) -> Iterator[Instance]:
        """Everything published, without overlays. The same address may come from two clients."""
        for publication in self.publishers.values():
            if isinstance(publication, Instance):
                yield publication
            else:
                yield from publication
