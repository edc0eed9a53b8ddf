"""A bystander: plain HTTP to the server under test, no SDK. What a client did must be visible to it, and the other way."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlencode

TIMEOUT_S = 10.0

Instance = dict[str, Any]


class Observer:
    def __init__(self, server: str) -> None:
        self._server = server

    def call(self, method: str, path: str, form: dict[str, object] | None = None, **query: object) -> tuple[int, bytes]:
        """One request on a connection of its own: (status, body)."""
        connection = http.client.HTTPConnection(self._server, timeout=TIMEOUT_S)
        try:
            url = f"/nacos{path}?{urlencode({name: _text(value) for name, value in query.items()})}"
            body = urlencode({name: _text(value) for name, value in form.items()}).encode() if form else None
            headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
            connection.request(method, url, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _ok(self, method: str, path: str, form: dict[str, object] | None = None, **query: object) -> bytes:
        status, body = self.call(method, path, form, **query)
        assert status == 200, f"{method} {path}: {status} {body!r}"
        return body

    # --- naming

    def register(self, service: str, group: str, instance: Instance, namespace: str = "public") -> None:
        body = self._ok("POST", "/v1/ns/instance", _instance(service, group, instance, namespace))
        assert body == b"ok"

    def deregister(self, service: str, group: str, instance: Instance, namespace: str = "public") -> None:
        body = self._ok("DELETE", "/v1/ns/instance", **_instance(service, group, instance, namespace))
        assert body == b"ok"

    def beat(self, service: str, group: str, instance: Instance) -> None:
        form = _instance(service, group, instance, "public")
        form.pop("metadata")
        self._ok("PUT", "/v1/ns/instance/beat", **form)

    def instances(self, service: str, group: str, namespace: str = "public") -> list[Instance]:
        body = self._ok("GET", "/v1/ns/instance/list", namespaceId=namespace, serviceName=service, groupName=group)
        return [
            {**host, "cluster": host["clusterName"], "metadata": host["metadata"] or {}}
            for host in json.loads(body)["hosts"]
        ]

    def addresses(self, service: str, group: str, namespace: str = "public") -> set[str]:
        return {f"{host['ip']}:{host['port']}" for host in self.instances(service, group, namespace)}

    # --- config

    def publish(self, data_id: str, group: str, content: str, tenant: str = "") -> None:
        body = self._ok(
            "POST", "/v1/cs/configs", {"dataId": data_id, "group": group, "tenant": tenant, "content": content}
        )
        assert body == b"true"

    def get(self, data_id: str, group: str, tenant: str = "") -> str | None:
        status, body = self.call("GET", "/v1/cs/configs", dataId=data_id, group=group, tenant=tenant)
        assert status in {200, 404}, body
        return body.decode() if status == 200 else None

    def remove(self, data_id: str, group: str, tenant: str = "") -> None:
        self._ok("DELETE", "/v1/cs/configs", dataId=data_id, group=group, tenant=tenant)

    # --- namespaces

    def create_namespace(self, namespace: str) -> None:
        form: dict[str, object] = {"customNamespaceId": namespace, "namespaceName": namespace, "namespaceDesc": ""}
        assert self._ok("POST", "/v1/console/namespaces", form) == b"true"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _instance(service: str, group: str, instance: Instance, namespace: str) -> dict[str, object]:
    return {
        "namespaceId": namespace,
        "serviceName": service,
        "groupName": group,
        "ip": instance["ip"],
        "port": instance["port"],
        "weight": instance.get("weight", 1.0),
        "enabled": instance.get("enabled", True),
        "healthy": instance.get("healthy", True),
        "ephemeral": instance.get("ephemeral", True),
        "clusterName": instance.get("cluster", "DEFAULT"),
        "metadata": json.dumps(instance.get("metadata", {})),
    }
