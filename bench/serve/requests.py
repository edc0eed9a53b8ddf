"""The request scenarios: one kind of request over LINES connections, closed loop, and what is read back afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

import msgspec

from bench.serve import closed_loop, http_line, meter
from bench.serve.closed_loop import AnswerError, Line, call
from bench.serve.dialect import MARK, Dialect, Numbered, config_content, marked
from bench.serve.grpc_dialect import Resident
from bench.serve.scenario import Effort
from bench.serve.servers import Contender, Server, UnsoundError, started

LINES = 16
SERVICES = 100  # that queries walk through
CONFIGS = 100  # that gets walk through
CONFIG_BYTES = 1024
BEATING_PER_LINE = 64
PUBLISHED_PER_LINE = 64  # dataIds that one line publishes again and again
READ_BACK = 32  # samples after a write scenario
WARM_UP_SHARE = 0.2  # of the measured seconds


class Workload:
    """One kind of request."""

    def __init__(self, server: Server, dialect: Dialect) -> None:
        self.server = server
        self.dialect = dialect
        self.lines: list[Line] = []
        self.sources: list[Iterator[bytes]] = []  # one for each line
        self.standing_by: list[Line] = []

    def open(self) -> None:
        """Connect and prepare the server."""
        self.lines.extend(self.dialect.connect() for _ in range(LINES))
        self.prepare()
        self.sources.extend(self.source(number) for number in range(LINES))

    def close(self) -> None:
        for line in (*self.lines, *self.standing_by):
            line.close()

    def prepare(self) -> None:
        """Give the server what the requests ask for."""

    def source(self, line: int) -> Iterator[bytes]:
        """The requests of one line."""
        raise AssertionError("a workload without requests")

    def check(self, answer: bytes) -> None:
        """Look into an answer; raises AnswerError."""

    def read_back(self) -> None:
        """Raises UnsoundError when something acknowledged is missing."""


class Register(Workload):
    """The k-th request of line l registers instance 10.1.0.l in service k: always a new instance, 16 to a service.

    Over gRPC a connection holds one instance of a service, so this is 16 clients that each register in thousands of
    services, the shape of the official 2.0 benchmark; HTTP gets the same.
    """

    service = f"orders-{MARK}"

    def source(self, line: int) -> Iterator[bytes]:
        return Numbered([self.dialect.register(self.service, f"10.1.0.{line}")])

    def read_back(self) -> None:
        issued = [source.issued for source in self.sources if isinstance(source, Numbered)]
        for number in _spread(min(issued)):
            answer = call(self.lines[0], self.dialect.list_instances(marked(self.service, number)))
            found = set(self.dialect.ips(answer))
            missing = {f"10.1.0.{line}" for line in range(LINES)} - found
            if missing:
                raise UnsoundError(f"service {number} lacks the acknowledged {sorted(missing)}")


class Beat(Workload):
    """Light beats of 16 × 64 registered instances, 16 services."""

    def prepare(self) -> None:
        for line, service, ip in self._instances():
            call(self.lines[line], self.dialect.register(service, ip))

    def source(self, line: int) -> Iterator[bytes]:
        http = self.server.http
        return itertools.cycle(
            [http.light_beat(service, ip) for owner, service, ip in self._instances() if owner == line]
        )

    def check(self, answer: bytes) -> None:
        if b'"code":10200' not in answer:
            raise AnswerError(f"not a beat of a known instance: {answer[-200:]!r}")

    def _instances(self) -> list[tuple[int, str, str]]:
        return [
            (line, f"beating-{line}", f"10.2.{line}.{number}")
            for line in range(LINES)
            for number in range(BEATING_PER_LINE)
        ]


class ListInstances(Workload):
    """Queries walk through 100 services of `size` instances each, which one gRPC client keeps registered."""

    size = 10

    def prepare(self) -> None:
        holder = self.server.grpc.connect()
        self.standing_by.append(Resident(holder))
        for number in range(SERVICES):
            ips = [f"10.3.{number}.{host}" for host in range(self.size)]
            call(holder, self.server.grpc.register_batch(f"listed-{number}", ips))
        for number in range(SERVICES):
            self.check(call(self.lines[0], self.dialect.list_instances(f"listed-{number}")))

    def source(self, line: int) -> Iterator[bytes]:
        return _walk([self.dialect.list_instances(f"listed-{number}") for number in range(SERVICES)], line)

    def check(self, answer: bytes) -> None:
        found = len(set(self.dialect.ips(answer)))
        if found != self.size:
            raise AnswerError(f"{found} instances instead of {self.size}")


class ListHundred(ListInstances):
    size = 100


class ConfigGet(Workload):
    """Gets walk through 100 configs of 1 KB."""

    def prepare(self) -> None:
        for number in range(CONFIGS):
            call(self.lines[0], self.dialect.config_publish(f"read-{number}.properties", self._content(number)))
        for number in range(CONFIGS):
            answer = call(self.lines[0], self.dialect.config_get(f"read-{number}.properties"))
            if self.dialect.content(answer) != self._content(number):
                raise UnsoundError(f"config {number} is not what was acknowledged")

    def source(self, line: int) -> Iterator[bytes]:
        return _walk([self.dialect.config_get(f"read-{number}.properties") for number in range(CONFIGS)], line)

    def check(self, answer: bytes) -> None:
        content = self.dialect.content(answer)
        if content != self._content(int(content[2:10])):
            raise AnswerError("a config is not what was published")

    def _content(self, number: int) -> str:
        return config_content(CONFIG_BYTES, f"# {number:08d}")


class ConfigPublish(Workload):
    """Each line publishes 64 dataIds in turn, 1 KB each, always with new content: first a creation, then changes."""

    template = config_content(CONFIG_BYTES, f"# {MARK}")

    def source(self, line: int) -> Iterator[bytes]:
        return Numbered(
            [
                self.dialect.config_publish(_published(line, number), self.template)
                for number in range(PUBLISHED_PER_LINE)
            ]
        )

    def check(self, answer: bytes) -> None:
        if self.dialect is self.server.http and http_line.body(answer) != b"true":
            raise AnswerError(f"not published: {answer[-200:]!r}")

    def read_back(self) -> None:
        for line, source in enumerate(self.sources):
            assert isinstance(source, Numbered)
            for back in range(1, min(source.issued, READ_BACK // LINES) + 1):
                number = source.issued - back
                data_id = _published(line, number % PUBLISHED_PER_LINE)
                answer = call(self.lines[line], self.dialect.config_get(data_id))
                if self.dialect.content(answer) != marked(self.template, number):
                    raise UnsoundError(f"{data_id} is not what was acknowledged last")


def _published(line: int, number: int) -> str:
    return f"written-{line}-{number}.properties"


def _spread(count: int) -> list[int]:
    """READ_BACK numbers below `count`, evenly spread, the first and the last among them."""
    return sorted({index * (count - 1) // (READ_BACK - 1) for index in range(READ_BACK)}) if count else []


def _walk(requests: Sequence[bytes], line: int) -> Iterator[bytes]:
    """Round and round; each line begins elsewhere."""
    start = line * len(requests) // LINES
    return itertools.cycle([*requests[start:], *requests[:start]])


class RequestScenario(msgspec.Struct, frozen=True):
    name: str
    workload: type[Workload]
    speak: Callable[[Server], Dialect]
    units: ClassVar[Mapping[str, str]] = {
        "server CPU": "µs/request",
        "throughput": "requests/s",
        "p50": "ms",
        "p99": "ms",
        "server core": "% busy",
        "load CPU": "µs/request",
    }

    def measure(self, contender: Contender, effort: Effort) -> dict[str, float]:
        with started(contender, effort.data) as server:
            server.expect_sound()
            workload = self.workload(server, self.speak(server))
            try:
                workload.open()
                return self._measure(server, workload, effort.seconds)
            finally:
                workload.close()

    def _measure(self, server: Server, workload: Workload, seconds: float) -> dict[str, float]:
        """Warm up, measure, let the server finish what it put off, read samples back."""
        lines, sources, standing_by = workload.lines, workload.sources, workload.standing_by
        closed_loop.run(lines, sources, seconds=seconds * WARM_UP_SHARE, standing_by=standing_by)
        meter.settle(server.pid)
        before = meter.cpu_ns(server.pid)
        load = closed_loop.run(lines, sources, seconds=seconds, check=workload.check, standing_by=standing_by)
        at_end = meter.cpu_ns(server.pid)
        meter.settle(server.pid)
        after = meter.cpu_ns(server.pid)
        workload.read_back()
        server.expect_alive()
        return {
            "server CPU": (after - before) / 1e3 / load.answers,
            "throughput": load.answers / load.wall_s,
            "p50": load.latency_ms(0.50),
            "p99": load.latency_ms(0.99),
            "server core": (at_end - before) / 1e7 / load.wall_s,
            "load CPU": load.own_cpu_s * 1e6 / load.answers,
        }


def _http(server: Server) -> Dialect:
    return server.http


def _grpc(server: Server) -> Dialect:
    return server.grpc


SCENARIOS = (
    RequestScenario("HTTP register", Register, _http),
    RequestScenario("HTTP beat", Beat, _http),
    RequestScenario("HTTP list of 10", ListInstances, _http),
    RequestScenario("HTTP list of 100", ListHundred, _http),
    RequestScenario("HTTP config get", ConfigGet, _http),
    RequestScenario("HTTP config publish", ConfigPublish, _http),
    RequestScenario("gRPC register", Register, _grpc),
    RequestScenario("gRPC query of 10", ListInstances, _grpc),
    RequestScenario("gRPC query of 100", ListHundred, _grpc),
    RequestScenario("gRPC config query", ConfigGet, _grpc),
    RequestScenario("gRPC config publish", ConfigPublish, _grpc),
)
