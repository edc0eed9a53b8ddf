"""Configuration and console with all their doors, without sockets and disk thread: what is proposed is applied at once.

Requests go in as they come from the wire, answers come out as they go to it; rows are real, in a file.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Generator, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import msgspec

from nacosx._core.http1 import Request, Response
from nacosx.api.checks import Checks
from nacosx.api.config_form import ConfigLimits
from nacosx.api.grpc import config as config_grpc
from nacosx.api.later import Later
from nacosx.api.v1 import config as config_v1
from nacosx.api.v1 import console as console_v1
from nacosx.api.v1.console import ServerState
from nacosx.config.catalog import Catalog
from nacosx.config.commands import DurableCommand as ConfigCommand
from nacosx.config.events import ConfigChanged
from nacosx.engine.gateway import Gateway
from nacosx.engine.push.listeners import Listeners
from nacosx.engine.push.long_polls import LongPolls
from nacosx.errors import NacosError
from nacosx.namespaces import DurableCommand as NamespaceCommand
from nacosx.namespaces import Namespaces
from nacosx.storage.rows import open_rows
from tests.virtual_time import VirtualTime

CONFIGS = "/v1/cs/configs"
FORM = ("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")


class Applied:
    """Awaitable that is done."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


class FakeConnection:
    def __init__(self, connection_id: str, client_ip: str, labels: dict[str, str]) -> None:
        self.connection_id = connection_id
        self.client_ip = client_ip
        self.remote_ip = "127.0.0.1"
        self.remote_port = 44620
        self.client_version = "Nacos-Java-Client:v2.5.1"
        self.labels = labels
        self.app_name = "unknown"


class FakePushes:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.answers: list[Callable[[bool], None]] = []

    def push(
        self, client_id: str, type_name: str, members: bytes, answered: Callable[[bool], None], *, timeout_ms: int
    ) -> bool:
        assert (type_name, timeout_ms) == ("ConfigChangeNotifyRequest", 3_000)
        self.sent.append((client_id, msgspec.json.decode(b"{" + members + b"}")))
        self.answers.append(answered)
        return True


class ConfigHouse:
    """The gateway and everything behind and before it."""

    def __init__(self, directory: Path, *, checks: Checks | None = None, limits: ConfigLimits | None = None) -> None:
        self.time = VirtualTime()
        self.clock = self.time.clock
        self.catalog = Catalog()
        self.namespaces = Namespaces()
        self.pushes = FakePushes()
        self.disconnected: list[str] = []
        self.refusal: NacosError | None = None  # what the log says to everything
        self.is_ready = True
        self._index = 0
        ticker = self.time.ticker()
        self.rows = open_rows(directory / "rows.sqlite", ticker.schedule)
        self.listeners = Listeners(self.pushes, ticker, self.disconnected.append)
        self.polls = LongPolls(self.catalog, ticker)
        checks, limits = checks or Checks(), limits or ConfigLimits()
        gateway = cast(Gateway, self)
        self.routes = {
            **config_v1.routes(gateway, self.listeners, self.polls, self.rows, checks=checks, limits=limits),
            **console_v1.routes(
                gateway,
                checks=checks,
                state=ServerState(version="2.5.1", server_port="8848"),
                ready=lambda: self.is_ready,
            ),
        }
        self.rpcs = config_grpc.rpcs(gateway, self.listeners, checks=checks, limits=limits)
        self.runner = asyncio.Runner()

    def close(self) -> None:
        self.rows.close()
        self.runner.close()

    # --- the gateway -------------------------------------------------------------------------------------------------

    def propose(self, command: ConfigCommand | NamespaceCommand) -> Applied:
        if self.refusal is not None:
            raise self.refusal
        self._index += 1
        if not isinstance(command, ConfigCommand):
            self.namespaces.apply(command)
            return Applied()
        events = self.catalog.apply(command)
        self.rows.write(self._index, events)
        for event in events:
            if isinstance(event, ConfigChanged):
                self.listeners.on_config_changed(event)
                self.polls.on_config_changed(event)
        return Applied()

    # --- HTTP --------------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Request:
        target = "/nacos" + path + (f"?{urlencode(query)}" if query else "")
        lines = list((headers or {}).items())
        body = urlencode(form).encode() if form is not None else b""
        return Request(method, target, headers=[*lines, FORM] if body else lines, body=body)

    def answer(self, request: Request) -> Response | Coroutine[Any, Any, Response]:
        """As the wire asks a handler; a refusal is worded by the route."""
        route = self.routes[request.path.removeprefix("/nacos")][request.method]
        try:
            answer = route.handler(request)
        except NacosError as error:
            return route.refuse(error)
        if isinstance(answer, Later):
            return answer.answer  # it is written
        if isinstance(answer, Response):
            return answer

        async def settle() -> Response:
            try:
                return await answer
            except NacosError as error:
                return route.refuse(error)

        return settle()

    def http(self, method: str, path: str, query: Mapping[str, str] | None = None, **members: Any) -> Response:
        answer = self.answer(self.request(method, path, query, **members))
        return self.runner.run(answer) if inspect.iscoroutine(answer) else cast(Response, answer)

    def json(self, method: str, path: str, query: Mapping[str, str] | None = None, **members: Any) -> Any:
        response = self.http(method, path, query, **members)
        assert response.status == 200, response.body
        return msgspec.json.decode(response.body)

    def publish(
        self, data_id: str = "d", content: str = "1", *, headers: Mapping[str, str] | None = None, **form: str
    ) -> Response:
        form = {"dataId": data_id, "group": "G", "content": content, **form}
        return self.http("POST", CONFIGS, form=form, headers=headers)

    def read(self, data_id: str = "d", *, headers: Mapping[str, str] | None = None, **query: str) -> str | None:
        response = self.http("GET", CONFIGS, {"dataId": data_id, "group": "G", **query}, headers=headers)
        if response.status == 404:
            return None
        assert response.status == 200, response.body
        return response.body.decode()

    # --- gRPC --------------------------------------------------------------------------------------------------------

    def connection(self, connection_id: str = "c1", client_ip: str = "192.0.2.2", **labels: str) -> FakeConnection:
        return FakeConnection(connection_id, client_ip, labels)

    def call(
        self,
        type_name: str,
        body: Mapping[str, Any],
        connection: FakeConnection | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        rpc = self.rpcs[type_name]
        request = msgspec.json.decode(msgspec.json.encode(body), type=rpc.request, strict=False)
        reply = rpc.handler(connection or self.connection(), request, headers or {})
        if isinstance(reply, Later):
            return reply.answer  # it is written
        return self.runner.run(reply) if inspect.iscoroutine(reply) else cast(bytes, reply)

    def rpc(
        self, type_name: str, body: Mapping[str, Any], connection: FakeConnection | None = None, **headers: str
    ) -> Any:
        return msgspec.json.decode(self.call(type_name, body, connection, headers))
