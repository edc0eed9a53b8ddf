"""What the drivers of the wheel share: they read the clock, and are told what is due before they wake.

A driver is a subclass. It sleeps until `wakes_ms`, which it keeps up to date, and defines `wake_at(deadline_ms)`, which is
called, in whatever thread, when something is scheduled for earlier. So most timeouts cost a look at the clock and a place in
the wheel, and no line of Python.
"""

cimport cython
from libc.stdint cimport INT64_MAX, int64_t

from nacosx._core.wheel cimport HashedWheelTimer, Timeout, again

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    ctypedef struct timespec_t "struct timespec":
        time_t tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec_t* time) noexcept

NEVER_MS = INT64_MAX


cdef class WheelDriver:
    """`clock`: an object with `monotonic_ms` and `next_ms`; None is the clock of the machine, read without a call.

    `timeouts_max` > 0 limits the pending timeouts (`RejectedError` above); 0 = no limit.
    """

    cdef readonly HashedWheelTimer wheel
    cdef public int64_t wakes_ms
    cdef object clock

    def __cinit__(self, *_arguments, **_options):
        self.wheel = HashedWheelTimer()
        self.wakes_ms = INT64_MAX

    def __init__(self, clock, *, int64_t timeouts_max=0):
        self.clock = clock
        self.wheel.pending_max = timeouts_max

    @cython.binding(False)
    def schedule(self, int64_t delay_ms, callback not None, argument=None, since_ms=None):
        """Calls `callback(argument)`, never before `delay_ms` have passed; 0 = as soon as can be.

        The delay counts from `since_ms` (monotonic, not after now), which is now if not given.
        Raises `RejectedError` at the limit and `RuntimeError` once stopped.
        """
        cdef int64_t start_ms = self.start_of(delay_ms) if since_ms is None else since_ms
        cdef Timeout timeout = self.wheel.add(start_ms, delay_ms, callback, argument)
        if timeout.deadline_ms < self.wakes_ms:
            self.wake_at(timeout.deadline_ms)
        return timeout

    @cython.binding(False)
    def restart(self, Timeout timeout not None, int64_t delay_ms):
        """Lets the delay of a timeout begin anew. False when it already ran or was cancelled: schedule another one.

        Much cheaper than cancel and schedule when the deadline moves away, as that of an idle connection does.
        """
        if not again(timeout, self.start_of(delay_ms), delay_ms):
            return False
        if timeout.deadline_ms < self.wakes_ms:
            self.wake_at(timeout.deadline_ms)
        return True

    @property
    def pending(self):
        """Timeouts neither run nor cancelled."""
        return self.wheel.pending

    def now_ms(self):
        """What time it is, for `advance`."""
        return self.read_clock(0)

    cdef int64_t start_of(self, int64_t delay_ms) except -1:
        """What a delay counts from: the first millisecond that is not before now, so that none ends early."""
        return self.read_clock(999_999 if delay_ms > 0 else 0)

    cdef int64_t read_clock(self, int64_t more_ns) except -1:
        cdef timespec_t now
        if self.clock is None:
            clock_gettime(CLOCK_MONOTONIC, &now)
            return (<int64_t> now.tv_sec * 1_000_000_000 + now.tv_nsec + more_ns) // 1_000_000
        return self.clock.next_ms() if more_ns else self.clock.monotonic_ms()

    def wake_at(self, int64_t deadline_ms):
        """Something is due before the driver wakes."""
        raise TypeError("a driver says how it is woken")
