"""The catalog: publish, compare-and-set, gray versions, history and who is told (contract/storage.md §3, semantics §6)."""

from __future__ import annotations

import msgspec
import pytest

from nacosx.config.catalog import Catalog
from nacosx.config.commands import DurableCommand
from nacosx.config.events import ConfigChanged, ConfigWritten, GrayWritten, HistoryRecorded
from nacosx.config.model import NO_DETAILS, ConfigKey
from nacosx.config.watch import concerns
from nacosx.errors import CONFIG_CONFLICT, CONFIG_GRAY_MAX, NacosError
from tests.unit.config.catalog_commands import (
    KEY,
    NOW_MS,
    md5_of,
    publish,
    publish_beta,
    publish_tag,
    remove,
    remove_gray,
)


def content(catalog: Catalog, client_ip: str = "1.1.1.1", tag: str = "", key: ConfigKey = KEY) -> bytes | None:
    served = catalog.served(key, client_ip, tag)
    return None if served is None else served.content


def history(catalog: Catalog, *commands: DurableCommand) -> list[HistoryRecorded]:
    return [event for command in commands for event in catalog.apply(command) if isinstance(event, HistoryRecorded)]


def test_a_published_config_is_read_by_everybody() -> None:
    catalog = Catalog()
    catalog.apply(publish("a: 1", type="yaml"))
    config = catalog.configs[KEY]
    assert (config.content, config.md5, config.type) == (b"a: 1", md5_of(b"a: 1"), "yaml")
    assert content(catalog) == b"a: 1"
    assert catalog.served(ConfigKey("public", "OTHER", "app.yaml"), "1.1.1.1") is None


def test_an_update_keeps_id_creation_app_name_and_tags_unless_they_are_given() -> None:
    catalog = Catalog()
    catalog.apply(publish("1", app_name="shop", tags=("a", "b"), desc="first", now_ms=NOW_MS))
    catalog.apply(publish("2", now_ms=NOW_MS + 5))
    config = catalog.configs[KEY]
    assert (config.id, config.created_ms, config.modified_ms) == (1, NOW_MS, NOW_MS + 5)
    assert (config.details.app_name, config.details.tags, config.details.desc) == ("shop", ("a", "b"), None)
    catalog.apply(publish("3", app_name="", tags=()))
    assert catalog.configs[KEY].details is NO_DETAILS


def test_compare_and_set_refuses_another_md5_and_changes_nothing() -> None:
    catalog = Catalog()
    catalog.apply(publish("1"))
    before = catalog.snapshot()
    with pytest.raises(NacosError, match=r"^Cas publish fail, server md5 may have changed\.$") as refusal:
        catalog.apply(publish("2", cas_md5="0000"))
    assert refusal.value.kind is CONFIG_CONFLICT
    assert catalog.snapshot() == before
    catalog.apply(publish("2", cas_md5=md5_of(b"1")))
    assert content(catalog) == b"2"


def test_compare_and_set_on_a_missing_config_inserts_it() -> None:
    """Nacos 2.x: insertOrUpdateCas."""
    catalog = Catalog()
    catalog.apply(publish("1", cas_md5="0000"))
    assert content(catalog) == b"1"


def test_a_deleted_config_is_gone_and_deleting_it_again_is_no_error() -> None:
    catalog = Catalog()
    catalog.apply(publish())
    assert catalog.apply(remove()) != []
    assert content(catalog) is None
    assert catalog.apply(remove()) == []


def test_beta_is_for_the_listed_ips_tag_for_its_tag_and_beta_wins() -> None:
    catalog = Catalog()
    for command in (publish("formal"), publish_tag("tagged", "t1"), publish_beta("beta", "10.0.0.1, 10.0.0.2")):
        catalog.apply(command)
    assert content(catalog, "10.0.0.1") == b"beta"
    assert content(catalog, "10.0.0.2", "t1") == b"beta"
    assert content(catalog, "10.0.0.3", "t1") == b"tagged"
    assert content(catalog, "10.0.0.3", "t2") == b"formal"
    assert content(catalog, "10.0.0.3") == b"formal"


def test_gray_versions_outlive_the_formal_one_and_need_none() -> None:
    catalog = Catalog()
    catalog.apply(publish_beta("beta", "10.0.0.1"))
    assert content(catalog, "10.0.0.1") == b"beta"
    assert content(catalog, "10.0.0.2") is None
    catalog.apply(publish("formal"))
    catalog.apply(remove())
    assert content(catalog, "10.0.0.1") == b"beta"
    catalog.apply(remove_gray("beta"))
    assert catalog.grays == {}


def test_too_many_gray_versions_are_refused_but_updating_one_is_not() -> None:
    catalog = Catalog()
    for number in range(3):
        catalog.apply(publish_tag("x", f"t{number}", gray_max=3))
    with pytest.raises(NacosError, match="gray config version is over max count :3") as refusal:
        catalog.apply(publish_tag("x", "t3", gray_max=3))
    assert refusal.value.kind is CONFIG_GRAY_MAX
    catalog.apply(publish_tag("y", "t0", gray_max=3))
    assert content(catalog, tag="t0") == b"y"


def test_gray_compare_and_set_looks_at_the_gray_version() -> None:
    catalog = Catalog()
    catalog.apply(publish_tag("1", "t"))
    with pytest.raises(NacosError, match="Cas publish gray config fail"):
        catalog.apply(publish_tag("2", "t", cas_md5="0000"))
    catalog.apply(publish_tag("2", "t", cas_md5=md5_of(b"1")))
    assert content(catalog, tag="t") == b"2"


