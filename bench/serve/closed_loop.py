"""The load: every line has one request in flight and sends the next as soon as the answer is complete.

One thread, one epoll, blocking sockets that are only read when they are readable: lighter than an event loop with
callbacks, so that the server is what is measured. A line without a source stands by.
"""

from __future__ import annotations

import gc
import select
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

STALL_S_MAX = 20.0  # no answer at all for so long: the server is dead or deaf
SAMPLE_EVERY = 499  # answers between two that are looked into; prime: not in step with a cycle of requests


class LineError(Exception):
    """The connection ended, went silent, or said what its protocol forbids."""


class AnswerError(Exception):
    """The server answered, but not what the request asks for."""


class Line(Protocol):
    """A connection with at most one request in flight."""

    def fileno(self) -> int: ...

    def send(self, request: bytes) -> None: ...

    def receive(self) -> bytes | None:
        """Take what has come; the whole answer if it is complete now, else None."""

    def accepted(self, answer: bytes) -> bool:
        """Does the answer say that the request succeeded? Cheap enough to ask of every answer."""

    def close(self) -> None: ...


class Load(msgspec.Struct, frozen=True):
    """What one run of the loop saw."""

    answers: int
    wall_s: float
    own_cpu_s: float  # of the load itself
    latencies_ns: list[int]  # sorted

    def latency_ms(self, share: float) -> float:
        """The latency that `share` (0–1) of the answers did not exceed."""
        return percentile(self.latencies_ns, share) / 1e6


def percentile(ordered: Sequence[int], share: float) -> int:
    """Nearest rank in a sorted sequence."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def run(
    lines: Sequence[Line],
    sources: Sequence[Iterator[bytes]],
    *,
    seconds: float,
    check: Callable[[bytes], None] | None = None,
    standing_by: Sequence[Line] = (),
) -> Load:
    """Drive `lines[i]` with the requests of `sources[i]` until the time or the source is over; await the last answers.

    Raises AnswerError and LineError: one error fails the run. `check` looks into every `SAMPLE_EVERY`-th answer.
    """
    poll = select.epoll()
    collecting = gc.isenabled()
    gc.disable()  # a collection in the middle of a run would be taken for the server's latency
    try:
        own_cpu = time.process_time()
        started = time.perf_counter()
        latencies = _drive(poll, lines, sources, seconds=seconds, check=check, standing_by=standing_by)
        wall_s = time.perf_counter() - started
        own_cpu_s = time.process_time() - own_cpu
    finally:
        poll.close()
        if collecting:
            gc.enable()
    latencies.sort()
    return Load(answers=len(latencies), wall_s=wall_s, own_cpu_s=own_cpu_s, latencies_ns=latencies)


def _drive(
    poll: select.epoll,
    lines: Sequence[Line],
    sources: Sequence[Iterator[bytes]],
    *,
    seconds: float,
    check: Callable[[bytes], None] | None,
    standing_by: Sequence[Line],
) -> list[int]:
    clock = time.perf_counter_ns
    deadline = clock() + int(seconds * 1e9)
    latencies: list[int] = []
    by_fd: dict[int, tuple[Line, Iterator[bytes] | None]] = {line.fileno(): (line, None) for line in standing_by}
    sent: dict[int, int] = {}
    for line, source in zip(lines, sources, strict=True):
        request = next(source, None)
        if request is not None:
            by_fd[line.fileno()] = (line, source)
            sent[line.fileno()] = clock()
            line.send(request)
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    countdown = SAMPLE_EVERY
    while sent:
        ready = poll.poll(STALL_S_MAX)
        if not ready:
            raise LineError(f"{len(sent)} requests unanswered for {STALL_S_MAX:.0f} s")
        for fd, _ in ready:
            line, requests = by_fd[fd]
            answer = line.receive()
            if answer is None:
                continue
            now = clock()
            latencies.append(now - sent[fd])
            if not line.accepted(answer):
                raise AnswerError(f"refused: {answer[:500]!r}")
            countdown -= 1
            if countdown == 0:
                countdown = SAMPLE_EVERY
                if check is not None:
                    check(answer)
            following = next(requests, None) if requests is not None and now < deadline else None
            if following is None:
                del sent[fd]
                continue
            sent[fd] = clock()
            line.send(following)
    return latencies


def call(line: Line, request: bytes) -> bytes:
    """One request, outside any measurement. Raises AnswerError when it is refused."""
    line.send(request)
    while (answer := line.receive()) is None:
        pass
    if not line.accepted(answer):
        raise AnswerError(f"refused: {answer[:500]!r}")
    return answer
