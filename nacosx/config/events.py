"""What has happened in the catalog: the return value of `Catalog.apply`.

`ConfigChanged` is for the listeners; the others are rows of the SQL projection (contract/storage.md §1) and carry all it
needs, so that the projection never looks at the catalog.
"""

from __future__ import annotations

import msgspec

from nacosx.config.model import Config, ConfigKey, GrayConfig, Versions


class ConfigChanged(msgspec.Struct, frozen=True):
    """Some client is served another md5 now. `watch.concerns` tells which."""

    key: ConfigKey
    before: Versions
    after: Versions


class ConfigWritten(msgspec.Struct, frozen=True):
    """Row of config_info (None: deleted). Its config_tags_relation needs writing only when `tagged`."""

    key: ConfigKey
    id: int
    config: Config | None
    tagged: bool  # it has, or had, tags


class GrayWritten(msgspec.Struct, frozen=True):
    """Row of config_info_gray (None: deleted)."""

    key: ConfigKey
    id: int
    gray: GrayConfig | None


class HistoryRecorded(msgspec.Struct, frozen=True):
    """Row of his_config_info. `op_type` I carries the new content, U and D the content before the change."""

    history_id: int
    config_id: int  # 0 for inserts
    key: ConfigKey
    op_type: str  # I, U, D
    content: bytes
    md5: str
    encrypted_data_key: str
    app_name: str
    src_user: str | None  # who made the change
    src_ip: str
    publish_type: str  # formal, gray
    gray_name: str
    ext_info: str  # JSON
    at_ms: int


Event = ConfigChanged | ConfigWritten | GrayWritten | HistoryRecorded
