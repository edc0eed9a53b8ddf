"""What has happened in the catalog: the return value of `Catalog.apply`."""

from __future__ import annotations

import msgspec

from nacosx.config.model import Config, ConfigKey, GrayConfig


class ConfigChanged(msgspec.Struct, frozen=True):
    """Some client would be served something else now: check the listeners of this key."""

    key: ConfigKey


class ConfigWritten(msgspec.Struct, frozen=True):
    """Row of config_info (None: deleted). For the projection."""

    key: ConfigKey
    config: Config | None


class GrayWritten(msgspec.Struct, frozen=True):
    """Row of config_info_gray (None: deleted). For the projection."""

    key: ConfigKey
    name: str
    gray: GrayConfig | None


class HistoryRecorded(msgspec.Struct, frozen=True):
    """Row of his_config_info. `op_type` I carries the new content, U and D the content before the change."""

    history_id: int
    config_id: int  # 0 for inserts
    key: ConfigKey
    op_type: str  # I, U, D
    content: bytes
    md5: str
    type: str
    encrypted_data_key: str
    app_name: str
    src_user: str
    src_ip: str
    publish_type: str  # formal, gray
    gray_name: str
    ext_info: str  # JSON
    created_ms: int
    modified_ms: int


Event = ConfigChanged | ConfigWritten | GrayWritten | HistoryRecorded
