"""The ring buffer of the LMAX Disruptor: claim → write → publish → consume in batches, without locks.

Words (LMAX Disruptor 3.4/4.0, package com.lmax.disruptor; the seed's Disruptor queues use the same):

sequence   a 64-bit counter alone on its cache lines; starts at -1
claim      `next(n)` gives the producer the right to write the slots up to the returned sequence; `try_next` fails when the
           ring is full (the seed answers EBUSY then)
publish    makes claimed slots visible to consumers
gating     the consumers no producer may overtake
barrier    what a consumer waits on: the cursor of the producers, or the consumers it depends on

::

    unicast    P → ring → C                     pipeline   P → ring → C1 → C2 → C3    (barrier(C1.sequence), …)
    sequencer  P1,P2,P3 → ring → C              diamond    P → ring → {C1, C2} → C3   (barrier(C1.sequence, C2.sequence))
    multicast  P → ring → {C1, C2, C3}          gate the ring on the last consumers of every path

Slots hold either Python objects (`event_bytes=0`; a slot keeps its object until the next lap overwrites it) or a fixed
number of bytes, which threads without the GIL may read and write through `ring.pxd`.

Memory order: a publish is a release store that the acquire load of a consumer pairs with; publisher and sleeper each have
a full fence between their store and their look at the other (Dekker), so that no wake-up is lost.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport INT64_MAX, int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <poll.h>
    #include <pthread.h>
    #include <sched.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <sys/eventfd.h>
    #include <time.h>
    #include <unistd.h>

    #define NX_LOAD(pointer) __atomic_load_n((pointer), __ATOMIC_ACQUIRE)
    #define NX_LOAD_RELAXED(pointer) __atomic_load_n((pointer), __ATOMIC_RELAXED)
    #define NX_STORE(pointer, value) __atomic_store_n((pointer), (value), __ATOMIC_RELEASE)
    #define NX_FENCE() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    #define NX_EXCHANGE(pointer, value) __atomic_exchange_n((pointer), (value), __ATOMIC_SEQ_CST)
    #define NX_ADD(pointer, value) __atomic_fetch_add((pointer), (value), __ATOMIC_ACQ_REL)
    #define NX_CAS(pointer, expected, desired) \\
        __atomic_compare_exchange_n((pointer), (expected), (desired), 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)
    #if defined(__x86_64__) || defined(__i386__)
    #define NX_PAUSE() __builtin_ia32_pause()
    #else
    #define NX_PAUSE() __asm__ __volatile__("yield" ::: "memory")
    #endif

    /* How consumers wait. One for a ring; producers look only at kind and sleepers. */
    struct nacosx_wait {
        int kind;
        int event_fd;
        _Alignas(128) int32_t sleepers;
        pthread_mutex_t mutex;
        pthread_cond_t published;
    };

    static void *nx_aligned(size_t bytes) {
        void *memory = NULL;
        if (posix_memalign(&memory, 128, bytes) != 0) return NULL;
        return memory;
    }

    static void nx_sleep(long nanoseconds) {
        struct timespec delay = {0, nanoseconds};
        nanosleep(&delay, NULL);
    }

    static void nx_wake(int fd) {
        uint64_t one = 1;
        ssize_t written;
        do { written = write(fd, &one, sizeof one); } while (written < 0 && errno == EINTR);
    }

    static void nx_clear(int fd) {
        uint64_t count;
        ssize_t got;
        do { got = read(fd, &count, sizeof count); } while (got < 0 && errno == EINTR);
    }

    static void nx_poll(int fd) {
        struct pollfd descriptor = {fd, POLLIN, 0};
        poll(&descriptor, 1, -1);
    }
    """
    int64_t NX_LOAD(int64_t *) noexcept
    int32_t NX_LOAD_INT "NX_LOAD"(int32_t *) noexcept
    int64_t NX_LOAD_RELAXED(int64_t *) noexcept
    void NX_STORE(int64_t *, int64_t) noexcept
    void NX_STORE_INT "NX_STORE"(int32_t *, int32_t) noexcept
    void NX_FENCE() noexcept
    int32_t NX_EXCHANGE(int32_t *, int32_t) noexcept
    int64_t NX_ADD(int64_t *, int64_t) noexcept
    bint NX_CAS(int64_t *, int64_t *, int64_t) noexcept
    void NX_PAUSE() noexcept
    void *nx_aligned(size_t) noexcept
    void nx_sleep(long) noexcept
    void nx_wake(int) noexcept
    void nx_clear(int) noexcept
    void nx_poll(int) noexcept
    int sched_yield()
    int eventfd(unsigned int, int)
    int close(int)
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    int pthread_mutex_init(pthread_mutex_t *, void *)
    int pthread_mutex_destroy(pthread_mutex_t *)
    int pthread_mutex_lock(pthread_mutex_t *)
    int pthread_mutex_unlock(pthread_mutex_t *)
    int pthread_cond_init(pthread_cond_t *, void *)
    int pthread_cond_destroy(pthread_cond_t *)
    int pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *)
    int pthread_cond_broadcast(pthread_cond_t *)
    enum: EFD_NONBLOCK
    enum: EFD_CLOEXEC
    ctypedef struct wait_t "struct nacosx_wait":
        int kind
        int event_fd
        int32_t sleepers
        pthread_mutex_t mutex
        pthread_cond_t published

