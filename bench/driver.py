"""A process that measures on command: it says `ready`, then answers each line of standard input with one line of figures,
"name value name value …", or "error …". It ends with its input.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import IO

STOP_S_MAX = 20.0


class DriverError(Exception):
    """The process cannot be had here, has ended, or could not do what it was told."""


class Driver:
    """A started process. `errors`: where its standard error goes; None: nowhere."""

    def __init__(self, command: Sequence[str], *, errors: IO[bytes] | None = None) -> None:
        self._name = command[0]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if errors is None else errors,
            text=True,
        )

    def ready(self) -> None:
        """Waits for the word; whatever a library says before it is nobody's business."""
        while self._line() != "ready":
            pass

    def ask(self, *command: object) -> dict[str, float]:
        """One command and its figures by name. Raises DriverError when it fails."""
        self.tell(*command)
        return self.answer()

    def tell(self, *command: object) -> None:
        """A command whose `answer` is asked for later."""
        assert self.process.stdin is not None
        line = " ".join(map(str, command))
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, float]:
        words = self._line().split()
        if not words or words[0] == "error":
            raise DriverError(f"{self._name}: {' '.join(words)}")
        return {name: float(value) for name, value in zip(words[::2], words[1::2], strict=True)}

    def kill(self) -> None:
        """As a power cut: it says nothing to anybody any more."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process.stdout.close()

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise DriverError(f"{self._name} ended with {self.process.wait()}")
        return line.strip()
