"""The values of configuration management."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class ConfigKey(NamedTuple):
    """The identity of a config. A tuple, because it is hashed on every request."""

    namespace: str  # canonical: never "", the default is "public"
    group: str
    data_id: str


class ConfigDetails(msgspec.Struct, frozen=True):
    """What only the console shows. One shared empty value serves the many configs that have none."""

    app_name: str = ""
    src_user: str = ""
    src_ip: str = ""
    desc: str | None = None
    use: str | None = None
    effect: str | None = None
    schema: str | None = None
    tags: tuple[str, ...] = ()


class GrayRule(msgspec.Struct, frozen=True):
    """`{"type":"beta|tag","version":"1.0.0","expr":"ips or tag","priority":n}`"""

    type: str
    expression: str
    priority: int
    version: str = "1.0.0"


class GrayConfig(msgspec.Struct, frozen=True):
    name: str  # "beta" or "tag_<tag>"
    rule: GrayRule
    content: bytes
    md5: str
    type: str
    encrypted_data_key: str
    modified_ms: int
    details: ConfigDetails


class Config(msgspec.Struct, frozen=True):
    """The formal version. `content` is UTF-8; `md5` is the hex digest of it."""

    id: int
    content: bytes
    md5: str
    type: str
    encrypted_data_key: str
    created_ms: int
    modified_ms: int
    details: ConfigDetails
