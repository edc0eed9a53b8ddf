"""What consoles ask about configs over HTTP v1: everything about one, its beta, and search (contract/http-v1-config.md
§1.2–1.5, §1.14)."""

from __future__ import annotations

import msgspec

from nacosx._core.http1 import Request, Response
from nacosx.api.checks import Checks
from nacosx.api.config_form import is_blank, refuse_names, refuse_tenant
from nacosx.api.form import Form
from nacosx.api.http import Answer
from nacosx.api.namespaces import PUBLIC, canonical_namespace
from nacosx.api.pages import ESCAPES
from nacosx.api.v1.config_content import illegal
from nacosx.api.v1.config_http import (
    JSON,
    json_response,
    refused,
    required,
    required_int,
    rest_result,
)
from nacosx.config.model import Config, ConfigKey
from nacosx.config.rows import ConfigRow, ConfigSearch, Page
from nacosx.engine.gateway import Gateway
from nacosx.engine.ports import RowStore
from nacosx.errors import SERVER, NacosError


class AdvanceInfo(msgspec.Struct, rename="camel"):
    create_time: int
    modify_time: int
    create_user: str | None
    create_ip: str
    desc: str | None
    use: str | None
    effect: str | None
    type: str
    schema: str | None
    config_tags: str | None


class AllInfo(msgspec.Struct, rename="camel"):
    """Every member of `AdvanceInfo` and what identifies the config, in the order of the Java server."""

    id: str
    data_id: str
    group: str
    content: str
    md5: str
    encrypted_data_key: str
    tenant: str
    app_name: str
    type: str
    create_time: int
    modify_time: int
    create_user: str | None
    create_ip: str
    desc: str | None
    use: str | None
    effect: str | None
    schema: str | None
    config_tags: str | None


class ConfigInfo(msgspec.Struct, rename="camel"):
    """An item of a search; what the Java server's SQL leaves out is null."""

    id: str
    data_id: str
    group: str
    content: str
    md5: str | None
    encrypted_data_key: str | None
    tenant: str
    app_name: str
    type: str | None


class BetaInfo(ConfigInfo):
    beta_ips: str


def echoed_tenant(spelled: str | None, namespace: str) -> str:
    """The default namespace as the client wrote it, "" when it wrote nothing (Nacos 2.x); others are what they are."""
    return (spelled or "") if namespace == PUBLIC else namespace


class DetailsDesk:
    __slots__ = ("_checks", "_gateway", "_rows")

    def __init__(self, gateway: Gateway, rows: RowStore, checks: Checks) -> None:
        self._gateway = gateway
        self._rows = rows
        self._checks = checks

    def show_all(self, request: Request, form: Form) -> Response:
        """Everything about a config; an empty body when there is none."""
        if refusal := illegal(self._checks, form):
            return refused(refusal)
        tenant = form.get("tenant")
        data_id, group = required(form, "dataId"), required(form, "group")
        refuse_tenant(tenant)
        refuse_names(data_id, group)
        key = ConfigKey(canonical_namespace(tenant), group, data_id)
        config = self._gateway.catalog.configs.get(key)
        if config is None:
            return Response(b"", 200, JSON)
        return json_response(
            AllInfo(
                id=str(config.id),
                data_id=data_id,
                group=group,
                content=config.content.decode(),
                md5=config.md5,
                encrypted_data_key=config.encrypted_data_key,
                tenant=echoed_tenant(tenant, key.namespace),
                app_name=config.details.app_name,
                **msgspec.structs.asdict(_advance_info(config)),
            )
        )

    def catalog(self, request: Request) -> Response:
        form = request.form()
        if refusal := illegal(self._checks, form):
            return refused(refusal)
        data_id, group = required(form, "dataId"), required(form, "group")
        key = ConfigKey(canonical_namespace(form.get("tenant")), group, data_id)
        config = self._gateway.catalog.configs.get(key)
        return rest_result(None if config is None else _advance_info(config))

    def beta(self, request: Request, form: Form) -> Response:
        if refusal := illegal(self._checks, form):
            return refused(refusal)
        tenant = form.get("tenant")
        data_id, group = required(form, "dataId"), required(form, "group")
        key = ConfigKey(canonical_namespace(tenant), group, data_id)
        gray = self._gateway.catalog.gray(key, "beta")
        info = None if gray is None else BetaInfo(
            id=str(gray.id),
            data_id=data_id,
            group=group,
            content=gray.content.decode(),
            md5=gray.md5,
            encrypted_data_key=gray.encrypted_data_key or None,
            tenant=echoed_tenant(tenant, key.namespace),
            app_name=gray.app_name,
            type=None,
            beta_ips=gray.rule.expression,
        )  # fmt: skip
        return rest_result(info, "query beta ok")

    def search(self, request: Request, form: Form) -> Answer:
        """`search=accurate` compares, `search=blur` knows `*`; only the former is checked for illegal characters."""
        blur = form.get("search") == "blur"
        if not blur and (refusal := self._checks.config(form.get("tenant"), form.get("dataId"), form.get("group"))):
            return refused(refusal)
        data_id, group = required(form, "dataId"), required(form, "group")
        page_number, page_size = required_int(form, "pageNo"), required_int(form, "pageSize")
        if page_number <= 0 or page_size <= 0:
            message = f"serialize page error, dataId={data_id}, group={group}".translate(ESCAPES)
            raise NacosError(SERVER, f"caused: {message};caused: pageNo and pageSize must be greater than zero;")
        search = ConfigSearch(
            namespace=canonical_namespace(form.get("tenant")),
            data_id="" if is_blank(data_id) else data_id,
            group="" if is_blank(group) else group,
            app_name=form.get("appName", "").strip(),
            tags=_list(form.get("config_tags")),
            types=_list(form.get("types")) if blur else (),
            blur=blur,
            page_number=page_number,
            page_size=page_size,
        )
        return self._search(search, form.get("tenant"))

    async def _search(self, search: ConfigSearch, tenant: str | None) -> Response:
        page = await self._rows.search(search)
        items = [_item(row, search, tenant) for row in page.page_items]
        return json_response(Page(page.total_count, page.page_number, page.pages_available, items))


def _advance_info(config: Config) -> AdvanceInfo:
    details = config.details
    return AdvanceInfo(
        create_time=config.created_ms,
        modify_time=config.modified_ms,
        create_user=config.src_user,
        create_ip=config.src_ip,
        desc=details.desc,
        use=details.use,
        effect=details.effect,
        type=config.type,
        schema=details.schema,
        config_tags=",".join(details.tags) or None,
    )


def _item(row: ConfigRow, search: ConfigSearch, tenant: str | None) -> ConfigInfo:
    return ConfigInfo(
        id=str(row.id),
        data_id=row.data_id,
        group=row.group,
        content=row.content,
        md5=None,
        encrypted_data_key=row.encrypted_data_key if search.blur and not search.tags else None,
        tenant=echoed_tenant(tenant, row.namespace),
        app_name=row.app_name,
        type=None if search.tags and not search.blur else row.type,
    )


def _list(text: str | None) -> tuple[str, ...]:
    return () if text is None or is_blank(text) else tuple(text.split(","))
