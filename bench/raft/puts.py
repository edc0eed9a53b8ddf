"""The load of the puts: each client has one call in flight, all of them to the leader."""

from __future__ import annotations

from bench.raft.put_lines import PutDialect
from bench.serve import closed_loop

VALUE = b"v" * 128
HOST = "127.0.0.1"


def put(dialect: PutDialect, port: int, clients: int, seconds: float) -> dict[str, float]:
    """Figures by the names of `scenario.THROUGHPUT`. Raises LineError or AnswerError."""
    lines = [dialect.connect(HOST, port) for _ in range(clients)]
    try:
        load = closed_loop.run(lines, [dialect.puts(number, VALUE) for number in range(clients)], seconds=seconds)
    finally:
        for line in lines:
            line.close()
    return {
        "rate": load.answers / load.wall_s,
        "p50": load.latency_ms(0.5),
        "p99": load.latency_ms(0.99),
    }
