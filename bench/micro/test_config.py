"""Configuration. Bars: PublishConfig.apply ≤ 5 µs; in the desk an HTTP read and a gRPC read ≤ 8 µs each; rows ≤ 30 µs of CPU
a publish (both threads); 200 listeners told in ≤ 1 ms; 10 000 configs of 1 KB in ≤ 30 MB."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from hashlib import md5
from itertools import cycle
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from nacosx._core.http1 import Request, Response
from nacosx.config.catalog import Catalog
from nacosx.config.commands import PublishConfig
from nacosx.config.events import ConfigChanged, Event
from nacosx.config.model import ConfigKey
from nacosx.config.watch import Listening
from tests.config_house import ConfigHouse

CONFIGS = 1_000
LISTENERS = 200
KEYS = [ConfigKey("public", "DEFAULT_GROUP", f"config-{number:05}.yaml") for number in range(CONFIGS)]
HEADERS = [("Host", "127.0.0.1:8848"), ("User-Agent", "Java/17"), ("Client-Version", "1.4.7"), ("Accept", "*/*")]


def publish(key: ConfigKey, text: str) -> PublishConfig:
    content = text.ljust(1024, "x").encode()
    return PublishConfig(key, content, md5(content).hexdigest(), 1_700_000_000_000, "127.0.0.1")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ConfigHouse]:
    house = ConfigHouse(tmp_path)
    for key in KEYS:
        house.propose(publish(key, "first"))
    yield house
    house.close()


def test_publish_apply(benchmark: BenchmarkFixture) -> None:
    catalog = Catalog()
    commands = cycle([publish(key, text) for text in ("first", "second") for key in KEYS])
    benchmark(lambda: catalog.apply(next(commands)))


def test_http_get(benchmark: BenchmarkFixture, house: ConfigHouse) -> None:
    """The handler, with the form it reads."""
    handler = house.routes["/v1/cs/configs"]["GET"].handler
    target = f"/nacos/v1/cs/configs?dataId={KEYS[7].data_id}&group=DEFAULT_GROUP&tenant="

    def fresh_request() -> tuple[tuple[Request], dict[str, object]]:
        return (Request("GET", target, headers=HEADERS),), {}

    answer = benchmark.pedantic(handler, setup=fresh_request, rounds=20_000)  # type: ignore[no-untyped-call]
    assert isinstance(answer, Response)
    assert answer.status == 200


def test_grpc_query(benchmark: BenchmarkFixture, house: ConfigHouse) -> None:
    rpc = house.rpcs["ConfigQueryRequest"]
    request = rpc.request(data_id=KEYS[7].data_id, group="DEFAULT_GROUP", tenant="public")
    connection = house.connection()
    reply = benchmark(lambda: rpc.handler(connection, request, {}))
    assert b'"resultCode":200' in reply


def test_rows_of_500_publishes(benchmark: BenchmarkFixture, house: ConfigHouse) -> None:
    """Rows made on the loop, written in the thread, waited for. Divide by 500."""
    batches: list[list[Event]] = [
        [event for key in half for event in house.catalog.apply(publish(key, text))]
        for text in ("second", "third")
        for half in (KEYS[: CONFIGS // 2], KEYS[CONFIGS // 2 :])
    ]
    turns = cycle(batches)
    index = 10 * CONFIGS

    def write() -> None:
        nonlocal index
        index += 1
        house.rows.write(index, next(turns))
        house.runner.run(house.rows.flushed(index))

    benchmark(write)


def test_fan_out(benchmark: BenchmarkFixture, house: ConfigHouse) -> None:
    """One change, LISTENERS connections; what a socket costs is not in it."""
    for number in range(LISTENERS):
        house.listeners.listen(f"c{number}", "10.0.0.1", "", Listening(KEYS[7], "", ""))
    (event,) = (e for e in house.catalog.apply(publish(KEYS[7], "next")) if isinstance(e, ConfigChanged))

    def answered() -> None:
        for answer in house.pushes.answers:
            answer(True)
        house.pushes.answers.clear()
        house.pushes.sent.clear()

    benchmark.pedantic(  # type: ignore[no-untyped-call]
        lambda: house.listeners.on_config_changed(event), setup=answered, rounds=200
    )
    assert len(house.pushes.sent) == LISTENERS


MEASURE_RSS = """
from hashlib import md5
from nacosx.config.catalog import Catalog
from nacosx.config.commands import DurableCommand, PublishConfig
from nacosx.config.model import ConfigKey
import msgspec

def rss_kb():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4

encode, decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder(DurableCommand).decode
catalog = Catalog()
before = rss_kb()
for number in range(10_000):
    content = str(number).ljust(1024, "x").encode()
    key = ConfigKey("public", "DEFAULT_GROUP", f"config-{number:05}.yaml")
    # As the log brings it back: nothing is shared with anybody.
    catalog.apply(decode(encode(PublishConfig(key, content, md5(content).hexdigest(), 1_700_000_000_000, "127.0.0.1"))))
print(rss_kb() - before)
"""


def test_memory_of_10000_configs(benchmark: BenchmarkFixture) -> None:
    command = [sys.executable, "-c", MEASURE_RSS]
    grown_kb = int(benchmark.pedantic(  # type: ignore[no-untyped-call]
        lambda: subprocess.run(command, check=True, capture_output=True, text=True).stdout, rounds=1
    ))  # fmt: skip
    benchmark.extra_info["MB for 10 000 configs of 1 KB"] = grown_kb / 1024
    assert grown_kb < 30 * 1024
