"""Whatever JSON a gRPC client sends, the naming desk answers with JSON or refuses with an error of the table."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nacosx.errors import NacosError
from tests.unit.api.test_naming_grpc import Desk

TEXTS = st.text(max_size=8) | st.sampled_from(
    ["", "public", "DEFAULT", "a_b", "10.0.0.1", "registerInstance", "null", "1" * 600]
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)
PRESERVED = st.sampled_from(
    ["preserved.heart.beat.interval", "preserved.ip.delete.timeout", "preserved.instance.id.generator", "k"]
)
METADATA = st.dictionaries(PRESERVED | TEXTS, SCALARS | st.sampled_from(["snowflake", "1000000"]), max_size=4) | VALUES
INSTANCES = st.fixed_dictionaries(
    {"ip": st.just("10.0.0.1") | VALUES},
    optional={
        "port": st.integers(0, 65_535) | VALUES,
        "weight": VALUES,
        "healthy": VALUES,
        "enabled": VALUES,
        "clusterName": VALUES,
        "serviceName": VALUES,
        "instanceId": VALUES,
        "metadata": METADATA,
    },
)
KINDS = st.sampled_from(["registerInstance", "deregisterInstance", "batchRegisterInstance"])
BODIES = st.fixed_dictionaries(
    {"serviceName": st.sampled_from(["a", "b"]) | VALUES},
    optional={
        "namespace": VALUES,
        "groupName": VALUES,
        "type": KINDS | VALUES,
        "instance": INSTANCES | VALUES,
        "instances": st.lists(INSTANCES, max_size=3) | VALUES,
        "cluster": VALUES,
        "clusters": VALUES,
        "healthyOnly": VALUES,
        "subscribe": VALUES,
        "pageNo": VALUES,
        "pageSize": VALUES,
    },
)
TYPES = st.sampled_from(sorted(Desk().rpcs))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(TYPES, BODIES), min_size=1, max_size=6))
def test_every_request_is_answered_or_refused_and_the_registry_stays_readable(
    requests: list[tuple[str, dict[str, Any]]],
) -> None:
    desk = Desk()
    for type_name, body in requests:
        try:
            reply = desk.call(type_name, body)
        except (NacosError, msgspec.ValidationError):
            continue
        assert isinstance(msgspec.json.decode(reply), dict)
    for name in ("a", "b"):
        for host in desk.hosts(name):
            assert host["instanceId"]
            assert host["clusterName"]
    restored = Desk().gateway.registry
    restored.restore(desk.gateway.registry.snapshot())


@pytest.mark.parametrize("weight", ["1e999", "-1e999"])
def test_a_weight_beyond_all_numbers_is_no_json(weight: str) -> None:
    rpc = Desk().rpcs["InstanceRequest"]
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"instance":{"weight":' + weight.encode() + b"}}", type=rpc.request)
