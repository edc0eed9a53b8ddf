"""Instances: which may be registered, the rules of their heart beat, their ids, and how they share memory."""

from __future__ import annotations

import pytest

from nacosx.errors import NacosError
from nacosx.naming.client import address_client_id, is_connection, is_ephemeral, with_key, without_key
from nacosx.naming.commands import RegisterInstance, UpdateInstanceMetadata, UpdateService
from nacosx.naming.health import BeatRules, beat_rules, client_beat_interval_ms
from nacosx.naming.instance_ids import EPOCH_MS, SnowflakeIds, worker_of
from nacosx.naming.legality import check_instance
from nacosx.naming.metadata import NO_SELECTOR
from nacosx.naming.model import NO_METADATA, Instance, ServiceKey
from nacosx.naming.registry import Registry
from nacosx.naming.sharing import METADATA_MAX, SharedParts

KEY = ServiceKey("public", "DEFAULT_GROUP", "s")


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"preserved.heart.beat.interval": "15000"},  # equal to the timeout
        {"preserved.heart.beat.interval": "abc", "preserved.heart.beat.timeout": "-1"},  # not digits: as if absent
        {"preserved.heart.beat.timeout": "1" * 30},  # no Java long
        {"preserved.heart.beat.timeout": "٣"},  # a digit, but not an ASCII one
    ],
)
def test_a_consistent_heart_beat_is_legal(metadata: dict[str, str]) -> None:
    check_instance(Instance("10.0.0.1", 80, metadata=metadata))


@pytest.mark.parametrize(
    "metadata",
    [
        {"preserved.heart.beat.interval": "15001"},
        {"preserved.heart.beat.timeout": "4999"},
        {"preserved.ip.delete.timeout": "4999"},
        {"preserved.heart.beat.interval": "40000", "preserved.heart.beat.timeout": "50000"},
    ],
)
def test_an_interval_above_a_timeout_is_refused(metadata: dict[str, str]) -> None:
    text = "Instance 'heart beat interval' must less than 'heart beat timeout' and 'ip delete timeout'."
    with pytest.raises(NacosError) as refused:
        check_instance(Instance("10.0.0.1", 80, metadata=metadata))
    assert (refused.value.code, refused.value.detail) == (400, text)


@pytest.mark.parametrize("cluster", ["a_b", "a b", "", "c\n", "中"])
def test_a_cluster_has_letters_digits_and_dashes_only(cluster: str) -> None:
    check_instance(Instance("10.0.0.1", 80, cluster="a-Z-09"))
    with pytest.raises(NacosError, match="should be characters with only 0-9a-zA-Z-"):
        check_instance(Instance("10.0.0.1", 80, cluster=cluster))


def test_the_heart_beat_follows_overlay_then_publication_then_default() -> None:
    registry = Registry()
    published = Instance(
        "10.0.0.1", 80, metadata={"preserved.heart.beat.timeout": "20000", "preserved.heart.beat.interval": "9"}
    )
    registry.apply(RegisterInstance("10.0.0.1:80#true", KEY, published, 1))
    assert beat_rules(registry, KEY, Instance("10.0.0.2", 80)) == BeatRules(15_000, 30_000, True)
    assert beat_rules(registry, KEY, published) == BeatRules(20_000, 30_000, True)
    assert client_beat_interval_ms(registry, KEY, published) == 9
    assert client_beat_interval_ms(registry, KEY, None) == 5_000
    overlay = {
        "preserved.heart.beat.timeout": "25000",
        "enableClientBeat": "true",
        "preserved.heart.beat.interval": "7",
    }
    registry.apply(UpdateInstanceMetadata(KEY, "10.0.0.1", 80, "DEFAULT", None, None, overlay, 2))
    assert beat_rules(registry, KEY, published) == BeatRules(25_000, 30_000, False)
    assert client_beat_interval_ms(registry, KEY, published) == 7


def test_a_whole_service_may_be_spared_the_heart_beat_check() -> None:
    registry = Registry()
    instance = Instance("10.0.0.1", 80)
    registry.apply(RegisterInstance("10.0.0.1:80#true", KEY, instance, 1))
    registry.apply(UpdateService(KEY, 0.0, {"enableClientBeat": "TRUE"}, NO_SELECTOR, 2))
    assert not beat_rules(registry, KEY, instance).checked
    registry.apply(UpdateService(KEY, 0.0, {}, NO_SELECTOR, 3))
    assert beat_rules(registry, KEY, instance).checked


def test_snowflake_ids_grow_within_a_millisecond_and_when_the_clock_goes_back() -> None:
    """id = ((ms - epoch) << 22) | (worker << 12) | sequence"""
    ids = SnowflakeIds(1023)
    now_ms = EPOCH_MS + 1000
    drawn = [ids.draw(now_ms) for _ in range(4097)]
    assert drawn[0] == 1000 << 22 | 1023 << 12
    assert drawn[4095] == 1000 << 22 | 1023 << 12 | 4095
    assert drawn[4096] == 1001 << 22 | 1023 << 12
    assert ids.draw(now_ms - 500) > drawn[4096]
    assert ids.draw(now_ms + 5) == 1005 << 22 | 1023 << 12


@pytest.mark.parametrize(
    ("ip", "worker"), [("10.0.3.7", 775), ("10.0.4.255", 255), ("::1", 0), ("host", 0), ("1.2.3.٣", 0)]
)
def test_the_worker_comes_from_the_address(ip: str, worker: int) -> None:
    assert worker_of(ip) == worker


def test_equal_parts_of_instances_are_kept_once() -> None:
    shared = SharedParts()
    one = shared.instance("10.0.0.1", int("8080"), cluster="c-" + "1", metadata={"a": "1"}, weight=float("1"))
    two = shared.instance("10.0.0.2", int("8080"), cluster="c-" + "1", metadata={"a": "1"}, weight=float("1"))
    assert (one.port is two.port, one.cluster is two.cluster, one.metadata is two.metadata) == (True, True, True)
    assert one.weight is two.weight
    assert shared.instance("10.0.0.3", 1, metadata={}).metadata is NO_METADATA
    for number in range(METADATA_MAX):
        shared.metadata({"n": str(number)})
    assert len(shared._metadata) <= METADATA_MAX
    assert shared.metadata({"a": "1"}) == one.metadata


def test_client_ids_tell_what_kind_of_client_it_is() -> None:
    assert address_client_id("10.0.0.1", 80, ephemeral=True) == "10.0.0.1:80#true"
    assert address_client_id("10.0.0.1", 80, ephemeral=False) == "10.0.0.1:80#false"
    assert [is_connection(each) for each in ("1_10.0.0.1_80", "10.0.0.1:80#true")] == [True, False]
    assert [is_ephemeral(each) for each in ("1_10.0.0.1_80", "10.0.0.1:80#true", "10.0.0.1:80#false")] == [
        True,
        True,
        False,
    ]


def test_keys_of_a_client_keep_their_order_however_many_there_are() -> None:
    keys = [KEY._replace(name=str(number)) for number in range(12)]
    held: object = ()
    for count, key in enumerate(keys, 1):
        held = with_key(held, key)  # type: ignore[arg-type]
        assert list(held) == keys[:count]
    assert isinstance(held, dict)
    assert list(without_key(held, keys[3])) == keys[:3] + keys[4:]
    assert without_key((keys[0], keys[1]), keys[0]) == (keys[1],)
