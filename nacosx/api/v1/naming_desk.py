"""What every naming v1 handler stands on: the filters before it, the words of a refusal, the shared parts.

The Java server runs these filters on `/v1/ns/*`, in this order: limited URLs and server status (`TrafficReviseFilter`), the
grouped service name (`ServiceNameFilter`), the parameter checker. Names that passed once are remembered, so on the hot path
all of it is one dict look-up.

Source: Nacos 2.5.1 (contract/http-v1-naming.md §0, golden 148–158).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from nacosx._core.http1 import Request, Response
from nacosx.api import form as reader
from nacosx.api.checks import Checks, check_clusters
from nacosx.api.form import Form
from nacosx.api.http import Answer, Handler, Route
from nacosx.api.namespaces import canonical_namespace
from nacosx.api.pages import spring_error
from nacosx.api.v1.config_http import refused
from nacosx.engine.gateway import Gateway
from nacosx.errors import BAD_REQUEST, NacosError
from nacosx.naming.model import DEFAULT_GROUP, NO_METADATA, ServiceKey
from nacosx.naming.switches import Switches

# What is remembered; beyond, all of it is forgotten.
KEYS_MAX = 16_384
METADATA_MAX = 4_096
METADATA_LENGTH_MAX = 512  # longer ones are read each time

TEXT = "text/plain;charset=UTF-8"
OK = Response(b"ok", content_type=TEXT)
UP = "UP"

# The key is None when the request names no service.
ServiceHandler = Callable[[Request, Form, ServiceKey | None], Answer]
# What the parameter checker looks at besides the names; the refusal, "" when all is legal.
Check = Callable[["NamingDesk", Form], str]

encode = msgspec.json.Encoder().encode


class Answered(Exception):  # noqa: N818, it is no error
    """A filter has answered: the handler is not asked."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def refuse(error: NacosError) -> Response:
    """v1 naming: the status is the code, the body is the bare text (`ResponseExceptionHandler`)."""
    return Response(error.detail.encode("utf-8", "replace"), error.code, TEXT)


def as_json(value: object) -> Response:
    return Response(encode(value))


class ServerStatus:
    """What the server says of itself to clients: STARTING, UP, DOWN, PAUSED, WRITE_ONLY or READ_ONLY."""

    __slots__ = ("status",)

    def __init__(self, status: str = "STARTING") -> None:
        self.status = status

    def shown(self, switches: Switches) -> str:
        """An operator may override it."""
        return switches.overridden_server_status or self.status


