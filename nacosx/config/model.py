"""The values of configuration management.

10 000 configs of 1 KB must fit in 30 MB: what repeats (namespace, group, type, address, empty details) is shared, and
nothing that can be derived is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

import msgspec

DEFAULT_NAMESPACE = "public"
DEFAULT_TYPE = "text"

BETA = "beta"
TAG = "tag"
# Nacos 2.5.1 BetaGrayRule, TagGrayRule: the larger wins, so a beta client never sees a tag.
BETA_PRIORITY = 2_147_483_647
TAG_PRIORITY = 2_147_483_646


class ConfigKey(NamedTuple):
    """The identity of a config. A tuple, because it is hashed on every request."""

    namespace: str  # canonical: never "", the default is "public"
    group: str
    data_id: str


# The constructor of a NamedTuple is Python code. This one is not, for those who make a key for each request.
config_key = cast("Callable[[tuple[str, str, str]], ConfigKey]", partial(tuple.__new__, ConfigKey))


class ConfigDetails(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What only the console shows. One shared empty value serves the many configs that have none."""

    app_name: str = ""
    desc: str | None = None
    use: str | None = None
    effect: str | None = None
    schema: str | None = None
    tags: tuple[str, ...] = ()


NO_DETAILS = ConfigDetails()


class Config(msgspec.Struct, frozen=True, gc=False):
    """The formal version. `content` is UTF-8 and not blank; `md5` is the hex digest of it."""

    id: int
    content: bytes
    md5: str
    type: str
    encrypted_data_key: str
    created_ms: int
    modified_ms: int
    src_user: str | None  # who published last
    src_ip: str
    details: ConfigDetails


class GrayRule(msgspec.Struct, frozen=True, gc=False):
    """Which clients a gray version is for: `beta` lists client ips, comma separated; `tag` names one Vipserver-Tag."""

    type: str
    expression: str
    priority: int
    version: str = "1.0.0"


class GrayConfig(msgspec.Struct, frozen=True, gc=False):
    """A version that shadows the formal one for the clients its rule matches. It has no type of its own."""

    id: int
    name: str  # "beta" or "tag_<tag>"
    rule: GrayRule
    content: bytes
    md5: str
    encrypted_data_key: str
    app_name: str
    created_ms: int
    modified_ms: int
    src_user: str | None
    src_ip: str


class Versions(NamedTuple):
    """Everything published under one key."""

    formal: Config | None
    grays: tuple[GrayConfig, ...]  # larger priority first


# As `config_key`.
versions = cast("Callable[[tuple[Config | None, tuple[GrayConfig, ...]]], Versions]", partial(tuple.__new__, Versions))

NO_VERSIONS = Versions(None, ())
