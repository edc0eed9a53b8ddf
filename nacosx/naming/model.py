"""The values of naming: keys, instances, metadata.

Strings that repeat (namespace, group, cluster) are interned by whoever builds the value; 100 000 instances must fit in a
few tens of megabytes, so nothing that can be derived is stored (instanceId, grouped names, derived getters).
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

DEFAULT_NAMESPACE = "public"
DEFAULT_GROUP = "DEFAULT_GROUP"
DEFAULT_CLUSTER = "DEFAULT"


class ServiceKey(NamedTuple):
    """The identity of a service. A tuple, because it is hashed on every request."""

    namespace: str  # canonical: never "", the default is "public"
    group: str
    name: str  # bare, without the group

    @property
    def grouped_name(self) -> str:
        return f"{self.group}@@{self.name}"


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
    metadata: dict[str, str] = {}
    instance_id: str = ""


class Subscriber(msgspec.Struct, frozen=True, gc=False):
    """Who wants to hear of a service, and how it is shown in subscriber lists."""

    ip: str
    port: int  # UDP port of a 1.x client; socket port of a gRPC client
    agent: str = ""
    app: str = "unknown"
    clusters: str = ""  # comma list; "" = all
    namespace: str = DEFAULT_NAMESPACE
