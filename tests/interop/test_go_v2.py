"""nacos-sdk-go v2: gRPC."""

from __future__ import annotations

from tests.interop.config import TestConfig
from tests.interop.naming import TestNaming
from tests.interop.outages import TestOutages
from tests.interop.sdk import GO_V2 as SDK

__all__ = ["SDK", "TestConfig", "TestNaming", "TestOutages"]
