"""The recorded gRPC traffic of the Java client 2.5.1 with Nacos 2.5.1, in order: the same replies, member by member.

The recording does not tell which of the client's connections a unary request went by. One connection plays them all, and a
second one what `SECOND_CLIENT` names: where two clients held instances of one service. The Java server shows a write a moment
late, so the client asked again and again; only the last answer of such a run is compared.
"""

from __future__ import annotations

import json
import queue
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from tests.models import payload
from tests.models.grpc_peer import STREAM, UNARY
from tests.server import ServerProcess

RECORDING = Path(__file__).parents[3] / "shared" / "golden" / "wire" / "c2.5.1-s2.5.1.jsonl"

pytestmark = pytest.mark.skipif(not RECORDING.is_file(), reason="the recordings do not lie beside the repository")

CALL_S_MAX = 10
COMPARED_MIN = 130

READS = {"ConfigQueryRequest", "ServiceQueryRequest", "ServiceListRequest", "HealthCheckRequest"}
WRITES = re.compile(r"(Publish|Remove|Instance)Request")

# Compared by type: made anew by every server.
ACCIDENTAL = {"connectionId", "lastRefTime", "lastModified", "requestId"}

# Listed in hash order by Java.
UNORDERED = {"serviceNames", "hosts", "changedConfigs"}

# (service without the id of the run, address)
SECOND_CLIENT = {
    ("rig-s6", "10.7.0.6:2"),
    ("rig-e1", "10.7.2.1:2"),
    ("rig-e4", "10.7.2.4:2"),
    ("rig-redo", "10.9.3.2:1"),
}

HASH_ORDER = "pages of a list in the order of a hash set, which is accidental; ours is the order of registration"
CHECKED = (
    "the Java server had tried to connect to the persistent instance for some seconds by then, and nobody listened"
)

# line of the request → why the reply differs
EXPLAINED = {187: CHECKED, 213: CHECKED, 311: HASH_ORDER, 313: HASH_ORDER, 315: HASH_ORDER}


class Exchange(NamedTuple):
    number: int  # of the request's line in the recording
    type_name: str
    headers: dict[str, str]
    body: dict[str, Any]
    reply_type: str
    reply: dict[str, Any] | str


def recorded() -> Iterator[Exchange]:
    """Unary requests with their replies, in the order of the requests."""
    lines = [json.loads(line) for line in RECORDING.read_text("utf-8").splitlines()]
    unary = [(number, line) for number, line in enumerate(lines, 1) if line["call"] == "unary" and "body" in line]
    waiting: list[tuple[int, dict[str, Any]]] = []
    exchanges = []
    for number, line in unary:
        if line["dir"] == "C>S":
            waiting.append((number, line))
            continue
        fitting = next(each for each in waiting if fits(each[1]["type"], line))
        waiting.remove(fitting)
        asked = fitting[1]
        exchanges.append(
            Exchange(fitting[0], asked["type"], asked["headers"], asked["body"], line["type"], line["body"])
        )
    return iter(sorted(exchanges, key=lambda exchange: exchange.number))


def fits(request_type: str, reply: dict[str, Any]) -> bool:
    """Whether a reply can be the one to a request of this type; concurrent requests are mostly of different types."""
    replies = {
        "ServiceQueryRequest": "QueryServiceResponse",
        "ConfigBatchListenRequest": "ConfigChangeBatchListenResponse",
        "PersistentInstanceRequest": "InstanceResponse",
    }
    if reply["type"] == "ErrorResponse":
        return request_type == "PersistentInstanceRequest"
    return bool(reply["type"] == replies.get(request_type, request_type.replace("Request", "Response")))


class Connection:
    def __init__(self, server: ServerProcess) -> None:
        self.channel = grpc.insecure_channel(
            f"{server.host}:{server.grpc_port}", [("grpc.use_local_subchannel_pool", 1)]
        )
        self.unary = self.channel.unary_unary(UNARY)
        self._said: queue.Queue[bytes | None] = queue.Queue()
        self._pushed = self.channel.stream_stream(STREAM)(iter(self._said.get, None))
        self._said.put(
            payload.encode("ConnectionSetupRequest", b'{"labels":{"source":"sdk"},"abilityTable":{}}', "192.0.2.2")
        )
        assert payload.decode(next(self._pushed))[0] == "SetupAckRequest"
        self.pushes: queue.Queue[tuple[str, str, dict[str, Any]]] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for message in self._pushed:
            type_name, client_ip, _, body = payload.decode(message)
            request = json.loads(body)
            self.pushes.put((type_name, client_ip, request))
            answer = json.dumps({"resultCode": 200, "requestId": request["requestId"]}).encode()
            self._said.put(payload.encode(type_name.replace("Request", "Response"), answer))

    def call(self, exchange: Exchange) -> tuple[str, dict[str, Any]]:
        body = json.dumps(exchange.body, ensure_ascii=False).encode()
        answer = self.unary(payload.encode(exchange.type_name, body, "192.0.2.2", exchange.headers), timeout=CALL_S_MAX)
        reply_type, _, _, reply = payload.decode(answer)
        return reply_type, json.loads(reply)

    def close(self) -> None:
        self._said.put(None)
        self._reader.join(CALL_S_MAX)
        self.channel.close()


