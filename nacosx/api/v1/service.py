"""Naming v1: `/v1/ns/service`, `/v1/ns/catalog`, `/v1/ns/cluster`.

Source: Nacos 2.5.1 `ServiceController`, `CatalogController`, `ClusterController`, `SelectorManager`
(contract/http-v1-naming.md §2–§4, golden 184–214).
"""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from nacosx._core.http1 import Request, Response
from nacosx.api.form import (
    Form,
    bound,
    bound_flag,
    bound_float,
    bound_or,
    bound_whole,
    decimal_or_zero,
    loosely_true,
    optional,
    required,
    whole_or_zero,
)
from nacosx.api.http import Routes
from nacosx.api.jackson import reader
from nacosx.api.namespaces import canonical_namespace
from nacosx.api.v1.naming_desk import OK, NamingDesk, as_json, bound_named, named
from nacosx.errors import BAD_REQUEST, SELECTOR, SERVER, NacosError
from nacosx.naming.commands import CreateService, DeleteService, UpdateCluster, UpdateService
from nacosx.naming.directory import (
    ServiceDetail,
    catalog_instances,
    catalog_service,
    catalog_services,
    catalog_services_with_instances,
    names_by_namespace,
    service_detail,
    service_names,
    subscriptions,
)
from nacosx.naming.metadata import NO_SELECTOR
from nacosx.naming.model import DEFAULT_GROUP, ServiceKey
from nacosx.naming.selection import label_names

CATALOG_PORT = 80  # shown for every cluster, as in the Java server


_read_object = reader(dict[str, Any])


class SubscriberRow(msgspec.Struct, rename="camel"):
    addr_str: str
    agent: str
    app: str
    ip: str
    port: int
    namespace_id: str
    service_name: str
    cluster: str


