"""What a client asks for when it publishes, whatever the protocol, and the command it becomes.

Source: Nacos 2.5.1 `ParamUtils`, `ConfigOperationService.publishConfig`, `ConfigType` (contract/http-v1-config.md §0, §1.8).
"""

from __future__ import annotations

import re
from hashlib import md5
from urllib.parse import quote_plus

import msgspec

from nacosx.api.namespaces import canonical_namespace
from nacosx.config.catalog import Catalog
from nacosx.config.commands import PublishConfig, PublishGray, RemoveConfig, RemoveGray
from nacosx.config.model import BETA, BETA_PRIORITY, DEFAULT_TYPE, TAG, TAG_PRIORITY, ConfigKey, GrayRule, config_key
from nacosx.errors import PARAMETER_INVALID, NacosError

_valid = re.compile(r"[\w.:-]*").fullmatch

TYPES = frozenset({"properties", "xml", "json", "text", "html", "yaml", "toml", "unset"})

TAG_LENGTH_MAX = 16
TENANT_LENGTH_MAX = 128
CONFIG_TAGS_MAX = 5
CONFIG_TAG_LENGTH_MAX = 64
# member as it is called in a refusal → most characters
TEXT_LENGTHS_MAX = {"desc": 128, "use": 32, "effect": 32, "schema": 32_768}
CONTENT_CHARS_MAX = 10_485_760
GRAY_VERSIONS_MAX = 10


class ConfigForm(msgspec.Struct, kw_only=True):
    """None = not sent."""

    data_id: str | None
    group: str | None
    tenant: str | None
    content: str | None
    src_ip: str
    src_user: str | None = None
    tag: str | None = None
    app_name: str | None = None
    config_tags: str | None = None  # comma list
    desc: str | None = None
    use: str | None = None
    effect: str | None = None
    schema: str | None = None
    type: str | None = None
    encrypted_data_key: str | None = None
    beta_ips: str | None = None
    cas_md5: str | None = None


class ConfigLimits(msgspec.Struct, frozen=True, kw_only=True):
    """maxContent, nacos.config.gray.version.max.count."""

    content_chars_max: int = CONTENT_CHARS_MAX
    gray_versions_max: int = GRAY_VERSIONS_MAX


# Letters and digits of any script, and `_ - . :`.
is_valid = re.compile(r"[\w\-.:]*").fullmatch


def is_known(catalog: Catalog, tenant: str | None, group: str | None, data_id: str | None) -> bool:
    """There is this config. Its names were checked when it was published first, and need not be again."""
    namespace = canonical_namespace(tenant)
    if group is None or data_id is None or (tenant and tenant != namespace):
        return False
    return config_key((namespace, group, data_id)) in catalog.configs


def is_blank(text: str | None) -> bool:
    return not text or text.isspace()


def refuse_names(data_id: str | None, group: str | None) -> None:
    """NacosError when a name is blank or has a character no name has."""
    if data_id is None or is_blank(data_id) or not is_valid(data_id.strip()):
        raise NacosError(PARAMETER_INVALID, f"invalid dataId : {_java(data_id)}")
    if group is None or is_blank(group) or not is_valid(group):
        raise NacosError(PARAMETER_INVALID, f"invalid group : {_java(group)}")


def refuse_tenant(tenant: str | None) -> None:
    if tenant is None or is_blank(tenant):
        return
    if not is_valid(tenant.strip()):
        raise NacosError(PARAMETER_INVALID, "invalid tenant")
    if len(tenant) > TENANT_LENGTH_MAX:
        raise NacosError(PARAMETER_INVALID, f"too long tenant, over {TENANT_LENGTH_MAX}")


def refuse_tag(tag: str | None) -> None:
    if tag is None or is_blank(tag):
        return
    if not is_valid(tag.strip()):
        raise NacosError(PARAMETER_INVALID, f"invalid tag : {tag}")
    if len(tag) > TAG_LENGTH_MAX:
        raise NacosError(PARAMETER_INVALID, f"too long tag, over {TAG_LENGTH_MAX}")


def refuse_content(content: str | None, limits: ConfigLimits) -> None:
    if content is None or is_blank(content):
        raise NacosError(PARAMETER_INVALID, f"content is blank : {_java(content)}")
    if len(content) > limits.content_chars_max:
        raise NacosError(PARAMETER_INVALID, f"invalid content, over {limits.content_chars_max}")


