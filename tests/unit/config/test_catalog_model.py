"""The catalog does what its slow twin does, whatever the order of commands."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nacosx.config.catalog import Catalog
from nacosx.config.commands import DurableCommand
from nacosx.config.events import ConfigChanged, ConfigWritten, Event, GrayWritten, HistoryRecorded
from nacosx.config.model import ConfigKey
from nacosx.config.watch import concerns
from nacosx.errors import NacosError
from tests.models.catalog import CatalogModel, md5_of
from tests.unit.config.catalog_commands import publish, publish_beta, publish_tag, remove, remove_gray

KEYS = [ConfigKey("public", "G", "a"), ConfigKey("public", "G", "b"), ConfigKey("ns1", "G", "a")]
IPS = ["10.0.0.1", "10.0.0.2"]
TAGS = ["t1", "t2", "t3"]
CLIENTS = [(ip, tag) for ip in [*IPS, "10.9.9.9"] for tag in ["", *TAGS]]
GRAY_MAX = 2

keys = st.sampled_from(KEYS)
contents = st.sampled_from(["1", "2", "ünï 中文"])
cas_md5s = st.sampled_from(["", md5_of("1"), md5_of("2")])


class CatalogMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.catalog = Catalog()
        self.model = CatalogModel()
        self.rows: dict[int, ConfigWritten] = {}
        self.gray_rows: dict[int, GrayWritten] = {}
        self.history: list[HistoryRecorded] = []

    def apply(self, command: DurableCommand) -> bool:
        """Whether it was taken. Checks that exactly the clients that read something else now are concerned."""
        before = [self.model.read(command.key, *client) for client in CLIENTS]
        state = self.catalog.snapshot()
        try:
            events = self.catalog.apply(command)
        except NacosError:
            assert self.catalog.snapshot() == state
            return False
        self.record(events)
        changed = [event for event in events if isinstance(event, ConfigChanged)]
        after = [self.served(command.key, client) for client in CLIENTS]
        told = [any(concerns(event, *client) for event in changed) for client in CLIENTS]
        assert told == [old != new for old, new in zip(before, after, strict=True)]
        return True

    def served(self, key: ConfigKey, client: tuple[str, str]) -> str | None:
        version = self.catalog.served(key, *client)
        return None if version is None else version.content.decode()

    def record(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case ConfigWritten(id=id_, config=None):
                    del self.rows[id_]
                case ConfigWritten(id=id_):
                    self.rows[id_] = event
                case GrayWritten(id=id_, gray=None):
                    del self.gray_rows[id_]
                case GrayWritten(id=id_):
                    self.gray_rows[id_] = event
                case HistoryRecorded():
                    self.history.append(event)

    @rule(
        key=keys,
        content=contents,
        cas=cas_md5s,
        app_name=st.sampled_from([None, "", "shop"]),
        tags=st.sampled_from([None, (), ("a", "b")]),
        desc=st.sampled_from([None, "d"]),
    )
    def publish(
        self,
        key: ConfigKey,
        content: str,
        cas: str,
        app_name: str | None,
        tags: tuple[str, ...] | None,
        desc: str | None,
    ) -> None:
        taken = self.apply(publish(content, key, cas_md5=cas, app_name=app_name, tags=tags, desc=desc))
        assert taken == self.model.publish(key, content, cas, app_name, tags, desc)

    @rule(key=keys, content=contents, cas=cas_md5s, ips=st.lists(st.sampled_from(IPS), min_size=1, unique=True))
    def publish_beta(self, key: ConfigKey, content: str, cas: str, ips: list[str]) -> None:
        taken = self.apply(publish_beta(content, ",".join(ips), key, cas_md5=cas, gray_max=GRAY_MAX))
        assert taken == self.model.publish_gray(key, "beta", content, cas, set(ips), GRAY_MAX)

    @rule(key=keys, content=contents, cas=cas_md5s, tag=st.sampled_from(TAGS))
    def publish_tag(self, key: ConfigKey, content: str, cas: str, tag: str) -> None:
        taken = self.apply(publish_tag(content, tag, key, cas_md5=cas, gray_max=GRAY_MAX))
        assert taken == self.model.publish_gray(key, f"tag_{tag}", content, cas, set(), GRAY_MAX)

    @rule(key=keys)
    def remove(self, key: ConfigKey) -> None:
        self.apply(remove(key))
        self.model.remove(key)

    @rule(key=keys, name=st.sampled_from(["beta", *(f"tag_{tag}" for tag in TAGS)]))
    def remove_gray(self, key: ConfigKey, name: str) -> None:
        self.apply(remove_gray(name, key))
        self.model.remove_gray(key, name)

    @rule()
    def restart(self) -> None:
        restored = Catalog()
        restored.restore(self.catalog.snapshot())
        self.catalog = restored

    @invariant()
    def reads_agree(self) -> None:
        for key in KEYS:
            assert [self.served(key, client) for client in CLIENTS] == [self.model.read(key, *c) for c in CLIENTS]

    @invariant()
    def rows_agree(self) -> None:
        assert {row.key: (row.config.content.decode(), row.config.details.app_name, row.config.details.tags,
                          row.config.details.desc)
                for row in self.rows.values() if row.config is not None} == {
            key: (row.content, row.app_name, row.tags, row.desc) for key, row in self.model.formal.items()
        }  # fmt: skip
        assert {(row.key, row.gray.name): row.gray.content.decode() for row in self.gray_rows.values() if row.gray} == (
            self.model.gray
        )
        assert [(row.key, row.op_type, row.gray_name, row.content.decode()) for row in self.history] == (
            self.model.history
        )
        assert [row.history_id for row in self.history] == list(range(1, len(self.history) + 1))

    @invariant()
    def counts_agree(self) -> None:
        namespaces = [key[0] for key in self.model.formal]
        assert self.catalog.counts == {name: namespaces.count(name) for name in set(namespaces)}


TestCatalogMachine = CatalogMachine.TestCase
TestCatalogMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
