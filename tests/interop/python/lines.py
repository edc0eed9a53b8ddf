"""The line protocol of tests/interop for drivers in Python: runs inside the SDK's own environment, so it needs nothing else."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any


class Lines:
    """Takes standard output for itself; what the SDK prints goes to standard error."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def hello(self, sdk: str, version: str) -> None:
        self._say({"sdk": sdk, "version": version})

    def event(self, client: str, event: str, **members: Any) -> None:
        self._say({"client": client, "event": event, **members})

    def answer(self, number: int, value: Any) -> None:
        self._say({"id": number, "value": value})

    def refuse(self, number: int, error: BaseException) -> None:
        self._say({"id": number, "error": f"{type(error).__name__}: {error}"})

    def read(self) -> dict[str, Any] | None:
        """The next command; None when there will be no more."""
        line = sys.stdin.readline()
        return json.loads(line) if line else None

    def _say(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._out.write(json.dumps(message, ensure_ascii=False) + "\n")
            self._out.flush()