def publish_command(form: ConfigForm, now_ms: int, limits: ConfigLimits) -> PublishConfig | PublishGray:
    """The form has been checked for names and content. NacosError when something else is wrong with it.

    betaIps win over tag; either makes a gray version and leaves the formal one alone.
    """
    refuse_tag(form.tag)
    tags = _config_tags(form.config_tags)
    _refuse_texts(form)
    assert form.content is not None
    content = form.content.encode()
    digest = md5(content, usedforsecurity=False).hexdigest()
    assert form.data_id is not None
    assert form.group is not None
    key = ConfigKey(canonical_namespace(form.tenant), form.group, form.data_id)
    if form.beta_ips is not None and not is_blank(form.beta_ips):
        return _gray(form, key, "beta", GrayRule(BETA, form.beta_ips, BETA_PRIORITY), content, digest, now_ms, limits)
    if form.tag is not None and not is_blank(form.tag):
        rule = GrayRule(TAG, form.tag, TAG_PRIORITY)
        return _gray(form, key, f"tag_{form.tag}", rule, content, digest, now_ms, limits)
    return PublishConfig(
        key=key,
        content=content,
        md5=digest,
        now_ms=now_ms,
        src_ip=form.src_ip,
        type=form.type if form.type in TYPES else DEFAULT_TYPE,
        encrypted_data_key=form.encrypted_data_key or "",
        cas_md5=form.cas_md5 or "",
        src_user=form.src_user or None,
        app_name=form.app_name,
        tags=tags,
        desc=form.desc,
        use=form.use,
        effect=form.effect,
        schema=form.schema,
    )


def remove_command(
    catalog: Catalog, key: ConfigKey, tag: str | None, *, now_ms: int, src_ip: str, src_user: str | None
) -> RemoveConfig | RemoveGray | None:
    """None when there is nothing to remove.

    `tag` is the name of a gray version in Nacos 2.5 and 3.x ("tag_x", "beta") and a tag in 1.4 ("x"); both are understood.
    """
    if tag is None or is_blank(tag):
        if key not in catalog.configs:
            return None
        return RemoveConfig(key, now_ms, src_ip, src_user)
    for name in (tag, f"tag_{tag}"):
        if catalog.gray(key, name) is not None:
            return RemoveGray(key, name, now_ms, src_ip, src_user)
    return None


def url_encoded(text: str) -> str:
    """As Java's URLEncoder."""
    return quote_plus(text, safe="*").replace("~", "%7E")


def _gray(
    form: ConfigForm,
    key: ConfigKey,
    name: str,
    rule: GrayRule,
    content: bytes,
    digest: str,
    now_ms: int,
    limits: ConfigLimits,
) -> PublishGray:
    return PublishGray(
        key=key,
        name=name,
        rule=rule,
        content=content,
        md5=digest,
        now_ms=now_ms,
        src_ip=form.src_ip,
        gray_max=limits.gray_versions_max,
        encrypted_data_key=form.encrypted_data_key or "",
        cas_md5=form.cas_md5 or "",
        src_user=form.src_user or None,
        app_name=form.app_name or "",
    )


def _config_tags(config_tags: str | None) -> tuple[str, ...] | None:
    """None: not sent, so the config keeps its tags."""
    if config_tags is None:
        return None
    tags = config_tags.split(",")
    if len(tags) > CONFIG_TAGS_MAX:
        raise NacosError(PARAMETER_INVALID, f"too much config_tags, over {CONFIG_TAGS_MAX}")
    if any(len(tag) > CONFIG_TAG_LENGTH_MAX for tag in tags):
        raise NacosError(PARAMETER_INVALID, f"too long tag, over {CONFIG_TAG_LENGTH_MAX}")
    return tuple(dict.fromkeys(tag for tag in tags if not is_blank(tag)))


def _refuse_texts(form: ConfigForm) -> None:
    if form.desc is form.use is form.effect is form.schema is None:
        return
    for member, length_max in TEXT_LENGTHS_MAX.items():
        text = getattr(form, member)
        if text is not None and len(text) > length_max:
            raise NacosError(PARAMETER_INVALID, f"too long {member}, over {length_max}")


def _java(text: str | None) -> str:
    """As Java spells it in a message."""
    return "null" if text is None else text
