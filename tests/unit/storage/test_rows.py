"""The SQL projection: what was written is found, in order, once, after crashes and full disks."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nacosx.config.catalog import Catalog
from nacosx.config.commands import DurableCommand
from nacosx.config.model import ConfigKey
from nacosx.config.rows import ConfigRow, ConfigSearch, HistoryRow, Page
from nacosx.errors import DATA_ACCESS, OVER_THRESHOLD, NacosError
from nacosx.storage import rows as rows_module
from nacosx.storage.rows import Rows, open_rows
from tests.unit.config.catalog_commands import KEY, NOW_MS, publish, publish_beta, publish_tag, remove, remove_gray

Timers = list[Callable[[object], None]]


class Projection:
    """A catalog, and the rows that follow it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.catalog = Catalog()
        self.index = 0
        self.timers: Timers = []
        self.rows = self.open()

    def open(self) -> Rows:
        return open_rows(self.path, lambda _, callback: self.timers.append(callback))

    def reopen(self) -> None:
        self.rows.close()
        self.rows = self.open()

    def apply(self, *commands: DurableCommand) -> None:
        for command in commands:
            self.index += 1
            self.rows.write(self.index, self.catalog.apply(command))

    def search(self, **members: Any) -> Page[ConfigRow]:
        defaults: dict[str, Any] = {"namespace": "public", "blur": False, "page_number": 1, "page_size": 100}
        return run(self.rows.search(ConfigSearch(**(defaults | members))))

    def found(self, **members: Any) -> list[str]:
        return [row.data_id for row in self.search(**members).page_items]

    def history(self, key: ConfigKey = KEY, page_number: int = 1, page_size: int = 100) -> Page[HistoryRow]:
        return run(self.rows.history(key, page_number, page_size))

    def operations(self, key: ConfigKey = KEY) -> str:
        return "".join(row.op_type for row in self.history(key).page_items)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner() as runner:
        return runner.run(work)


@pytest.fixture
def projection(tmp_path: Path) -> Iterator[Projection]:
    projection = Projection(tmp_path / "rows.db")
    yield projection
    projection.rows.close()


def key(data_id: str, group: str = "G", namespace: str = "public") -> ConfigKey:
    return ConfigKey(namespace, group, data_id)


def test_a_search_right_after_a_publish_finds_it(projection: Projection) -> None:
    projection.apply(publish("ünï 中文", type="yaml", app_name="shop", encrypted_data_key="K"))
    page = projection.search(data_id="app.yaml")
    assert page.page_items == [
        ConfigRow(1, "public", "DEFAULT_GROUP", "app.yaml", "yaml", "shop",
                  projection.catalog.configs[KEY].md5, "K", "ünï 中文")
    ]  # fmt: skip
    assert (page.total_count, page.page_number, page.pages_available) == (1, 1, 1)


def test_an_accurate_search_compares_and_leaves_out_what_is_empty(projection: Projection) -> None:
    projection.apply(
        publish(key=key("b")), publish(key=key("a")), publish(key=key("a", "H")), publish(key=key("a", namespace="ns1"))
    )
    assert projection.found() == ["b", "a", "a"]  # in the order of creation
    assert projection.found(data_id="a", group="H") == ["a"]
    assert projection.found(data_id="a*") == []
    assert projection.found(namespace="ns1") == ["a"]


def test_a_blur_search_knows_stars_and_nothing_else(projection: Projection) -> None:
    for data_id in ("gd.yaml", "gd.full", "Gd.other", "gd_q", "gdxq", "g?", "g[1]"):
        projection.apply(publish(key=key(data_id)))
    assert projection.found(blur=True, data_id="gd*") == ["gd.full", "gd.yaml", "gd_q", "gdxq"]
    assert projection.found(blur=True, data_id="*a*l*") == ["gd.yaml"]
    assert projection.found(blur=True, data_id="gd_*") == ["gd_q"]
    assert projection.found(blur=True, data_id="g?*") == ["g?"]
    assert projection.found(blur=True, data_id="g[1]*") == ["g[1]"]
    assert projection.found(blur=True, data_id="gd.yam") == []
    assert projection.found(blur=True, data_id="", group="*") == projection.found()


def test_a_search_filters_by_app_name_types_and_tags(projection: Projection) -> None:
    projection.apply(
        publish(key=key("a"), type="json", app_name="shop", tags=("t1", "t2")),
        publish(key=key("b"), type="yaml", tags=("t2",)),
        publish(key=key("c"), type="text"),
    )
    assert projection.found(app_name="shop") == ["a"]
    assert projection.found(types=("json", "text")) == ["a", "c"]
    assert projection.found(tags=("t1", "t2")) == ["a", "b"]
    projection.apply(publish("new", key("a"), tags=("t3",)), remove(key("b")))
    assert projection.found(tags=("t1", "t2")) == []
    assert projection.found(tags=("t3",)) == ["a"]


