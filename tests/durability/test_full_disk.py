"""A full disk under a running server: an error, nothing half written, reads go on; with space again it works, unrestarted."""

from __future__ import annotations

import contextlib
import json
import os
import resource
from collections.abc import Callable, Iterator
from hashlib import md5
from pathlib import Path

import pytest

from tests.durability.load import Connection
from tests.server import ServerProcess, wait_until
from tests.small_disk import small_disk_at

CONFIGS_MAX = 5000


class Publisher:
    """One client that knows what was acknowledged."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.connection = Connection(server)
        self.acknowledged: dict[str, str] = {}  # data id → md5
        self.number = 0

    def publish(self) -> tuple[int, str]:
        self.number += 1
        data_id, content = f"config-{self.number}", f"{self.number} " * 3000
        status, body = self.connection.send("POST", "/v1/cs/configs", dataId=data_id, group="g", content=content)
        if (status, body) == (200, "true"):
            self.acknowledged[data_id] = md5(content.encode()).hexdigest()
        return status, body

    def publish_until_refused(self) -> None:
        while self.number < CONFIGS_MAX:
            status, body = self.publish()
            if status != 200:
                assert status == 500
                assert "could not be stored" in body
                return
        raise AssertionError("the disk is never full")

    def check(self) -> None:
        """What was acknowledged is there, what was refused is not."""
        for number in range(1, self.number + 1):
            data_id = f"config-{number}"
            status, body = self.connection.send("GET", "/v1/cs/configs", dataId=data_id, group="g")
            found = md5(body.encode()).hexdigest() if status == 200 else None
            assert found == self.acknowledged.get(data_id)

    def check_rows(self) -> None:
        """The search knows them all, too, once it has caught up."""

        def caught_up() -> bool:
            query = {"search": "accurate", "dataId": "", "group": "g", "pageNo": "1", "pageSize": "1"}
            status, body = self.connection.send("GET", "/v1/cs/configs", **query)
            return status == 200 and json.loads(body)["totalCount"] == len(self.acknowledged)

        wait_until(caught_up, "the rows hold every config", 30)

    def story(self, fill: Callable[[], None], free: Callable[[], None], rounds: int) -> None:
        for _ in range(rounds):
            fill()
            for _ in range(3):
                self.publish_until_refused()
            self.check()
            free()
            assert self.publish() == (200, "true")
            self.check()
        self.check_rows()
        self.server.restart()
        self.close()
        self.connection = Connection(self.server)
        self.check()
        self.check_rows()

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """256 MiB: a segment of the log, and rows several times as large."""
    with small_disk_at(tmp_path / "disk", "256m") as disk:
        yield disk


@pytest.mark.slow
def test_a_server_on_a_full_disk_refuses_and_recovers_by_itself(small_disk: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "data").symlink_to(small_disk)
    server = ServerProcess(home)
    ballast = small_disk / "ballast"
    server.start()
    try:

        def fill() -> None:
            with contextlib.suppress(OSError), ballast.open("wb") as file:  # the server writes meanwhile
                while free_bytes(small_disk) > 1 << 20:
                    file.write(bytes(256 << 10))

        with contextlib.closing(Publisher(server)) as publisher:
            publisher.story(fill, ballast.unlink, rounds=1)
        server.stop()
    finally:
        server.kill()


def free_bytes(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


@pytest.mark.slow
def test_a_server_whose_files_may_not_grow_refuses_and_recovers_by_itself(server: ServerProcess) -> None:
    """RLIMIT_FSIZE of the running process: EFBIG in the log and in the rows; needs no right to mount."""
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    sizes = iter((256 << 10, 1 << 20))

    def fill() -> None:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (next(sizes), hard))

    def free() -> None:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))

    with contextlib.closing(Publisher(server)) as publisher:
        publisher.story(fill, free, rounds=2)
