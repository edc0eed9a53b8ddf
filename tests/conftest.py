"""What several kinds of test need: a started nacosx of their own, or one shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.server import ServerProcess

# The same examples in every run, and no opinion on how fast a machine draws them: a loaded one is not a failed test.
settings.register_profile("house", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A started nacosx for one test. Stopping it is part of the test."""
    process = ServerProcess(tmp_path / "home")
    try:
        process.start()
        yield process
        process.stop()
    finally:
        process.kill()


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A started nacosx for all tests of a module."""
    process = ServerProcess(tmp_path_factory.mktemp("server") / "home")
    try:
        process.start()
        yield process
        process.stop()
    finally:
        process.kill()
