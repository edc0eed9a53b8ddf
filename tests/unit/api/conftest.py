"""What tests of the desk share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.config_house import ConfigHouse


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ConfigHouse]:
    house = ConfigHouse(tmp_path)
    yield house
    house.close()
