"""A timer that begins anew after every run: election timeouts, heart beats, snapshots of the Raft groups.

The rules are those of SOFAJRaft 1.3.14, com.alipay.sofa.jraft.util.RepeatedTimer: the next delay begins when a run has ended;
`adjust` changes every delay before it begins (jitter); a timer may be stopped, started and reset at any time, inside its own
run too, and is destroyed once, after the run it may be in. ::

    election = RepeatedTimer(timers, "election", 1000, handle_election_timeout, adjust=jitter(1000, random.randrange))
    election.start()
    election.reset()         # a heart beat arrived
    election.run_once_now()  # told to stand for election at once

Two things differ, both faults of the original: a run in which the timer is reset, or stopped and started, does not leave two
delays behind; and a timer that is destroyed leaves the wheel alone, which it shares with others.

It runs on either driver, `engine.ticker` or `engine.timer_thread`, and may be called from the thread of the driver and from
others. `on_trigger` runs without any lock held.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from nacosx._core.wheel import Timeout

log = logging.getLogger(__name__)


class Timers(Protocol):
    """What a repeated timer needs of a driver."""

    def schedule(self, delay_ms: int, callback: Callable[[Any], object], argument: Any = None, /) -> Timeout: ...


def jitter(span_ms: int, below: Callable[[int], int]) -> Callable[[int], int]:
    """Delays up to `span_ms` longer: from timeout_ms on, below timeout_ms + span_ms, as SOFAJRaft's election timeouts.

    `below(n)` draws from 0..n-1, as `random.randrange` does. Raises ValueError for a span that is not positive.
    """
    if span_ms <= 0:
        raise ValueError(f"span_ms must be greater than 0: {span_ms}")
    return lambda timeout_ms: timeout_ms + below(span_ms)


def exactly(timeout_ms: int) -> int:
    """No jitter."""
    return timeout_ms


class RepeatedTimer:
    """Stopped until `start`. An exception of `on_trigger` is logged, and the next delay begins all the same."""

    __slots__ = (
        "_adjust",
        "_destroyed",
        "_invoking",
        "_lock",
        "_name",
        "_on_destroy",
        "_on_trigger",
        "_round",
        "_stopped",
        "_timeout",
        "_timeout_ms",
        "_timers",
    )

    def __init__(
        self,
        timers: Timers,
        name: str,
        timeout_ms: int,
        on_trigger: Callable[[], object],
        *,
        adjust: Callable[[int], int] = exactly,
        on_destroy: Callable[[], object] | None = None,
    ) -> None:
        self._timers = timers
        self._name = name
        self._timeout_ms = timeout_ms
        self._on_trigger = on_trigger
        self._adjust = adjust
        self._on_destroy = on_destroy
        self._lock = threading.RLock()
        self._timeout: Timeout | None = None  # of the round: pending, or expired and its run under way
        self._round = (
            0  # counts what was scheduled, and the stops: tells a run whether it is still the newest thing asked for
        )
        self._invoking = (
            0  # runs under way; more than one where it was reset during a run and told to run in another thread
        )
        self._stopped = True
        self._destroyed = False

    @property
    def timeout_ms(self) -> int:
        """The delay before adjustment."""
        return self._timeout_ms

    @property
    def is_running(self) -> bool:
        """Started, and not stopped since."""
        return not self._stopped

    def start(self) -> None:
        """Begins the first delay, unless it has been started or destroyed."""
        with self._lock:
            if self._destroyed or not self._stopped:
                return
            self._stopped = False
            self._schedule()

    def stop(self) -> None:
        """No run begins any more. One that is under way ends as it would have."""
        with self._lock:
            self._stopped = True
            self._cancel()

    def reset(self, timeout_ms: int | None = None) -> None:
        """Begins the delay anew, if started; from now on with another timeout, if given."""
        with self._lock:
            if timeout_ms is not None:
                self._timeout_ms = timeout_ms
            if not self._stopped:
                self._schedule()

    def run_once_now(self) -> None:
        """Runs here and now instead of after the delay, and begins the next one; only where a delay is under way."""
        with self._lock:
            if self._timeout is None or not self._timeout.cancel():
                return
            current = self._round
        self._run(current)

    def destroy(self) -> None:
        """Stops for good. `on_destroy` is called, once: now, or after the run that is under way."""
        with self._lock:
            if self._destroyed:
                return
            self._destroyed = True
            self._stopped = True
            self._cancel()
            over = self._invoking == 0
        if over and self._on_destroy is not None:
            self._on_destroy()

    def _schedule(self) -> None:
        self._cancel()
        self._timeout = self._timers.schedule(self._adjust(self._timeout_ms), self._run, self._round)

    def _cancel(self) -> None:
        self._round += 1
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _run(self, current: int) -> None:
        with self._lock:
            if current != self._round:
                return  # stopped or reset in another thread, just after the wheel had taken it up
            self._invoking += 1
        try:
            self._on_trigger()
        except Exception:
            log.exception("Run of timer %s failed", self._name)
        with self._lock:
            self._invoking -= 1
            over = self._destroyed and self._invoking == 0
            if current == self._round:
                self._schedule()
        if over and self._on_destroy is not None:
            self._on_destroy()

    def __repr__(self) -> str:
        state = "destroyed" if self._destroyed else "stopped" if self._stopped else "running"
        return f"<RepeatedTimer {self._name}, {self._timeout_ms} ms, {state}>"
