"""One service as the registry keeps it: who publishes what."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from nacosx.naming.model import Instance, Publication, ServiceKey


class Service(msgspec.Struct, gc=False, eq=False):
    """A singleton: it exists from the first registration (or its creation by an operator) until the cleaner drops it.

    Changed by `Registry.apply` only. There are many thousands of these: every member costs 8 bytes each.
    """

    key: ServiceKey
    ephemeral: bool  # fixed by the first registration
    publishers: dict[str, Publication]  # client id → what it publishes, in order of registration
    # What `views` rendered since the last change; None for the many services nobody asks for. See `rendered`.
    rendered: dict[tuple[str, bool, int], bytes] | None = None
    _alone: tuple[ServiceKey, ...] | None = None

    @property
    def alone(self) -> tuple[ServiceKey, ...]:
        """What a client publishes for that publishes for this service alone. HTTP clients do, so they share it."""
        if self._alone is None:
            self._alone = (self.key,)
        return self._alone

    def instances(self) -> Iterator[Instance]:
        """Everything published, without overlays. The same address may come from two clients."""
        for publication in self.publishers.values():
            if isinstance(publication, Instance):
                yield publication
            else:
                yield from publication
