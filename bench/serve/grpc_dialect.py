"""gRPC as the Java client 2.5.1 speaks it: envelope, bodies, order of the handshake (contract grpc.md §1, §2)."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from bench.serve.closed_loop import AnswerError, LineError, call
from bench.serve.dialect import CLUSTER, GROUP, PORT
from bench.serve.grpc_line import GrpcLine

CLIENT_IP = "10.0.0.5"
SETUP_S_MAX = 10.0
SETUP_RETRY_S = 0.001

_REQUEST_TYPE = re.compile(rb"([A-Z][A-Za-z]+)Request")
_NAMING_HEADERS = {"app": "unknown"}
_CONFIG_HEADERS = {
    "charset": "UTF-8",
    "Client-AppName": "unknown",
    "Client-RequestToken": "197548f220da1361e42341682a1b64ae",
    "Client-RequestTS": "1795448213573",
    "exConfigInfo": "true",
}
_SETUP = {
    "headers": {},
    "clientVersion": "Nacos-Java-Client:v2.5.1",
    "tenant": "",
    "labels": {"source": "sdk", "taskId": "0", "module": "naming", "AppName": "unknown", "tls.enable": "false"},
    "abilityTable": {},
    "module": "internal",
}


def _length_delimited(field: int, value: bytes) -> bytes:
    """A protobuf field of wire type 2 (all field numbers here are below 16)."""
    size = len(value)
    varint = bytearray()
    while size > 0x7F:
        varint.append(size & 0x7F | 0x80)
        size >>= 7
    varint.append(size)
    return bytes((field << 3 | 2,)) + bytes(varint) + value


def message(kind: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> bytes:
    """Prefix and `Payload { Metadata metadata = 2 { type = 3, headers = 7, clientIp = 8 }, Any body = 3 }`."""
    metadata = _length_delimited(3, kind.encode()) + b"".join(
        _length_delimited(7, _length_delimited(1, name.encode()) + _length_delimited(2, value.encode()))
        for name, value in (headers or {}).items()
    )
    payload = _length_delimited(2, metadata + _length_delimited(8, CLIENT_IP.encode())) + _length_delimited(
        3, _length_delimited(2, msgspec.json.encode(body))
    )
    return b"\x00" + len(payload).to_bytes(4, "big") + payload


def json_of(payload: bytes) -> dict[str, Any]:
    """The JSON body of an answer: it is the last thing in the envelope, and its only braces."""
    document: dict[str, Any] = msgspec.json.decode(payload[payload.index(b"{") : payload.rindex(b"}") + 1])
    return document


def instance(ip: str) -> dict[str, Any]:
    return {
        "ip": ip,
        "port": PORT,
        "weight": 1.0,
        "healthy": True,
        "enabled": True,
        "ephemeral": True,
        "clusterName": CLUSTER,
        "metadata": {},
        "instanceHeartBeatInterval": 5000,
        "instanceHeartBeatTimeOut": 15000,
        "ipDeleteTimeout": 30000,
        "instanceIdGenerator": "simple",
    }


def answer_pushes(line: GrpcLine) -> None:
    """Answer what the server asked on the stream since the last time, as a client must."""
    pushes, line.pushes = line.pushes, []
    for push in pushes:
        request = _REQUEST_TYPE.search(push.payload)
        request_id = json_of(push.payload).get("requestId")
        if request is None or request_id is None:  # SetupAckRequest wants no answer
            continue
        body = {"resultCode": 200, "errorCode": 0, "requestId": request_id, "success": True}
        line.send_on_stream(message(f"{request[1].decode()}Response", body))


class Resident:
    """A gRPC client that stays while others are measured: it keeps its instances registered by answering the server."""

    def __init__(self, line: GrpcLine) -> None:
        self._line = line
        self.fileno = line.fileno
        self.send = line.send
        self.accepted = line.accepted
        self.close = line.close

    def receive(self) -> bytes | None:
        answer = self._line.receive()
        answer_pushes(self._line)
        return answer


Registered = TypeVar("Registered", bound=GrpcLine)


class GrpcDialect:
    name = "gRPC"

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    def connect(self) -> GrpcLine:
        return self.register_line(GrpcLine(self._host, self._port))

    def register_line(self, line: Registered) -> Registered:
        """Server check, set-up on the stream, then the first accepted call. Raises LineError or AnswerError."""
        call(line, message("ServerCheckRequest", {"headers": {}, "module": "internal"}))
        line.send_on_stream(message("ConnectionSetupRequest", _SETUP))
        health = message("HealthCheckRequest", {"headers": {}, "module": "internal"})
        deadline = time.monotonic() + SETUP_S_MAX
        while True:
            try:
                call(line, health)
            except AnswerError:  # 301: the set-up travels on another stream and has not been handled yet
                if time.monotonic() > deadline:
                    line.close()
                    raise
                time.sleep(SETUP_RETRY_S)
            except LineError:
                line.close()
                raise
            else:
                return line

    def register(self, service: str, ip: str) -> bytes:
        return self._instance_request("registerInstance", service, ip)

    def deregister(self, service: str, ip: str) -> bytes:
        return self._instance_request("deregisterInstance", service, ip)

    def _instance_request(self, kind: str, service: str, ip: str) -> bytes:
        body = {**self._naming(service), "type": kind, "instance": instance(ip), "module": "naming"}
        return message("InstanceRequest", body, _NAMING_HEADERS)

    def register_batch(self, service: str, ips: Sequence[str]) -> bytes:
        body = {
            **self._naming(service),
            "type": "batchRegisterInstance",
            "instances": [instance(ip) for ip in ips],
            "module": "naming",
        }
        return message("BatchInstanceRequest", body, _NAMING_HEADERS)

    def list_instances(self, service: str) -> bytes:
        body = {**self._naming(service), "cluster": "", "healthyOnly": False, "udpPort": 0, "module": "naming"}
        return message("ServiceQueryRequest", body, _NAMING_HEADERS)

    def subscribe(self, service: str) -> bytes:
        body = {**self._naming(service), "subscribe": True, "clusters": "", "module": "naming"}
        return message("SubscribeServiceRequest", body, _NAMING_HEADERS)

    def config_get(self, data_id: str) -> bytes:
        body = {**self._config(data_id), "notify": False, "module": "config"}
        return message("ConfigQueryRequest", body, _CONFIG_HEADERS | {"notify": "false"})

    def config_publish(self, data_id: str, content: str) -> bytes:
        body = {
            **self._config(data_id),
            "content": content,
            "additionMap": {"encryptedDataKey": "", "type": "text"},
            "module": "config",
        }
        return message("ConfigPublishRequest", body, _CONFIG_HEADERS)

    def listen(self, data_id: str, md5: str) -> bytes:
        context = {"group": GROUP, "md5": md5, "dataId": data_id, "tenant": ""}
        body = {"headers": {}, "listen": True, "configListenContexts": [context], "module": "config"}
        return message("ConfigBatchListenRequest", body, _CONFIG_HEADERS)

    def ips(self, answer: bytes) -> list[str]:
        return [host["ip"] for host in json_of(answer)["serviceInfo"]["hosts"]]

    def content(self, answer: bytes) -> str:
        content: str = json_of(answer)["content"]
        return content

    def _naming(self, service: str) -> dict[str, Any]:
        return {"headers": {}, "namespace": "public", "serviceName": service, "groupName": GROUP}

    def _config(self, data_id: str) -> dict[str, Any]:
        return {"headers": {}, "dataId": data_id, "group": GROUP, "tenant": ""}
