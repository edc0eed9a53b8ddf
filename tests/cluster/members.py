"""A cluster of `nacosx start` processes, each with addresses of its own on loopback.

Member 2 listens at 127.N.1.2 and is known to the others as 127.N.2.2, where a proxy stands; all use the same ports. N tells
clusters of tests that run at the same time apart.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from nacosx.engine.ports import Standing
from nacosx.wire.peers_tls import Contexts
from tests.cluster.observer import Observer
from tests.cluster.wires import Wires
from tests.server import ServerProcess, wait_until

ELECTION_TIMEOUT_MS = 500
LEADER_S_MAX = 20
AGREE_S_MAX = 20
IDENTITY = {"NACOS_AUTH_IDENTITY_KEY": "member", "NACOS_AUTH_IDENTITY_VALUE": "of the cluster of a test"}
SECRET = "\n".join(IDENTITY.values()).encode()


class Member(ServerProcess):
    """Number 1 to n. It outlives its process."""

    def __init__(self, number: int, home: Path, host: str, known_as: str) -> None:
        environment = {
            **os.environ,
            **IDENTITY,
            "NACOS_SERVER_IP": known_as,
            "NACOS_CORE_PROTOCOL_RAFT_DATA_ELECTION_TIMEOUT_MS": str(ELECTION_TIMEOUT_MS),
        }
        super().__init__(home, host=host, environment=environment)
        self.number = number
        self.data = home / "data"
        self.known_as = known_as
        self.said = ""  # by earlier processes

    def start(self) -> None:
        if self.output.exists():
            self.said += self.printed()
        super().start()

    def serves(self) -> bool:
        """Whether clients are served."""
        with contextlib.closing(http.client.HTTPConnection(self.host, self.port, timeout=5)) as connection:
            connection.request("GET", "/nacos/v1/console/health/readiness")
            return connection.getresponse().status == 200

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def wipe(self) -> None:
        shutil.rmtree(self.data)


class Cluster:
    def __init__(self, folder: Path, size: int, seed: int, *, tls: Contexts | None = None) -> None:
        """`tls` is what the observer shows the members, when they ask for it."""
        self.random = Random(seed)
        self._tls = tls
        self.complaints = r"\A\Z"  # what a test expects to read in what the members say
        self._net = f"127.{os.getpid() % 199 + 2}"
        self.members = [
            Member(number, folder / str(number), f"{self._net}.1.{number}", f"{self._net}.2.{number}")
            for number in range(1, size + 1)
        ]
        self._observer: Observer
        self.wires: Wires
        self._closed = True
        self.take_ports()

    def __getitem__(self, number: int) -> Member:
        return self.members[number - 1]

    # --- processes -----------------------------------------------------------------------------------------------------

    def take_ports(self) -> None:
        """New ones, and so new addresses for all; while nobody runs."""
        if not self._closed:
            self._close()
        self._closed = False
        port = free_port([*(m.host for m in self.members), *(m.known_as for m in self.members)], self.random)
        addresses = "".join(f"{member.known_as}:{port}\n" for member in self.members)
        for member in self.members:
            member.port = port
            (member.home / "conf").mkdir(parents=True, exist_ok=True)
            (member.home / "conf" / "cluster.conf").write_text(addresses)
        by_host = {member.host: member.number for member in self.members}
        self.wires = Wires(
            by_host.values(),
            lambda number: (self[number].known_as, port - 1000),
            lambda number: (self[number].host, port - 1000),
            by_host.__getitem__,
        )
        self._observer = Observer(
            f"{self._net}.3.1", [f"{member.host}:{port - 1000}" for member in self.members], SECRET, self._tls
        )

    def start(self, members: Iterable[Member] | None = None) -> None:
        """All at once, as a new cluster needs it."""
        chosen = list(self.members if members is None else members)
        with ThreadPoolExecutor(len(chosen)) as starters:
            list(starters.map(Member.start, chosen))

    def stop(self) -> None:
        """Orderly; and nobody has had anything to complain of, other than what a test expects."""
        with ThreadPoolExecutor(len(self.members)) as stoppers:
            list(stoppers.map(Member.stop, self.members))
        for member in self.members:
            said = member.said + member.printed()
            wrong = [
                line
                for line in said.splitlines()
                if re.search(r"\b(CRITICAL|ERROR|Traceback)\b", line) and not re.search(self.complaints, line)
            ]
            assert not wrong, f"member {member.number} said:\n{said}"

    def close(self) -> None:
        """Whatever happened before."""
        for member in self.members:
            member.kill()
        self._close()

    def _close(self) -> None:
        self._observer.stop()
        self.wires.close()

    # --- what they hold ------------------------------------------------------------------------------------------------

    def id(self, member: Member) -> str | None:
        return self._observer.id(f"{member.host}:{member.port - 1000}")

    def standing(self, member: Member) -> Standing | None:
        return self._observer.standing(f"{member.host}:{member.port - 1000}")

    def leader(self, among: Iterable[Member] | None = None) -> Member:
        """Waits until one of them leads, and all of them know it."""
        chosen = list(self.members if among is None else among)
        found: list[Member] = []

        def agreed() -> bool:
            standings = [self.standing(member) for member in chosen]
            leaders = {standing.leader if standing is not None else "" for standing in standings}
            found[:] = [member for member in chosen if self.id(member) in leaders]
            return len(leaders) == 1 and len(found) == 1

        wait_until(agreed, "the members have a leader", LEADER_S_MAX)
        return found[0]

    def followers(self) -> list[Member]:
        leader = self.leader()
        return [member for member in self.members if member is not leader]

    def agree(self, among: Iterable[Member] | None = None) -> Standing:
        """Waits until these, or all, have applied the same and serve clients, while nobody writes; that they hold one state is
        checked."""
        chosen = list(self.members if among is None else among)
        standings: list[Standing | None] = []

        def level() -> bool:
            standings[:] = [self.standing(member) for member in chosen]
            return None not in standings and len({s.applied_index for s in standings if s is not None}) == 1

        wait_until(level, "the members have applied the same", AGREE_S_MAX)
        wait_until(lambda: all(map(Member.serves, chosen)), "the members serve clients", AGREE_S_MAX)
        known: dict[int, int] = {}
        for standing in standings:
            assert standing is not None
            for index, digest in {**standing.digests, standing.applied_index: standing.digest}.items():
                assert known.setdefault(index, digest) == digest, f"the members differ at entry {index}"
        last = standings[0]
        assert last is not None
        assert sorted(last.configuration.peers) == sorted(str(self.id(member)) for member in self.members)
        return last


def free_port(hosts: list[str], random: Random) -> int:
    """A main port: it, gRPC's and that of the members are free on all these hosts."""
    for _ in range(100):
        port = random.randrange(11_000, 30_000)
        if all(is_free(host, each) for host in hosts for each in (port - 1000, port, port + 1000)):
            return port
    raise AssertionError("no port is free")


def is_free(host: str, port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError:
            return False
    return True
