"""The gRPC envelope. Bar: google.protobuf (upb) on the same machine, which the last benchmark measures."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from nacosx._core.payload import decode, head
from tests.models import payload as slow

BODY = b'{"headers":{},"namespace":"public","serviceName":"s","groupName":"DEFAULT_GROUP","module":"naming"}'
MESSAGE = slow.encode("ServiceQueryRequest", BODY, "192.0.2.2", {"app": "unknown"})


def test_decode(benchmark: BenchmarkFixture) -> None:
    """A request with a header."""
    assert benchmark(decode, MESSAGE)[3] == BODY


def test_head_of_a_reply(benchmark: BenchmarkFixture) -> None:
    """What is written before the body."""
    assert benchmark(head, "QueryServiceResponse", len(BODY))


def test_head_of_a_push(benchmark: BenchmarkFixture) -> None:
    """With the request id, which differs for each client."""
    lead = b'{"headers":{},"requestId":"4711",'
    assert benchmark(head, "NotifySubscriberRequest", 3000, "192.0.2.1", lead)


@pytest.mark.benchmark(group="payload: protobuf")
def test_decode_by_protobuf(benchmark: BenchmarkFixture) -> None:
    """The same request."""
    assert benchmark(slow.decode, MESSAGE)[3] == BODY