def differences(place: str, before: Any, after: Any) -> Iterator[str]:
    name = place.rsplit(".", 1)[-1]
    if name in ACCIDENTAL:
        before, after = type(before).__name__, type(after).__name__
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            yield from differences(f"{place}.{key}", before.get(key, "missing"), after.get(key, "missing"))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        if name in UNORDERED:
            before, after = sorted(before, key=str), sorted(after, key=str)
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(f"{place}.{index}", *pair)
    elif before != after:
        yield f"{place}: {before!r} → {after!r}"


def overtaken(exchange: Exchange, later: list[Exchange]) -> bool:
    """Whether the client asked the same again before anything was written: it was waiting for the server to catch up."""
    for other in later:
        if (other.type_name, other.body) == (exchange.type_name, exchange.body):
            return True
        if WRITES.search(other.type_name):
            return False
    return False


def test_the_recorded_replies_are_given(module_server: ServerProcess) -> None:
    """Every unary request of a whole run of the client."""
    first, second = Connection(module_server), Connection(module_server)
    exchanges = list(recorded())
    compared = 0
    found: dict[int, list[str]] = {}
    for index, exchange in enumerate(exchanges):
        instance = exchange.body.get("instance", {})
        service = exchange.body.get("serviceName", "")
        address = (service.rpartition("-")[0], f"{instance.get('ip')}:{instance.get('port')}")
        connection = second if address in SECOND_CLIENT else first
        reply_type, reply = connection.call(exchange)
        if exchange.type_name in READS and overtaken(exchange, exchanges[index + 1 :]):
            continue
        if isinstance(exchange.reply, str):
            continue  # the recorder cut a long body
        compared += 1
        different = list(differences("body", exchange.reply, reply))
        if reply_type != exchange.reply_type:
            different.insert(0, f"type: {exchange.reply_type} → {reply_type}")
        if different:
            found[exchange.number] = [exchange.type_name, str(service or exchange.body.get("dataId")), *different]
    first.close()
    second.close()
    assert compared >= COMPARED_MIN
    assert {number: lines for number, lines in found.items() if number not in EXPLAINED} == {}
    assert found.keys() >= EXPLAINED.keys(), "explained, but not different any more"


def shape(value: Any) -> Any:
    """The members and their types; of a list the first item."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items() if name != "metadata"}
    return [shape(item) for item in value[:1]] if isinstance(value, list) else type(value).__name__


def recorded_pushes() -> Iterator[tuple[str, dict[str, Any]]]:
    for line in RECORDING.read_text("utf-8").splitlines():
        message = json.loads(line)
        if message["dir"] == "S>C" and message["call"] != "unary" and isinstance(message.get("body"), dict):
            yield message["type"], message["body"]


def test_pushes_have_the_recorded_members(module_server: ServerProcess) -> None:
    """A service with an instance and a config that changed, pushed to whoever asked for it."""
    expected: dict[str, Any] = {}
    for type_name, body in recorded_pushes():
        if type_name != "NotifySubscriberRequest" or body["serviceInfo"]["hosts"]:
            expected.setdefault(type_name, shape(body))
    connection = Connection(module_server)
    naming = {"namespace": "public", "serviceName": "pushed", "groupName": "DEFAULT_GROUP"}
    config = {"dataId": "pushed", "group": "DEFAULT_GROUP", "tenant": ""}
    instance = {"ip": "10.7.2.1", "port": 1, "clusterName": "DEFAULT", "metadata": {}}
    for type_name, body in (
        ("SubscribeServiceRequest", {**naming, "subscribe": True, "clusters": ""}),
        ("InstanceRequest", {**naming, "type": "registerInstance", "instance": instance}),
        ("ConfigBatchListenRequest", {"listen": True, "configListenContexts": [{**config, "md5": ""}]}),
        ("ConfigPublishRequest", {**config, "content": "x", "additionMap": {}}),
    ):
        assert connection.call(Exchange(0, type_name, {}, body, "", {}))[1]["success"]
    found: dict[str, Any] = {}
    while found.keys() != expected.keys() - {"SetupAckRequest"}:
        type_name, client_ip, push = connection.pushes.get(timeout=CALL_S_MAX)
        assert client_ip == module_server.host
        if type_name != "NotifySubscriberRequest" or push["serviceInfo"]["hosts"]:
            found[type_name] = shape(push)
    connection.close()
    assert found == {type_name: expected[type_name] for type_name in found}
