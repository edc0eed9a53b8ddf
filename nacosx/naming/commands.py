"""What may be done to the registry. Imperatives; every value that is not a function of the state is stamped in beforehand.

Two families: `EphemeralCommand`s change only memory (AP; later they travel by Distro); `DurableCommand`s go through the log
(CP) and are acknowledged when they are on disk. Durable commands are structs tagged in the member `command`, as in every room:
`msgspec.msgpack` carries the union of all rooms.

What a durable command does may depend on durable state only, because a replay of the log knows no ephemeral state. What an
operator must be refused for because of the state *now* (the service is missing, has instances, is of the other kind) is
therefore asked before the command is logged: `Registry.check`.
"""

from __future__ import annotations

import msgspec

from nacosx.naming.model import Instance, InstanceKey, ServiceKey, Subscriber

# --- ephemeral -------------------------------------------------------------------------------------------------------


class ConnectClient(msgspec.Struct, frozen=True):
    """A gRPC connection was set up. An ip:port client needs none: its first registration or subscription creates it."""

    client_id: str
    now_ms: int  # wall clock


class DisconnectClient(msgspec.Struct, frozen=True):
    """The client is gone: its publications and subscriptions go with it. Unknown clients are ignored."""

    client_id: str
    now_ms: int


class RegisterInstance(msgspec.Struct, frozen=True):
    """A client publishes one instance; the newest publication of a client for a service wins.

    Refused when the service is persistent, a name or the heart-beat metadata is illegal, or the connection has ended.
    """

    client_id: str
    service: ServiceKey
    instance: Instance
    now_ms: int


class RegisterBatch(msgspec.Struct, frozen=True):
    """A client publishes a batch, which replaces everything it published for the service. An empty batch withdraws it."""

    client_id: str
    service: ServiceKey
    instances: tuple[Instance, ...]
    now_ms: int


class DeregisterInstance(msgspec.Struct, frozen=True):
    """A client withdraws whatever it published for the service. Unknown is not an error."""

    client_id: str
    service: ServiceKey
    now_ms: int


class SetHealth(msgspec.Struct, frozen=True):
    """The instances a client publishes for a service became healthy or unhealthy (beats of ip:port clients)."""

    client_id: str
    service: ServiceKey
    healthy: bool
    now_ms: int


class Subscribe(msgspec.Struct, frozen=True):
    client_id: str
    service: ServiceKey
    subscriber: Subscriber
    now_ms: int


class Unsubscribe(msgspec.Struct, frozen=True):
    client_id: str
    service: ServiceKey
    now_ms: int


class RemoveIdleServices(msgspec.Struct, frozen=True):
    """The empty-service cleaner: drops services that have had no publisher since `idle_since_ms` or longer.

    What an operator wrote about them stays for a while (`expiry.expired_metadata`, `ForgetMetadata`).
    """

    idle_since_ms: int
    now_ms: int


class OverrideSwitch(msgspec.Struct, frozen=True):
    """Like `UpdateSwitch`, but on this node and until the next start only (`debug=true`)."""

    entry: str
    value: str


EphemeralCommand = (
    ConnectClient
    | DisconnectClient
    | RegisterInstance
    | RegisterBatch
    | DeregisterInstance
    | SetHealth
    | Subscribe
    | Unsubscribe
    | RemoveIdleServices
    | OverrideSwitch
)

# --- durable ---------------------------------------------------------------------------------------------------------


class RegisterPersistent(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Publishes a persistent instance under the client `ip:port#false`. Refused as `RegisterInstance` is."""

    service: ServiceKey
    instance: Instance
    now_ms: int


class DeregisterPersistent(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Withdraws a persistent instance. Unknown is not an error."""

    service: ServiceKey
    ip: str
    port: int
    now_ms: int


class SetPersistentHealth(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """The health of a persistent instance changed, by a check or by hand."""

    service: ServiceKey
    ip: str
    port: int
    cluster: str
    healthy: bool
    now_ms: int


class CreateService(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Creates an empty service; refused when it exists."""

    service: ServiceKey
    ephemeral: bool
    protect_threshold: float
    metadata: dict[str, str]
    selector: dict[str, str]  # {"type": "none"} or {"type": "label", "expression": ...}
    now_ms: int


class UpdateService(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Replaces threshold, metadata and selector; refused when the service does not exist."""

    service: ServiceKey
    protect_threshold: float
    metadata: dict[str, str]
    selector: dict[str, str]
    now_ms: int


class DeleteService(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Refused when the service does not exist or still has instances."""

    service: ServiceKey
    now_ms: int


class UpdateCluster(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Says how the instances of a cluster are checked; refused when the service does not exist."""

    service: ServiceKey
    cluster: str
    check_port: int
    use_instance_port: bool
    health_checker: dict[str, str | int | None]
    metadata: dict[str, str]
    now_ms: int


class UpdateInstanceMetadata(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Writes the operator's overlay of one instance. None leaves a member as it is; metadata is replaced as a whole.

    Refused when the service does not exist; the instance need not.
    """

    service: ServiceKey
    ip: str
    port: int
    cluster: str
    weight: float | None
    enabled: bool | None
    metadata: dict[str, str] | None
    now_ms: int


class MergeInstanceMetadata(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Adds `put` to, and takes `removed` out of, the overlay metadata of several instances (metadata/batch)."""

    service: ServiceKey
    instances: tuple[InstanceKey, ...]
    put: dict[str, str]
    removed: tuple[str, ...]
    now_ms: int


class ForgetMetadata(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Drops the metadata of services and the overlays of instances that have been gone for long."""

    services: tuple[ServiceKey, ...]
    instances: tuple[tuple[ServiceKey, InstanceKey], ...]


class UpdateSwitch(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Sets one entry of the SwitchDomain. Unknown entries are accepted and ignored, bad values refused."""

    entry: str
    value: str


DurableCommand = (
    RegisterPersistent
    | DeregisterPersistent
    | SetPersistentHealth
    | CreateService
    | UpdateService
    | DeleteService
    | UpdateCluster
    | UpdateInstanceMetadata
    | MergeInstanceMetadata
    | ForgetMetadata
    | UpdateSwitch
)
