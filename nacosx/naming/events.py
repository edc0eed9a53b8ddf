"""What has happened in the registry: the return value of `Registry.apply`."""

from __future__ import annotations

import msgspec

from nacosx.naming.model import ServiceKey


class ServiceChanged(msgspec.Struct, frozen=True):
    """What a subscriber of this service sees is different now: push it to all subscribers."""

    service: ServiceKey


class ServiceSubscribed(msgspec.Struct, frozen=True):
    """A client subscribed for the first time, or to other clusters: push the service to this client only."""

    service: ServiceKey
    client_id: str


class ClientReleased(msgspec.Struct, frozen=True):
    """A client left the registry: timers kept for it can go."""

    client_id: str


Event = ServiceChanged | ServiceSubscribed | ClientReleased
