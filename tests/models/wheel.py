"""The slow twin of `_core.wheel`: the rules of the hashed-wheel timer in the plainest way, without wheel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class SlowTimeout:
    def __init__(self, deadline_ms: int, due_tick: int, callback: Callable[[Any], object], argument: Any) -> None:
        self.deadline_ms = deadline_ms
        self.due_tick = due_tick
        self.callback = callback
        self.argument = argument
        self.state = "init"


class SlowTimer:
    """Times start at 0; no limits; callbacks must not raise."""

    def __init__(self, tick_ms: int) -> None:
        self.tick_ms = tick_ms
        self.tick = 0
        self.timeouts: list[SlowTimeout] = []

    @property
    def pending(self) -> list[SlowTimeout]:
        return [timeout for timeout in self.timeouts if timeout.state == "init"]

    def schedule(self, now_ms: int, delay_ms: int, callback: Callable[[Any], object], argument: Any) -> SlowTimeout:
        deadline_ms = now_ms + max(0, delay_ms)
        timeout = SlowTimeout(deadline_ms, -(-deadline_ms // self.tick_ms), callback, argument)
        self.timeouts.append(timeout)
        return timeout

    def cancel(self, timeout: SlowTimeout) -> bool:
        if timeout.state != "init":
            return False
        timeout.state = "cancelled"
        return True

    def restart(self, timeout: SlowTimeout, now_ms: int, delay_ms: int) -> bool:
        if timeout.state != "init":
            return False
        timeout.deadline_ms = now_ms + max(0, delay_ms)
        timeout.due_tick = -(-timeout.deadline_ms // self.tick_ms)
        return True

    def advance(self, now_ms: int) -> int:
        now_tick = now_ms // self.tick_ms
        if now_tick < self.tick:
            return 0  # the clock went back
        due = [timeout for timeout in self.pending if timeout.due_tick <= now_tick]
        due.sort(key=lambda timeout: max(timeout.due_tick, self.tick))  # within a tick as they were scheduled
        self.tick = now_tick
        ran = 0
        for timeout in due:
            if timeout.state == "init" and timeout.due_tick <= now_tick:  # else a callback cancelled or restarted it
                timeout.state = "expired"
                ran += 1
                timeout.callback(timeout.argument)
        return ran

    def wakeup_ms(self) -> int | None:
        if not self.pending:
            return None
        return max(self.tick, min(timeout.due_tick for timeout in self.pending)) * self.tick_ms
