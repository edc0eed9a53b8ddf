"""What may be done to the catalog. All are durable: acknowledged when on disk. Ids and times are stamped in beforehand.

Every struct is tagged in the member `command`, as in every room: the log carries the union of all rooms.
"""

from __future__ import annotations

import msgspec

from nacosx.config.model import ConfigDetails, ConfigKey, GrayRule


class PublishConfig(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Inserts or updates the formal version.

    `cas_md5`: "" = unconditional, else refused (CONFIG_CONFLICT) when the config exists with another md5.
    `id` is used when the config is new, `history_id` for the history row.
    """

    key: ConfigKey
    content: bytes
    md5: str
    type: str
    encrypted_data_key: str
    details: ConfigDetails
    cas_md5: str
    id: int
    history_id: int
    now_ms: int


class PublishGray(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Inserts or updates a gray version; refused (CONFIG_GRAY_MAX) above `gray_max` versions."""

    key: ConfigKey
    name: str
    rule: GrayRule
    content: bytes
    md5: str
    type: str
    encrypted_data_key: str
    details: ConfigDetails
    cas_md5: str
    gray_max: int
    history_id: int
    now_ms: int


class RemoveConfig(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    """Unknown is not an error."""

    key: ConfigKey
    src_user: str
    src_ip: str
    history_id: int
    now_ms: int


class RemoveGray(msgspec.Struct, frozen=True, tag=True, tag_field="command"):
    key: ConfigKey
    name: str
    src_user: str
    src_ip: str
    history_id: int
    now_ms: int


DurableCommand = PublishConfig | PublishGray | RemoveConfig | RemoveGray
