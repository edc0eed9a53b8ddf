"""History of configs over HTTP v1 (contract/http-v1-config.md §2)."""

from __future__ import annotations

import msgspec

from nacosx._core.http1 import Request, Response
from nacosx.api.checks import Checks
from nacosx.api.config_form import refuse_tenant
from nacosx.api.http import Answer
from nacosx.api.namespaces import canonical_namespace
from nacosx.api.pages import iso_date
from nacosx.api.v1.config_content import illegal
from nacosx.api.v1.config_details import echoed_tenant
from nacosx.api.v1.config_http import JSON, TEXT, json_response, optional_int, refused, required, required_long
from nacosx.config.model import ConfigKey
from nacosx.config.rows import HistoryRow, Page
from nacosx.engine.gateway import Gateway
from nacosx.engine.ports import RowStore
from nacosx.errors import SERVER, NacosError

PAGE_SIZE = 100
PAGE_SIZE_MAX = 500


class HistoryInfo(msgspec.Struct, rename="camel"):
    id: str
    last_id: int
    data_id: str
    group: str
    tenant: str
    app_name: str
    md5: str | None
    content: str | None
    src_ip: str
    src_user: str | None
    op_type: str
    publish_type: str
    gray_name: str
    ext_info: str
    created_time: str
    last_modified_time: str
    encrypted_data_key: str | None


class ListedConfig(msgspec.Struct, rename="camel", kw_only=True):
    """A config in the list of a namespace; what the Java server's SQL leaves out is "0" or null."""

    id: str = "0"
    data_id: str
    group: str
    content: None = None
    md5: None = None
    encrypted_data_key: None = None
    tenant: str
    app_name: str
    type: str
    last_modified: int


class HistoryDesk:
    __slots__ = ("_checks", "_gateway", "_rows")

    def __init__(self, gateway: Gateway, rows: RowStore, checks: Checks) -> None:
        self._gateway = gateway
        self._rows = rows
        self._checks = checks

    def history(self, request: Request) -> Answer:
        """`search=accurate`: a page of the history of a config; else one row with its content, by its `nid`."""
        form = request.form()
        if refusal := illegal(self._checks, form):
            return refused(refusal)
        key, tenant = self._key(form)
        if form.get("search") != "accurate":
            return self._row(required_long(form, "nid"), key, tenant)
        page_number = optional_int(form, "pageNo", 1)
        page_size = min(optional_int(form, "pageSize", PAGE_SIZE), PAGE_SIZE_MAX)
        if page_number <= 0 or page_size <= 0:
            raise NacosError(SERVER, "caused: pageNo and pageSize must be greater than zero;")
        return self._page(key, tenant, page_number, page_size)

    def previous(self, request: Request) -> Answer:
        """The newest row about an update or deletion of the config with this id."""
        form = request.form()
        if refusal := illegal(self._checks, form):
            return refused(refusal)
        key, tenant = self._key(form)
        return self._previous(required_long(form, "id"), key, tenant)

    def configs(self, request: Request) -> Response:
        """Every config of a namespace, in the order of their creation."""
        form = request.form()
        if refusal := illegal(self._checks, form):
            return refused(refusal)
        tenant = required(form, "tenant")
        refuse_tenant(tenant)
        namespace = canonical_namespace(tenant)
        echoed = echoed_tenant(tenant, namespace)
        return json_response(
            [
                ListedConfig(
                    data_id=key.data_id,
                    group=key.group,
                    tenant=echoed,
                    app_name=config.details.app_name,
                    type=config.type,
                    last_modified=config.modified_ms,
                )
                for key, config in self._gateway.catalog.configs.items()
                if key.namespace == namespace
            ]
        )

    def _key(self, form: dict[str, str]) -> tuple[ConfigKey, str | None]:
        data_id, group, tenant = required(form, "dataId"), required(form, "group"), form.get("tenant")
        return ConfigKey(canonical_namespace(tenant), group, data_id), tenant

    async def _page(self, key: ConfigKey, tenant: str | None, page_number: int, page_size: int) -> Response:
        page = await self._rows.history(key, page_number, page_size)
        items = [_info(row, tenant, listed=True) for row in page.page_items]
        return json_response(Page(page.total_count, page.page_number, page.pages_available, items))

    async def _row(self, history_id: int, key: ConfigKey, tenant: str | None) -> Response:
        return _answer(await self._rows.history_row(history_id), key, tenant)

    async def _previous(self, config_id: int, key: ConfigKey, tenant: str | None) -> Response:
        return _answer(await self._rows.previous_row(config_id), key, tenant)


def _answer(row: HistoryRow | None, key: ConfigKey, tenant: str | None) -> Response:
    """An empty body when there is none, 403 when it is not about the config that was named."""
    if row is None:
        return Response(b"", 200, JSON)
    if (row.namespace, row.group, row.data_id) != key:
        return Response(b"Please check dataId, group or namespaceId.", 403, TEXT)
    return json_response(_info(row, tenant, listed=False))


def _info(row: HistoryRow, tenant: str | None, *, listed: bool) -> HistoryInfo:
    at = iso_date(row.at_ms)
    return HistoryInfo(
        id=str(row.history_id),
        last_id=-1,
        data_id=row.data_id,
        group=row.group,
        tenant=echoed_tenant(tenant, row.namespace),
        app_name=row.app_name,
        md5=None if listed else row.md5,
        content=None if listed else row.content,
        src_ip=row.src_ip,
        src_user=row.src_user or None,
        op_type=row.op_type.ljust(10),  # char(10) in the Java server's own database
        publish_type=row.publish_type,
        gray_name=row.gray_name,
        ext_info=row.ext_info,
        created_time=at,
        last_modified_time=at,
        encrypted_data_key=None if listed else row.encrypted_data_key,
    )
