"""nacos-client 3.0: gRPC."""

from __future__ import annotations

from tests.interop.config import TestConfig
from tests.interop.naming import TestNaming
from tests.interop.outages import TestOutages
from tests.interop.sdk import JAVA_3 as SDK

__all__ = ["SDK", "TestConfig", "TestNaming", "TestOutages"]
