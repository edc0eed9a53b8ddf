from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef struct Chain:
    # A doubly linked list of Timeouts; each link owns one reference.
    PyObject* head
    PyObject* tail


cdef class Timeout:
    # What `cancel` looks at comes first: with luck one line of memory. No cdef methods: they would cost a pointer each.
    cdef uint32_t slot  # in whose bucket it is, if it is in one: the index of the bucket
    cdef uint8_t _state
    cdef uint8_t place
    cdef PyObject* wheel  # borrowed; NULL once in no chain of the wheel
    cdef readonly object callback
    cdef readonly object argument
    cdef PyObject* next
    cdef PyObject* prev
    cdef readonly int64_t deadline_ms
    cdef readonly int64_t started_ms


cdef class HashedWheelTimer:
    cdef readonly int64_t tick_ms
    cdef readonly int64_t slots
    cdef readonly int64_t pending_max
    cdef readonly int64_t pending  # timeouts neither run nor cancelled
    cdef readonly int64_t visits  # what `advance` had to do so far: ticks and timeouts it looked at
    cdef int64_t mask
    cdef int64_t shift  # slots = 2^shift
    cdef int64_t tick  # every earlier tick has been processed
    cdef bint started
    cdef bint stopped
    cdef bint advancing
    cdef bint counted
    cdef Chain* buckets  # those of the slots, then 64 for each coarse wheel
    cdef int64_t coarse  # index of the first bucket of the coarse wheels; a multiple of 64
    cdef int64_t coarse_wheels
    cdef int64_t* earliest_ms  # of each coarse bucket: not after any deadline in it; perhaps too early, until visited
    cdef uint64_t* occupied  # one bit a bucket
    cdef Chain queue  # the pending queue
    cdef int64_t queue_earliest_ms
    cdef Chain due
    cdef PyObject** cancelled
    cdef Py_ssize_t cancelled_count

    cdef Timeout add(self, int64_t now_ms, int64_t delay_ms, object callback, object argument)


cdef bint again(Timeout self, int64_t now_ms, int64_t delay_ms) except -1
