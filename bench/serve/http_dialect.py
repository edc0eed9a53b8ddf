"""HTTP v1 as the Java client 1.4.7 speaks it; the header lines are those recorded in golden/wire."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec

from bench.serve.dialect import CLUSTER, GROUP, PORT
from bench.serve.http_line import HttpLine, body

_NAMING_HEADERS = (
    "Accept-Charset: UTF-8\r\n"
    "Accept-Encoding: gzip,deflate,sdch\r\n"
    "Client-Version: 1.4.7\r\n"
    "Content-Type: application/x-www-form-urlencoded;charset=UTF-8\r\n"
    "Request-Module: Naming\r\n"
    "RequestId: a8b98068-60e8-44a1-bf58-828834107f65\r\n"
    "User-Agent: Nacos-Java-Client:v1.4.7\r\n"
)
_CONFIG_HEADERS = (
    "Accept-Charset: UTF-8\r\n"
    "Accept-Encoding: gzip\r\n"
    "Client-AppName: unknown\r\n"
    "Client-RequestToken: 6668117ebd92805405111f7889e20639\r\n"
    "Client-RequestTS: 1795448377815\r\n"
    "Client-Version: 1.4.7\r\n"
    "Content-Type: application/x-www-form-urlencoded;charset=UTF-8\r\n"
    "exConfigInfo: true\r\n"
    "RequestId: aeb4fa12-a9eb-4697-80cd-a67d21970af0\r\n"
    "User-Agent: Java/17.0.15\r\n"
)


class HttpDialect:
    name = "HTTP"

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    def connect(self) -> HttpLine:
        return HttpLine(self._host, self._port)

    def register(self, service: str, ip: str) -> bytes:
        query = {
            "app": "unknown",
            "groupName": GROUP,
            "metadata": "{}",
            "namespaceId": "public",
            "port": PORT,
            "enable": "true",
            "healthy": "true",
            "clusterName": CLUSTER,
            "ip": ip,
            "weight": "1.0",
            "ephemeral": "true",
            "serviceName": f"{GROUP}@@{service}",
        }
        return self._request("POST", "/nacos/v1/ns/instance", query, _NAMING_HEADERS)

    def light_beat(self, service: str, ip: str) -> bytes:
        """The beat of a client that the server told to leave out its instance (lightBeatEnabled)."""
        query = {
            "app": "unknown",
            "namespaceId": "public",
            "port": PORT,
            "clusterName": CLUSTER,
            "ip": ip,
            "serviceName": f"{GROUP}@@{service}",
        }
        return self._request("PUT", "/nacos/v1/ns/instance/beat", query, _NAMING_HEADERS)

    def list_instances(self, service: str) -> bytes:
        query = {
            "app": "unknown",
            "healthyOnly": "false",
            "namespaceId": "public",
            "clientIP": "127.0.0.1",
            "serviceName": f"{GROUP}@@{service}",
            "udpPort": 0,
            "clusters": "",
        }
        return self._request("GET", "/nacos/v1/ns/instance/list", query, _NAMING_HEADERS)

    def config_get(self, data_id: str) -> bytes:
        return self._request("GET", "/nacos/v1/cs/configs", {"dataId": data_id, "group": GROUP}, _CONFIG_HEADERS)

    def config_publish(self, data_id: str, content: str) -> bytes:
        form = urlencode({"dataId": data_id, "type": "text", "content": content, "group": GROUP}) + "&"
        return self._request("POST", "/nacos/v1/cs/configs", {}, _CONFIG_HEADERS, form)

    def ips(self, answer: bytes) -> list[str]:
        return [host["ip"] for host in msgspec.json.decode(body(answer))["hosts"]]

    def content(self, answer: bytes) -> str:
        return body(answer).decode()

    def _request(self, method: str, path: str, query: dict[str, Any], headers: str, form: str = "") -> bytes:
        target = f"{path}?{urlencode(query)}" if query else path
        return (
            f"{method} {target} HTTP/1.1\r\n{headers}"
            f"Host: {self._host}:{self._port}\r\n"
            "Accept: text/html, image/gif, image/jpeg, */*; q=0.2\r\n"
            "Connection: keep-alive\r\n" + (f"Content-Length: {len(form)}\r\n" if form else "") + f"\r\n{form}"
        ).encode()
