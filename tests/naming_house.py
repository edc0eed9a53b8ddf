"""The naming v1 desk over a gateway without disk, with the beats of the engine on virtual time."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any, cast
from urllib.parse import urlencode

from nacosx._core.http1 import Request, Response
from nacosx.api.checks import Checks
from nacosx.api.later import Later
from nacosx.api.v1.naming import routes
from nacosx.api.v1.naming_desk import ServerStatus
from nacosx.engine.beats import Beats
from nacosx.engine.push.pusher import PushCounters
from nacosx.errors import NacosError
from tests.direct_gateway import DirectGateway
from tests.virtual_time import VirtualTime

FORM = ("Content-Type", "application/x-www-form-urlencoded")


def done_value(coroutine: Coroutine[Any, Any, Response]) -> Response:
    """What a coroutine returns that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast(Response, done.value)
    coroutine.close()
    raise AssertionError(f"{coroutine} waits for something")


class NamingHouse:
    def __init__(self, *, checks: bool = True) -> None:
        self.time = VirtualTime()
        self.gateway = DirectGateway()
        self.gateway.clock = self.time.clock
        self.registry = self.gateway.registry
        self.status = ServerStatus("UP")
        self.counters = PushCounters()
        self.beats = Beats(self.registry, self.gateway.submit, self.time.ticker(), self.time.clock)
        self.routes = routes(
            self.gateway.as_gateway(),
            self.beats,
            self.counters,
            checks=Checks(enabled=checks),
            status=self.status,
            address="10.0.0.1:8848",
        )

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        peer_ip: str = "10.0.0.9",
        **form: object,
    ) -> Response:
        """The answer to a request whose query is `form`."""
        target = f"/nacos/v1/ns{path}?{urlencode(form)}"
        return self.answer(path, Request(method, target, headers=headers, remote_ip=peer_ip))

    def answer(self, path: str, request: Request) -> Response:
        methods = self.routes[f"/v1/ns{path}"]
        route = methods.get(request.method) or methods["*"]
        try:
            answer = route.handler(request)
            if isinstance(answer, Response):
                return answer
            if isinstance(answer, Later):
                return answer.answer  # it is written
            return done_value(answer)
        except NacosError as error:
            return route.refuse(error)

    def text(self, method: str, path: str, **form: Any) -> tuple[int, str]:
        """(status, body)."""
        response = self.ask(method, path, **form)
        return response.status, response.body.decode()

    def json(self, method: str, path: str, **form: Any) -> Any:
        """The body of a good answer."""
        response = self.ask(method, path, **form)
        assert response.status == 200, response.body
        return json.loads(response.body)

    def register(self, **form: Any) -> None:
        given = {"serviceName": "s", "ip": "10.0.0.1", "port": 80, **form}
        assert self.text("POST", "/instance", **given) == (200, "ok")

    def hosts(self, **form: Any) -> list[dict[str, Any]]:
        return list(self.json("GET", "/instance/list", **{"serviceName": "s", **form})["hosts"])
