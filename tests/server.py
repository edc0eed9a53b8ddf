"""A nacosx process, as people start it: `python -m nacosx start`, its ports read from the line it prints.

Stopping asks for what a supervisor expects: SIGTERM, exit status 0, and no process left behind.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
READY = re.compile(
    r"^nacosx (?P<version>\S+) ready in (?P<ms>\d+) ms: http (?P<host>\S+):(?P<http>\d+), grpc \S+:(?P<grpc>\d+)"
)

READY_S_MAX = 20
STOP_S_MAX = 15


def wait_until(holds: Callable[[], bool], what: str, seconds_max: float) -> float:
    """Waits until `holds()`; returns the seconds it took, fails by name when the deadline passes."""
    started = time.monotonic()
    pause = threading.Event()
    while not holds():
        waited = time.monotonic() - started
        assert waited < seconds_max, f"not within {seconds_max} s: {what}"
        pause.wait(0.02)
    return time.monotonic() - started


class ServerProcess:
    """`home` is a Nacos home; what the process prints is kept in `home/server.out`."""

    def __init__(
        self,
        home: Path,
        *,
        command: tuple[str, ...] = (sys.executable, "-m", "nacosx"),
        host: str = "127.0.0.1",
        folder: Path = ROOT,
        environment: dict[str, str] | None = None,
        port: int = 0,
    ) -> None:
        self.home = home
        self.command = command
        self.host = host
        self.folder = folder  # where it runs
        self.environment = dict(os.environ) if environment is None else environment
        self.arguments: tuple[str, ...] = ()  # of `nacosx start`, besides home, host and port
        self.port = port  # 0 until the first start, then the same for every restart
        self.grpc_port = 0
        self.output = home / "server.out"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        arguments = ["start", "--home", str(self.home), "--host", self.host, "--port", str(self.port)]
        arguments += self.arguments
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [*self.command, *arguments], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env={**self.environment, "PYTHONUNBUFFERED": "1"}, start_new_session=True,
            )  # fmt: skip
        wait_until(lambda: self._ready() or self._process_ended(), "the server says that it is ready", READY_S_MAX)
        assert not self._process_ended(), f"the server ended at start:\n{self.printed()}"

    def printed(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def _process_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def _ready(self) -> bool:
        for line in self.printed().splitlines():
            found = READY.match(line)
            if found:
                self.port, self.grpc_port = int(found["http"]), int(found["grpc"])
                return True
        return False

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> None:
        """Graceful: a signal, status 0, nothing of the process group left."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signum)
        try:
            status = process.wait(STOP_S_MAX)
        finally:
            left = kill_group(process.pid)
            process.wait(STOP_S_MAX)
        assert status == 0, f"the server ended with {status}:\n{self.printed()}"
        assert not left, "the server left processes behind"

    def kill(self) -> None:
        """As the kernel or a power cut does it."""
        process, self._process = self._process, None
        if process is not None:
            kill_group(process.pid)
            process.wait(STOP_S_MAX)

    def restart(self) -> None:
        """Same ports, same data."""
        self.stop()
        self.start()


def kill_group(process_group: int) -> bool:
    """Kills every process of a session that was started for a child; true when there was one."""
    try:
        os.killpg(process_group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
