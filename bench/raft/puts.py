"""The load of the puts: so many clients with one call in flight each, on connections they share, all to the leader.

As etcd's own benchmark is usually run, there are about ten clients on a connection.
"""

from __future__ import annotations

import gc
import itertools
import select
import time

from bench.raft.put_lines import PutDialect, PutLine
from bench.serve.closed_loop import STALL_S_MAX, LineError, percentile

VALUE = b"v" * 128
HOST = "127.0.0.1"
CLIENTS_OF_A_CONNECTION = 10


def put(dialect: PutDialect, port: int, clients: int, seconds: float) -> dict[str, float]:
    """rate, p50, p99. Raises LineError or AnswerError: one refused put fails the run."""
    shares = [clients] if clients < CLIENTS_OF_A_CONNECTION else _shares(clients)
    lines = [dialect.connect(HOST, port) for _ in shares]
    gc.disable()  # a collection in the middle of a run would be taken for the server's latency
    try:
        started_ns = time.perf_counter_ns()
        took_ns = sorted(_drive(dialect, lines, shares, started_ns + int(seconds * 1e9)))
        wall_s = (time.perf_counter_ns() - started_ns) / 1e9
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


def _drive(dialect: PutDialect, lines: list[PutLine], shares: list[int], end_ns: int) -> list[int]:
    """How long each took. A connection makes the next calls as soon as some of its own are answered."""
    clock = time.perf_counter_ns
    took_ns: list[int] = []
    by_fd = {line.fileno(): (line, dialect.puts(number, VALUE)) for number, line in enumerate(lines)}
    sent_ns: dict[int, dict[int, int]] = {line.fileno(): {} for line in lines}  # by stream
    in_flight = 0
    with select.epoll() as poll:
        for (fd, (line, requests)), share in zip(by_fd.items(), shares, strict=True):
            poll.register(fd, select.EPOLLIN)
            sent_ns[fd].update(dict.fromkeys(line.send_all(list(itertools.islice(requests, share))), clock()))
            in_flight += share
        while in_flight:
            ready = poll.poll(STALL_S_MAX)
            if not ready:
                raise LineError(f"{in_flight} puts unanswered for {STALL_S_MAX:.0f} s")
            for fd, _ in ready:
                line, requests = by_fd[fd]
                ended, now = line.receive_all(), clock()
                took_ns += [now - sent_ns[fd].pop(stream) for stream in ended]
                if not ended:
                    continue
                if now >= end_ns:
                    in_flight -= len(ended)
                else:
                    streams = line.send_all(list(itertools.islice(requests, len(ended))))
                    sent_ns[fd].update(dict.fromkeys(streams, now))
    return took_ns
