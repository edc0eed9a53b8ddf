"""Fan-out: how long a change takes to reach 200 subscribers, from the sending of the change to its push being read.

Arrivals are read and stamped first and acknowledged when the burst is over: a late stamp is the server's lateness.
"""

from __future__ import annotations

import hashlib
import select
import time
from collections.abc import Mapping, Sequence

import msgspec

from bench.serve import meter
from bench.serve.closed_loop import AnswerError, LineError, call, percentile
from bench.serve.dialect import config_content
from bench.serve.grpc_dialect import answer_pushes
from bench.serve.grpc_line import GrpcLine
from bench.serve.scenario import Effort
from bench.serve.servers import Contender, Server, UnsoundError, started

SUBSCRIBERS = 200
LATER_CHANGES_MS = (100, 200, 300)  # after the first: inside the push delay of 500 ms that every Nacos server has
PUSH_S_MAX = 10.0
QUIET_S = 1.5  # without a push: longer than any push delay
QUIET_S_MAX = 20.0
CONFIG_BYTES = 1024


class Change(msgspec.Struct, frozen=True):
    """`request`, sent by `line` at `after_ms`; a push that contains `mark` carries it."""

    after_ms: int
    line: GrpcLine
    request: bytes
    mark: bytes


class Audience:
    """The subscribers' connections."""

    def __init__(self, server: Server) -> None:
        self.lines: list[GrpcLine] = []
        self._poll = select.epoll()
        self._by_fd: dict[int, GrpcLine] = {}
        self.pushes = 0  # that have arrived in all
        for _ in range(SUBSCRIBERS):
            line = server.grpc.connect()
            self.lines.append(line)
            self._by_fd[line.fileno()] = line
            self._poll.register(line.fileno(), select.EPOLLIN)

    def close(self) -> None:
        self._poll.close()
        for line in self.lines:
            line.close()

    def watch(self, changes: Sequence[Change]) -> list[list[int]]:
        """Send the changes at their times; the latencies in ns, a list for each.

        Raises UnsoundError when a push is missing.
        """
        clock = time.perf_counter_ns
        begun = clock()
        sent: list[int] = []
        latencies: list[list[int]] = [[] for _ in changes]
        missing = [set(self._by_fd) for _ in changes]
        unanswered: set[GrpcLine] = set()
        deadline = begun + int(PUSH_S_MAX * 1e9)
        while len(sent) < len(changes) or any(missing):
            if clock() > deadline:
                raise UnsoundError(
                    f"no push within {PUSH_S_MAX:.0f} s for {[len(each) for each in missing]} subscribers"
                )
            while len(sent) < len(changes) and clock() >= begun + changes[len(sent)].after_ms * 1_000_000:
                change = changes[len(sent)]
                sent.append(clock())
                call(change.line, change.request)
            ready = self._poll.poll(0)
            if not ready and unanswered:
                answer_pushes(unanswered.pop())
                continue
            for fd, _ in ready or self._poll.poll(0.005):
                line = self._by_fd[fd]
                known = len(line.pushes)
                line.receive()
                for push in line.pushes[known:]:
                    unanswered.add(line)
                    self.pushes += 1
                    for number in range(len(sent)):
                        if fd in missing[number] and changes[number].mark in push.payload:
                            missing[number].remove(fd)
                            latencies[number].append(push.at_ns - sent[number])
        for line in unanswered:
            answer_pushes(line)
        return latencies

    def until_quiet(self, quiet_s: float) -> None:
        """Answer whatever comes until nothing has come for so long."""
        deadline = time.monotonic() + QUIET_S_MAX
        while ready := self._poll.poll(quiet_s):
            for fd, _ in ready:
                line = self._by_fd[fd]
                line.receive()
                self.pushes += len(line.pushes)
                answer_pushes(line)
            if time.monotonic() > deadline:
                raise UnsoundError(f"pushes go on for {QUIET_S_MAX:.0f} s without a change")


