"""nacos-sdk-python, the newest: asyncio, gRPC."""

from __future__ import annotations

from tests.interop.config import TestConfig
from tests.interop.naming import TestNaming
from tests.interop.outages import TestOutages
from tests.interop.sdk import PYTHON_GRPC as SDK

__all__ = ["SDK", "TestConfig", "TestNaming", "TestOutages"]
