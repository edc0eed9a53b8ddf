"""Debian's etcd: three processes with the defaults of etcd, whose election timeout is a second too."""

from __future__ import annotations

import http
import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from bench.driver import DriverError
from bench.raft.put_lines import EtcdPuts
from bench.raft.puts import HOST, put

MEMBERS = range(3)
ANSWER_S_MAX = 5.0
READY_S_MAX = 20.0
RETRY_S = 0.005
STOP_S_MAX = 10.0


class Etcd:
    name = "etcd"
    able = frozenset({"puts", "fail_over"})

    def __init__(self, folder: Path) -> None:
        if shutil.which("etcd") is None:
            raise DriverError("etcd is not installed (Debian: etcd-server)")
        ports = free_ports(2 * len(MEMBERS))
        self._client_ports = ports[: len(MEMBERS)]
        self._peer_ports = ports[len(MEMBERS) :]
        self._folder = folder
        self._processes = [self._start(number) for number in MEMBERS]
        try:
            self._await(MEMBERS)
        except BaseException:
            self.close()
            raise

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def puts(self, clients: int, seconds: float) -> dict[str, float]:
        return put(EtcdPuts(), self._client_ports[self._await(MEMBERS)], clients, seconds)

    def fail_over(self) -> float:
        leader = self._await(MEMBERS)
        killed = time.perf_counter()
        self._processes[leader].kill()
        successor = self._await([number for number in MEMBERS if number != leader])
        self._ask(successor, "/v3/kv/put", {"key": "a2V5", "value": "dmFsdWU="})
        took_ms = (time.perf_counter() - killed) * 1000
        self._processes[leader].wait()
        self._processes[leader] = self._start(leader)
        self._await(MEMBERS)
        return took_ms

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        """It joins again when its data are there."""
        client, peer = (f"http://{HOST}:{ports[number]}" for ports in (self._client_ports, self._peer_ports))
        members = ",".join(f"m{other}=http://{HOST}:{port}" for other, port in enumerate(self._peer_ports))
        home = self._folder / f"etcd-{number}"
        command = [
            *("etcd", "--name", f"m{number}", "--data-dir", str(home), "--logger", "zap", "--log-level", "error"),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", members, "--initial-cluster-state", "new"),
        ]
        with home.with_suffix(".log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def _await(self, members: Iterable[int]) -> int:
        """The number of the one that leads, once all of these agree on it."""
        deadline = time.monotonic() + READY_S_MAX
        while True:
            leaders: set[str] = set()
            leader = -1
            for number in members:
                try:
                    status = self._ask(number, "/v3/maintenance/status", {})
                except (OSError, http.client.HTTPException):
                    status = {}
                leaders.add(status.get("leader", "0"))
                if status and status.get("leader") == status["header"]["member_id"]:
                    leader = number
            if len(leaders) == 1 and leader >= 0:
                return leader
            if time.monotonic() > deadline:
                raise DriverError("no etcd leads")
            time.sleep(RETRY_S)

    def _ask(self, number: int, path: str, body: dict[str, str]) -> dict[str, Any]:
        """A call of etcd's JSON gateway. OSError, HTTPException."""
        connection = http.client.HTTPConnection(HOST, self._client_ports[number], timeout=ANSWER_S_MAX)
        try:
            connection.request("POST", path, msgspec.json.encode(body))
            answer = connection.getresponse()
            document: dict[str, Any] = msgspec.json.decode(answer.read())
            if answer.status != http.HTTPStatus.OK:
                raise OSError(f"etcd answers {answer.status}: {document}")
            return document
        finally:
            connection.close()


def free_ports(count: int) -> list[int]:
    """That nobody has now."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    try:
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()
