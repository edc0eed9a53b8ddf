"""The ring buffer of the LMAX Disruptor: claim → write → publish → consume in batches, without locks.

Words (LMAX Disruptor 3.4 and 4.0, package com.lmax.disruptor; the seed's Disruptor queues use the same):

sequence   a 64-bit counter alone on its cache lines; starts at -1. The event of sequence s lies in slot s mod size
claim      `next(n)` gives the producer the right to write the slots up to the returned sequence; `try_next` fails when the
           ring is full (the seed answers EBUSY then)
publish    makes claimed slots visible to consumers; several producers may do so in any order
gating     the consumers no producer may overtake
barrier    what one consumer waits on: the producers, or the consumers it depends on
advance    a consumer is done with everything up to a sequence

Topologies: an arrow into a consumer is its barrier; `gate` the ring on the last consumer of every path. ::

    unicast     P ─→ [ring] ─→ C             C: ring.barrier()                    ring.gate(C)

    sequencer   P1 ─┐
                P2 ─┼→ [ring] ─→ C           the same, with producers="multi"
                P3 ─┘

    pipeline    P ─→ [ring] ─→ C1 ─→ C2 ─→ C3
                                             C2: ring.barrier(C1), C3: ring.barrier(C2)     ring.gate(C3)

    multicast             ┌→ C1
                P ─→ [ring]┼→ C2             each: ring.barrier()                 ring.gate(C1, C2, C3)
                          └→ C3

    diamond               ┌→ C1 ─┐
                P ─→ [ring]      ├→ C3       C3: ring.barrier(C1, C2)             ring.gate(C3)
                          └→ C2 ─┘

How a consumer waits is the choice of its barrier (by default that of the ring):

busy-spin  looks again at once: the lowest latency, for a core of its own
yield      spins a hundred times, then lets other threads run between looks
sleep      the same, then naps 100 µs between looks: cheap for producers, not free when idle
block      looks for some microseconds, then sleeps until called (futex)
eventfd    the same with a file descriptor that an event loop watches: `fileno`, `arm`; nothing polls

All but the first look less often where events are dense, at most once a microsecond: a look takes the cache line from the
producer that writes it, and a producer that is let alone fills larger batches (a single one: 1.5 to 2 times as many events).

Only the last two cost a mover anything: a full fence and, if somebody sleeps on what it moved, the call. A producer that
finds the ring full looks, yields, then naps for longer and longer (1 µs to 1 ms).

Slots hold Python objects (`event_bytes=0`) or a fixed number of bytes, which threads without the GIL read and write through
`ring.pxd`. A slot keeps its object until it is overwritten a lap later, unless the last consumer forgets it: `del ring[s]`.

Memory order: a publish and an advance are release stores that the acquire loads of the other side pair with. Movers have a
full fence between their store and their look at the sleepers, sleepers one between announcing themselves and their last look
(Dekker): one of the two sees the other, and no call is lost.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport errno
from libc.stdint cimport INT64_MAX, int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from nacosx._core.atomic cimport (
    NX_ADD_INT,
    NX_CAS,
    NX_CAS_POINTER,
    NX_FENCE,
    NX_LOAD,
    NX_LOAD_INT,
    NX_LOAD_POINTER,
    NX_LOAD_RELAXED,
    NX_PAUSE,
    NX_STORE,
    NX_STORE_INT,
    NX_STORE_POINTER,
    NX_STORE_RELAXED,
)

import os

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <limits.h>
    #include <linux/futex.h>
    #include <poll.h>
    #include <sched.h>
    #include <stdlib.h>
    #include <sys/eventfd.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>

    static void *nx_aligned(size_t bytes) {
        void *memory = NULL;
        if (posix_memalign(&memory, 128, bytes) != 0) return NULL;
        return memory;
    }

    static void nx_spin(int32_t times) {
        while (times-- > 0) NX_PAUSE();
    }

    static void nx_nap(long nanoseconds) {
        struct timespec delay = {0, nanoseconds};
        nanosleep(&delay, NULL);
    }

    static void nx_write(int fd) {
        uint64_t one = 1;
        ssize_t written;
        do { written = write(fd, &one, sizeof one); } while (written < 0 && errno == EINTR);
    }

    static void nx_clear(int fd) {
        uint64_t count;
        ssize_t got;
        do { got = read(fd, &count, sizeof count); } while (got < 0 && errno == EINTR);
    }

    /* Sleeps until called, if it was not called since `calls` were counted. May return for no reason. */
    static void nx_sleep(struct nacosx_waiter *waiter, int32_t calls) {
        if (waiter->event_fd >= 0) {
            struct pollfd descriptor = {waiter->event_fd, POLLIN, 0};
            poll(&descriptor, 1, -1);
            nx_clear(waiter->event_fd);
        } else {
            syscall(SYS_futex, &waiter->calls, FUTEX_WAIT_PRIVATE, calls, NULL, NULL, 0);
        }
    }

    /* Calls the waiter if it sleeps on this counter. */
    static void nx_call(struct nacosx_ring_shared *shared, struct nacosx_waiter *waiter, int64_t *counter) {
        if (counter == NULL || !NX_CAS(&waiter->on, &counter, NULL)) return;
        NX_ADD(&shared->sleepers, -1);
        NX_ADD(&waiter->calls, 1);
        if (waiter->event_fd >= 0) nx_write(waiter->event_fd);
        else syscall(SYS_futex, &waiter->calls, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    }
    """
    void *nx_aligned(size_t) noexcept
    void nx_spin(int32_t) noexcept
    void nx_nap(long) noexcept
    void nx_write(int) noexcept
    void nx_clear(int) noexcept
    void nx_sleep(waiter_t *, int32_t) noexcept
    void nx_call(shared_t *, waiter_t *, int64_t *) noexcept
    int sched_yield()
    int eventfd(unsigned int, int)
    int close(int)
    enum: EFD_NONBLOCK
    enum: EFD_CLOEXEC

