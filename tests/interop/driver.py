"""The pytest side of a driver program: sends commands, waits for answers and events with deadlines."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.interop.sdk import Sdk
from tests.server import kill_group

ANSWER_S_MAX = 30.0
START_S_MAX = 60.0
CLOSE_S_MAX = 20.0
EVENTS_MAX = 10_000

Message = dict[str, Any]


class DriverError(Exception):
    """The SDK refused or threw; the text is the SDK's."""


class Driver:
    """One driver process. Every wait has a deadline; what the process writes to standard error goes to `log`."""

    def __init__(self, sdk: Sdk, command: list[str], log: Path) -> None:
        self.sdk = sdk
        self.log = log
        self._commands = 0
        self._answers: dict[int, queue.SimpleQueue[Message]] = {}
        self._clients: dict[str, Client] = {}
        self._hello: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._ended = threading.Event()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=log.parent,
                start_new_session=True,
            )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.hello = self._hello.get(timeout=START_S_MAX)
            assert self.hello, f"the driver ended at start:\n{self.printed()}"
        except BaseException:
            self.kill()
            raise

    def printed(self) -> str:
        return self.log.read_text("utf-8", "replace")[-4000:]

    def open(self, name: str, server: str, namespace: str = "", **more: object) -> Client:
        client = Client(self, name)
        self._clients[name] = client
        folder = self.log.parent / f"client-{name}"
        folder.mkdir(exist_ok=True)
        client.do("open", server=server, namespace=namespace, folder=str(folder), **more)
        return client

    def do(self, name: str, command: str, **arguments: object) -> Any:
        assert self._process.stdin is not None
        self._commands += 1
        number = self._commands
        answers: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._answers[number] = answers
        line = json.dumps({"id": number, "client": name, "do": command, **arguments}, ensure_ascii=False)
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        try:
            answer = answers.get(timeout=ANSWER_S_MAX)
        except queue.Empty:
            raise AssertionError(f"no answer within {ANSWER_S_MAX} s to {line[:200]}\n{self.printed()}") from None
        finally:
            del self._answers[number]
        if "error" in answer:
            raise DriverError(answer["error"])
        return answer.get("value")

    def _read(self) -> None:
        """Runs in a thread until the process closes its standard output."""
        assert self._process.stdout is not None
        hello = False
        for line in self._process.stdout:
            message = json.loads(line)
            if not hello:
                hello = True
                self._hello.put(message)
            elif "event" in message:
                client = self._clients.get(message["client"])
                if client is not None:
                    client.arrived(message)
            elif message["id"] in self._answers:
                self._answers[message["id"]].put(message)
        self._ended.set()
        self._hello.put({})
        for answers in list(self._answers.values()):
            answers.put({"error": "the driver process ended"})

    def stop(self) -> None:
        """Ends the process the polite way: its standard input closes."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(CLOSE_S_MAX)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the driver does not end:\n{self.printed()}") from None
        finally:
            self.kill()

    def kill(self) -> None:
        """As a crash ends a client: no good-bye to the server."""
        kill_group(self._process.pid)
        self._process.wait(CLOSE_S_MAX)
        self._reader.join(CLOSE_S_MAX)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


class Client:
    """One SDK client in a driver process."""

    def __init__(self, driver: Driver, name: str) -> None:
        self.name = name
        self.closed = False
        self._driver = driver
        self._events: list[tuple[float, Message]] = []
        self._changed = threading.Condition()

    def do(self, command: str, **arguments: object) -> Any:
        return self._driver.do(self.name, command, **arguments)

    @property
    def sdk(self) -> Sdk:
        return self._driver.sdk

    def close(self) -> None:
        self.closed = True
        self.do("close")

    def arrived(self, event: Message) -> None:
        with self._changed:
            self._events.append((time.monotonic(), event))
            del self._events[:-EVENTS_MAX]
            self._changed.notify_all()

    def mark(self) -> int:
        """Where the list of events ends now: `wait_event(…, since=mark)` looks only at what comes later."""
        with self._changed:
            return len(self._events)

    def wait_event(self, fits: Callable[[Message], bool], what: str, seconds_max: float, since: int = 0) -> float:
        """Waits for an event; returns the monotonic time of its arrival."""
        deadline = time.monotonic() + seconds_max
        with self._changed:
            while True:
                for arrived, event in self._events[since:]:
                    if fits(event):
                        return arrived
                left = deadline - time.monotonic()
                seen = [event for _, event in self._events[since:]]
                assert left > 0, (
                    f"not within {seconds_max} s: {what}; events: {str(seen)[:1500]}\n{self._driver.printed()}"
                )
                self._changed.wait(left)
