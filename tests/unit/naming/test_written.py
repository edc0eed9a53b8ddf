"""What members of a group compare after a durable command: the same where the durable state is, whatever clients do there."""

from __future__ import annotations

import msgspec
import pytest

from nacosx.naming.commands import (
    ConnectClient,
    CreateService,
    DeleteService,
    DeregisterPersistent,
    DurableCommand,
    ForgetMetadata,
    MergeInstanceMetadata,
    RegisterBatch,
    RegisterInstance,
    RegisterPersistent,
    SetPersistentHealth,
    UpdateCluster,
    UpdateInstanceMetadata,
    UpdateService,
    UpdateSwitch,
)
from nacosx.naming.model import Instance, InstanceKey, ServiceKey
from nacosx.naming.registry import Registry
from nacosx.naming.written import written

ORDERS, LEDGER = (ServiceKey("public", "DEFAULT_GROUP", name) for name in ("orders", "ledger"))
CONNECTION = "1700_10.0.0.1_4711"
PERSISTENT = Instance("10.0.0.9", 9, metadata={"b": "2", "a": "1"})
NONE = {"type": "none"}

COMMANDS: list[DurableCommand] = [
    RegisterPersistent(LEDGER, PERSISTENT, 1),
    SetPersistentHealth(LEDGER, "10.0.0.9", 9, "DEFAULT", False, 2),
    UpdateService(LEDGER, 0.5, {"k": "v"}, NONE, 3),
    UpdateCluster(LEDGER, "DEFAULT", 80, True, {"type": "TCP"}, {}, 4),
    UpdateInstanceMetadata(LEDGER, "10.0.0.9", 9, "DEFAULT", 2.0, None, {"zone": "a"}, 5),
    MergeInstanceMetadata(LEDGER, (InstanceKey("10.0.0.9", 9, "DEFAULT"),), {"zone": "b"}, ("none",), 6),
    UpdateInstanceMetadata(ORDERS, "10.0.0.1", 80, "DEFAULT", None, False, None, 7),
    UpdateService(ORDERS, 0.7, {}, NONE, 8),
    CreateService(ServiceKey("public", "DEFAULT_GROUP", "new"), True, 0.0, {}, NONE, 9),
    UpdateSwitch("pushEnabled", "false"),
    DeregisterPersistent(LEDGER, "10.0.0.9", 9, 10),
    ForgetMetadata((LEDGER,), ((LEDGER, InstanceKey("10.0.0.9", 9, "DEFAULT")),)),
    CreateService(LEDGER, False, 0.0, {}, NONE, 11),
    DeleteService(LEDGER, 12),
]


def busy() -> Registry:
    """Clients of its own."""
    registry = Registry()
    registry.apply(ConnectClient(CONNECTION, 1))
    registry.apply(RegisterInstance(CONNECTION, ORDERS, Instance("10.0.0.1", 80), 1))
    other = ServiceKey("public", "DEFAULT_GROUP", "other")
    registry.apply(RegisterBatch(CONNECTION, other, (Instance("10.0.0.1", 81), Instance("10.0.0.1", 82)), 1))
    return registry


def told(registry: Registry, command: DurableCommand) -> bytes:
    registry.apply(command)
    return msgspec.msgpack.encode(written(registry, command), order="deterministic")


def test_what_is_ephemeral_has_no_part_in_it() -> None:
    quiet, loud = Registry(), busy()
    for command in COMMANDS:
        assert told(quiet, command) == told(loud, command), command


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_a_durable_state_that_differs_there_is_seen(number: int) -> None:
    """Whatever a command is about: a registry that has missed it tells something else than one that has not."""
    command = COMMANDS[number]
    right, wrong = Registry(), Registry()
    for earlier in COMMANDS[:number]:
        right.apply(earlier)
        wrong.apply(earlier)
    right.apply(command)
    assert written(right, command) != written(wrong, command)