class ServiceDesk:
    __slots__ = ("_desk", "_gateway", "_registry")

    def __init__(self, desk: NamingDesk) -> None:
        self._desk = desk
        self._gateway = desk.gateway
        self._registry = desk.registry

    def routes(self) -> Routes:
        route = self._desk.route
        return {
            "/v1/ns/service": {
                "GET": route(self._detail),
                "POST": route(self._create),
                "PUT": route(self._update),
                "DELETE": route(self._delete),
            },
            "/v1/ns/service/list": {"GET": route(self._list)},
            "/v1/ns/service/names": {"*": route(self._names)},
            "/v1/ns/service/subscribers": {"GET": route(self._subscribers)},
            "/v1/ns/service/selector/types": {"GET": route(self._selector_types)},
            "/v1/ns/catalog/service": {"GET": route(self._catalog_service)},
            "/v1/ns/catalog/instances": {"*": route(self._catalog_instances)},
            "/v1/ns/catalog/services": {"GET": route(self._catalog_services)},
            "/v1/ns/cluster": {"PUT": route(self._update_cluster)},
        }

    # --- service ---

    async def _create(self, _: Request, form: Form, key: ServiceKey | None) -> Response:
        key = bound_named(key)
        threshold = finite(bound_float(form, "protectThreshold", 0.0))
        selector = selector_of(bound_or(form, "selector", ""))
        await self._gateway.propose(
            CreateService(
                key,
                ephemeral=False,
                protect_threshold=threshold,
                metadata=self._desk.metadata(form),
                selector=selector,
                now_ms=self._desk.clock.wall_ms(),
            )
        )
        return OK

    async def _update(self, _: Request, form: Form, key: ServiceKey | None) -> Response:
        key = named(form, key)
        metadata = self._desk.metadata(form)
        threshold = finite(decimal_or_zero(required(form, "protectThreshold")))
        selector = selector_of(optional(form, "selector"))
        await self._gateway.propose(UpdateService(key, threshold, metadata, selector, self._desk.clock.wall_ms()))
        return OK

    async def _delete(self, _: Request, form: Form, key: ServiceKey | None) -> Response:
        await self._gateway.propose(DeleteService(bound_named(key), self._desk.clock.wall_ms()))
        return OK

    def _detail(self, _: Request, form: Form, key: ServiceKey | None) -> Response:
        detail = service_detail(self._registry, bound_named(key))
        return as_json(
            {
                "namespaceId": detail.key.namespace,
                "groupName": detail.key.group,
                "name": detail.key.name,
                "protectThreshold": detail.metadata.protect_threshold,
                "metadata": detail.metadata.metadata,
                "selector": selector_shown(detail.metadata.selector),
                "clusters": [
                    {"name": name, "healthChecker": cluster.health_checker, "metadata": cluster.metadata}
                    for name, cluster in detail.clusters.items()
                ],
            }
        )

    def _list(self, _: Request, form: Form, _key: ServiceKey | None) -> Response:
        page_no = whole_or_zero(required(form, "pageNo"))
        page_size = whole_or_zero(required(form, "pageSize"))
        namespace = canonical_namespace(form.get("namespaceId"))
        group = optional(form, "groupName", DEFAULT_GROUP)
        count, names = service_names(self._registry, namespace, group, page_no, page_size)
        return as_json({"count": count, "doms": names})

    def _names(self, _: Request, form: Form, _key: ServiceKey | None) -> Response:
        namespace = form.get("namespaceId")
        wanted = canonical_namespace(namespace) if namespace and not namespace.isspace() else ""
        found = names_by_namespace(self._registry, wanted, bound_or(form, "expr", ""))
        # The key is a slip of a refactoring in the Java server; clients know no other.
        return as_json({"META-INF/services": found, "count": sum(map(len, found.values()))})

    def _subscribers(self, _: Request, form: Form, key: ServiceKey | None) -> Response:
        page_no = whole_or_zero(optional(form, "pageNo", "1"))
        page_size = whole_or_zero(optional(form, "pageSize", "1000"))
        key = named(form, key)
        rows = [
            SubscriberRow(
                each.subscriber.address,
                each.subscriber.agent,
                each.subscriber.app,
                each.subscriber.ip,
                each.subscriber.port,
                each.service.namespace,
                each.service.grouped_name,
                each.subscriber.clusters,
            )
            for each in subscriptions(self._registry, key.namespace, key.group, key.name)
        ]
        start = max((page_no - 1) * page_size, 0)
        return as_json({"subscribers": rows[start : start + max(page_size, 0)], "count": len(rows)})

    def _selector_types(self, _: Request, _form: Form, _key: ServiceKey | None) -> Response:
        return as_json({"code": 200, "message": None, "data": ["label", "none"]})

    # --- catalog ---

    def _catalog_service(self, _: Request, form: Form, key: ServiceKey | None) -> Response:
        key = key or ServiceKey(canonical_namespace(form.get("namespaceId")), "", "")
        detail = catalog_service(self._registry, key)
        return as_json(
            {
                "service": {
                    "name": key.name,
                    "groupName": key.group,
                    "protectThreshold": detail.metadata.protect_threshold,
                    "selector": selector_shown(detail.metadata.selector),
                    "metadata": detail.metadata.metadata,
                },
                "clusters": clusters_shown(detail),
            }
        )

    def _catalog_instances(self, _: Request, form: Form, key: ServiceKey | None) -> Response:
        key = bound_named(key)
        cluster = bound(form, "clusterName")
        bound(form, "pageNo")
        page_no = bound_whole(form, "pageNo")
        bound(form, "pageSize")
        page_size = bound_whole(form, "pageSize")
        instances = catalog_instances(self._registry, key, cluster)
        start = max((page_no - 1) * page_size, 0)
        return as_json({"list": instances[start : max(page_no * page_size, 0)], "count": len(instances)})

    def _catalog_services(self, _: Request, form: Form, _key: ServiceKey | None) -> Response:
        with_instances = bound_flag(form, "withInstances")
        namespace = canonical_namespace(form.get("namespaceId"))
        page_no = bound_whole(form, "pageNo")
        page_size = bound_whole(form, "pageSize")
        name = bound_or(form, "serviceNameParam", "")
        group = bound_or(form, "groupNameParam", "")
        with_instances_only = bound_flag(form, "hasIpCount")
        if with_instances:
            return self._services_with_instances(namespace, name, group, page_no, page_size)
        count, services = catalog_services(
            self._registry,
            namespace,
            service_fragment=name,
            group_fragment=group,
            with_instances_only=with_instances_only,
            page_no=page_no,
            page_size=page_size,
        )
        rows = [
            {
                "name": each.key.name,
                "groupName": each.key.group,
                "clusterCount": each.cluster_count,
                "ipCount": each.instance_count,
                "healthyInstanceCount": each.healthy_count,
                "triggerFlag": "true" if each.protected else "false",
            }
            for each in services
        ]
        return as_json({"count": count, "serviceList": rows})

    def _services_with_instances(self, namespace: str, name: str, group: str, page_no: int, page_size: int) -> Response:
        services = catalog_services_with_instances(
            self._registry,
            namespace,
            service_fragment=name,
            group_fragment=group,
            page_no=page_no,
            page_size=page_size,
        )
        return as_json(
            [
                {
                    "namespace": None,
                    "serviceName": each.key.name,
                    "groupName": each.key.group,
                    "clusterMap": {
                        cluster: {
                            "clusterName": None,
                            "healthChecker": None,
                            "metadata": None,
                            "hosts": [
                                {
                                    "valid": instance.healthy,
                                    "metadata": instance.metadata,
                                    "port": instance.port,
                                    "ip": instance.ip,
                                    "weight": instance.weight,
                                    "enabled": instance.enabled,
                                }
                                for instance in instances
                            ],
                        }
                        for cluster, instances in each.clusters.items()
                    },
                    "metadata": each.metadata.metadata,
                    "protectThreshold": 0.0,
                    "selector": None,
                    "ephemeral": None,
                }
                for each in services
            ]
        )

    # --- cluster ---

    async def _update_cluster(self, _: Request, form: Form, key: ServiceKey | None) -> Response:
        cluster = required(form, "clusterName")
        key = named(form, key)
        check_port = whole_or_zero(required(form, "checkPort"))
        use_instance_port = loosely_true(required(form, "useInstancePort4Check"))
        checker = checker_of(required(form, "healthChecker"))
        await self._gateway.propose(
            UpdateCluster(
                key,
                cluster,
                check_port,
                use_instance_port,
                checker,
                self._desk.metadata(form),
                self._desk.clock.wall_ms(),
            )
        )
        return OK