cdef enum:
    BUSY_SPIN
    YIELD
    SLEEP
    BLOCK
    EVENT_FD

STRATEGIES = {"busy-spin": BUSY_SPIN, "yield": YIELD, "sleep": SLEEP, "block": BLOCK, "eventfd": EVENT_FD}

cdef enum:
    CACHED_GATING = 16  # index into RingBuffer.producer: a cache-line pair away from the next value
    GATING_MAX = 64  # consumers that may gate one ring, and dependents of one barrier
    SPINS = 100  # tries before a waiting thread gives its core away
    SLEEP_NANOSECONDS = 100_000
    FULL_NANOSECONDS = 1_000  # a producer that finds the ring full naps this long between looks
    FULL_SPINS = 1_000
    ALERTED = -2  # answer of wait_for when the barrier was alerted

FULL = -1  # answer of try_next when the ring has no room


class Alert(Exception):
    """A barrier was alerted (halted) while somebody waited on it."""


@cython.final
cdef class Sequence:
    """A counter alone on its cache lines. Starts at `initial`, -1 by default."""

    def __cinit__(self, int64_t initial=-1):
        self.value = <int64_t *> nx_aligned(128)
        if self.value == NULL:
            raise MemoryError
        self.value[0] = initial

    def __dealloc__(self):
        free(self.value)

    cdef int64_t load(self) noexcept nogil:
        return NX_LOAD(self.value)

    cdef void store(self, int64_t value) noexcept nogil:
        NX_STORE(self.value, value)

    def get(self):
        return NX_LOAD(self.value)

    def set(self, int64_t value):
        NX_STORE(self.value, value)

    def __repr__(self):
        return f"Sequence({NX_LOAD(self.value)})"


cdef inline void signal(wait_t *wait) noexcept nogil:
    """Wakes whoever sleeps. A full fence stands between what was published and this look (Dekker with the sleeper)."""
    if NX_LOAD_INT(&wait.sleepers) == 0:
        return
    if wait.kind == BLOCK:
        pthread_mutex_lock(&wait.mutex)
        pthread_cond_broadcast(&wait.published)
        pthread_mutex_unlock(&wait.mutex)
    elif NX_EXCHANGE(&wait.sleepers, 0) != 0:
        nx_wake(wait.event_fd)


