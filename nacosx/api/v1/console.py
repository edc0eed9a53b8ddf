"""What consoles ask of the server itself over HTTP v1 and v2: namespaces, health, state (contract/http-v1-config.md §3,
http-v2-v3.md §5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

import msgspec

from nacosx._core.http1 import Request, Response
from nacosx.api.checks import Checks, check_namespace, check_namespace_show_name
from nacosx.api.config_form import is_blank
from nacosx.api.http import Answer, Handler, Route, Routes
from nacosx.api.later import Later
from nacosx.api.namespaces import PUBLIC, canonical_namespace
from nacosx.api.pages import ESCAPES
from nacosx.api.v1.config_http import TEXT, RestResult, refuse, refused, required
from nacosx.engine.gateway import Gateway
from nacosx.errors import NAMESPACE_ILLEGAL, NAMESPACE_MISSING, PARAMETER_MISSING, SERVER, NacosError
from nacosx.namespaces import CreateNamespace, DeleteNamespace, DurableCommand, Namespace, UpdateNamespace

QUOTA = 200
GLOBAL, CUSTOM = 0, 2  # types of namespaces in 2.x
NAMESPACE_ID_LENGTH_MAX = 128

_legal_id = re.compile(r"[\w-]+", re.ASCII).fullmatch
_legal_name = re.compile(r"[^@#$%^&*]+").fullmatch

_encode = msgspec.json.encode


class WireNamespace(msgspec.Struct, rename="camel"):
    namespace: str
    namespace_show_name: str
    namespace_desc: str | None
    quota: int
    config_count: int
    type: int


class ServerState(msgspec.Struct, kw_only=True, frozen=True):
    """GET /v1/console/server/state: every value is text or null. Names as on the wire; defaults of Nacos 2.5.1."""

    startup_mode: str = "standalone"
    function_mode: str | None = None
    version: str
    server_port: str
    datasource_platform: str = ""
    plugin_datasource_log_enabled: str = "false"
    notifyConnectTimeout: str = "100"  # noqa: N815
    notifySocketTimeout: str = "200"  # noqa: N815
    isHealthCheck: str = "true"  # noqa: N815
    maxHealthCheckFailCount: str = "12"  # noqa: N815
    maxContent: str = "10485760"  # noqa: N815
    isManageCapacity: str = "true"  # noqa: N815
    isCapacityLimitCheck: str = "false"  # noqa: N815
    defaultClusterQuota: str = "100000"  # noqa: N815
    defaultGroupQuota: str = "200"  # noqa: N815
    defaultMaxSize: str = "102400"  # noqa: N815
    defaultMaxAggrCount: str = "10000"  # noqa: N815
    defaultMaxAggrSize: str = "1024"  # noqa: N815
    config_retention_days: str = "30"
    auth_enabled: str = "false"
    auth_system_type: str = "nacos"
    auth_admin_request: str = "false"
    login_page_enabled: str = "false"
    console_ui_enabled: str = "true"


def routes(gateway: Gateway, *, checks: Checks, state: ServerState, ready: Callable[[], bool]) -> Routes:
    """`ready`: whether a client that comes now is served."""
    desk = NamespaceDesk(gateway, checks)

    def get(request: Request) -> Response:
        form = request.form()
        if form.get("show") == "all":
            return desk.show(request)
        if form.get("checkNamespaceIdExist") == "true":
            return desk.exists(request)
        return desk.list_v1(request)

    def liveness_v1(request: Request) -> Response:
        return Response(b"OK", 200, TEXT)

    def readiness_v1(request: Request) -> Response:
        return Response(b"OK", 200, TEXT) if ready() else Response(NOT_READY.encode(), 500, TEXT)

    def liveness_v2(request: Request) -> Response:
        return result("ok")

    def readiness_v2(request: Request) -> Response:
        return result("ok") if ready() else result(NOT_READY, 30000, "server error")

    def server_state(request: Request) -> Response:
        return Response(_encode(state))

    v1: dict[str, dict[str, Handler]] = {
        "/v1/console/namespaces": {
            "GET": get,
            "POST": desk.create_v1,
            "PUT": desk.update_v1,
            "DELETE": desk.delete_v1,
        },
        "/v1/console/health/liveness": {"GET": liveness_v1},
        "/v1/console/health/readiness": {"GET": readiness_v1},
        "/v1/console/server/state": {"GET": server_state},
    }
    v2: dict[str, dict[str, Handler]] = {
        "/v2/console/namespace/list": {"GET": desk.list_v2},
        "/v2/console/namespace": {
            "GET": desk.show_v2,
            "POST": desk.create_v2,
            "PUT": desk.update_v2,
            "DELETE": desk.delete_v2,
        },
        "/v2/console/health/liveness": {"GET": liveness_v2},
        "/v2/console/health/readiness": {"GET": readiness_v2},
    }
    return {
        path: {method: Route(handler, wording) for method, handler in methods.items()}
        for table, wording in ((v1, refuse_v1), (v2, refuse_v2))
        for path, methods in table.items()
    }


NOT_READY = "config and naming not in readiness"


def refuse_v1(error: NacosError) -> Response:
    """The console has no handler for NacosException: every one is a 500, escaped (`ConsoleExceptionHandler`, golden 302)."""
    detail = error.detail if error.detail.startswith("caused: ") else error.detail.translate(ESCAPES)
    return refuse(NacosError(SERVER, detail))


def refuse_v2(error: NacosError) -> Response:
    """The Result envelope; what Spring refuses itself has the envelope of v1 (golden 141, 310, 314)."""
    if error.detail.startswith("caused: "):
        return Response(_encode(RestResult(500, error.detail, None)), 500)
    kind = error.kind
    return result(error.detail, kind.result_code, kind.summary, kind.code)


def result(data: object, code: int = 0, message: str = "success", status: int = 200) -> Response:
    """The envelope of v2."""
    return Response(_encode(RestResult(code, message, data)), status)


class NamespaceDesk:
    __slots__ = ("_checks", "_gateway")

    def __init__(self, gateway: Gateway, checks: Checks) -> None:
        self._gateway = gateway
        self._checks = checks

    # --- v1 ----------------------------------------------------------------------------------------------------------

    def list_v1(self, request: Request) -> Response:
        if refusal := self._illegal(request):
            return refusal
        return Response(_encode(RestResult(200, None, self._all())))

    def show(self, request: Request) -> Response:
        if refusal := self._illegal(request):
            return refusal
        return Response(_encode(self._one(required(request.form(), "namespaceId"))))

    def exists(self, request: Request) -> Response:
        if refusal := self._illegal(request):
            return refusal
        namespace_id = required(request.form(), "customNamespaceId")
        return _boolean(not is_blank(namespace_id) and self._gateway.namespaces.exists(namespace_id))

    def create_v1(self, request: Request) -> Answer:
        """`false` says all there is to say about a refusal."""
        if refusal := self._illegal(request):
            return refusal
        form = request.form()
        namespace_id, name = required(form, "customNamespaceId"), required(form, "namespaceName")
        try:
            command = self._create(namespace_id, name, form.get("namespaceDesc"))
        except NacosError:
            return _boolean(False)
        return self._create_v1(command)

    async def _create_v1(self, command: CreateNamespace) -> Response:
        try:
            await self._gateway.propose(command)
        except NacosError as error:
            if error.kind is not NAMESPACE_ILLEGAL:
                raise
            return _boolean(False)  # somebody was faster
        return _boolean(True)

    def update_v1(self, request: Request) -> Answer:
        """Unknown is no error, as in the Java server."""
        if refusal := self._illegal(request):
            return refusal
        form = request.form()
        namespace_id, name = required(form, "namespace"), required(form, "namespaceShowName")
        if not _legal_name(name):
            return _boolean(False)
        return self._propose(self._update(namespace_id, name, form.get("namespaceDesc")), _boolean(True))

    def delete_v1(self, request: Request) -> Answer:
        """The configs and services in it stay."""
        if refusal := self._illegal(request):
            return refusal
        return self._propose(DeleteNamespace(required(request.form(), "namespaceId").strip()), _boolean(True))

    # --- v2 ----------------------------------------------------------------------------------------------------------

    def list_v2(self, request: Request) -> Response:
        if refusal := self._illegal(request):
            return refusal
        return result(self._all())

    def show_v2(self, request: Request) -> Response:
        if refusal := self._illegal(request):
            return refusal
        return result(self._one(_required_v2(request)))

    def create_v2(self, request: Request) -> Answer:
        if refusal := self._illegal(request):
            return refusal
        namespace_id, name, desc = _form_v2(request)
        return self._propose(self._create(namespace_id, name, desc), result(True))

    def update_v2(self, request: Request) -> Answer:
        if refusal := self._illegal(request):
            return refusal
        namespace_id, name, desc = _form_v2(request)
        _refuse_name(name)
        return self._propose(self._update(namespace_id, name, desc), result(True))

    def delete_v2(self, request: Request) -> Answer:
        if refusal := self._illegal(request):
            return refusal
        return self._propose(DeleteNamespace(_required_v2(request).strip()), result(True))

    # --- steps -------------------------------------------------------------------------------------------------------

    def _illegal(self, request: Request) -> Response | None:
        """The answer of the parameter checker, which looks at `namespaceId`, else `customNamespaceId`."""
        if not self._checks.enabled:
            return None
        form = request.form()
        namespace_id = form.get("namespaceId")
        if is_blank(namespace_id):
            namespace_id = form.get("customNamespaceId")
        refusal = check_namespace_show_name(form.get("namespaceName")) or check_namespace(namespace_id)
        return refused(refusal, "") if refusal else None

    def _all(self) -> list[WireNamespace]:
        """The default one first, then by id."""
        namespaces = self._gateway.namespaces.ordered()
        return [self._default(""), *(self._custom(namespace) for namespace in namespaces)]

    def _one(self, spelled: str) -> WireNamespace:
        if canonical_namespace(spelled) == PUBLIC:
            return self._default(spelled)
        namespace = self._gateway.namespaces.get(spelled)
        if namespace is None:
            raise NacosError(NAMESPACE_MISSING, f"namespaceId [ {spelled} ] not exist")
        return self._custom(namespace)

    def _default(self, spelled: str) -> WireNamespace:
        count = self._gateway.catalog.counts.get(PUBLIC, 0)
        return WireNamespace(spelled, PUBLIC, "Default Namespace", QUOTA, count, GLOBAL)

    def _custom(self, namespace: Namespace) -> WireNamespace:
        count = self._gateway.catalog.counts.get(namespace.id, 0)
        return WireNamespace(namespace.id, namespace.name, namespace.desc, QUOTA, count, CUSTOM)

    def _create(self, namespace_id: str, name: str, desc: str | None) -> CreateNamespace:
        """A blank id is drawn. NacosError (NAMESPACE_ILLEGAL) when id or name cannot be, or the id is taken."""
        if is_blank(namespace_id):
            namespace_id = str(uuid4())
        else:
            spelled, namespace_id = namespace_id, namespace_id.strip()
            if not _legal_id(namespace_id):
                raise NacosError(NAMESPACE_ILLEGAL, f"namespaceId [{namespace_id}] mismatch the pattern")
            if len(namespace_id) > NAMESPACE_ID_LENGTH_MAX:
                raise NacosError(NAMESPACE_ILLEGAL, f"too long namespaceId, over {NAMESPACE_ID_LENGTH_MAX}")
            if self._gateway.namespaces.exists(namespace_id):
                raise NacosError(NAMESPACE_ILLEGAL, f"the namespaceId is existed, namespaceId: {spelled}")
        _refuse_name(name)
        return CreateNamespace(namespace_id, name, desc, self._gateway.clock.wall_ms())

    def _update(self, namespace_id: str, name: str, desc: str | None) -> UpdateNamespace:
        return UpdateNamespace(namespace_id, name, desc, self._gateway.clock.wall_ms())

    def _propose(self, command: DurableCommand, answer: Response) -> Later[Response]:
        return Later(self._gateway.propose(command), answer)


def _boolean(value: bool) -> Response:
    return Response(b"true" if value else b"false")


def _refuse_name(name: str) -> None:
    if not _legal_name(name):
        raise NacosError(NAMESPACE_ILLEGAL, f"namespaceName [{name}] contains illegal char")


def _required_v2(request: Request) -> str:
    namespace_id = request.form().get("namespaceId")
    if namespace_id is None:
        missing = "Required request parameter 'namespaceId' for method parameter type String is not present"
        raise NacosError(PARAMETER_MISSING, missing)
    return namespace_id


def _form_v2(request: Request) -> tuple[str, str, str | None]:
    """The NamespaceForm: id, name, description."""
    form = request.form()
    namespace_id, name = form.get("namespaceId"), form.get("namespaceName")
    for member, value in (("namespaceId", namespace_id), ("namespaceName", name)):
        if value is None:
            raise NacosError(PARAMETER_MISSING, f"required parameter '{member}' is missing")
    assert namespace_id is not None
    assert name is not None
    return namespace_id, name, form.get("namespaceDesc")