# --- selectors -------------------------------------------------------------------------------------------------------


def selector_of(text: str) -> dict[str, str]:
    """The parameter `selector`: JSON, percent-encoded once more than the form. Raises NacosError."""
    if not text or text.isspace():
        return NO_SELECTOR
    try:
        selector = _read_object(unquote_plus(text).encode())
    except ValueError as error:
        raise NacosError(SELECTOR, "not match any type of selector!") from error
    kind = selector.get("type")
    if kind == "none":
        return NO_SELECTOR
    if kind != "label":
        raise NacosError(SELECTOR, "not match any type of selector!")
    expression = selector.get("expression")
    expression = expression if isinstance(expression, str) else ""
    if label_names(expression) is None:
        raise NacosError(SERVER, "Selector parses failed: parse expression failed!")
    return {"type": "label", "expression": expression}


def selector_shown(selector: dict[str, str]) -> dict[str, Any]:
    if selector.get("type") != "label":
        return {"type": "none", "contextType": "NONE"}
    expression = selector.get("expression", "")
    labels = sorted(label_names(expression) or ())
    return {"type": "label", "expression": expression, "labels": labels, "contextType": "CMDB"}


# --- clusters --------------------------------------------------------------------------------------------------------


def clusters_shown(detail: ServiceDetail) -> list[dict[str, Any]]:
    return [
        {
            "serviceName": detail.key.grouped_name,
            "name": name,
            "healthChecker": cluster.health_checker,
            "defaultPort": CATALOG_PORT,
            "defaultCheckPort": cluster.check_port,
            "useIPPort4Check": cluster.use_instance_port,
            "metadata": cluster.metadata,
        }
        for name, cluster in detail.clusters.items()
    ]


class HttpChecker(msgspec.Struct, rename="camel"):
    path: str = ""
    headers: str = ""
    expected_response_code: int = 200


class MysqlChecker(msgspec.Struct):
    user: str | None = None
    pwd: str | None = None
    cmd: str | None = None


def checker_of(text: str) -> dict[str, str | int | None]:
    """The parameter `healthChecker` (`HealthCheckerFactory`): an unknown type is NONE. Raises NacosError."""
    try:
        checker = _read_object(text.encode())
        kind = checker.get("type")
        if kind == "TCP":
            return {"type": "TCP"}
        if kind == "HTTP":
            return {"type": "HTTP", **msgspec.to_builtins(msgspec.convert(checker, HttpChecker, strict=False))}
        if kind == "MYSQL":
            return {"type": "MYSQL", **msgspec.to_builtins(msgspec.convert(checker, MysqlChecker, strict=False))}
    except ValueError as error:
        wanted = "com.alibaba.nacos.api.naming.pojo.healthcheck.AbstractHealthChecker"
        message = f"errCode: 101, errMsg: Nacos deserialize for class [{wanted}] failed, cause error[{error}].  "
        raise NacosError(BAD_REQUEST, message) from error
    return {"type": "NONE"}


def finite(threshold: float) -> float:
    """NaN and infinities have no JSON; the Java server would store them and fail later."""
    return threshold if math.isfinite(threshold) else 0.0
