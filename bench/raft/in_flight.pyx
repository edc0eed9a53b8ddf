"""The load in the leader's process: so many requests in flight, the next one as soon as one is answered.

Compiled, as the rival's load is: in Python it takes as much of the leader's time as a read does.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc, realloc

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    ctypedef struct timespec_t "struct timespec":
        time_t tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec_t* time) noexcept


cdef int64_t now_ns() noexcept:
    cdef timespec_t now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef class InFlight:
    """`begin()` makes one request and returns its future. They are answered in the order in which they were made.

    `ended` is the future that is done when the last one is answered, or has what a request failed with. `took_ns` then has
    what each took, `wall_ns` what all took.
    """

    cdef readonly object ended
    cdef readonly int64_t wall_ns
    cdef object begin
    cdef object answered
    cdef int64_t* began_ns  # a ring: the oldest request in flight is at `made - in_flight`
    cdef int64_t* took
    cdef int64_t taken
    cdef int64_t room
    cdef int64_t in_flight
    cdef int64_t first
    cdef int64_t slots
    cdef int64_t end_ns

    def __cinit__(self, begin, ended, int64_t in_flight, double seconds):
        self.slots = in_flight
        self.room = 1 << 16
        self.began_ns = <int64_t*>malloc(in_flight * sizeof(int64_t))
        self.took = <int64_t*>malloc(self.room * sizeof(int64_t))
        if self.began_ns == NULL or self.took == NULL:
            raise MemoryError
        self.begin = begin
        self.ended = ended
        self.answered = self._answered
        self.wall_ns = now_ns()
        self.end_ns = self.wall_ns + <int64_t>(seconds * 1e9)

    def start(self):
        cdef int64_t _number
        for _number in range(self.slots):
            self.next(now_ns())

    def __dealloc__(self):
        free(self.began_ns)
        free(self.took)

    @property
    def took_ns(self):
        cdef int64_t number
        return [self.took[number] for number in range(self.taken)]

    cdef int next(self, int64_t now) except -1:
        self.began_ns[(self.first + self.in_flight) % self.slots] = now
        self.in_flight += 1
        self.begin().add_done_callback(self.answered)
        return 0

    def _answered(self, answer):
        cdef int64_t now = now_ns()
        cdef int64_t* more
        if self.taken == self.room:
            more = <int64_t*>realloc(self.took, 2 * self.room * sizeof(int64_t))
            if more == NULL:
                raise MemoryError
            self.took = more
            self.room *= 2
        self.took[self.taken] = now - self.began_ns[self.first]
        self.taken += 1
        self.first = (self.first + 1) % self.slots
        self.in_flight -= 1
        error = answer.exception()
        if error is not None:
            if not self.ended.done():
                self.ended.set_exception(error)
        elif now < self.end_ns:
            if not self.ended.done():
                self.next(now)
        elif self.in_flight == 0 and not self.ended.done():
            self.wall_ns = now - self.wall_ns
            self.ended.set_result(None)