@cython.final
cdef class RingBuffer:
    """A ring of `size` slots (a power of two).

    producers: "single" (one thread claims) or "multi". event_bytes: 0 for Python objects, else the size of every event.
    wait: how consumers wait, see `STRATEGIES`; "eventfd" wakes a file descriptor (`fileno`) that an event loop watches.
    Raises ValueError for a size that is no power of two, an unknown strategy or producer kind.
    """

    def __cinit__(self, int64_t size, *, str producers="single", int32_t event_bytes=0, str wait="block"):
        if size < 1 or size & (size - 1) or size > 1 << 30:
            raise ValueError(f"ring size must be a power of two up to 2^30: {size}")
        if producers not in ("single", "multi"):
            raise ValueError(f"producers must be single or multi: {producers!r}")
        if wait not in STRATEGIES:
            raise ValueError(f"unknown wait strategy {wait!r}: one of {', '.join(STRATEGIES)}")
        if event_bytes < 0:
            raise ValueError(f"event_bytes must not be negative: {event_bytes}")
        self.size = size
        self.mask = size - 1
        self.shift = 0
        while (<int64_t> 1 << self.shift) < size:
            self.shift += 1
        self.event_bytes = event_bytes
        self.multi_producer = producers == "multi"
        self.cursor = Sequence()
        self.wait_strategy = wait
        self.gating_sequences = []
        self.producer = <int64_t *> nx_aligned(256)
        self.gating = <int64_t **> calloc(GATING_MAX, sizeof(int64_t *))
        self.wait = nx_aligned(sizeof(wait_t) + 128)
        self.slots = <char *> nx_aligned(size * (event_bytes if event_bytes else <int64_t> sizeof(PyObject *)))
        if self.multi_producer:
            self.available = <int32_t *> nx_aligned(size * sizeof(int32_t))
            if self.available != NULL:
                memset(self.available, 0xFF, size * sizeof(int32_t))
        if (
            self.producer == NULL or self.gating == NULL or self.wait == NULL or self.slots == NULL
            or (self.multi_producer and self.available == NULL)
        ):
            raise MemoryError
        memset(self.slots, 0, size * (event_bytes if event_bytes else <int64_t> sizeof(PyObject *)))
        self.producer[0] = -1
        self.producer[CACHED_GATING] = -1
        self._open_wait(STRATEGIES[wait])

    cdef int _open_wait(self, int kind) except -1:
        cdef wait_t *wait = <wait_t *> self.wait
        memset(wait, 0, sizeof(wait_t))
        wait.kind = kind
        wait.event_fd = -1
        pthread_mutex_init(&wait.mutex, NULL)
        pthread_cond_init(&wait.published, NULL)
        if kind == EVENT_FD:
            wait.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
            if wait.event_fd < 0:
                raise OSError("eventfd refused")
        return 0

    def __dealloc__(self):
        cdef wait_t *wait = <wait_t *> self.wait
        cdef int64_t index
        if wait != NULL:
            if wait.event_fd >= 0:
                close(wait.event_fd)
            pthread_mutex_destroy(&wait.mutex)
            pthread_cond_destroy(&wait.published)
        if self.slots != NULL and self.event_bytes == 0:
            for index in range(self.size):
                Py_XDECREF((<PyObject **> self.slots)[index])
        free(self.wait)
        free(self.slots)
        free(self.available)
        free(self.producer)
        free(self.gating)

    # --- producers ---------------------------------------------------------------------------------------------------

    cdef int64_t gating_minimum(self, int64_t otherwise) noexcept nogil:
        cdef int64_t minimum = INT64_MAX
        cdef int64_t value
        cdef int32_t index
        for index in range(self.gating_count):
            value = NX_LOAD(self.gating[index])
            if value < minimum:
                minimum = value
        return otherwise if self.gating_count == 0 else minimum

    cdef int64_t claim(self, int32_t n) noexcept nogil:
        """The highest of `n` claimed sequences; waits while the ring is full."""
        cdef int64_t last, wrap, gate
        cdef int32_t looks = 0
        if self.multi_producer:
            last = NX_ADD(self.producer, n) + n
        else:
            last = self.producer[0] + n
            self.producer[0] = last
        wrap = last - self.size
        # fence: the cache is read as an acquire: another producer saw the consumer move, and this one relies on it
        if wrap > NX_LOAD(self.producer + CACHED_GATING):
            gate = self.gating_minimum(last)
            while wrap > gate:
                looks += 1
                if looks < FULL_SPINS:
                    NX_PAUSE()
                else:
                    nx_sleep(FULL_NANOSECONDS)
                gate = self.gating_minimum(last)
            NX_STORE(self.producer + CACHED_GATING, gate)
        return last

    cdef int64_t try_claim(self, int32_t n) noexcept nogil:
        """As `claim`, but FULL (-1) when there is no room now."""
        cdef int64_t current = NX_LOAD(self.producer)
        cdef int64_t last, gate
        while True:
            last = current + n
            if last - self.size > NX_LOAD(self.producer + CACHED_GATING):
                gate = self.gating_minimum(current)
                NX_STORE(self.producer + CACHED_GATING, gate)
                if last - self.size > gate:
                    return -1
            if not self.multi_producer:
                self.producer[0] = last
                return last
            if NX_CAS(self.producer, &current, last):
                return last

    cdef void publish_range(self, int64_t low, int64_t high) noexcept nogil:
        """Makes the claimed slots low..high visible and wakes sleepers."""
        cdef wait_t *wait = <wait_t *> self.wait
        cdef int64_t sequence
        if self.multi_producer:
            for sequence in range(low, high + 1):
                NX_STORE_INT(self.available + (sequence & self.mask), <int32_t> (sequence >> self.shift))
            # The cursor of a multi-producer ring is only a hint of where to look; it never goes back.
            sequence = NX_LOAD_RELAXED(self.cursor.value)
            while sequence < high and not NX_CAS(self.cursor.value, &sequence, high):
                pass
        else:
            NX_STORE(self.cursor.value, high)
        if wait.kind >= BLOCK:
            NX_FENCE()  # fence: what was published is visible before the sleepers are looked at
            signal(wait)

    cdef int64_t highest_published(self, int64_t low, int64_t high) noexcept nogil:
        """The end of the gapless run of published slots from `low`; low - 1 when there is none."""
        cdef int64_t sequence
        if not self.multi_producer:
            return high
        for sequence in range(low, high + 1):
            if NX_LOAD_INT(self.available + (sequence & self.mask)) != <int32_t> (sequence >> self.shift):
                return sequence - 1
        return high

    cdef void *slot(self, int64_t sequence) noexcept nogil:
        """Where the event of `sequence` lies (fixed-size events only)."""
        return self.slots + (sequence & self.mask) * self.event_bytes

    # --- the Python face ---------------------------------------------------------------------------------------------

    def next(self, int32_t n=1):
        """Claims `n` slots and returns the highest sequence; waits, without the GIL, while the ring is full."""
        cdef int64_t last
        if not 1 <= n <= self.size:
            raise ValueError(f"cannot claim {n} of {self.size} slots")
        with nogil:
            last = self.claim(n)
        return last

    def try_next(self, int32_t n=1):
        """As `next`, but FULL (-1) at once when there is no room: the caller answers EBUSY."""
        if not 1 <= n <= self.size:
            raise ValueError(f"cannot claim {n} of {self.size} slots")
        return self.try_claim(n)

    def publish(self, int64_t low, object high=None):
        """Publishes the claimed sequences low..high (one, if `high` is left out)."""
        cdef int64_t last = low if high is None else high
        self.publish_range(low, last)

    def __setitem__(self, int64_t sequence, object event):
        """Writes the event of a claimed sequence. ValueError when bytes have the wrong length."""
        cdef PyObject **place
        cdef PyObject *before
        if self.event_bytes:
            if not isinstance(event, bytes) or PyBytes_GET_SIZE(event) != self.event_bytes:
                raise ValueError(f"an event of this ring is {self.event_bytes} bytes")
            memcpy(self.slot(sequence), PyBytes_AS_STRING(event), self.event_bytes)
            return
        place = (<PyObject **> self.slots) + (sequence & self.mask)
        before = place[0]
        Py_INCREF(event)
        place[0] = <PyObject *> event
        Py_XDECREF(before)

    def __getitem__(self, int64_t sequence):
        """The event of a published sequence."""
        return self.event(sequence)

    cdef object event(self, int64_t sequence):
        cdef PyObject *held
        if self.event_bytes:
            return PyBytes_FromStringAndSize(<char *> self.slot(sequence), self.event_bytes)
        held = (<PyObject **> self.slots)[sequence & self.mask]
        return <object> held if held != NULL else None

    def put(self, object event):
        """Claim, write and publish one event; waits while the ring is full."""
        cdef int64_t sequence = self.next()
        self[sequence] = event
        self.publish_range(sequence, sequence)
        return sequence

    def try_put(self, object event):
        """As `put`, but False at once when the ring is full."""
        cdef int64_t sequence = self.try_claim(1)
        if sequence == -1:
            return False
        self[sequence] = event
        self.publish_range(sequence, sequence)
        return True

    def gate(self, *sequences):
        """Producers never overtake these consumers. Called before the first claim."""
        cdef Sequence sequence
        if self.gating_count + len(sequences) > GATING_MAX:
            raise ValueError(f"more than {GATING_MAX} gating sequences")
        for sequence in sequences:
            self.gating[self.gating_count] = sequence.value
            self.gating_count += 1
            self.gating_sequences.append(sequence)

    def barrier(self, *dependents):
        """What a consumer waits on: the producers, or the consumers whose sequences are given."""
        return SequenceBarrier(self, dependents)

    @property
    def remaining_capacity(self):
        cdef int64_t claimed = NX_LOAD(self.producer)
        return self.size - (claimed - self.gating_minimum(claimed))

    def wake(self):
        """Makes the eventfd readable: for a consumer that gives the loop its turn before it has consumed everything."""
        nx_wake(self.fileno())

    def fileno(self):
        """The eventfd an event loop watches; ValueError for another wait strategy."""
        cdef wait_t *wait = <wait_t *> self.wait
        if wait.event_fd < 0:
            raise ValueError(f"a ring that waits by {self.wait_strategy} has no file descriptor")
        return wait.event_fd