cdef enum:
    BUSY_SPIN
    YIELD
    SLEEP
    BLOCK
    EVENT_FD

STRATEGIES = {"busy-spin": BUSY_SPIN, "yield": YIELD, "sleep": SLEEP, "block": BLOCK, "eventfd": EVENT_FD}

cdef enum:
    CONSUMERS_MAX_ = 64
    SPINS = 100  # before a waiting thread gives its core away
    SPINS_MAX = 64  # between two looks; about 1 µs
    YIELDS = 20  # looks between which others run, before a waiting thread sleeps
    NAP_NANOSECONDS = 100_000  # of strategy "sleep"
    FULL_LOOKS = 1_000  # a producer that found the ring full so often naps twice as long every time …
    FULL_NAP_NANOSECONDS = 1_000
    FULL_NAP_NANOSECONDS_MAX = 1_000_000  # … up to here
    FULL_ = -1
    ALERTED = -2  # answer of wait_for when the barrier was alerted

CONSUMERS_MAX = CONSUMERS_MAX_  # limit: barriers of one ring, sequences that gate it, dependents of a barrier
FULL = FULL_  # answer of try_next when the ring has no room


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

    def get(self):
        return self.load()

    def __repr__(self):
        return f"<Sequence {self.load()}>"


@cython.final
cdef class RingBuffer:
    """A ring of `size` slots (a power of two).

    producers: "single" (one thread claims) or "multi". event_bytes: 0 for Python objects, else the size of every event.
    wait: how consumers wait, see the module.
    Raises ValueError for a size that is no power of two, an unknown strategy or producer kind.
    """

    def __cinit__(self, int64_t size, *, str producers="single", int32_t event_bytes=0, str wait="block"):
        cdef int32_t index
        if size < 1 or size & (size - 1) or size > 1 << 30:
            raise ValueError(f"ring size must be a power of two up to 2^30: {size}")
        if producers not in ("single", "multi"):
            raise ValueError(f"producers must be single or multi: {producers!r}")
        kind_of(wait)
        if event_bytes < 0:
            raise ValueError(f"event_bytes must not be negative: {event_bytes}")
        self.size = size
        self.mask = size - 1
        self.shift = size.bit_length() - 1
        self.event_bytes = event_bytes
        self.multi_producer = producers == "multi"
        self.wait_strategy = wait
        self.cursor = Sequence()
        self.published = self.cursor.value
        self.gating_sequences = []
        self.shared = <shared_t *> nx_aligned(sizeof(shared_t))
        self.waiters = <waiter_t *> nx_aligned(CONSUMERS_MAX_ * sizeof(waiter_t))
        self.gating = <int64_t **> calloc(CONSUMERS_MAX_, sizeof(int64_t *))
        if self.shared == NULL or self.waiters == NULL or self.gating == NULL:
            raise MemoryError
        for index in range(CONSUMERS_MAX_):
            self.waiters[index] = waiter_t(NULL, 0, 0, -1, 0)
        self.shared[0] = shared_t(-1, -1, 0)
        self.claimed = self.published if self.multi_producer else &self.shared.claimed
        if self.multi_producer:
            self.available = <int32_t *> nx_aligned(size * sizeof(int32_t))
            if self.available == NULL:
                raise MemoryError
            memset(self.available, 0xFF, size * sizeof(int32_t))
        if event_bytes:
            self.slots = <char *> nx_aligned(size * event_bytes)
            if self.slots == NULL:
                raise MemoryError
            memset(self.slots, 0, size * event_bytes)
        else:
            self.objects = [None] * size

    def __dealloc__(self):
        cdef int32_t index
        if self.waiters != NULL:
            for index in range(CONSUMERS_MAX_):
                if self.waiters[index].event_fd >= 0:
                    close(self.waiters[index].event_fd)
        free(self.shared)
        free(self.waiters)
        free(self.gating)
        free(self.available)
        free(self.slots)

    # --- without the GIL ---------------------------------------------------------------------------------------------

    cdef int64_t gating_minimum(self, int64_t otherwise) noexcept nogil:
        cdef int64_t minimum = INT64_MAX
        cdef int64_t value
        cdef int32_t index
        for index in range(self.gating_count):
            value = NX_LOAD(self.gating[index])
            if value < minimum:
                minimum = value
        return otherwise if self.gating_count == 0 else minimum

    cdef void wait_for_room(self, int64_t last) noexcept nogil:
        """Returns when no consumer needs the slot of `last` any more."""
        cdef int64_t gate = self.gating_minimum(last)
        cdef int32_t looks = 0
        cdef long nap = FULL_NAP_NANOSECONDS
        while last - self.size > gate:
            looks += 1
            if looks <= SPINS:
                NX_PAUSE()
            elif looks <= SPINS + YIELDS:
                sched_yield()
            else:
                nx_nap(nap)
                if looks > FULL_LOOKS:
                    nap = min(2 * nap, <long> FULL_NAP_NANOSECONDS_MAX)
            gate = self.gating_minimum(last)
        NX_STORE(&self.shared.gate, gate)

    cdef int64_t try_claim(self, int32_t n) noexcept nogil:
        """As `claim`, but FULL (-1) when there is no room now."""
        cdef int64_t current = NX_LOAD_RELAXED(self.claimed)
        cdef int64_t last, gate
        while True:
            last = current + n
            if last - self.size > NX_LOAD(&self.shared.gate):
                gate = self.gating_minimum(current)
                NX_STORE(&self.shared.gate, gate)
                if last - self.size > gate:
                    return FULL_
            if not self.multi_producer:
                NX_STORE_RELAXED(self.claimed, last)
                return last
            if NX_CAS(self.claimed, &current, last):
                return last

    cdef void call_sleepers(self, int64_t *moved) noexcept nogil:
        """Calls every consumer that sleeps on this counter, which has just moved."""
        cdef int32_t index
        NX_FENCE()  # fence: the move is visible before the sleepers are looked at
        if NX_LOAD_INT(&self.shared.sleepers) == 0:
            return
        for index in range(self.waiters_count):
            if NX_LOAD_POINTER(&self.waiters[index].on) == moved:
                nx_call(self.shared, &self.waiters[index], moved)

    cdef void advance(self, Sequence sequence, int64_t value) noexcept nogil:
        """Moves a consumer's sequence on and calls those who sleep until then."""
        NX_STORE(sequence.value, value)
        if self.calls_on_advance:
            self.call_sleepers(sequence.value)

    # --- with the GIL ------------------------------------------------------------------------------------------------

    cdef object event(self, int64_t sequence):
        if self.event_bytes:
            return PyBytes_FromStringAndSize(<char *> ring_slot(self, sequence), self.event_bytes)
        return self.objects[sequence & self.mask]

    cdef int forget(self, int64_t sequence) except -1:
        if self.event_bytes == 0:
            self.objects[sequence & self.mask] = None
        return 0

    cdef waiter_t *take_waiter(self, int kind) except NULL:
        """One for a new barrier. One that was used by an event loop keeps its descriptor for the next that needs one."""
        cdef int32_t index
        cdef int fresh
        for fresh in range(2):
            for index in range(CONSUMERS_MAX_):
                waiter = &self.waiters[index]
                if waiter.used or (waiter.event_fd >= 0) != (kind == EVENT_FD and not fresh):
                    continue
                if kind == EVENT_FD and fresh:
                    waiter.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
                    if waiter.event_fd < 0:
                        raise OSError(errno, os.strerror(errno))
                waiter.used = 1
                NX_STORE_INT(&waiter.alerted, 0)
                self.waiters_count = max(self.waiters_count, index + 1)
                return waiter
        raise ValueError(f"more than {CONSUMERS_MAX} barriers")

    def next(self, int32_t n=1):
        """Claims `n` slots and returns the highest sequence; waits, without the GIL, while the ring is full."""
        cdef int64_t last = self.try_next(n)
        if last == FULL_:
            with nogil:
                last = ring_claim(self, n)
        return last

    def try_next(self, int32_t n=1):
        """As `next`, but FULL (-1) at once when there is no room: the caller answers EBUSY."""
        if not 1 <= n <= self.size:
            raise ValueError(f"cannot claim {n} of {self.size} slots")
        return self.try_claim(n)

    def publish(self, int64_t low, object high=None):
        """Publishes the claimed sequences low..high (one, if `high` is left out)."""
        cdef int64_t last = low if high is None else high
        ring_publish(self, low, last)

    def __setitem__(self, int64_t sequence, object event):
        """Writes the event of a claimed sequence. ValueError when bytes have the wrong length."""
        self.check(event)
        self.write(sequence, event)

    def __getitem__(self, int64_t sequence):
        """The event of a published sequence."""
        return self.event(sequence)

    def __delitem__(self, int64_t sequence):
        """Forgets the object of a sequence that its last consumer has not passed yet."""
        self.forget(sequence)

    def put(self, object event):
        """Claims, writes and publishes one event and returns its sequence; waits while the ring is full."""
        self.check(event)  # before the claim: a claimed slot that is never published stops every consumer
        cdef int64_t sequence = self.next(1)
        self.write(sequence, event)
        ring_publish(self, sequence, sequence)
        return sequence

    def try_put(self, object event):
        """As `put`, but False at once when the ring is full."""
        self.check(event)
        cdef int64_t sequence = self.try_claim(1)
        if sequence == FULL_:
            return False
        self.write(sequence, event)
        ring_publish(self, sequence, sequence)
        return True

    cdef int check(self, object event) except -1:
        if self.event_bytes and (not isinstance(event, bytes) or PyBytes_GET_SIZE(event) != self.event_bytes):
            raise ValueError(f"an event of this ring is {self.event_bytes} bytes")
        return 0

    cdef int write(self, int64_t sequence, object event) except -1:
        if self.event_bytes:
            memcpy(ring_slot(self, sequence), PyBytes_AS_STRING(event), self.event_bytes)
        else:
            self.objects[sequence & self.mask] = event
        return 0

    def gate(self, *sequences):
        """Producers never overtake these consumers. Called before the first claim."""
        cdef Sequence sequence
        if self.gating_count + len(sequences) > CONSUMERS_MAX_:
            raise ValueError(f"more than {CONSUMERS_MAX} gating sequences")
        for sequence in sequences:
            self.gating[self.gating_count] = sequence.value
            self.gating_count += 1
            self.gating_sequences.append(sequence)

    def barrier(self, *dependents, wait=None):
        """What one consumer waits on: the producers, or the consumers whose sequences are given.

        Made before the first claim. `wait`: another strategy than that of the ring.
        """
        return SequenceBarrier(self, dependents, self.wait_strategy if wait is None else wait)

    def advanced(self, Sequence sequence not None, int64_t value):
        """A consumer is done with everything up to `value`: moves its sequence, and calls those that depend on it."""
        self.advance(sequence, value)

    @property
    def remaining_capacity(self):
        """Slots that could be claimed now. Producers that wait for room have claimed already, and leave none."""
        cdef int64_t claimed = NX_LOAD(self.claimed)
        return max(0, self.size - (claimed - self.gating_minimum(claimed)))


