"""The naming room. Bars: RegisterInstance.apply ≤ 5 µs, a rendered answer found again ≤ 1 µs, 100 000 instances ≤ 60 MB."""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys

from pytest_benchmark.fixture import BenchmarkFixture

from nacosx.naming.commands import ConnectClient, DeregisterInstance, RegisterInstance, SetHealth, Subscribe
from nacosx.naming.directory import service_names
from nacosx.naming.model import Instance, ServiceKey, Subscriber
from nacosx.naming.registry import Registry
from nacosx.naming.views import service_info

SERVICES = 1_000
HOSTS = 10
CONNECTIONS = [f"170000000000{number}_10.0.0.{number}_5000{number}" for number in range(HOSTS)]
KEYS = [ServiceKey("public", "DEFAULT_GROUP", f"service-{number}") for number in range(SERVICES)]


def connected() -> Registry:
    registry = Registry()
    for connection in CONNECTIONS:
        registry.apply(ConnectClient(connection, 1))
    return registry


def populated(metadata: dict[str, str] | None = None) -> Registry:
    """SERVICES services, each with an instance of every connection."""
    registry = connected()
    for number, key in enumerate(KEYS):
        for last, connection in enumerate(CONNECTIONS):
            instance = registry.shared.instance(f"10.0.{number % 256}.{last}", 8080, metadata=metadata)
            registry.apply(RegisterInstance(connection, key, instance, 1))
    return registry


def test_register_new(benchmark: BenchmarkFixture) -> None:
    """The first registration of a client for a service that exists."""
    commands = [
        RegisterInstance(connection, key, Instance(f"10.0.0.{last}", 8080), 1)
        for key in KEYS
        for last, connection in enumerate(CONNECTIONS)
    ]

    def registry_and_commands() -> tuple[tuple[Registry, list[RegisterInstance]], dict[str, object]]:
        return (connected(), commands), {}

    def register_all(registry: Registry, commands: list[RegisterInstance]) -> None:
        apply = registry.apply
        for command in commands:
            apply(command)

    benchmark.extra_info["registrations per round"] = len(commands)
    benchmark.pedantic(register_all, setup=registry_and_commands, rounds=10)  # type: ignore[no-untyped-call]


def test_register_changed(benchmark: BenchmarkFixture) -> None:
    """A client publishes something else than before, with preserved metadata to look at."""
    registry = populated()
    of_two = itertools.cycle(
        [
            RegisterInstance(
                CONNECTIONS[0], KEYS[0], Instance("10.0.0.1", port, metadata={"version": "1", "zone": "z"}), 1
            )
            for port in (1, 2)
        ]
    )
    assert benchmark(lambda: registry.apply(next(of_two)))


def test_register_same(benchmark: BenchmarkFixture) -> None:
    """What a redo of a client costs: nothing changes."""
    registry = populated({"version": "1", "zone": "z"})
    command = RegisterInstance(
        CONNECTIONS[0], KEYS[0], Instance("10.0.0.0", 8080, metadata={"version": "1", "zone": "z"}), 1
    )
    assert benchmark(registry.apply, command) == []


def test_register_and_deregister(benchmark: BenchmarkFixture) -> None:
    registry = populated()
    register = RegisterInstance("10.9.9.9:80#true", KEYS[0], Instance("10.9.9.9", 80), 1)
    deregister = DeregisterInstance("10.9.9.9:80#true", KEYS[0], 1)

    def both() -> None:
        registry.apply(register)
        registry.apply(deregister)

    benchmark(both)


def test_set_health(benchmark: BenchmarkFixture) -> None:
    registry = populated()
    turns = itertools.cycle([SetHealth(CONNECTIONS[0], KEYS[0], healthy, 1) for healthy in (False, True)])
    assert benchmark(lambda: registry.apply(next(turns)))


def test_subscribe_again(benchmark: BenchmarkFixture) -> None:
    """What each poll of a 1.x client costs."""
    registry = populated()
    command = Subscribe("10.9.9.9:5000#true", KEYS[0], Subscriber("10.9.9.9", 5000), 1)
    registry.apply(command)
    assert benchmark(registry.apply, command) == []


def test_service_info_found_again(benchmark: BenchmarkFixture) -> None:
    registry = populated()
    key = ServiceKey("public", "DEFAULT_GROUP", "service-" + str(0))
    benchmark(lambda: service_info(registry, key, "", False, grouped=False, now_ms=1))


def test_service_info_rendered_10(benchmark: BenchmarkFixture) -> None:
    rendered(benchmark, {})


def test_service_info_rendered_10_with_metadata(benchmark: BenchmarkFixture) -> None:
    rendered(benchmark, {"version": "1", "zone": "z"})


def rendered(benchmark: BenchmarkFixture, metadata: dict[str, str]) -> None:
    """After each change anew: HOSTS hosts."""
    registry = populated(metadata)
    service = registry.services[KEYS[0]]

    def render() -> bytes:
        registry.rendered.forget(service)
        return service_info(registry, KEYS[0], "", False, grouped=False, now_ms=1)

    assert benchmark(render).count(b"instanceId") >= HOSTS


def test_service_names(benchmark: BenchmarkFixture) -> None:
    """The last page of a group."""
    registry = populated()
    count, names = benchmark(service_names, registry, "public", "DEFAULT_GROUP", SERVICES // 10, 10)
    assert (count, len(names)) == (SERVICES, 10)


def test_snapshot(benchmark: BenchmarkFixture) -> None:
    """Without anything durable: what looking for it costs."""
    registry = populated()
    assert benchmark(registry.snapshot)


# What 100 000 instances take, in a process of its own: RSS before and after.
MEMORY = """
import gc
from bench.micro.test_naming import CONNECTIONS, connected
from nacosx.naming.commands import RegisterInstance
from nacosx.naming.model import ServiceKey

def rss():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096

registry = connected()
gc.collect()
before = rss()
for number in range(10_000):
    for last, connection in enumerate(CONNECTIONS):
        ip = f"10.{number >> 8}.{number & 255}.{last}"
        key = ServiceKey("public", "DEFAULT_GROUP", f"service-{number}")
        metadata = {"version": str(1), "zone": "z" + str(1)}
        instance = registry.shared.instance(ip, 8000 + last, metadata=metadata)
        client = connection if %r else f"{ip}:{8000 + last}#true"
        registry.apply(RegisterInstance(client, key, instance, 1))
gc.collect()
print(rss() - before)
"""


def test_memory_of_100_000_instances_of_10_connections(benchmark: BenchmarkFixture) -> None:
    memory(benchmark, by_connection=True)


def test_memory_of_100_000_instances_of_as_many_addresses(benchmark: BenchmarkFixture) -> None:
    memory(benchmark, by_connection=False)


def memory(benchmark: BenchmarkFixture, *, by_connection: bool) -> None:
    """The time is that of filling the registry, interpreter start included; what counts is `bytes per instance`."""

    def fill() -> int:
        done = subprocess.run(
            [sys.executable, "-c", MEMORY % by_connection], check=True, capture_output=True, text=True
        )
        return int(done.stdout)

    taken = benchmark.pedantic(fill, rounds=1)  # type: ignore[no-untyped-call]
    benchmark.extra_info["bytes per instance"] = taken // 100_000
    gc.collect()
    assert taken <= 60_000_000
