from libc.stdint cimport int32_t, int64_t

from nacosx._core.atomic cimport (
    NX_CAS,
    NX_LOAD,
    NX_LOAD_RELAXED,
    NX_PAUSE,
    NX_STORE,
    NX_STORE_INT,
    NX_STORE_RELAXED,
)

cdef extern from *:
    """
    #ifndef NACOSX_RING_SHARED
    #define NACOSX_RING_SHARED
    #include <stdint.h>

    /* What producers and consumers write, each word alone on its cache lines. */
    struct nacosx_ring_shared {
        _Alignas(128) int64_t claimed;  /* single producer: the last claimed sequence */
        _Alignas(128) int64_t gate;     /* no gating consumer is behind this: a lower bound, so a stale one is safe */
        _Alignas(128) int32_t sleepers; /* at least the waiters whose `on` is set */
        _Alignas(128) char end[1];
    };

    /* One consumer that sleeps until a counter moves. */
    struct nacosx_waiter {
        _Alignas(128) int64_t *on; /* the counter it sleeps on; NULL: it is awake, or has been called */
        int32_t calls;             /* how often it was called; the futex of a thread */
        int32_t alerted;
        int event_fd;              /* of an event loop; -1: none */
        int used;                  /* by a barrier */
    };
    #endif
    """
    ctypedef struct shared_t "struct nacosx_ring_shared":
        int64_t claimed
        int64_t gate
        int32_t sleepers
    ctypedef struct waiter_t "struct nacosx_waiter":
        int64_t *on
        int32_t calls
        int32_t alerted
        int event_fd
        int used


cdef enum:
    CLAIM_SPINS = 64  # a producer that another one beat to a claim spins so long, then twice as long …
    CLAIM_SPINS_MAX = 256  # … up to here; about 4 µs


cdef class Sequence:
    cdef int64_t *value  # alone on its cache lines

    cdef int64_t load(self) noexcept nogil


cdef class RingBuffer:
    cdef readonly int64_t size
    cdef readonly int32_t event_bytes
    cdef readonly bint multi_producer
    cdef readonly str wait_strategy
    cdef readonly Sequence cursor  # the last published sequence; of several producers the last claimed one
    cdef int64_t mask
    cdef int32_t shift
    cdef bint calls_on_publish  # some consumer sleeps until a producer calls it
    cdef bint calls_on_advance  # some consumer sleeps until another consumer calls it
    cdef shared_t *shared
    cdef int64_t *claimed
    cdef int64_t *published  # that of the cursor
    cdef int32_t *available  # several producers: the lap that was published last in each slot
    cdef char *slots
    cdef list objects
    cdef int64_t **gating
    cdef int32_t gating_count
    cdef list gating_sequences
    cdef waiter_t *waiters  # the ring owns them: a producer may call one whose barrier has just gone
    cdef int32_t waiters_count

    cdef void wait_for_room(self, int64_t last) noexcept nogil
    cdef int64_t try_claim(self, int32_t n) noexcept nogil
    cdef void call_sleepers(self, int64_t *moved) noexcept nogil
    cdef void advance(self, Sequence sequence, int64_t value) noexcept nogil
    cdef int64_t gating_minimum(self, int64_t otherwise) noexcept nogil
    cdef object event(self, int64_t sequence)
    cdef int check(self, object event) except -1
    cdef int write(self, int64_t sequence, object event) except -1
    cdef int forget(self, int64_t sequence) except -1
    cdef waiter_t *take_waiter(self, int kind) except NULL


cdef class SequenceBarrier:
    cdef readonly RingBuffer ring
    cdef readonly str wait_strategy
    cdef int kind
    cdef int64_t **dependents
    cdef int32_t dependents_count
    cdef tuple dependent_sequences
    cdef waiter_t *waiter
    cdef bint waited_on
    cdef int32_t spins  # between two looks

    cdef int64_t wait_for(self, int64_t sequence) noexcept nogil
    cdef int64_t available_now(self, int64_t sequence) noexcept nogil
    cdef void pace(self, int32_t looks) noexcept nogil
    cdef int64_t *laggard(self, int64_t sequence) noexcept nogil
    cdef bint announce(self, int64_t sequence) noexcept nogil
    cdef void withdraw(self) noexcept nogil
    cdef void sleep(self, int64_t sequence) noexcept nogil


cdef inline int64_t ring_claim(RingBuffer ring, int32_t n) noexcept nogil:
    """The highest of `n` claimed sequences; waits while the ring is full. At most as many as the ring has slots."""
    cdef int64_t last
    cdef int32_t spins = CLAIM_SPINS
    cdef int32_t _
    if ring.multi_producer:
        # A producer that was beaten looks away for longer and longer: while several take turns at every claim, the cache lines
        # they write move to and fro, and all are slow.
        last = NX_LOAD_RELAXED(ring.claimed)
        while not NX_CAS(ring.claimed, &last, last + n):
            for _ in range(spins):
                NX_PAUSE()
            spins = min(2 * spins, <int32_t> CLAIM_SPINS_MAX)
            last = NX_LOAD_RELAXED(ring.claimed)
        last += n
    else:
        last = NX_LOAD_RELAXED(ring.claimed) + n
        NX_STORE_RELAXED(ring.claimed, last)
    # fence: an acquire, for the gate may be another producer's look at the consumers
    if last - ring.size > NX_LOAD(&ring.shared.gate):
        ring.wait_for_room(last)
    return last


cdef inline void ring_publish(RingBuffer ring, int64_t low, int64_t high) noexcept nogil:
    """Makes the claimed slots low..high visible and calls those who sleep until then."""
    cdef int64_t sequence
    if ring.multi_producer:
        for sequence in range(low, high + 1):
            NX_STORE_INT(ring.available + (sequence & ring.mask), <int32_t> (sequence >> ring.shift))
    else:
        NX_STORE(ring.published, high)
    if ring.calls_on_publish:
        ring.call_sleepers(ring.published)


cdef inline void *ring_slot(RingBuffer ring, int64_t sequence) noexcept nogil:
    """Where the event of `sequence` lies (fixed-size events only)."""
    return ring.slots + (sequence & ring.mask) * ring.event_bytes