@cython.final
cdef class SequenceBarrier:
    """Waits until a sequence is published and every dependent consumer has passed it."""

    def __cinit__(self, RingBuffer ring, tuple dependents=()):
        cdef Sequence sequence
        if len(dependents) > GATING_MAX:
            raise ValueError(f"more than {GATING_MAX} dependents")
        self.ring = ring
        self.dependent_sequences = dependents
        self.dependents = <int64_t **> calloc(GATING_MAX, sizeof(int64_t *))
        if self.dependents == NULL:
            raise MemoryError
        for sequence in dependents:
            self.dependents[self.dependents_count] = sequence.value
            self.dependents_count += 1

    def __dealloc__(self):
        free(self.dependents)

    cdef int64_t available_now(self, int64_t sequence) noexcept nogil:
        """The highest sequence that may be consumed now, at least `sequence` - 1."""
        cdef int64_t lowest, value
        cdef int32_t index
        if self.dependents_count == 0:
            lowest = NX_LOAD(self.ring.cursor.value)
            return sequence - 1 if lowest < sequence else self.ring.highest_published(sequence, lowest)
        lowest = INT64_MAX
        for index in range(self.dependents_count):
            value = NX_LOAD(self.dependents[index])
            if value < lowest:
                lowest = value
        return sequence - 1 if lowest < sequence else lowest

    cdef int64_t wait_for(self, int64_t sequence) noexcept nogil:
        """The highest consumable sequence, at least `sequence`; ALERTED (-2) when halted."""
        cdef wait_t *wait = <wait_t *> self.ring.wait
        cdef int64_t available
        cdef int32_t looks = 0
        while True:
            available = self.available_now(sequence)
            if available >= sequence:
                return available
            if NX_LOAD_INT(&self.alerted):
                return ALERTED
            looks += 1
            if wait.kind == BUSY_SPIN or looks < SPINS:
                NX_PAUSE()
            elif wait.kind == YIELD or self.dependents_count > 0 and looks < 100 * SPINS:
                sched_yield()
            elif wait.kind == SLEEP or self.dependents_count > 0:
                nx_sleep(SLEEP_NANOSECONDS)  # a dependent consumer signals nobody: it is waited for by looking
            else:
                self._sleep(wait, sequence)

    cdef void _sleep(self, void *waiting, int64_t sequence) noexcept nogil:
        """Sleeps until something may have been published. Wakes too often rather than too late."""
        cdef wait_t *wait = <wait_t *> waiting
        if wait.kind == BLOCK:
            pthread_mutex_lock(&wait.mutex)
            NX_STORE_INT(&wait.sleepers, wait.sleepers + 1)
            NX_FENCE()  # fence: announced as a sleeper before the last look
            if self.available_now(sequence) < sequence and not NX_LOAD_INT(&self.alerted):
                pthread_cond_wait(&wait.published, &wait.mutex)
            NX_STORE_INT(&wait.sleepers, wait.sleepers - 1)
            pthread_mutex_unlock(&wait.mutex)
            return
        NX_STORE_INT(&wait.sleepers, 1)
        NX_FENCE()  # fence: as above
        if self.available_now(sequence) < sequence and not NX_LOAD_INT(&self.alerted):
            nx_poll(wait.event_fd)
        nx_clear(wait.event_fd)

    def wait(self, int64_t sequence):
        """As a consumer waits, without the GIL. Raises Alert when halted."""
        cdef int64_t available
        with nogil:
            available = self.wait_for(sequence)
        if available == ALERTED:
            raise Alert
        return available

    def arm(self, int64_t sequence):
        """For an event loop that is about to sleep: True if the eventfd will wake it, False if there is work already."""
        cdef wait_t *wait = <wait_t *> self.ring.wait
        nx_clear(self.ring.fileno())
        NX_STORE_INT(&wait.sleepers, 1)
        NX_FENCE()  # fence: as in _sleep
        return self.available_now(sequence) < sequence and not NX_LOAD_INT(&self.alerted)

    def available(self, int64_t sequence):
        """The highest sequence that may be consumed now; `sequence` - 1 when there is nothing."""
        return self.available_now(sequence)

    def alert(self):
        """Wakes everybody who waits on this barrier with `Alert`."""
        cdef wait_t *wait = <wait_t *> self.ring.wait
        NX_STORE_INT(&self.alerted, 1)
        NX_FENCE()
        if wait.kind >= BLOCK:
            signal(wait)

    def clear_alert(self):
        NX_STORE_INT(&self.alerted, 0)

    @property
    def is_alerted(self):
        return NX_LOAD_INT(&self.alerted) != 0
