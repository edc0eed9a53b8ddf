"""What may be done to the catalog. All are durable: acknowledged when on disk. Times are stamped in beforehand.

Ids are not: `Catalog.apply` numbers configs and history rows in the order of the log, which is the same everywhere.
Every struct is tagged in the member `command`, as in every room: the log carries the union of all rooms.
"""

from __future__ import annotations

import msgspec

from nacosx.config.model import ConfigKey, GrayRule


class PublishConfig(msgspec.Struct, frozen=True, tag=True, tag_field="command", omit_defaults=True):
    """Inserts or updates the formal version.

    `cas_md5`: "" = unconditional, else refused (CONFIG_CONFLICT) when the config exists with another md5; a config that
    does not exist is inserted all the same (Nacos 2.x). `app_name` and `tags`: None = as they were.
    """

    key: ConfigKey
    content: bytes
    md5: str
    now_ms: int
    src_ip: str
    type: str = "text"
    encrypted_data_key: str = ""
    cas_md5: str = ""
    src_user: str | None = None
    app_name: str | None = None
    tags: tuple[str, ...] | None = None
    desc: str | None = None
    use: str | None = None
    effect: str | None = None
    schema: str | None = None


class PublishGray(msgspec.Struct, frozen=True, tag=True, tag_field="command", omit_defaults=True):
    """Inserts or updates a gray version; a new one above `gray_max` versions is refused (CONFIG_GRAY_MAX)."""

    key: ConfigKey
    name: str  # "beta" or "tag_<tag>"
    rule: GrayRule
    content: bytes
    md5: str
    now_ms: int
    src_ip: str
    gray_max: int
    encrypted_data_key: str = ""
    cas_md5: str = ""
    src_user: str | None = None
    app_name: str = ""


class RemoveConfig(msgspec.Struct, frozen=True, tag=True, tag_field="command", omit_defaults=True):
    """Removes the formal version; its gray versions stay. Unknown is not an error."""

    key: ConfigKey
    now_ms: int
    src_ip: str
    src_user: str | None = None


class RemoveGray(msgspec.Struct, frozen=True, tag=True, tag_field="command", omit_defaults=True):
    """Unknown is not an error."""

    key: ConfigKey
    name: str
    now_ms: int
    src_ip: str
    src_user: str | None = None


DurableCommand = PublishConfig | PublishGray | RemoveConfig | RemoveGray