def test_history_has_the_new_content_of_an_insert_and_the_old_one_of_updates_and_deletes() -> None:
    rows = history(Catalog(), publish("1", src_user="ann"), publish("2", src_user="bob"), remove(), publish("3"))
    assert [(row.history_id, row.op_type, row.content, row.config_id) for row in rows] == [
        (1, "I", b"1", 0),
        (2, "U", b"1", 1),
        (3, "D", b"2", 1),
        (4, "I", b"3", 0),
    ]
    assert [row.src_user for row in rows] == ["ann", "bob", None, None]


def test_history_describes_versions_as_the_java_server_does() -> None:
    """Golden 083: ext_info of formal and gray rows."""
    full = publish("1", type="json", src_user="joe", tags=("t1", "t2"), desc="d", use="u", effect="e", schema="s")
    rows = history(Catalog(), full, publish("2"), publish_beta("b", "10.0.0.1,10.0.0.2"), publish_tag("t", "tg1"))
    assert [row.ext_info for row in rows] == [
        '{"src_user":"joe","c_schema":"s","c_use":"u","effect":"e","type":"json","config_tags":"t1,t2","c_desc":"d"}',
        '{"type":"json","config_tags":"t1,t2","effect":"e","src_user":"joe","c_desc":"d","c_use":"u","c_schema":"s"}',
        r'{"gray_name":"beta","gray_rule":"{\"type\":\"beta\",\"expr\":\"10.0.0.1,10.0.0.2\",\"version\":\"1.0.0\",'
        r'\"priority\":\"2147483647\"}"}',
        r'{"gray_name":"tag_tg1","gray_rule":"{\"type\":\"tag\",\"expr\":\"tg1\",\"version\":\"1.0.0\",'
        r'\"priority\":\"2147483646\"}"}',
    ]
    assert [(row.publish_type, row.gray_name) for row in rows[1:]] == [
        ("formal", ""),
        ("gray", "beta"),
        ("gray", "tag_tg1"),
    ]


def changes(catalog: Catalog, command: DurableCommand) -> list[ConfigChanged]:
    return [event for event in catalog.apply(command) if isinstance(event, ConfigChanged)]


def test_publishing_the_same_content_again_tells_nobody_but_leaves_history() -> None:
    catalog = Catalog()
    catalog.apply(publish("1"))
    events = catalog.apply(publish("1", type="yaml"))
    assert [type(event) for event in events] == [ConfigWritten, HistoryRecorded]
    events = [event for _ in range(2) for event in catalog.apply(publish_tag("1", "t"))]
    first, again = [GrayWritten, HistoryRecorded, ConfigChanged], [GrayWritten, HistoryRecorded]
    assert [type(event) for event in events] == [*first, *again]


def test_a_gray_change_concerns_only_the_clients_it_is_for() -> None:
    catalog = Catalog()
    catalog.apply(publish("formal"))
    (change,) = changes(catalog, publish_beta("beta", "10.0.0.1"))
    assert concerns(change, "10.0.0.1", "")
    assert not concerns(change, "10.0.0.2", "")
    (change,) = changes(catalog, publish_beta("beta", "10.0.0.2"))  # the rule moves from one client to another
    assert concerns(change, "10.0.0.1", "")
    assert concerns(change, "10.0.0.2", "")
    (change,) = changes(catalog, publish("formal 2"))
    assert concerns(change, "10.0.0.1", "")
    assert not concerns(change, "10.0.0.2", "")
    (change,) = changes(catalog, remove_gray("beta"))
    assert concerns(change, "10.0.0.2", "")


def test_configs_are_counted_by_namespace() -> None:
    catalog = Catalog()
    other = ConfigKey("ns1", "G", "d")
    for command in (publish(), publish("2"), publish(key=other), publish_tag("x", "t", other)):
        catalog.apply(command)
    assert catalog.counts == {"public": 1, "ns1": 1}
    catalog.apply(remove(other))
    assert catalog.counts == {"public": 1}


def test_a_snapshot_restores_everything_and_numbers_go_on() -> None:
    catalog = Catalog()
    for command in (
        publish("1", tags=("a",)),
        publish(key=ConfigKey("ns1", "G", "d")),
        publish_tag("x", "t"),
        remove(),
    ):
        catalog.apply(command)
    restored = Catalog()
    restored.apply(publish("to be forgotten", ConfigKey("x", "y", "z")))
    restored.restore(catalog.snapshot())
    assert restored.configs == catalog.configs
    assert restored.grays == catalog.grays
    assert restored.counts == catalog.counts
    assert restored.apply(publish("next")) == catalog.apply(publish("next"))


def test_a_damaged_snapshot_is_refused() -> None:
    catalog = Catalog()
    catalog.apply(publish())
    for damaged in (b"", b"\x00", catalog.snapshot()[:-1]):
        with pytest.raises(msgspec.MsgspecError):
            Catalog().restore(damaged)


def test_the_state_as_rows_has_every_config_and_gray_version() -> None:
    catalog = Catalog()
    for command in (publish(), publish_tag("x", "t"), publish_beta("y", "1.1.1.1")):
        catalog.apply(command)
    assert [type(row).__name__ for row in catalog.rows()] == ["ConfigWritten", "GrayWritten", "GrayWritten"]