def test_pages_are_counted_from_one_and_empty_beyond_the_last(projection: Projection) -> None:
    projection.apply(*(publish(key=key(f"d{number}")) for number in range(5)))
    second = projection.search(page_number=2, page_size=2)
    assert [row.data_id for row in second.page_items] == ["d2", "d3"]
    assert (second.total_count, second.page_number, second.pages_available) == (5, 2, 3)
    assert projection.search(page_number=9, page_size=2).page_items == []


def test_history_is_newest_first_and_lists_leave_contents_out(projection: Projection) -> None:
    projection.apply(publish("1", src_user="joe"), publish("2"), publish_tag("t", "x"), remove())
    page = projection.history(page_size=3)
    assert [(row.op_type, row.publish_type, row.gray_name, row.content) for row in page.page_items] == [
        ("D", "formal", "", ""),
        ("I", "gray", "tag_x", ""),
        ("U", "formal", "", ""),
    ]
    assert (page.total_count, page.pages_available) == (4, 2)
    (first,) = projection.history(page_number=2, page_size=3).page_items
    row = run(projection.rows.history_row(first.history_id))
    assert (row.op_type, row.content, row.src_user, row.src_ip, row.at_ms) == ("I", "1", "joe", "10.0.0.9", NOW_MS)
    assert run(projection.rows.history_row(99)) is None


def test_the_previous_row_of_a_config_is_its_newest_update_or_deletion(projection: Projection) -> None:
    projection.apply(publish("1"))
    assert run(projection.rows.previous_row(1)) is None
    assert run(projection.rows.previous_row(0)) is None  # 0 stands in the rows of inserts
    projection.apply(publish("2"), publish("3"))
    assert run(projection.rows.previous_row(1)).content == "2"


def test_old_history_is_forgotten_and_the_rest_stays(projection: Projection) -> None:
    total = rows_module.FORGET_ROWS * 2 + 10
    projection.apply(*(publish(str(number), now_ms=NOW_MS + number) for number in range(total)))
    run(projection.rows.forget_history(NOW_MS + total - 3))
    assert projection.history().total_count == 3
    assert projection.found() == ["app.yaml"]


def test_rows_survive_a_restart_and_replayed_entries_are_ignored(projection: Projection) -> None:
    projection.apply(publish("1"), publish("2"))
    projection.reopen()
    assert projection.rows.applied_index == 2
    again = Catalog()
    for index, command in enumerate((publish("1"), publish("2"), publish("3")), 1):
        projection.rows.write(index, again.apply(command))
    assert projection.operations() == "UUI"
    assert projection.search().page_items[0].content == "3"


def test_a_crash_loses_the_newest_rows_and_the_replay_brings_them_back(tmp_path: Path) -> None:
    """Nothing is queried and nothing closed: the second projection reads what the first left on disk."""
    crashed = Projection(tmp_path / "rows.db")
    crashed.apply(publish("1"))
    run(crashed.rows.flushed(1))
    crashed.apply(publish("2"))
    after = Projection(tmp_path / "rows.db")
    assert after.rows.applied_index == 1
    after.apply(publish("1"), publish("2"))
    assert after.operations() == "UI"
    after.rows.close()
    crashed.rows.close()


def test_entries_without_events_count_as_applied_once_somebody_asks(projection: Projection) -> None:
    projection.apply(publish("1"))
    projection.rows.write(2, ())
    run(projection.rows.flushed(2))
    assert projection.rows.applied_index == 2
    run(projection.rows.sync(9))  # entries of other rooms need not be written
    projection.reopen()
    assert projection.rows.applied_index == 9


def test_rows_wait_for_the_timer_or_for_a_full_batch(projection: Projection) -> None:
    projection.apply(publish("1"))
    assert (projection.rows.applied_index, len(projection.timers)) == (0, 1)
    projection.apply(publish("2"))
    assert len(projection.timers) == 1
    projection.timers.pop()(None)
    run(projection.rows.flushed(2))
    assert projection.rows.applied_index == 2
    projection.apply(*(publish(key=key(f"d{number}")) for number in range(rows_module.BATCH_ROWS_MAX)))
    run(projection.rows.flushed(projection.index))
    assert projection.search(page_size=1).total_count == rows_module.BATCH_ROWS_MAX + 1


