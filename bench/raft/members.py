"""Our three members: a process each (`bench.raft.member`)."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bench.driver import Driver, DriverError
from bench.raft.etcd import free_ports
from bench.raft.put_lines import OurPuts
from bench.raft.puts import put
from bench.raft.scenario import ENTRY_BYTES

MEMBERS = range(3)
READY_S_MAX = 20.0
LOOK_S = 0.01


class Members:
    name = "nacosx"
    able = frozenset({"commits", "reads", "puts", "fail_over"})

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ports = free_ports(2 * len(MEMBERS))
        self._ports = list(map(str, ports))
        self._grpc_ports = ports[len(MEMBERS) :]
        self._members = {number: self._start(number) for number in MEMBERS}
        try:
            for member in self._members.values():
                member.ready()
            self._leader()
        except BaseException:
            self.close()
            raise

    @property
    def pids(self) -> list[int]:
        return [member.process.pid for member in self._members.values()]

    def commits(self, in_flight: int, seconds: float) -> dict[str, float]:
        return self._members[self._leader()].ask("commit", in_flight, seconds, ENTRY_BYTES)

    def reads(self, in_flight: int, seconds: float) -> dict[str, float]:
        return self._members[self._leader()].ask("read", in_flight, seconds)

    def puts(self, clients: int, seconds: float) -> dict[str, float]:
        return put(OurPuts(), self._grpc_ports[self._leader()], clients, seconds)

    def fail_over(self) -> float:
        leader = self._leader()
        others = [member for number, member in self._members.items() if number != leader]
        killed_ns = time.monotonic_ns()
        self._members[leader].kill()
        for member in others:
            member.tell("succeed", leader)
        at_ns = max(member.answer()["at"] for member in others)
        if not at_ns:
            raise DriverError("nobody succeeded")
        self._members[leader].close()
        self._members[leader] = self._start(leader)
        self._members[leader].ready()
        self._leader()
        return (at_ns - killed_ns) / 1e6

    def close(self) -> None:
        for member in self._members.values():
            member.close()

    def _start(self, number: int) -> Driver:
        """It joins again when its data are there."""
        home = self._folder / f"nacosx-{number}"
        command = [sys.executable, "-m", "bench.raft.member", str(number), str(home), *self._ports]
        with home.with_suffix(".log").open("ab") as errors:
            return Driver(command, errors=errors)

    def _leader(self) -> int:
        """The number of the one that leads, once all have applied the same."""
        deadline = time.monotonic() + READY_S_MAX
        while time.monotonic() < deadline:
            states = {number: member.ask("state") for number, member in self._members.items()}
            leaders = [number for number, state in states.items() if state["leads"]]
            if len(leaders) == 1 and len({state["applied"] for state in states.values()}) == 1:
                return leaders[0]
            time.sleep(LOOK_S)
        raise DriverError("no member leads, or another one does not catch up")