class ServicePush:
    """A first change in a quiet service, then three more inside the push delay; each by another publisher."""

    name = f"push of a service to {SUBSCRIBERS}"
    units: Mapping[str, str] = {
        "first change p50": "ms",
        "first change p99": "ms",
        "merged change p50": "ms",
        "merged change p99": "ms",
        "server CPU": "µs/push",
    }

    def measure(self, contender: Contender, effort: Effort) -> dict[str, float]:
        with started(contender, effort.data) as server:
            server.expect_sound()
            publishers = [server.grpc.connect() for _ in (0, *LATER_CHANGES_MS)]
            audience = Audience(server)
            try:
                for line in audience.lines:
                    call(line, server.grpc.subscribe("watched"))
                figures = self._measure(server, audience, publishers, effort.changes)
                server.expect_alive()
                return figures
            finally:
                audience.close()
                for line in publishers:
                    line.close()

    def _measure(
        self, server: Server, audience: Audience, publishers: list[GrpcLine], changes: int
    ) -> dict[str, float]:
        grpc = server.grpc
        first: list[int] = []
        merged: list[int] = []
        audience.until_quiet(QUIET_S)
        pushes, cpu = audience.pushes, meter.cpu_ns(server.pid)
        for number in range(changes):
            ips = [f"10.5.{number}.{publisher}" for publisher in range(len(publishers))]
            times = (0, *LATER_CHANGES_MS)
            latencies = audience.watch(
                [
                    Change(after_ms, line, grpc.register("watched", ip), f'"{ip}"'.encode())
                    for after_ms, line, ip in zip(times, publishers, ips, strict=True)
                ]
            )
            first += latencies[0]
            for later in latencies[1:]:
                merged += later
            for line, ip in zip(publishers, ips, strict=True):
                call(line, grpc.deregister("watched", ip))
            audience.until_quiet(QUIET_S)
        cpu_us = (meter.cpu_ns(server.pid) - cpu) / 1e3 / (audience.pushes - pushes)
        first.sort()
        merged.sort()
        return {
            "first change p50": percentile(first, 0.50) / 1e6,
            "first change p99": percentile(first, 0.99) / 1e6,
            "merged change p50": percentile(merged, 0.50) / 1e6,
            "merged change p99": percentile(merged, 0.99) / 1e6,
            "server CPU": cpu_us,
        }


class ConfigPush:
    """A config of 1 KB changes; every subscriber is notified, and listens again with the new md5."""

    name = f"push of a config to {SUBSCRIBERS}"
    units: Mapping[str, str] = {"p50": "ms", "p99": "ms"}
    data_id = "watched.properties"

    def measure(self, contender: Contender, effort: Effort) -> dict[str, float]:
        with started(contender, effort.data) as server:
            server.expect_sound()
            publisher = server.grpc.connect()
            audience = Audience(server)
            try:
                latencies = self._measure(server, audience, publisher, effort.config_changes)
                server.expect_alive()
            finally:
                audience.close()
                publisher.close()
        return {"p50": percentile(latencies, 0.50) / 1e6, "p99": percentile(latencies, 0.99) / 1e6}

    def _measure(self, server: Server, audience: Audience, publisher: GrpcLine, changes: int) -> list[int]:
        grpc = server.grpc
        latencies: list[int] = []
        content = config_content(CONFIG_BYTES, "# the first")
        call(publisher, grpc.config_publish(self.data_id, content))
        for number in range(changes):
            self._listen(server, audience, content)
            audience.until_quiet(QUIET_S / 5)
            content = config_content(CONFIG_BYTES, f"# change {number}")
            request = grpc.config_publish(self.data_id, content)
            latencies += audience.watch([Change(0, publisher, request, b"ConfigChangeNotifyRequest")])[0]
        return sorted(latencies)

    def _listen(self, server: Server, audience: Audience, content: str) -> None:
        """Raises UnsoundError when the server does not know the content it acknowledged last."""
        request = server.grpc.listen(self.data_id, hashlib.md5(content.encode(), usedforsecurity=False).hexdigest())
        for line in audience.lines:
            try:
                answer = call(line, request)
            except (AnswerError, LineError) as error:
                raise UnsoundError(f"listening failed: {error}") from error
            if self.data_id.encode() in answer:
                raise UnsoundError("the acknowledged content is not the current one")