def test_large_contents_fill_a_batch_and_count_as_behind(projection: Projection) -> None:
    connection = projection.rows._connection
    projection.apply(publish("x" * rows_module.BATCH_BYTES_MAX))
    run(projection.rows.flushed(1))
    assert projection.rows.applied_index == 1
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    for number in range(rows_module.BYTES_WAITING_MAX // rows_module.BATCH_BYTES_MAX):
        assert not projection.rows.behind
        projection.apply(publish(f"{number}" + "y" * rows_module.BATCH_BYTES_MAX))
    projection.apply(publish("last"))
    assert projection.rows.behind
    connection.execute("PRAGMA max_page_count = 1000000")
    run(projection.rows.flushed(projection.index))
    assert not projection.rows.behind


def test_a_config_deleted_and_published_again_in_one_batch_has_one_row(projection: Projection) -> None:
    projection.apply(publish("1", tags=("a",)), remove(), publish("2"), publish_tag("t", "x"), remove_gray("tag_x"))
    projection.apply(publish_tag("u", "x"))
    (row,) = projection.search().page_items
    assert (row.id, row.content) == (2, "2")
    assert projection.found(tags=("a",)) == []
    projection.rows.close()
    with sqlite3.connect(projection.path) as database:
        assert database.execute("SELECT gray_name, content, gray_rule FROM config_info_gray").fetchall() == [
            ("tag_x", "u", '{"type":"tag","version":"1.0.0","expr":"x","priority":2147483646}')
        ]
    database.close()
    projection.rows = projection.open()


def test_lost_rows_are_rebuilt_from_the_state(projection: Projection) -> None:
    projection.apply(publish("1", tags=("a",)), publish(key=key("b")), publish_beta("x", "1.1.1.1"))
    catalog = projection.catalog
    projection.rows.close()
    projection.path.unlink()
    projection.rows = projection.open()
    assert projection.rows.applied_index == 0
    projection.rows.rebuild(3, catalog.rows())
    assert projection.rows.applied_index == 3
    assert projection.found() == ["app.yaml", "b"]
    assert projection.found(tags=("a",)) == ["app.yaml"]
    assert projection.history().total_count == 0
    projection.apply(publish("again"))  # index 4
    assert projection.search(data_id="app.yaml").page_items[0].content == "again"


def test_a_damaged_file_is_put_aside(projection: Projection, caplog: pytest.LogCaptureFixture) -> None:
    projection.apply(publish("1"))
    projection.rows.close()
    projection.path.write_bytes(b"this is no database, but long enough to be looked at" * 100)
    projection.rows = projection.open()
    assert projection.rows.applied_index == 0
    assert projection.path.with_name("rows.db.damaged").exists()
    assert "is damaged" in caplog.text


def test_a_file_of_another_version_is_put_aside(projection: Projection) -> None:
    projection.rows.close()
    with sqlite3.connect(projection.path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    projection.rows = projection.open()
    assert projection.path.with_name("rows.db.damaged").exists()


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot open"):
        open_rows(tmp_path / "missing" / "rows.db", lambda *_: None)


def test_when_the_disk_refuses_rows_wait_and_come_later(
    projection: Projection, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full: SQLite may use no page more than it has."""
    projection.apply(publish("1"))
    assert projection.operations() == "I"
    connection = projection.rows._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    projection.apply(publish("x" * 100_000))
    with pytest.raises(NacosError, match="full") as refusal:
        projection.operations()
    assert refusal.value.kind is DATA_ACCESS
    with pytest.raises(OSError, match="full"):
        run(projection.rows.sync(2))
    projection.apply(publish("3"))
    projection.timers[-1](None)
    connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
    assert projection.operations() == "UUI"
    assert projection.rows.applied_index == 3
    run(projection.rows.sync(3))


def test_rows_far_behind_say_so_until_they_have_caught_up(projection: Projection) -> None:
    connection = projection.rows._connection
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    assert not projection.rows.behind
    for _ in range(rows_module.BATCHES_WAITING_MAX):
        projection.apply(publish("x" * 10_000))
        projection.rows._on_timer(None)
    assert projection.rows.behind
    connection.execute("PRAGMA max_page_count = 1000000")
    assert len(projection.operations()) == 100
    assert not projection.rows.behind


def test_too_many_questions_at_once_are_refused(projection: Projection) -> None:
    async def ask() -> list[object]:
        questions = [projection.rows.history_row(1) for _ in range(rows_module.QUERIES_WAITING_MAX + 2)]
        return await asyncio.gather(*questions, return_exceptions=True)

    refused = [answer for answer in run(ask()) if isinstance(answer, NacosError)]
    assert [error.kind for error in refused] == [OVER_THRESHOLD] * 2


commands = st.one_of(
    st.builds(
        lambda data_id, content, tags: publish(content, key(data_id), tags=tags),
        st.sampled_from("abc"),
        st.sampled_from(["1", "2"]),
        st.sampled_from([None, (), ("t",)]),
    ),
    st.builds(lambda data_id: remove(key(data_id)), st.sampled_from("abc")),
    st.builds(lambda data_id, content: publish_tag(content, "x", key(data_id)), st.sampled_from("abc"), st.just("g")),
    st.builds(lambda data_id: remove_gray("tag_x", key(data_id)), st.sampled_from("abc")),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(commands, max_size=8), max_size=6))
def test_rows_are_what_the_catalog_is_however_commands_fall_into_batches(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[DurableCommand]]
) -> None:
    projection = Projection(tmp_path_factory.mktemp("rows") / "rows.db")
    history = 0
    for batch in batches:
        projection.apply(*batch)
        run(projection.rows.flushed(projection.index))
    for data_id in "abc":
        history += projection.history(key(data_id)).total_count
    configs = projection.catalog.configs
    assert {row.data_id: (row.id, row.content) for row in projection.search().page_items} == {
        k.data_id: (config.id, config.content.decode()) for k, config in configs.items()
    }
    assert projection.found(tags=("t",)) == [k.data_id for k, config in configs.items() if config.details.tags]
    assert projection.rows.applied_index == projection.index
    assert history == projection.catalog._history_id
    projection.rows.close()
