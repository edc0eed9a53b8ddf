"""Reading, publishing and deleting configs over HTTP v1 (contract/http-v1-config.md §1.1, §1.8, §1.11–1.13)."""

from __future__ import annotations

from functools import lru_cache

from nacosx._core.http1 import Request, Response, SharedHeaders
from nacosx.api.checks import Checks, check_ip
from nacosx.api.config_form import (
    ConfigForm,
    ConfigLimits,
    is_blank,
    is_known,
    publish_command,
    refuse_content,
    refuse_names,
    refuse_tag,
    refuse_tenant,
    remove_command,
    url_encoded,
)
from nacosx.api.form import Form
from nacosx.api.http import Answer, http_date
from nacosx.api.later import Later
from nacosx.api.namespaces import canonical_namespace
from nacosx.api.v1.config_http import (
    JSON,
    NO_CACHE,
    TEXT,
    client_ip,
    longs,
    refused,
    required,
    rest_result,
)
from nacosx.config.commands import DurableCommand, RemoveConfig, RemoveGray
from nacosx.config.model import BETA, DEFAULT_TYPE, Config, ConfigKey, GrayConfig, config_key
from nacosx.engine.gateway import Gateway

TRUE = Response(b"true", 200, JSON)
NOT_FOUND = Response(b"config data not exist\n", 404, JSON)


def illegal(checks: Checks, form: Form) -> str:
    """The refusal of the parameter checker for a request about one config, "" when its names are legal."""
    if not checks.enabled:
        return ""
    tenant = form.get("namespaceId")
    if is_blank(tenant):
        tenant = form.get("tenant")
        if is_blank(tenant):
            tenant = form.get("namespace")
    return checks.config(tenant, form.get("dataId"), form.get("group")) or check_ip(form.get("ip"))


