"""Who writes to a cluster while things happen to it, and knows what was acknowledged.

A writer has one connection, to one member after the other. A write is acknowledged, or refused as not done, or in doubt: the
connection broke, or the answer says that nobody knows. A config in doubt may be either and is left alone from then on, for the
write may still be under way.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import threading
from collections.abc import Iterator, Sequence
from urllib.parse import urlencode

from tests.cluster.members import Cluster, Member
from tests.server import wait_until

REQUEST_S_MAX = 3.0  # then the member is taken for dead
PROGRESS_S_MAX = 25
WRITERS = 4
BROKEN = (OSError, http.client.HTTPException)


class Writer:
    def __init__(self, number: int, members: Sequence[Member], content_bytes: int = 0) -> None:
        self.number = number
        self._padding = "x" * content_bytes
        self.members = list(members)
        self.possible: dict[str, set[str | None]] = {}  # data id → contents it may have, None: not there
        self.acknowledged = 0
        self.in_doubt = 0
        self._at = number
        self._count = 0
        self._configs = 0
        self._http: http.client.HTTPConnection | None = None

    def write(self) -> bool:
        """Once. True: acknowledged."""
        data_id = f"{self.number}-{self._configs}"
        possible = self.possible.setdefault(data_id, {None})
        self._count += 1
        content = f"{self.number}:{self._count}{self._padding}"
        try:
            status, body = self._send({"dataId": data_id, "group": "g", "content": content})
        except BROKEN:
            status, body = 0, ""
            self._turn_to_the_next()
        if (status, body) == (200, "true"):
            self.possible[data_id] = {content}
            self.acknowledged += 1
            return True
        possible.add(content)
        self.in_doubt += 1
        self._configs += 1
        if status:
            self._turn_to_the_next()
        return False

    def _send(self, form: dict[str, str]) -> tuple[int, str]:
        if self._http is None:
            member = self.members[self._at % len(self.members)]
            self._http = http.client.HTTPConnection(member.host, member.port, timeout=REQUEST_S_MAX)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self._http.request("POST", "/nacos/v1/cs/configs", urlencode(form).encode(), headers)
        response = self._http.getresponse()
        return response.status, response.read().decode()

    def _turn_to_the_next(self) -> None:
        self.close()
        self._at += 1

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None


class Writers:
    """A thread each. `with` runs them."""

    def __init__(self, members: Sequence[Member], *, first: int = 0, content_bytes: int = 0) -> None:
        """`first`: their numbers tell the configs of different writers apart."""
        self.writers = [Writer(first + number, members, content_bytes) for number in range(WRITERS)]
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []

    def __enter__(self) -> Writers:
        self._stopping.clear()
        self._threads = [threading.Thread(target=self._run, args=(writer,)) for writer in self.writers]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        for writer in self.writers:
            writer.close()
        assert self.failures == []

    def _run(self, writer: Writer) -> None:
        try:
            while not self._stopping.is_set():
                if not writer.write():
                    self._stopping.wait(0.05)
        except BaseException as error:
            self.failures.append(error)

    @property
    def acknowledged(self) -> int:
        return sum(writer.acknowledged for writer in self.writers)

    @property
    def possible(self) -> Iterator[tuple[str, set[str | None]]]:
        return itertools.chain.from_iterable(writer.possible.items() for writer in self.writers)

    def progress(self, more: int = 40) -> None:
        """Until so many more are acknowledged."""
        wanted = self.acknowledged + more
        wait_until(
            lambda: self.acknowledged >= wanted or bool(self.failures), "writes are acknowledged", PROGRESS_S_MAX
        )

    def check(self, members: Sequence[Member]) -> None:
        """Every config is what it may be, and the same at every member; nobody writes."""
        found: dict[str, str | None] = {}
        for member in members:
            with contextlib.closing(http.client.HTTPConnection(member.host, member.port, timeout=20)) as connection:
                for data_id, possible in self.possible:
                    content = read(connection, data_id)
                    assert content in possible, f"{data_id} at member {member.number}: {content}, not of {possible}"
                    assert found.setdefault(data_id, content) == content, f"{data_id} is not the same everywhere"
        assert self.acknowledged > 0


def check(cluster: Cluster, writers: Writers) -> None:
    """All members are led by one, hold the same, and every config is what it may be; nobody writes."""
    cluster.leader()
    cluster.agree()
    writers.check(cluster.members)


def read(connection: http.client.HTTPConnection, data_id: str) -> str | None:
    connection.request("GET", f"/nacos/v1/cs/configs?dataId={data_id}&group=g")
    response = connection.getresponse()
    body = response.read().decode()
    assert response.status in {200, 404}, body
    return body if response.status == 200 else None
