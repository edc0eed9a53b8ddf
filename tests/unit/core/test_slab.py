"""The memory of the timeouts: it holds what was put there, is used again, and goes back when the last timeout is gone."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nacosx._core import slab
from nacosx._core.wheel import HashedWheelTimer, Timeout

FAR_MS = 60_000
SLAB_TIMEOUTS = slab.SLAB_BYTES // 80  # about as many as one slab holds


def ignore(_: object) -> None:
    return None


@pytest.fixture(autouse=True)
def _kept() -> None:
    timeout = HashedWheelTimer().schedule(0, FAR_MS, ignore)
    if not slab.blocks():
        pytest.skip("a debug or sanitizer build leaves timeouts to Python's own allocator")
    timeout.cancel()


@given(st.lists(st.one_of(st.none(), st.integers(0, 2**32)), max_size=300))
def test_every_timeout_keeps_what_it_was_given(steps: list[int | None]) -> None:
    """Numbers pick one of those alive to drop; None makes another. No two share memory, and none is overwritten."""
    wheel = HashedWheelTimer()
    before = slab.blocks()
    alive: list[tuple[int, Timeout]] = []
    for number, step in enumerate(steps):
        if step is None or not alive:
            alive.append((number, wheel.schedule(number, FAR_MS, ignore, number)))
        else:
            _, dropped = alive.pop(step % len(alive))
            assert dropped.cancel()
            del dropped
        wheel.advance(0, fail)  # unlinks what was cancelled
        assert slab.blocks() - before == len(alive)
        assert len({id(timeout) for _, timeout in alive}) == len(alive)
    assert all(timeout.argument == timeout.started_ms == number for number, timeout in alive)
    wheel.stop()


def fail(timeout: Timeout, error: Exception) -> None:
    raise AssertionError(timeout) from error


def test_what_was_freed_is_used_again_before_anything_else() -> None:
    wheel = HashedWheelTimer()
    timeouts = [wheel.schedule(0, FAR_MS, ignore) for _ in range(1000)]
    places = {id(timeout) for timeout in timeouts}
    for timeout in timeouts:
        timeout.cancel()
    wheel.advance(0, fail)
    del timeout
    timeouts.clear()
    again = [wheel.schedule(0, FAR_MS, ignore) for _ in range(1000)]
    assert {id(timeout) for timeout in again} == places
    wheel.stop()


ALONE = """
from nacosx._core import slab
from nacosx._core.wheel import HashedWheelTimer
wheel = HashedWheelTimer()
ignore = lambda _: None
"""


def alone(script: str) -> None:
    """Runs it where no other timeout lives."""
    subprocess.run([sys.executable, "-c", ALONE + script], check=True)


def test_the_slabs_are_given_back_when_the_last_timeout_is_gone() -> None:
    alone(f"""
for _ in range(3):
    timeouts = [wheel.schedule(0, {FAR_MS}, ignore, number) for number in range({3 * SLAB_TIMEOUTS})]
    assert slab.slabs() > 2 and slab.blocks() == len(timeouts)
    assert [timeout.argument for timeout in timeouts] == list(range(len(timeouts)))
    for timeout in timeouts:
        timeout.cancel()
    wheel.advance(0, print)
    assert slab.blocks() == len(timeouts)
    del timeout, timeouts
    assert (slab.slabs(), slab.blocks()) == (1, 0)
""")


def test_without_memory_schedule_says_so_and_the_wheel_goes_on() -> None:
    alone(f"""
import resource
timeouts = [None] * {8 * SLAB_TIMEOUTS}
now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 4 * slab.SLAB_BYTES, -1))
made = 0
try:
    while True:
        timeouts[made] = wheel.schedule(0, {FAR_MS}, ignore)
        made += 1
except MemoryError:
    pass
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
assert wheel.pending == slab.blocks() == made > {SLAB_TIMEOUTS}
timeouts[made] = wheel.schedule(0, {FAR_MS}, ignore)
assert wheel.advance({FAR_MS}, print) + wheel.advance({FAR_MS}, print) > 0
""")