class ContentDesk:
    __slots__ = ("_checks", "_gateway", "_limits")

    def __init__(self, gateway: Gateway, checks: Checks, limits: ConfigLimits) -> None:
        self._gateway = gateway
        self._checks = checks
        self._limits = limits

    def get(self, request: Request, form: Form) -> Response:
        """What this client reads: beta by its ip, then by tag, then the formal version. An explicit tag never falls back."""
        data_id, group, tag = form.get("dataId"), form.get("group"), form.get("tag")
        if data_id is not None and group is not None:
            # A name that is found was checked when it was published.
            spelled = form.get("namespaceId")
            key = config_key((canonical_namespace(form.get("tenant") if spelled is None else spelled), group, data_id))
            catalog = self._gateway.catalog
            config = catalog.configs.get(key)
            if key in catalog.grays:
                version = catalog.served(key, client_ip(request), tag or request.header("vipserver-tag") or "")
                if isinstance(version, GrayConfig):
                    return _gray_content(version, config)
            if config is not None and (not tag or tag.isspace()):
                return _content(config)
        if refusal := illegal(self._checks, form):
            return refused(refusal)
        names = required(form, "dataId"), required(form, "group")
        refuse_tenant(form.get("tenant"))
        refuse_names(*names)
        refuse_tag(tag)
        return NOT_FOUND

    def publish(self, request: Request) -> Answer:
        form = request.form()
        known = self._is_known(form)
        if not known and (refusal := illegal(self._checks, form)):
            return refused(refusal)
        asked = ConfigForm(
            data_id=required(form, "dataId"),
            group=required(form, "group"),
            tenant=form.get("tenant"),
            content=required(form, "content"),
            src_ip=client_ip(request),
            src_user=_src_user(form, "src_user"),
            tag=form.get("tag"),
            app_name=form.get("appName"),
            config_tags=form.get("config_tags"),
            desc=form.get("desc"),
            use=form.get("use"),
            effect=form.get("effect"),
            schema=form.get("schema"),
            type=form.get("type"),
            encrypted_data_key=form.get("encryptedDataKey"),
            beta_ips=request.header("betaips"),
            cas_md5=request.header("casmd5"),
        )
        if not known:
            refuse_tenant(asked.tenant)
            refuse_names(asked.data_id, asked.group)
        refuse_content(asked.content, self._limits)
        return self._propose(publish_command(asked, self._gateway.clock.wall_ms(), self._limits))

    def _is_known(self, form: Form) -> bool:
        """Whether every name that `illegal` looks at is that of a config which is there."""
        return not ("namespaceId" in form or "namespace" in form or "ip" in form) and is_known(
            self._gateway.catalog, form.get("tenant"), form.get("group"), form.get("dataId")
        )

    def delete(self, request: Request) -> Answer:
        form = request.form()
        if form.get("delType") == "ids":
            return self._delete_ids(request, form)
        if form.get("beta") == "true":
            return self._stop_beta(request, form)
        if refusal := illegal(self._checks, form):
            return refused(refusal)
        data_id, group, tag = required(form, "dataId"), required(form, "group"), form.get("tag")
        refuse_tenant(form.get("tenant"))
        refuse_names(data_id, group)
        refuse_tag(tag)
        command = self._remove_command(request, form, ConfigKey(_namespace(form), group, data_id), tag)
        return TRUE if command is None else self._propose(command)

    def _stop_beta(self, request: Request, form: Form) -> Answer:
        if refusal := illegal(self._checks, form):
            return refused(refusal)
        data_id, group = required(form, "dataId"), required(form, "group")
        command = self._remove_command(request, form, ConfigKey(_namespace(form), group, data_id), "beta")
        if command is None:
            return rest_result(False, "remove beta data error", 500)
        return self._propose(command, rest_result(True, "stop beta ok"))

    def _delete_ids(self, request: Request, form: Form) -> Answer:
        """Unknown ids are skipped."""
        if refusal := illegal(self._checks, form):
            return refused(refusal)
        ids = set(longs(required(form, "ids", "List")))
        keys = [key for key, config in self._gateway.catalog.configs.items() if config.id in ids]
        return self._delete_keys(request, form, keys)

    async def _delete_keys(self, request: Request, form: Form, keys: list[ConfigKey]) -> Response:
        commands = [self._remove_command(request, form, key, None) for key in keys]
        for answer in [self._gateway.propose(command) for command in commands if command is not None]:
            await answer
        return rest_result(True)

    def _remove_command(
        self, request: Request, form: Form, key: ConfigKey, tag: str | None
    ) -> RemoveConfig | RemoveGray | None:
        return remove_command(
            self._gateway.catalog,
            key,
            tag,
            now_ms=self._gateway.clock.wall_ms(),
            src_ip=client_ip(request),
            src_user=_src_user(form, "srcUser"),
        )

    def _propose(self, command: DurableCommand, answer: Response = TRUE) -> Later[Response]:
        return Later(self._gateway.propose(command), answer)


def _content(config: Config) -> Response:
    headers = _content_headers(config.type, config.md5, config.modified_ms // 1000, config.encrypted_data_key)
    return Response(config.content, 200, TEXT, headers)


@lru_cache(maxsize=1024)
def _content_headers(config_type: str, md5: str, modified_s: int, encrypted_data_key: str) -> SharedHeaders:
    return SharedHeaders(
        (
            ("Config-Type", config_type),
            ("Content-MD5", md5),
            *NO_CACHE,
            ("Last-Modified", http_date(modified_s)),
            ("Encrypted-Data-Key", encrypted_data_key),
        )
    )


def _gray_content(gray: GrayConfig, formal: Config | None) -> Response:
    """A gray version has the type of the formal one, and a key only when one was published with it (golden 044–046)."""
    headers = [
        ("Config-Type", DEFAULT_TYPE if formal is None else formal.type),
        ("Content-MD5", gray.md5),
        *NO_CACHE,
        ("Last-Modified", http_date(gray.modified_ms // 1000)),
    ]
    if gray.encrypted_data_key:
        headers.append(("Encrypted-Data-Key", gray.encrypted_data_key))
    if gray.rule.type == BETA:
        headers.append(("isBeta", "true"))
    else:
        headers.append(("tag", url_encoded(gray.rule.expression)))
    return Response(gray.content, 200, TEXT, tuple(headers))


def _namespace(form: Form) -> str:
    return canonical_namespace(form.get("tenant"))


def _src_user(form: Form, name: str) -> str | None:
    return form.get(name) or form.get("username")
