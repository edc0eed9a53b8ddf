"""Fifty kills under load: every acknowledged write is there afterwards, no deleted one returns, wherever the server starts."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from tests.durability.load import Config, Connection, Load
from tests.server import ServerProcess

KILLS = 50
CLIENTS = 8
SEED = 9
ACKNOWLEDGED_MIN = KILLS * 20


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_what_was_acknowledged_survives_kill_9_at_any_moment(tmp_path: Path) -> None:
    """Publishes, deletes, persistent instances, services and namespaces; another port at every start, another host at some."""
    random = Random(SEED)
    load = Load(CLIENTS, SEED)
    server = ServerProcess(tmp_path / "home")
    try:
        for kill in range(KILLS):
            server.host, server.port = f"127.0.0.{1 + kill % 2}", 0
            server.start()
            load.check(server)
            load.start(server)
            load.wait(random.choice((1, 5, 25, 75)))
            server.kill()
            load.join()
        server.start()
        load.check(server)
        check_rows(server, load)
        server.stop()
    finally:
        server.kill()
    assert load.acknowledged >= ACKNOWLEDGED_MIN


def check_rows(server: ServerProcess, load: Load) -> None:
    """The projection holds what the state holds: every config is found by the search."""
    connection = Connection(server)
    _, body = connection.send(
        "GET", "/v1/cs/configs", search="blur", dataId="config-*", group="*", pageNo="1", pageSize="500"
    )
    found = {item["dataId"] for item in json.loads(body)["pageItems"]}
    connection.close()
    configs = [subject for subject in load.subjects if isinstance(subject, Config)]
    assert found == {config.key["dataId"] for config in configs if config.states != {None}}
