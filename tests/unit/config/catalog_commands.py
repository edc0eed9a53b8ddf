"""Commands with the members a test does not care about filled in."""

from __future__ import annotations

from hashlib import md5

from nacosx.config.commands import PublishConfig, PublishGray, RemoveConfig, RemoveGray
from nacosx.config.model import BETA, BETA_PRIORITY, TAG, TAG_PRIORITY, ConfigKey, GrayRule

KEY = ConfigKey("public", "DEFAULT_GROUP", "app.yaml")
NOW_MS = 1_700_000_000_000


def md5_of(content: bytes) -> str:
    return md5(content).hexdigest()


def publish(content: str = "a: 1", key: ConfigKey = KEY, *, now_ms: int = NOW_MS, **members: object) -> PublishConfig:
    data = content.encode()
    return PublishConfig(key=key, content=data, md5=md5_of(data), now_ms=now_ms, src_ip="10.0.0.9", **members)  # type: ignore[arg-type]


def publish_beta(content: str, ips: str, key: ConfigKey = KEY, **members: object) -> PublishGray:
    return _gray(content, "beta", GrayRule(BETA, ips, BETA_PRIORITY), key, **members)


def publish_tag(content: str, tag: str, key: ConfigKey = KEY, **members: object) -> PublishGray:
    return _gray(content, f"tag_{tag}", GrayRule(TAG, tag, TAG_PRIORITY), key, **members)


def _gray(content: str, name: str, rule: GrayRule, key: ConfigKey, **members: object) -> PublishGray:
    data = content.encode()
    members = {"gray_max": 10, "now_ms": NOW_MS, "src_ip": "10.0.0.9"} | members
    return PublishGray(key=key, name=name, rule=rule, content=data, md5=md5_of(data), **members)  # type: ignore[arg-type]


def remove(key: ConfigKey = KEY, now_ms: int = NOW_MS) -> RemoveConfig:
    return RemoveConfig(key=key, now_ms=now_ms, src_ip="10.0.0.9")


def remove_gray(name: str, key: ConfigKey = KEY) -> RemoveGray:
    return RemoveGray(key=key, name=name, now_ms=NOW_MS, src_ip="10.0.0.9")
