"""What has happened in the catalog: the return value of `Catalog.apply`.

`ConfigChanged` is for the listeners; the others are rows of the SQL projection (contract/storage.md §1) and carry all it
needs, so that the projection never looks at the catalog. They hold versions, which never change, and not copies of what is
in them: of many of a config only the last is written, and whoever writes rows has the time to derive what is in one.
"""

from __future__ import annotations

import msgspec

from nacosx.config.history import ext_info
from nacosx.config.model import Config, ConfigKey, GrayConfig, Versions


class ConfigChanged(msgspec.Struct, frozen=True, gc=False):
    """Some client is served another md5 now. `watch.concerns` tells which."""

    key: ConfigKey
    before: Versions
    after: Versions


class ConfigWritten(msgspec.Struct, frozen=True, gc=False):
    """Row of config_info (None: deleted). Its config_tags_relation needs writing only when `tagged`."""

    key: ConfigKey
    id: int
    config: Config | None
    tagged: bool  # it has, or had, tags


class GrayWritten(msgspec.Struct, frozen=True, gc=False):
    """Row of config_info_gray (None: deleted)."""

    key: ConfigKey
    id: int
    gray: GrayConfig | None


class HistoryRecorded(msgspec.Struct, frozen=True, gc=False):
    """Row of his_config_info. `op_type` I carries the new version, U and D the version before the change."""

    history_id: int
    key: ConfigKey
    op_type: str  # I, U, D
    version: Config | GrayConfig
    src_user: str | None  # who made the change
    src_ip: str
    at_ms: int

    @property
    def config_id(self) -> int:
        """0 for inserts."""
        return 0 if self.op_type == "I" else self.version.id

    @property
    def content(self) -> bytes:
        return self.version.content

    @property
    def publish_type(self) -> str:
        """formal, gray"""
        return "formal" if isinstance(self.version, Config) else "gray"

    @property
    def gray_name(self) -> str:
        return "" if isinstance(self.version, Config) else self.version.name

    @property
    def app_name(self) -> str:
        version = self.version
        return version.details.app_name if isinstance(version, Config) else version.app_name

    @property
    def ext_info(self) -> str:
        """JSON"""
        return ext_info(self.version, self.op_type)


Event = ConfigChanged | ConfigWritten | GrayWritten | HistoryRecorded
