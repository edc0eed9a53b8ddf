"""Virtual time: one agenda for the world, and an event loop and a clock for every process in it.

Nothing happens at the same time as anything else: the agenda runs what is due, by time and then by the order in which it was
asked for, and takes no time to run it. A process is its loop: what it asked for is not run when it has ended, and waits
while it is stopped.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

MS = 1000  # microseconds; the world counts in them
RATE = 1_000_000  # of a clock that is neither fast nor slow
TASKS_KEPT = 50  # before those that are done are forgotten
RUNS_MAX = 400_000  # limit: of one world; more means that something keeps it busy


class Handle:
    """What is to be run once, and can be cancelled: that of asyncio, as far as asyncio and the ticker use it."""

    __slots__ = ("args", "callback", "delayed", "process", "stopped")

    def __init__(
        self, process: ProcessLoop | None, callback: Callable[..., object], args: tuple[Any, ...], delayed: bool
    ) -> None:
        self.process = process
        self.callback = callback
        self.args = args
        self.delayed = delayed  # by a clock: a jump of the clock brings it nearer
        self.stopped = False

    def cancel(self) -> None:
        self.stopped = True

    def cancelled(self) -> bool:
        return self.stopped


class Agenda:
    """The time of the world, and what is going to happen in it."""

    def __init__(self) -> None:
        self.now_us = 0
        self.runs = 0
        self._number = 0
        self._waiting: list[tuple[int, int, Handle]] = []

    def at(self, when_us: int, handle: Handle) -> Handle:
        self._number += 1
        heapq.heappush(self._waiting, (when_us, self._number, handle))
        return handle

    def again(self, number: int, handle: Handle) -> None:
        """Now, before anything that was asked for later than this was."""
        heapq.heappush(self._waiting, (self.now_us, number, handle))

    def later(self, delay_us: int, callback: Callable[..., object], *args: Any) -> Handle:
        """Something that no process asked for."""
        return self.at(self.now_us + delay_us, Handle(None, callback, args, False))

    def run(self, until_us: int, stepped: Callable[[ProcessLoop], None]) -> None:
        """`stepped` is called whenever a process has done something."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= until_us:
            when_us, number, handle = heapq.heappop(waiting)
            if handle.stopped:
                continue
            self.now_us = when_us
            process = handle.process
            if process is None:
                handle.callback(*handle.args)
                continue
            if not process.runs(number, handle):
                continue
            self.runs += 1
            assert self.runs < RUNS_MAX, f"{handle.callback} keeps the world busy"
            events._set_running_loop(process)
            try:
                handle.callback(*handle.args)
            finally:
                events._set_running_loop(None)
            stepped(process)
        self.now_us = max(self.now_us, until_us)

    def hasten(self, process: ProcessLoop, by_us: int) -> None:
        """What the process waits for by its clock comes sooner."""
        self._waiting[:] = [
            (
                max(self.now_us, when_us - by_us) if handle.delayed and handle.process is process else when_us,
                number,
                handle,
            )
            for when_us, number, handle in self._waiting
        ]
        heapq.heapify(self._waiting)


class ProcessClock:
    """The clock port of one process. It runs a little fast or slow, and may jump."""

    __slots__ = ("_agenda", "jumped_us", "rate", "wall_jumped_ms")

    def __init__(self, agenda: Agenda, rate: int = RATE) -> None:
        self._agenda = agenda
        self.rate = rate
        self.jumped_us = 0
        self.wall_jumped_ms = 0

    def monotonic_us(self) -> int:
        return self._agenda.now_us * self.rate // RATE + self.jumped_us

    def monotonic_ms(self) -> int:
        return self.monotonic_us() // MS

    def next_ms(self) -> int:
        return -(-self.monotonic_us() // MS)

    def wall_ms(self) -> int:
        return 1_700_000_000_000 + self.monotonic_ms() + self.wall_jumped_ms


class ProcessLoop(asyncio.AbstractEventLoop):
    """The event loop of one process, as far as the engine and the futures and tasks of asyncio use one.

    An exception that nobody takes is kept in `failure`: in a simulation that is a finding, not a line in a log.
    """

    def __init__(self, agenda: Agenda, clock: ProcessClock, name: str, executor_us: Callable[[], int]) -> None:
        self.agenda = agenda
        self.clock = clock
        self.name = name
        self.ended = False
        self.failure: str | None = None
        self._executor_us = executor_us  # how long the next call in a thread takes
        self._paused = False
        self._held: list[tuple[int, Handle]] = []
        self._tasks: list[asyncio.Task[Any]] = []

    # --- the life of a process ---------------------------------------------------------------------------------------

    def runs(self, number: int, handle: Handle) -> bool:
        """Whether this may run now. What a stopped process would do is kept until it goes on."""
        if self.ended:
            return False
        if self._paused:
            self._held.append((number, handle))
            return False
        return True

    @property
    def paused(self) -> bool:
        return self._paused

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        held, self._held = self._held, []
        for number, handle in held:
            self.agenda.again(number, handle)

    def end(self) -> None:
        """The process is gone. What its tasks would still do when they are collected is over now, and reaches nothing."""
        self.ended = True
        self._held.clear()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            if not task.done():
                try:
                    task.get_coro().close()
                except OSError:
                    continue  # it wanted to tidy up on a disk that is no longer its own

    def jump(self, by_ms: int) -> None:
        """The clock is set forward."""
        self.clock.jumped_us += by_ms * MS
        self.agenda.hasten(self, by_ms * MS)

    # --- asyncio -----------------------------------------------------------------------------------------------------

    def time(self) -> float:
        return self.clock.monotonic_us() / 1_000_000

    def call_soon(self, callback: Callable[..., object], *args: Any, context: object = None) -> Handle:  # type: ignore[override]
        return self.agenda.at(self.agenda.now_us, Handle(self, callback, args, False))

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: object = None
    ) -> Handle:
        delay_us = -int(-delay * RATE * RATE // self.clock.rate)  # never early
        return self.agenda.at(self.agenda.now_us + max(0, delay_us), Handle(self, callback, args, True))

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: object = None
    ) -> Handle:
        return self.call_later(when - self.time(), callback, *args)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: object = None
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=self, name=name or "")
        if len(self._tasks) >= TASKS_KEPT:
            self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(task)
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """The call happens, all at once, when it is over."""
        future: asyncio.Future[T] = self.create_future()
        self.agenda.at(self.agenda.now_us + self._executor_us(), Handle(self, called, (future, func, args), False))
        return future

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.ended

    def is_closed(self) -> bool:
        return self.ended

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.ended:
            self.failure = f"{context.get('message')}: {context.get('exception')!r}"


def called(future: asyncio.Future[T], func: Callable[..., T], args: tuple[Any, ...]) -> None:
    try:
        result = func(*args)
    except Exception as error:  # whatever it is, it is for who waits for it
        if not future.done():
            future.set_exception(error)
    else:
        if not future.done():
            future.set_result(result)
