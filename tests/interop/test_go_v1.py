"""nacos-sdk-go v1: HTTP and UDP push."""

from __future__ import annotations

from tests.interop.config import TestConfig
from tests.interop.naming import TestNaming
from tests.interop.outages import TestOutages
from tests.interop.sdk import GO_V1 as SDK

__all__ = ["SDK", "TestConfig", "TestNaming", "TestOutages"]
