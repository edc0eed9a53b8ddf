"""Fixtures of the scenarios. A test module names its client as `SDK`; its scenarios are imported classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from tests.interop.driver import Client, Driver
from tests.interop.observer import Observer
from tests.interop.sdk import Sdk, ToolchainMissingError, skip_without_toolchain
from tests.server import ServerProcess


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A scenario that an SDK cannot play is not collected for it; sdk.py says why, trait by trait."""
    kept, dropped = [], []
    for item in items:
        sdk = getattr(getattr(item, "module", None), "SDK", None)
        needed = {trait for marker in item.iter_markers("needs") for trait in marker.args}
        (dropped if sdk is not None and needed & sdk.cannot.keys() else kept).append(item)
        if sdk is not None:
            item.add_marker(pytest.mark.interop)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


@pytest.fixture(scope="module")
def sdk(request: pytest.FixtureRequest) -> Sdk:
    return request.module.SDK


@pytest.fixture(scope="module")
def command(sdk: Sdk) -> list[str]:
    """Installs the SDK when that is still to be done."""
    try:
        return sdk.install(sdk)
    except ToolchainMissingError as missing:
        skip_without_toolchain(f"client {sdk.name} {sdk.version}", missing)


@pytest.fixture(scope="module")
def start_driver(sdk: Sdk, command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Driver]:
    return lambda: Driver(sdk, command, tmp_path_factory.mktemp("driver") / "driver.log")


@pytest.fixture(scope="module")
def driver(start_driver: Callable[[], Driver], sdk: Sdk) -> Iterator[Driver]:
    driver = start_driver()
    try:
        assert driver.hello["version"].lstrip("v") == sdk.version
        yield driver
        driver.stop()
    finally:
        driver.kill()


@pytest.fixture
def second_driver(start_driver: Callable[[], Driver]) -> Iterator[Callable[[], Driver]]:
    """Starts a process that the test may kill."""
    started: list[Driver] = []

    def start() -> Driver:
        started.append(start_driver())
        return started[-1]

    yield start
    for driver in started:
        driver.kill()


@pytest.fixture
def sdk_client(
    driver: Driver, module_server: ServerProcess, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Client]]:
    """Opens clients, each with a name; closes those that the test left open."""
    opened: list[Client] = []

    def open_client(name: str, namespace: str = "") -> Client:
        client = driver.open(f"{re.sub(r'[^a-z_]', '-', request.node.name)}-{name}", module_server.address, namespace)
        opened.append(client)
        return client

    yield open_client
    for client in opened:
        if not client.closed:
            client.close()


@pytest.fixture
def client(sdk_client: Callable[..., Client]) -> Client:
    return sdk_client("client")


@pytest.fixture
def observer(module_server: ServerProcess) -> Observer:
    return Observer(module_server.address)


def _name(request: pytest.FixtureRequest) -> str:
    return re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_")).strip("-")


@pytest.fixture
def service(request: pytest.FixtureRequest) -> str:
    """A service of this test only."""
    return f"interop.{_name(request)}"


@pytest.fixture
def data_id(request: pytest.FixtureRequest) -> str:
    """A config of this test only."""
    return f"interop.{_name(request)}.properties"
