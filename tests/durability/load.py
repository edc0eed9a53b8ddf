"""Concurrent clients over HTTP that remember what was acknowledged, and ask for it after a restart.

A subject is one thing that can be stored: a config, a persistent instance, a service, a namespace. It knows the states it may
be in: the acknowledged one, and after a connection broke in the middle of a write also the one that was asked for.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Sequence
from hashlib import md5
from random import Random
from typing import Protocol
from urllib.parse import urlencode

from tests.server import ServerProcess

REQUEST_S_MAX = 20

State = str | None  # None: not there


class Connection:
    """One keep-alive connection."""

    def __init__(self, server: ServerProcess) -> None:
        self._http = http.client.HTTPConnection(server.host, server.port, timeout=REQUEST_S_MAX)

    def send(self, method: str, path: str, **form: str) -> tuple[int, str]:
        """(status, body). OSError or HTTPException when the connection breaks."""
        url = f"/nacos{path}"
        if method == "POST":
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            self._http.request(method, url, urlencode(form).encode(), headers)
        else:
            self._http.request(method, f"{url}?{urlencode(form)}")
        response = self._http.getresponse()
        return response.status, response.read().decode()

    def close(self) -> None:
        self._http.close()


BROKEN = (OSError, http.client.HTTPException)


class Subject(Protocol):
    states: set[State]

    def next_state(self, random: Random) -> State:
        """Something to change to; never None."""

    def write(self, connection: Connection, state: State) -> tuple[int, str]: ...

    def read(self, connection: Connection) -> State: ...


class Config:
    """The state is the md5 of the content."""

    def __init__(self, data_id: str) -> None:
        self.key = {"dataId": data_id, "group": "DEFAULT_GROUP"}
        self.states: set[State] = {None}
        self._content = ""

    def next_state(self, random: Random) -> State:
        self._content = f"{random.random()} ünïcode " * random.choice((1, 20, 200, 2000))
        return md5(self._content.encode()).hexdigest()

    def write(self, connection: Connection, state: State) -> tuple[int, str]:
        if state is None:
            return connection.send("DELETE", "/v1/cs/configs", **self.key)
        return connection.send("POST", "/v1/cs/configs", **self.key, content=self._content)

    def read(self, connection: Connection) -> State:
        status, body = connection.send("GET", "/v1/cs/configs", **self.key)
        assert status in {200, 404}, body
        return md5(body.encode()).hexdigest() if status == 200 else None


class Persistent:
    """The state is the weight of the instance."""

    def __init__(self, name: str) -> None:
        self.key = {"serviceName": name, "ip": "10.1.2.3", "port": "8080", "ephemeral": "false"}
        self.states: set[State] = {None}

    def next_state(self, random: Random) -> State:
        return str(float(random.randint(1, 9999)))

    def write(self, connection: Connection, state: State) -> tuple[int, str]:
        if state is None:
            return connection.send("DELETE", "/v1/ns/instance", **self.key)
        return connection.send("POST", "/v1/ns/instance", **self.key, weight=state)

    def read(self, connection: Connection) -> State:
        status, body = connection.send("GET", "/v1/ns/instance/list", serviceName=self.key["serviceName"])
        assert status == 200, body
        hosts = json.loads(body)["hosts"]
        return str(hosts[0]["weight"]) if hosts else None


class Service:
    """The state is the protect threshold."""

    def __init__(self, name: str) -> None:
        self.key = {"serviceName": name}
        self.states: set[State] = {None}

    def next_state(self, random: Random) -> State:
        return f"0.{random.randint(1, 9)}"

    def write(self, connection: Connection, state: State) -> tuple[int, str]:
        if state is None:
            return connection.send("DELETE", "/v1/ns/service", **self.key)
        method = "POST" if self.states == {None} else "PUT"
        return connection.send(method, "/v1/ns/service", **self.key, protectThreshold=state)

    def read(self, connection: Connection) -> State:
        status, body = connection.send("GET", "/v1/ns/service", **self.key)
        assert status == 200 or "not found" in body, body
        return str(json.loads(body)["protectThreshold"]) if status == 200 else None


class Namespace:
    """The state is the name."""

    def __init__(self, namespace_id: str) -> None:
        self.id = namespace_id
        self.states: set[State] = {None}

    def next_state(self, random: Random) -> State:
        return f"name-{random.randint(1, 9999)}"

    def write(self, connection: Connection, state: State) -> tuple[int, str]:
        path = "/v1/console/namespaces"
        if state is None:
            return connection.send("DELETE", path, namespaceId=self.id)
        if self.states == {None}:
            return connection.send("POST", path, customNamespaceId=self.id, namespaceName=state, namespaceDesc="d")
        return connection.send("PUT", path, namespace=self.id, namespaceShowName=state, namespaceDesc="d")

    def read(self, connection: Connection) -> State:
        status, body = connection.send("GET", "/v1/console/namespaces", show="all", namespaceId=self.id)
        assert status == 200 or "not exist" in body, body
        return str(json.loads(body)["namespaceShowName"]) if status == 200 else None


class Worker:
    """One client and the subjects that only it writes."""

    def __init__(self, number: int, random: Random) -> None:
        self.random = random
        self.subjects: list[Subject] = [
            *(Config(f"config-{number}-{n}") for n in range(10)),
            *(Persistent(f"persistent-{number}-{n}") for n in range(4)),
            *(Service(f"service-{number}-{n}") for n in range(3)),
            Namespace(f"namespace-{number}"),
        ]

    def run(self, server: ServerProcess, acknowledged: Callable[[], None]) -> str | None:
        """Writes until the connection breaks; what a refusal said, None when there was none."""
        connection = Connection(server)
        try:
            while True:
                subject = self.random.choice(self.subjects)
                [old] = subject.states
                new = None if old is not None and self.random.random() < 0.3 else subject.next_state(self.random)
                try:
                    status, body = subject.write(connection, new)
                except BROKEN:
                    subject.states = {old, new}
                    return None
                if (status, body) not in {(200, "ok"), (200, "true")}:
                    return f"{type(subject).__name__} {old} → {new}: {status} {body}"
                subject.states = {new}
                acknowledged()
        finally:
            connection.close()


class Load:
    """Several workers at once. `acknowledged` counts every acknowledgement there ever was."""

    def __init__(self, workers: int, seed: int) -> None:
        self.workers = [Worker(number, Random(seed * 1000 + number)) for number in range(workers)]
        self.acknowledged = 0
        self.refusals: list[str] = []
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def start(self, server: ServerProcess) -> None:
        self._threads = [threading.Thread(target=self._run, args=(worker, server)) for worker in self.workers]
        for thread in self._threads:
            thread.start()

    def _run(self, worker: Worker, server: ServerProcess) -> None:
        refusal = worker.run(server, self._acknowledge)
        if refusal is not None:
            with self._changed:
                self.refusals.append(refusal)
                self._changed.notify_all()

    def _acknowledge(self) -> None:
        with self._changed:
            self.acknowledged += 1
            self._changed.notify_all()

    def wait(self, more: int) -> None:
        """Until so many more writes are acknowledged."""
        with self._changed:
            wanted = self.acknowledged + more
            reached = self._changed.wait_for(lambda: self.acknowledged >= wanted or self.refusals, REQUEST_S_MAX)
        assert reached, "the server acknowledges nothing"

    def join(self) -> None:
        for thread in self._threads:
            thread.join()
        assert self.refusals == []

    def check(self, server: ServerProcess) -> None:
        """Every subject is in a state it may be in. Which one settles what was in doubt."""
        connection = Connection(server)
        lost = []
        for subject in self.subjects:
            found = subject.read(connection)
            if found not in subject.states:
                lost.append(f"{vars(subject)}: found {found}")
            subject.states = {found}
        connection.close()
        assert lost == []

    @property
    def subjects(self) -> Sequence[Subject]:
        return [subject for worker in self.workers for subject in worker.subjects]
