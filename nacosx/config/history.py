"""The `ext_info` of a history row: JSON, members and order as Nacos 2.5.1 `ConfigExtInfoUtil` writes them.

Inserts describe the request, updates and deletes the row that was there; the two order their members differently.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from nacosx.config.model import NO_DETAILS, Config, GrayConfig

_encode = msgspec.json.encode


def ext_info(version: Config | GrayConfig, op_type: str) -> str:
    if isinstance(version, GrayConfig):
        return _gray(version)
    return _inserted(version) if op_type == "I" else _replaced(version)


def gray_rule_json(gray: GrayConfig) -> str:
    """The column `gray_rule` of config_info_gray, as Gson writes ConfigGrayPersistInfo."""
    rule = gray.rule
    return _encode(
        {"type": rule.type, "version": rule.version, "expr": rule.expression, "priority": rule.priority}
    ).decode()


def _inserted(config: Config) -> str:
    details = config.details
    if details == NO_DETAILS and not config.src_user:
        return _type_only(config.type)
    return _json(
        ("src_user", config.src_user),
        ("c_schema", details.schema),
        ("c_use", details.use),
        ("effect", details.effect),
        ("type", config.type),
        ("config_tags", ",".join(details.tags)),
        ("c_desc", details.desc),
    )


def _replaced(config: Config) -> str:
    details = config.details
    if details == NO_DETAILS and not config.src_user:
        return _type_only(config.type)
    return _json(
        ("type", config.type),
        ("config_tags", ",".join(details.tags)),
        ("effect", details.effect),
        ("src_user", config.src_user),
        ("c_desc", details.desc),
        ("c_use", details.use),
        ("c_schema", details.schema),
    )


def _gray(gray: GrayConfig) -> str:
    rule = gray.rule
    expression = {
        "type": rule.type,
        "expr": rule.expression,
        "version": rule.version,
        "priority": str(rule.priority),
    }
    return _json(
        ("gray_name", gray.name),
        ("src_user", gray.src_user),
        ("gray_rule", _encode(expression).decode()),
    )


@lru_cache(maxsize=64)
def _type_only(config_type: str) -> str:
    return _json(("type", config_type))


def _json(*members: tuple[str, str | None]) -> str:
    return _encode(dict(_present(members))).decode()


def _present(members: Iterable[tuple[str, str | None]]) -> Iterable[tuple[str, str]]:
    return ((name, value.strip()) for name, value in members if value is not None and value.strip())
