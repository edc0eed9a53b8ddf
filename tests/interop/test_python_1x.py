"""nacos-sdk-python 1.x: threads, HTTP."""

from __future__ import annotations

from tests.interop.config import TestConfig
from tests.interop.naming import TestNaming
from tests.interop.outages import TestOutages
from tests.interop.sdk import PYTHON_1X as SDK

__all__ = ["SDK", "TestConfig", "TestNaming", "TestOutages"]