cdef int kind_of(str wait) except -1:
    kind = STRATEGIES.get(wait)
    if kind is None:
        raise ValueError(f"unknown wait strategy {wait!r}: one of {', '.join(STRATEGIES)}")
    return kind


@cython.final
@cython.no_gc_clear  # its waiter lies in the memory of the ring, which a cycle may not take away before __dealloc__
cdef class SequenceBarrier:
    """Waits until a sequence is published and every dependent consumer has passed it. For one consumer."""

    def __cinit__(self, RingBuffer ring not None, tuple dependents=(), str wait="block"):
        cdef Sequence sequence
        if len(dependents) > CONSUMERS_MAX_:
            raise ValueError(f"more than {CONSUMERS_MAX} dependents")
        self.kind = kind_of(wait)
        self.ring = ring
        self.wait_strategy = wait
        self.dependent_sequences = dependents
        self.dependents = <int64_t **> calloc(CONSUMERS_MAX_, sizeof(int64_t *))
        if self.dependents == NULL:
            raise MemoryError
        for sequence in dependents:
            self.dependents[self.dependents_count] = sequence.value
            self.dependents_count += 1
        self.waiter = ring.take_waiter(self.kind)
        self.spins = 1
        if self.kind >= BLOCK and self.dependents_count:
            ring.calls_on_advance = True
        elif self.kind >= BLOCK:
            ring.calls_on_publish = True

    def __dealloc__(self):
        free(self.dependents)
        if self.waiter != NULL:
            self.withdraw()
            self.waiter.used = 0

    # --- without the GIL ---------------------------------------------------------------------------------------------

    cdef int64_t available_now(self, int64_t sequence) noexcept nogil:
        """The highest sequence that may be consumed now, at least `sequence` - 1."""
        cdef int64_t lowest = INT64_MAX
        cdef int64_t value
        cdef int32_t index
        if self.dependents_count:
            for index in range(self.dependents_count):
                value = NX_LOAD(self.dependents[index])
                if value < lowest:
                    lowest = value
        elif self.ring.multi_producer:
            # The run of published slots; it ends where the lap before was published last.
            lowest = sequence
            while (
                NX_LOAD_INT(self.ring.available + (lowest & self.ring.mask)) == <int32_t> (lowest >> self.ring.shift)
            ):
                lowest += 1
            return lowest - 1
        else:
            lowest = NX_LOAD(self.ring.published)
        return max(lowest, sequence - 1)

    cdef int64_t wait_for(self, int64_t sequence) noexcept nogil:
        """The highest consumable sequence, at least `sequence`; ALERTED (-2) when halted."""
        cdef int64_t available
        cdef int32_t looks = 0
        cdef int32_t spins = 0
        cdef int32_t yields = 0
        while True:
            if NX_LOAD_INT(&self.waiter.alerted):
                return ALERTED
            available = self.available_now(sequence)
            if available >= sequence:
                self.pace(looks)
                return available
            looks += 1
            if self.kind == BUSY_SPIN:
                NX_PAUSE()
            elif spins < SPINS:
                nx_spin(self.spins)
                spins += self.spins
            elif self.kind == YIELD or yields < YIELDS:
                sched_yield()
                yields += 1
            elif self.kind == SLEEP:
                nx_nap(NAP_NANOSECONDS)
            else:
                self.sleep(sequence)

    cdef void pace(self, int32_t looks) noexcept nogil:
        """How long to spin between looks from now on, by how many in vain there were this time.

        A look takes the cache line from the producer that writes it: where events are dense, longer spins make larger batches
        and a producer that is not stopped.
        """
        if looks == 1:
            self.spins = min(2 * self.spins, SPINS_MAX)
        elif looks > 2:
            self.spins = max(self.spins / 2, 1)

    cdef void sleep(self, int64_t sequence) noexcept nogil:
        """Sleeps until something may have moved. Wakes too often rather than too late."""
        cdef int32_t calls = NX_LOAD_INT(&self.waiter.calls)
        if self.announce(sequence):
            nx_sleep(self.waiter, calls)
        self.withdraw()

    cdef bint announce(self, int64_t sequence) noexcept nogil:
        """From now on a move of one that lags behind calls this consumer. False: it has moved already, look again."""
        cdef int64_t *on = self.laggard(sequence)
        self.withdraw()
        NX_ADD_INT(&self.ring.shared.sleepers, 1)
        NX_STORE_POINTER(&self.waiter.on, on)
        NX_FENCE()  # fence: announced as a sleeper before the last look
        if NX_LOAD_INT(&self.waiter.alerted):
            return False
        # Not at all dependents: another one than that which is slept on may lag behind now.
        return NX_LOAD(on) < sequence if self.dependents_count else self.available_now(sequence) < sequence

    cdef void withdraw(self) noexcept nogil:
        """No longer sleeps, whether called or not."""
        cdef int64_t *on = NX_LOAD_POINTER(&self.waiter.on)
        if on != NULL and NX_CAS_POINTER(&self.waiter.on, &on, NULL):
            NX_ADD_INT(&self.ring.shared.sleepers, -1)

    cdef int64_t *laggard(self, int64_t sequence) noexcept nogil:
        """A counter that has to move before `sequence` may be consumed."""
        cdef int32_t index
        for index in range(self.dependents_count):
            if NX_LOAD(self.dependents[index]) < sequence:
                return self.dependents[index]
        return self.dependents[0] if self.dependents_count else self.ring.published

    # --- with the GIL ------------------------------------------------------------------------------------------------

    def wait(self, int64_t sequence):
        """As a consumer waits, without the GIL; no signal interrupts it. Raises Alert when halted."""
        cdef int64_t available = self.available_now(sequence)
        if available >= sequence and not NX_LOAD_INT(&self.waiter.alerted):
            return available
        if self.waited_on:
            raise RuntimeError("a barrier is for one consumer")
        self.waited_on = True
        with nogil:
            available = self.wait_for(sequence)
        self.waited_on = False
        if available == ALERTED:
            raise Alert
        return available

    def available(self, int64_t sequence):
        """The highest sequence that may be consumed now; `sequence` - 1 when there is nothing."""
        return self.available_now(sequence)

    def fileno(self):
        """The eventfd that an event loop watches; ValueError for another wait strategy."""
        if self.kind != EVENT_FD:
            raise ValueError(f"a consumer that waits by {self.wait_strategy} has no file descriptor")
        return self.waiter.event_fd

    def arm(self, int64_t sequence):
        """For an event loop: makes the eventfd readable as soon as `sequence` may be consumed; perhaps for nothing."""
        nx_clear(self.fileno())
        if not self.announce(sequence):
            self.withdraw()
            nx_write(self.waiter.event_fd)

    def alert(self):
        """Whoever waits on this barrier, now or later, gets `Alert`."""
        NX_STORE_INT(&self.waiter.alerted, 1)
        NX_FENCE()  # fence: as after a move
        nx_call(self.ring.shared, self.waiter, NX_LOAD_POINTER(&self.waiter.on))

    def clear_alert(self):
        NX_STORE_INT(&self.waiter.alerted, 0)

    @property
    def is_alerted(self):
        return NX_LOAD_INT(&self.waiter.alerted) != 0
