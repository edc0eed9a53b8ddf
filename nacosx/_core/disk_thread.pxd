from libc.stdint cimport int64_t

from nacosx._core.append_batcher cimport Operation
from nacosx._core.flush cimport Log
from nacosx._core.pthread cimport pthread_t
from nacosx._core.ring cimport RingBuffer, Sequence, SequenceBarrier

# An event of the ring.
cdef struct Event:
    Log* log  # NULL: the thread ends
    Operation* operation  # NULL: the log is let go of

cdef class DiskThread:
    cdef RingBuffer ring
    cdef SequenceBarrier barrier
    cdef Sequence sequence  # carried out up to here
    cdef pthread_t thread
    cdef bint started

    cdef void put(self, int64_t sequence, Log* log, Operation* operation) noexcept nogil
