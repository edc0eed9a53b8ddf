"""What the SQL projection is asked, and what it answers (contract/storage.md, http-v1-config.md §1.3, §2)."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

Row = TypeVar("Row")


class Page(msgspec.Struct, Generic[Row], frozen=True, rename="camel"):
    """One page, spelled as Nacos spells it. Pages count from 1."""

    total_count: int
    page_number: int
    pages_available: int
    page_items: list[Row]


class ConfigSearch(msgspec.Struct, frozen=True, kw_only=True):
    """ "" and () mean: any.

    `blur`: in `data_id` and `group` `*` stands for any text, and a value without `*` must be equal; else both must be
    equal. Compared with case, as the Java server's databases do.
    """

    namespace: str
    data_id: str = ""
    group: str = ""
    app_name: str = ""
    tags: tuple[str, ...] = ()  # any of them
    types: tuple[str, ...] = ()  # any of them
    blur: bool
    page_number: int
    page_size: int


class ConfigRow(msgspec.Struct, frozen=True):
    id: int
    namespace: str
    group: str
    data_id: str
    type: str
    app_name: str
    md5: str
    encrypted_data_key: str
    content: str


class HistoryRow(msgspec.Struct, frozen=True):
    """`content` is "" in lists."""

    history_id: int
    config_id: int  # 0 for inserts
    namespace: str
    group: str
    data_id: str
    op_type: str  # I, U, D
    publish_type: str  # formal, gray
    gray_name: str
    app_name: str
    src_user: str  # "" for nobody
    src_ip: str
    at_ms: int
    md5: str
    encrypted_data_key: str
    ext_info: str
    content: str
