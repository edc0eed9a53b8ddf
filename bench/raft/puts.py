"""The load of the puts: so many clients with one call in flight each, on connections they share, all to the leader.

As etcd's own benchmark is usually run, there are about ten clients on a connection.
"""

from __future__ import annotations

import gc
import select
import time

from bench.core import build
from bench.raft.put_lines import PutDialect
from bench.serve.closed_loop import STALL_S_MAX, LineError, percentile

build.load("bench/raft/put_calls.pyx")

from bench.raft.put_calls import PutCalls  # noqa: E402 (it has to be compiled first)

VALUE = b"v" * 128
HOST = "127.0.0.1"
CLIENTS_OF_A_CONNECTION = 10


def put(dialect: PutDialect, port: int, clients: int, seconds: float) -> dict[str, float]:
    """rate, p50, p99. Raises LineError or AnswerError: one refused put fails the run."""
    shares = [clients] if clients < CLIENTS_OF_A_CONNECTION else _shares(clients)
    lines = [
        PutCalls(dialect.connect(HOST, port), dialect.puts(number, VALUE), dialect.accepted)
        for number in range(len(shares))
    ]
    gc.disable()  # a collection in the middle of a run would be taken for the server's latency
    try:
        started_ns = time.monotonic_ns()
        took_ns = sorted(_drive(lines, shares, started_ns + int(seconds * 1e9)))
        wall_s = (time.monotonic_ns() - started_ns) / 1e9
    finally:
        gc.enable()
        for line in lines:
            line.close()
    return {
        "rate": len(took_ns) / wall_s,
        "p50": percentile(took_ns, 0.5) / 1e6,
        "p99": percentile(took_ns, 0.99) / 1e6,
    }


def _shares(clients: int) -> list[int]:
    """Of the clients, for each connection."""
    full, rest = divmod(clients, CLIENTS_OF_A_CONNECTION)
    return [CLIENTS_OF_A_CONNECTION] * full + ([rest] if rest else [])


def _drive(lines: list[PutCalls], shares: list[int], end_ns: int) -> list[int]:
    """How long each took. A connection makes the next calls as soon as some of its own are answered."""
    clock = time.monotonic_ns
    took_ns: list[int] = []
    by_fd = {line.fileno(): line for line in lines}
    in_flight = sum(shares)
    with select.epoll() as poll:
        for line, share in zip(lines, shares, strict=True):
            poll.register(line, select.EPOLLIN)
            line.begin(share)
        while in_flight:
            ready = poll.poll(STALL_S_MAX)
            if not ready:
                raise LineError(f"{in_flight} puts unanswered for {STALL_S_MAX:.0f} s")
            for fd, _ in ready:
                line = by_fd[fd]
                ended = line.receive(took_ns)
                if not ended:
                    continue
                if clock() < end_ns:
                    line.begin(ended)
                else:
                    in_flight -= ended
    return took_ns
