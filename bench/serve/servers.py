"""The servers that are compared: how each is started on its own core, known to be sound, and stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

import nacosx
from bench.serve import rivals
from bench.serve.closed_loop import AnswerError, LineError, call
from bench.serve.grpc_dialect import GrpcDialect
from bench.serve.http_dialect import HttpDialect

HOST = "127.0.0.1"
SERVER_CORE = 0
LOAD_CORE = 1
READY_S_MAX = 20.0
READY_RETRY_S = 0.002
CANARY_S_MAX = 2.0  # a server may answer from a copy that follows its log a little later
STOP_S_MAX = 10.0
GRPC_OFFSET = 1000  # clients compute the gRPC port from the main port


class UnsoundError(Exception):
    """The server did not come up, or acknowledged what it does not have: this run measures nothing."""


class Contender(msgspec.Struct, frozen=True):
    """One of the two sides: how to start it and how often a start of it may be thrown away."""

    name: str
    command: Callable[[], list[str]]
    arguments: Callable[[Path, int], list[str]]  # home, main port
    environment: Callable[[Path, int], Mapping[str, str]]
    thrown_away_max: int  # starts and runs in one measurement


OURS = Contender(
    name=f"nacosx {nacosx.__version__}",
    command=lambda: [sys.executable, "-m", "nacosx", "start"],
    arguments=lambda home, port: ["--home", str(home), "--host", HOST, "--port", str(port)],
    environment=lambda home, port: {},
    thrown_away_max=0,
)

# r-nacos 0.8.5 panics in about a third of its starts on a fresh data directory. Its access log is off (RUST_LOG=error,
# as its README advises): nacosx keeps none either. It takes as many workers as its affinity mask has cores.
RIVAL = Contender(
    name=f"r-nacos {rivals.RNACOS_VERSION}",
    command=lambda: [str(rivals.rnacos())],
    arguments=lambda home, port: [],
    environment=lambda home, port: {
        "RNACOS_DATA_DIR": str(home),
        "RNACOS_HTTP_PORT": str(port),
        "RNACOS_GRPC_PORT": str(port + GRPC_OFFSET),
        "RNACOS_HTTP_CONSOLE_PORT": "0",
        "RNACOS_SDK_HOST": HOST,
        "RUST_LOG": "error",
    },
    thrown_away_max=12,
)


class Server:
    """A started process, pinned to SERVER_CORE."""

    def __init__(self, contender: Contender, home: Path) -> None:
        self.contender = contender
        self.port = _free_pair()
        self._log_path = home.with_suffix(".log")
        environment = {**os.environ, **contender.environment(home, self.port)}
        command = contender.command() + contender.arguments(home, self.port)
        with self._log_path.open("wb") as log:
            os.sched_setaffinity(0, {SERVER_CORE})  # the child inherits it
            try:
                self.started_at = time.perf_counter()
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
                )
            finally:
                os.sched_setaffinity(0, {LOAD_CORE})
        self.pid = self._process.pid
        self.http = HttpDialect(HOST, self.port)
        self.grpc = GrpcDialect(HOST, self.port + GRPC_OFFSET)

    def until(self, attempt: Callable[[], None]) -> None:
        """Repeat `attempt` until it succeeds. Raises UnsoundError when the process dies or the time is over."""
        deadline = time.monotonic() + READY_S_MAX
        while True:
            try:
                attempt()
            except (OSError, LineError, AnswerError) as error:
                if self._process.poll() is not None:
                    raise UnsoundError(f"it ended with {self._process.returncode}: {self._last_words()}") from error
                if time.monotonic() > deadline:
                    raise UnsoundError(
                        f"not ready within {READY_S_MAX:.0f} s: {error!r}; {self._last_words()}"
                    ) from error
                time.sleep(READY_RETRY_S)
            else:
                return

    def expect_sound(self) -> None:
        """Raises UnsoundError when it has panicked or does not have what it acknowledges."""
        self.until(self._publish_canary)
        deadline = time.monotonic() + CANARY_S_MAX
        line = self.grpc.connect()
        try:
            while True:
                with suppress(AnswerError):
                    call(line, self.grpc.config_get("canary"))
                    break
                if time.monotonic() > deadline:
                    raise UnsoundError("it acknowledged a config that it does not have")
                time.sleep(READY_RETRY_S)
        finally:
            line.close()
        self.expect_alive()

    def expect_alive(self) -> None:
        if self._process.poll() is not None:
            raise UnsoundError(f"it ended with {self._process.returncode}: {self._last_words()}")
        if "panicked at" in self._log_path.read_text(errors="replace"):
            raise UnsoundError(f"it panicked: {self._last_words()}")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _publish_canary(self) -> None:
        line = self.grpc.connect()
        try:
            call(line, self.grpc.config_publish("canary", "sings"))
        finally:
            line.close()

    def _last_words(self) -> str:
        lines = self._log_path.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:])[-600:]


def _free_pair() -> int:
    """A main port p so that p and p + GRPC_OFFSET are free now."""
    while True:
        with socket.socket() as main, socket.socket() as grpc:
            main.bind((HOST, 0))
            port: int = main.getsockname()[1]
            try:
                grpc.bind((HOST, port + GRPC_OFFSET))
            except (OSError, OverflowError):
                continue
            return port


@contextmanager
def started(contender: Contender, data: Path | None) -> Iterator[Server]:
    """A server on a fresh data directory under `data` (None: the system's temporary directory), stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="nacosx-bench-", dir=data) as folder:
        server = Server(contender, Path(folder) / "home")
        try:
            yield server
        finally:
            server.stop()
