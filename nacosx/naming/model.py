"""The values of naming: keys, instances, metadata.

Strings that repeat (namespace, group, cluster) are interned by whoever builds the value; 100 000 instances must fit in a
few tens of megabytes, so nothing that can be derived is stored (instanceId, grouped names, derived getters).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

import msgspec

DEFAULT_NAMESPACE = "public"
DEFAULT_GROUP = "DEFAULT_GROUP"
DEFAULT_CLUSTER = "DEFAULT"

# The one metadata of everybody who has none. Never mutated, like every metadata in this room.
NO_METADATA: dict[str, str] = {}


def no_metadata() -> dict[str, str]:
    """The default of a struct's member: a plain `{}` would be a new dict for each."""
    return NO_METADATA


class ServiceKey(NamedTuple):
    """The identity of a service. A tuple, because it is hashed on every request."""

    namespace: str  # canonical: never "", the default is "public"
    group: str
    name: str  # bare, without the group

    @property
    def grouped_name(self) -> str:
        return f"{self.group}@@{self.name}"


# The constructor of a NamedTuple is Python code. This one is not, for those who make a key for each request.
service_key = cast("Callable[[tuple[str, str, str]], ServiceKey]", partial(tuple.__new__, ServiceKey))


class InstanceKey(NamedTuple):
    """The identity of an instance within its service: what an overlay sticks to (Nacos: metadata id `ip:port:cluster`)."""

    ip: str
    port: int
    cluster: str


class Instance(msgspec.Struct, frozen=True, gc=False):
    """One address of a service, as published (before overlays).

    `metadata` is never mutated. `instance_id` is "" unless the client chose one; the default id is derived by the views.
    """

    ip: str
    port: int
    weight: float = 1.0
    healthy: bool = True
    enabled: bool = True
    cluster: str = DEFAULT_CLUSTER
    metadata: dict[str, str] = msgspec.field(default_factory=no_metadata)
    instance_id: str = ""

    @property
    def key(self) -> InstanceKey:
        return InstanceKey(self.ip, self.port, self.cluster)


# What a client publishes for one service: one instance, or a batch (never empty).
Publication = Instance | tuple[Instance, ...]


def instances_of(publication: Publication) -> tuple[Instance, ...]:
    return (publication,) if isinstance(publication, Instance) else publication


class Subscriber(msgspec.Struct, frozen=True, gc=False):
    """Who wants to hear of a service, and how it is shown in subscriber lists."""

    ip: str
    port: int  # UDP port of a 1.x client; 0 for a gRPC client
    agent: str = ""
    app: str = "unknown"
    clusters: str = ""  # comma list; "" = all

    @property
    def address(self) -> str:
        return f"{self.ip}:{self.port}" if self.port else self.ip
