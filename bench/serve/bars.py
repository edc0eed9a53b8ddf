"""The bars of `bench serve`, in the words of issue 3."""

from __future__ import annotations

from bench.report import Bar

_HTTP_READ = Bar("HTTP reads ≤ 0.5 ×", ratio=0.5)
_GRPC_READ = Bar("gRPC reads ≤ 0.4 ×", ratio=0.4)
_HTTP_WRITE = Bar("HTTP writes ≤ 0.8 ×", ratio=0.8)
_GRPC_WRITE = Bar("gRPC writes ≤ 0.6 ×", ratio=0.6)
_PUBLISH = Bar("config publish ≤ 0.6 ×", ratio=0.6)
_GROWTH = Bar("RSS growth ≤ 1.0 ×", ratio=1.0)

BARS: dict[tuple[str, str], Bar] = {
    ("HTTP register", "server CPU"): _HTTP_WRITE,
    ("HTTP beat", "server CPU"): _HTTP_WRITE,
    ("HTTP list of 10", "server CPU"): _HTTP_READ,
    ("HTTP list of 100", "server CPU"): _HTTP_READ,
    ("HTTP config get", "server CPU"): _HTTP_READ,
    ("HTTP config publish", "server CPU"): _PUBLISH,
    ("gRPC register", "server CPU"): _GRPC_WRITE,
    ("gRPC query of 10", "server CPU"): _GRPC_READ,
    ("gRPC query of 100", "server CPU"): _GRPC_READ,
    ("gRPC config query", "server CPU"): _GRPC_READ,
    ("gRPC config publish", "server CPU"): _PUBLISH,
    ("push of a service to 200", "first change p50"): Bar("service push p50 ≤ 20 ms", limit=20),
    ("push of a service to 200", "first change p99"): Bar("service push p99 ≤ 60 ms", limit=60),
    ("push of a config to 200", "p99"): Bar("config push p99 ≤ 1.0 ×", ratio=1.0),
    ("memory", "idle RSS"): Bar("idle RSS ≤ 60 MB", limit=60),
    ("memory", "growth, 10 000 × 10 instances"): _GROWTH,
    ("memory", "growth, 10 000 configs of 1 KB"): _GROWTH,
    ("start", "exec to first registration"): Bar("ready ≤ 300 ms", limit=300),
}