class NamingDesk:
    """The parts every handler uses, and the filters."""

    __slots__ = ("_keys", "_metadata", "checks", "clock", "gateway", "registry", "status")

    def __init__(self, gateway: Gateway, checks: Checks, status: ServerStatus) -> None:
        self.gateway = gateway
        self.registry = gateway.registry
        self.clock = gateway.clock
        self.checks = checks
        self.status = status
        self._keys: dict[tuple[str | None, str | None, str | None], ServiceKey] = {}
        self._metadata: dict[str, dict[str, str]] = {}

    def route(self, handler: ServiceHandler, check: Check | None = None) -> Route:
        """The handler behind the filters. `check`: by default that of `NamingDefaultHttpParamExtractor`."""
        return Route(self._filtered(handler, check or check_default), refuse)

    def _filtered(self, handler: ServiceHandler, check: Check) -> Handler:
        registry = self.registry
        status = self.status
        keys = self._keys

        def handle(request: Request) -> Answer:
            switches = registry.switches
            try:
                if switches.limited_url_map or status.status != UP or switches.overridden_server_status is not None:
                    self._admit(request, switches)
                form = request.form()
                get = form.get
                key = keys.get((get("namespaceId"), get("groupName"), get("serviceName")))
                if key is None:
                    key = self._service_key(request, form)
                if refusal := check(self, form):
                    return refused(refusal, "")  # without a Content-Type, golden 151
            except Answered as answered:
                return answered.response
            except UnreadableError as error:
                # `DistroFilter` words what is thrown behind it (golden 155, 175).
                message = f"Server failed, caused: {error.detail};"
                return spring_error(request, 500, message, self.clock.wall_ms())
            return handler(request, form, key)

        return handle

    # --- filters ---

    def _admit(self, request: Request, switches: Switches) -> None:
        query = request.query.decode("latin-1")
        url = f"{request.raw_path}?{query or 'null'}"
        for prefix, code in switches.limited_url_map.items():
            if url.startswith(prefix):
                raise Answered(Response(b"", code, "", (), True))
        status = self.status.shown(switches)
        reading = request.method == "GET"
        if (
            status == UP
            or (status == "WRITE_ONLY" and not reading)
            or (status == "READ_ONLY" and reading)
            or user_agent(request).startswith("Nacos-Server")
        ):
            return
        raise Answered(Response(f"server is {status}now, please try again later!".encode(), 503, "", (), True))

    def _service_key(self, request: Request, form: Form) -> ServiceKey | None:
        """The service a request names, checked. Raises Answered when a name is illegal."""
        namespace, group, name = form.get("namespaceId"), form.get("groupName"), form.get("serviceName")
        given = (namespace, group, name)
        trimmed = name.strip() if name is not None else ""
        if trimmed:
            grouped = (
                trimmed if "@@" in trimmed else f"{group if group and group.strip() else DEFAULT_GROUP}@@{trimmed}"
            )
            if refusal := malformed(grouped):
                message = f"Service name filter error,caused: {refusal};"
                raise Answered(spring_error(request, 400, message, self.clock.wall_ms()))
            group, _, name = grouped.partition("@@")
        else:
            # only the catalog has these; they are fragments, but checked like names
            name = form.get("serviceNameParam")
            group = group if group and group.strip() else form.get("groupNameParam")
        if refusal := self.checks.service(namespace, group, name):
            raise Answered(refused(refusal, ""))
        if not trimmed:
            return None
        assert group is not None
        assert name is not None
        key = ServiceKey(canonical_namespace(namespace), group, name)
        if len(self._keys) >= KEYS_MAX:
            self._keys.clear()
        self._keys[given] = key
        return key

    def metadata(self, form: Form) -> dict[str, str]:
        """The parameter `metadata`, read once for all who send the same. Raises NacosError(BAD_REQUEST)."""
        text = form.get("metadata")
        if not text:
            return NO_METADATA
        found = self._metadata.get(text)
        if found is None:
            found = reader.metadata(text) or NO_METADATA
            if len(text) <= METADATA_LENGTH_MAX:
                if len(self._metadata) >= METADATA_MAX:
                    self._metadata.clear()
                self._metadata[text] = found
        return found


def named(form: Form, key: ServiceKey | None) -> ServiceKey:
    """The service of a handler that needs one, as `WebUtils.required` and `checkServiceNameFormat` refuse it."""
    if key is not None:
        return key
    if not form.get("serviceName"):
        raise NacosError(BAD_REQUEST, "Param 'serviceName' is required.")
    raise NacosError(BAD_REQUEST, malformed(""))


def bound_named(key: ServiceKey | None) -> ServiceKey:
    """The same for a Spring-bound `serviceName`."""
    if key is None:
        raise NacosError(BAD_REQUEST, "Parameter 'serviceName' is missing")
    return key


def malformed(grouped: str) -> str:
    """`NamingUtils.checkServiceNameFormat`: the refusal of a grouped name, "" when it is one."""
    group, _, name = grouped.partition("@@")
    if not name.replace("@@", ""):
        return "Param 'serviceName' is illegal, it should be format as 'groupName@@serviceName'"
    return "" if group else "Param 'serviceName' is illegal, groupName can't be empty"


def user_agent(request: Request) -> str:
    """`WebUtils.getUserAgent`."""
    return request.header("user-agent") or request.header("client-version") or ""


# --- checks ----------------------------------------------------------------------------------------------------------


class UnreadableError(NacosError):
    """What the parameter checker cannot read: it fails before there is a controller to word it."""


def checked_metadata(desk: NamingDesk, form: Form) -> dict[str, str] | None:
    if "metadata" not in form:
        return None
    try:
        return desk.metadata(form)
    except NacosError as error:
        text = f"ErrCode:400, ErrMsg:{error.detail};caused: {error.detail}"
        raise UnreadableError(error.kind, text) from error


def check_default(desk: NamingDesk, form: Form) -> str:
    """ip; port or checkPort; clusterName or cluster; metadata."""
    if not desk.checks.enabled:
        return ""
    get = form.get
    port, cluster = get("port"), get("clusterName")
    if not port or port.isspace():
        port = get("checkPort")
    if not cluster or cluster.isspace():
        cluster = get("cluster")
    return desk.checks.instance(get("ip"), port, cluster, checked_metadata(desk, form))


def check_list(desk: NamingDesk, form: Form) -> str:
    """clusters, a comma list (`NamingInstanceListHttpParamExtractor`)."""
    clusters = form.get("clusters")
    return check_clusters(clusters) if clusters and desk.checks.enabled else ""
