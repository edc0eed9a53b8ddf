from libc.stdint cimport int32_t, int64_t

cdef class Sequence:
    cdef int64_t *value  # alone on its cache lines

    cdef int64_t load(self) noexcept nogil
    cdef void store(self, int64_t value) noexcept nogil


cdef class RingBuffer:
    cdef readonly int64_t size
    cdef readonly int32_t event_bytes
    cdef readonly bint multi_producer
    cdef readonly Sequence cursor
    cdef int64_t mask
    cdef int32_t shift
    cdef int64_t *producer  # [0] next value (single producer), [16] cached gating minimum; two cache lines
    cdef int32_t *available  # multi producer: lap number published last in each slot
    cdef char *slots
    cdef int64_t **gating
    cdef int32_t gating_count
    cdef list gating_sequences
    cdef void *wait  # how consumers wait: struct nacosx_wait of ring.pyx
    cdef readonly str wait_strategy

    cdef int64_t claim(self, int32_t n) noexcept nogil
    cdef int64_t try_claim(self, int32_t n) noexcept nogil
    cdef void publish_range(self, int64_t low, int64_t high) noexcept nogil
    cdef void *slot(self, int64_t sequence) noexcept nogil
    cdef int64_t gating_minimum(self, int64_t otherwise) noexcept nogil
    cdef int64_t highest_published(self, int64_t low, int64_t high) noexcept nogil
    cdef object event(self, int64_t sequence)
    cdef int _open_wait(self, int kind) except -1


cdef class SequenceBarrier:
    cdef readonly RingBuffer ring
    cdef int64_t **dependents
    cdef int32_t dependents_count
    cdef tuple dependent_sequences
    cdef int32_t alerted

    cdef int64_t wait_for(self, int64_t sequence) noexcept nogil
    cdef int64_t available_now(self, int64_t sequence) noexcept nogil
    cdef void _sleep(self, void *wait, int64_t sequence) noexcept nogil
