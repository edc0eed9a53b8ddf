"""Hashed-wheel timer: schedule and cancel in constant time, expire what is due when told what time it is.

The words and rules are those of Netty's and SOFAJRaft's HashedWheelTimer (Varghese and Lauck, 1987): a wheel of slots,
one bucket of timeouts each; a timeout waits in the pending queue, is transferred to its bucket at a tick, and is expired by
the tick that is not before its deadline. Cancelled timeouts wait in a queue of their own until a tick (or until that queue
is full) and are then unlinked.

What differs:

* The wheel is passive: no thread, no clock; `advance` is told the time. Its drivers are `engine.ticker` (an event loop) and
  `engine.timer_thread` (a thread of its own), which share `driver`. Both sleep until `wakeup_ms`.
* Timeouts of later rounds do not wait in the bucket of their slot to be counted down at every turn. They wait in coarser
  wheels of 64 slots, each slot as long as a turn of the wheel below (scheme 7 of the paper), and come down when their slot
  begins. So a tick costs what is due at it, however many are pending; a timeout is moved at most once a wheel. ::

      wheel 0   2048 slots of 1 ms            2 s
      wheel 1     64 slots of 2 s             2 min
      wheel 2     64 slots of 2 min           2 h …

* Ticks at which there is nothing to do are skipped: bitmaps find the occupied slots. Each coarse bucket knows the earliest
  deadline of its timeouts, so `wakeup_ms` is exact.
* A timeout can be restarted. A later deadline is only written down; the bucket it was in passes it on when it is visited.
  That makes a heart beat or an idle connection one store instead of cancel and schedule.
* A timeout is 80 bytes in a slab (`slab`), whatever is waited for in memory is fetched ahead.
* What is due is moved to a due queue first and run from there: callbacks may schedule, cancel and stop as they like.

Times are integral milliseconds ≥ 0 of one monotonic clock. Everything happens under the GIL; no call blocks.
"""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from nacosx._core.slab cimport keep

import logging

logger = logging.getLogger(__name__)

SLOTS_MAX = 1 << 30
TRANSFERS_MAX = 100_000  # timeouts moved from the pending queue, and from a coarse wheel, at one tick
EXPIRATIONS_MAX = 10_000  # callbacks run in one advance; the rest is due at once again: the event loop breathes
CANCELLED_MAX = 1024  # cancelled timeouts kept linked until a tick
INSTANCES_MAX = 256  # more live wheels than this are a mistake

INIT = 0
CANCELLED = 1
EXPIRED = 2

cdef enum:
    STATE_INIT = 0
    STATE_CANCELLED = 1
    STATE_EXPIRED = 2

cdef enum:
    COARSE = 64  # slots of a coarse wheel: one word of the bitmap
    COARSE_SHIFT = 6

cdef enum:
    PREFETCHED = 8  # cancelled timeouts whose neighbours are on their way from memory

cdef enum Place:
    PENDING = 1
    BUCKET = 2
    DUE = 3

cdef int64_t transfers_max = TRANSFERS_MAX
cdef int64_t expirations_max = EXPIRATIONS_MAX
cdef Py_ssize_t cancelled_max = CANCELLED_MAX

cdef int64_t instances = 0
cdef bint instances_warned = False

cdef extern from *:
    """
    static inline int lowest_bit(uint64_t word) { return __builtin_ctzll(word); }
    static inline uint64_t rotated(uint64_t word, int right) { return word >> right | word << (-right & 63); }
    """
    void prefetch "__builtin_prefetch"(const void* address) noexcept
    int lowest_bit(uint64_t word) noexcept
    uint64_t rotated(uint64_t word, int right) noexcept


class RejectedError(RuntimeError):
    """The wheel already holds `pending_max` timeouts."""


@cython.final
@cython.no_gc  # callback and argument are dropped when the timeout is run or cancelled: no cycle outlives that
cdef class Timeout:
    """One scheduled callback. Made by `HashedWheelTimer.schedule` only."""

    @property
    def state(self):
        """INIT, CANCELLED or EXPIRED."""
        return self._state

    @property
    def cancelled(self):
        return self._state == STATE_CANCELLED

    @property
    def expired(self):
        return self._state == STATE_EXPIRED

    @property
    def remaining_rounds(self):
        """Whole turns of the wheel before the one in which this timeout is expired; 0 once it is in no wheel."""
        if self.wheel == NULL:
            return 0
        cdef HashedWheelTimer wheel = <HashedWheelTimer>self.wheel
        return max(0, tick_of(wheel, self.deadline_ms) - wheel.tick) // wheel.slots

    @cython.binding(False)
    def cancel(self):
        """Prevents the callback. False when it already ran or was cancelled."""
        if self._state != STATE_INIT:
            return False
        self._state = STATE_CANCELLED
        # These may be the last references, and their destructors may call the wheel: they go when this returns.
        _callback, _argument = self.callback, self.argument
        self.callback = None
        self.argument = None
        if self.wheel != NULL:
            enqueue_cancelled(<HashedWheelTimer>self.wheel, <PyObject*>self)
        return True

    def restart(self, int64_t now_ms, int64_t delay_ms):
        """Moves the deadline to `now_ms + delay_ms`. False when it already ran, was cancelled or its wheel stopped.

        `started_ms` tells the `now_ms` of the last start: when somebody was heard of last.
        """
        return again(self, now_ms, delay_ms)

    def __repr__(self):
        return f"<Timeout at {self.deadline_ms} ms, {('pending', 'cancelled', 'expired')[self._state]}>"


keep(Timeout)


@cython.final
cdef class HashedWheelTimer:
    """A wheel of `slots` (rounded up to a power of two, at most 2^30) ticks of `tick_ms`.

    `pending_max` > 0 limits the timeouts that are neither run nor cancelled; then `schedule` raises `RejectedError`.
    Timeouts that lead back to the wheel keep it alive until `stop`.
    """

    def __cinit__(self, int64_t tick_ms=1, int64_t slots=2048, int64_t pending_max=0):
        if tick_ms <= 0:
            raise ValueError(f"tick_ms must be greater than 0: {tick_ms}")
        if slots <= 0:
            raise ValueError(f"slots must be greater than 0: {slots}")
        if slots > <int64_t>1 << 30:
            raise ValueError(f"slots must not be greater than 2^30: {slots}")
        self.shift = (slots - 1).bit_length()
        self.slots = <int64_t>1 << self.shift
        if tick_ms >= INT64_MAX // self.slots:
            raise ValueError(f"tick_ms: {tick_ms} (expected: 0 < tick_ms < {INT64_MAX // self.slots})")
        self.mask = self.slots - 1
        self.tick_ms = tick_ms
        self.pending_max = pending_max
        self.queue_earliest_ms = INT64_MAX
        self.coarse = max(self.slots, <int64_t>COARSE)
        self.coarse_wheels = (63 - self.shift + COARSE_SHIFT - 1) // COARSE_SHIFT
        coarse_buckets = self.coarse_wheels * COARSE
        self.buckets = <Chain*>calloc(self.coarse + coarse_buckets, sizeof(Chain))
        self.earliest_ms = <int64_t*>calloc(coarse_buckets, sizeof(int64_t))
        self.occupied = <uint64_t*>calloc((self.coarse + coarse_buckets) // 64, sizeof(uint64_t))
        self.cancelled = <PyObject**>malloc(cancelled_max * sizeof(PyObject*))
        if self.buckets == NULL or self.earliest_ms == NULL or self.occupied == NULL or self.cancelled == NULL:
            raise MemoryError
        count_instance(self)

    def __dealloc__(self):
        if self.cancelled != NULL:
            release_all(self)
        uncount_instance(self)
        free(self.buckets)
        free(self.earliest_ms)
        free(self.occupied)
        free(self.cancelled)

    @cython.binding(False)
    def schedule(self, int64_t now_ms, int64_t delay_ms, object callback not None, object argument=None):
        """Has `callback(argument)` called by the first `advance` told a time of at least `now_ms + delay_ms`.

        Raises `RejectedError` at the pending limit and `RuntimeError` once stopped.
        """
        return self.add(now_ms, delay_ms, callback, argument)

    cdef Timeout add(self, int64_t now_ms, int64_t delay_ms, object callback, object argument):
        cdef Timeout timeout
        if self.stopped:
            raise RuntimeError("cannot be started once stopped")
        if self.pending_max > 0 and self.pending >= self.pending_max:
            raise RejectedError(
                f"Number of pending timeouts ({self.pending + 1}) is greater than or equal to "
                f"maximum allowed pending timeouts ({self.pending_max})"
            )
        start(self, now_ms)
        timeout = Timeout.__new__(Timeout)
        timeout.callback = callback
        timeout.argument = argument
        timeout.started_ms = now_ms
        timeout.deadline_ms = deadline_of(self, now_ms, delay_ms)
        timeout.wheel = <PyObject*>self
        Py_INCREF(timeout)
        enqueue(self, <PyObject*>timeout)
        self.pending += 1
        return timeout

    def advance(self, int64_t now_ms, object failed not None):
        """Runs the callbacks of what is due at `now_ms`, tick by tick, at most `EXPIRATIONS_MAX`; returns how many.

        `failed(timeout, exception)` is called for a callback that raised; the others run all the same. A clock that
        went back finds nothing due.
        """
        cdef int64_t ran = 0
        cdef Timeout timeout
        if self.advancing:
            raise RuntimeError("advance called by a callback")
        if self.stopped:
            return 0
        start(self, now_ms)
        process_cancelled(self)
        collect_due(self, now_ms // self.tick_ms)
        self.advancing = True
        try:
            while self.due.head != NULL and ran < expirations_max:
                timeout = <Timeout>self.due.head
                release(&self.due, <PyObject*>timeout)
                timeout._state = STATE_EXPIRED
                self.pending -= 1
                ran += 1
                callback, argument = timeout.callback, timeout.argument
                timeout.callback = None
                timeout.argument = None
                try:
                    callback(argument)
                except Exception as error:
                    failed(timeout, error)
        finally:
            self.advancing = False
        return ran

    def wakeup_ms(self):
        """When `advance` has to be called next; None: never. Not late; early only for those since cancelled or restarted."""
        cdef int64_t tick
        if self.due.head != NULL:
            return self.tick * self.tick_ms
        tick = next_tick(self, self.tick, True)
        if self.queue.head != NULL:
            tick = min(tick, tick_of(self, self.queue_earliest_ms))
        if tick == INT64_MAX:
            return None
        return max(tick, self.tick) * self.tick_ms

    def stop(self):
        """Ends the wheel; returns the timeouts neither run nor cancelled: those due, then by slot, then the queue."""
        cdef list unprocessed = []
        cdef int64_t slot
        if self.stopped:
            return unprocessed
        self.stopped = True
        process_cancelled(self)
        collect(&self.due, unprocessed)
        for slot in range(self.coarse + self.coarse_wheels * COARSE):
            collect(&self.buckets[slot], unprocessed)
        collect(&self.queue, unprocessed)
        release_all(self)
        uncount_instance(self)
        return unprocessed


# --- time ------------------------------------------------------------------------------------------------------------


cdef int start(HashedWheelTimer self, int64_t now_ms) except -1:
    if now_ms < 0:
        raise ValueError(f"now_ms must not be negative: {now_ms}")
    if not self.started:
        self.started = True
        self.tick = now_ms // self.tick_ms
    return 0


cdef inline int64_t tick_of(HashedWheelTimer self, int64_t deadline_ms) noexcept:
    """The first tick that is not before the deadline."""
    if self.tick_ms == 1:
        return deadline_ms
    return deadline_ms // self.tick_ms + (deadline_ms % self.tick_ms != 0)


cdef inline int64_t deadline_of(HashedWheelTimer self, int64_t now_ms, int64_t delay_ms) noexcept:
    if delay_ms <= 0:
        return now_ms
    # Guard against overflow: too far away is as far away as can be said.
    if delay_ms > INT64_MAX - self.tick_ms - now_ms:
        return INT64_MAX - self.tick_ms
    return now_ms + delay_ms


cdef int collect_due(HashedWheelTimer self, int64_t now_tick) noexcept:
    """Moves every timeout due up to `now_tick` to the due queue, tick by tick; ticks with nothing to do are skipped."""
    cdef int64_t tick = self.tick
    while tick <= now_tick:
        self.tick = tick
        self.visits += 1
        if not come_down(self):
            return 0
        transfer(self)
        expire(self)
        if self.queue.head != NULL:
            tick += 1
        else:
            tick = next_tick(self, tick + 1, False)
    if now_tick > self.tick:
        self.tick = now_tick
    return 0


cdef bint come_down(HashedWheelTimer self) noexcept:
    """Moves the timeouts of the coarse slots that have begun to finer ones. False: not all, the next `advance` goes on."""
    cdef int64_t moved = 0
    cdef int64_t wheel, index
    cdef PyObject* timeout
    for wheel in range(self.coarse_wheels):
        index = self.coarse + wheel * COARSE + (self.tick >> (self.shift + wheel * COARSE_SHIFT) & (COARSE - 1))
        while self.buckets[index].tail != NULL:
            if moved == transfers_max:
                return False
            moved += 1
            self.visits += 1
            # To the front, the last one first: whoever came by a coarser wheel was scheduled before those who did not.
            timeout = self.buckets[index].tail
            unlink(&self.buckets[index], timeout)
            put(self, timeout, True)
        vacate(self, index)
    return True


cdef int transfer(HashedWheelTimer self) noexcept:
    """Moves pending timeouts to the bucket of their tick; those already late to the bucket of this tick."""
    cdef int64_t moved = 0
    cdef PyObject* timeout
    while self.queue.head != NULL:
        if moved == transfers_max:
            self.queue_earliest_ms = self.tick * self.tick_ms  # the rest is urgent: something in it may be due
            return 0
        moved += 1
        timeout = self.queue.head
        unlink(&self.queue, timeout)
        put(self, timeout, False)
    self.visits += moved
    self.queue_earliest_ms = INT64_MAX
    return 0


cdef inline int put(HashedWheelTimer self, PyObject* timeout, bint to_front) noexcept:
    """Into the bucket where the wheel will find it at its tick; at this tick if that is past."""
    cdef int64_t deadline_ms = (<Timeout>timeout).deadline_ms
    cdef int64_t index = bucket_of(self, max(tick_of(self, deadline_ms), self.tick))
    cdef uint64_t* word = &self.occupied[index >> 6]
    cdef uint64_t bit = <uint64_t>1 << (index & 63)
    if index >= self.coarse and (not word[0] & bit or deadline_ms < self.earliest_ms[index - self.coarse]):
        self.earliest_ms[index - self.coarse] = deadline_ms
    word[0] |= bit
    (<Timeout>timeout).slot = <uint32_t>index
    if to_front:
        link_first(&self.buckets[index], timeout)
    else:
        link(&self.buckets[index], timeout, BUCKET)
    return 0


cdef inline int64_t bucket_of(HashedWheelTimer self, int64_t tick) noexcept:
    """The index of the bucket of a tick not yet past, in the finest wheel that reaches so far.

    In a coarse wheel that is never the slot that has begun: whatever lies in that one would lie in a finer wheel.
    """
    cdef int64_t index = self.coarse
    cdef int64_t shift = self.shift
    if tick - self.tick < self.slots:
        return tick & self.mask
    while (tick >> shift) - (self.tick >> shift) >= COARSE:
        index += COARSE
        shift += COARSE_SHIFT
    return index + (tick >> shift & (COARSE - 1))


cdef int expire(HashedWheelTimer self) noexcept:
    """Moves what is due of the bucket of this tick to the due queue, and what was restarted to the bucket of its tick."""
    cdef int64_t index = self.tick & self.mask
    cdef Chain* bucket = &self.buckets[index]
    cdef PyObject* timeout
    while bucket.head != NULL:
        self.visits += 1
        timeout = bucket.head
        unlink(bucket, timeout)
        if tick_of(self, (<Timeout>timeout).deadline_ms) <= self.tick:
            link(&self.due, timeout, DUE)
        else:
            put(self, timeout, False)
    vacate(self, index)
    return 0


cdef int64_t next_tick(HashedWheelTimer self, int64_t tick, bint due) noexcept:
    """The first tick, from `tick` on, at which there is something to do, if all before it are done; INT64_MAX: none.

    `due`: the first at which something may be due, rather than something to come down to a finer wheel.
    """
    cdef int64_t earliest = INT64_MAX
    cdef int64_t index = tick & self.mask
    cdef int64_t word_index = index >> 6
    cdef int64_t words = (self.slots + 63) >> 6
    cdef uint64_t word = self.occupied[word_index] & (<uint64_t>-1 << (index & 63))
    cdef int64_t wheel, shift, begun, slot, found
    cdef int64_t _looked
    for _looked in range(words + 1):
        if word != 0:
            earliest = tick + (((word_index << 6) + lowest_bit(word) - tick) & self.mask)
            break
        word_index = (word_index + 1) & (words - 1)
        word = self.occupied[word_index]
    for wheel in range(self.coarse_wheels):
        word = self.occupied[(self.coarse >> 6) + wheel]
        if word == 0:
            continue
        shift = self.shift + wheel * COARSE_SHIFT
        begun = tick >> shift
        slot = begun + lowest_bit(rotated(word, begun & (COARSE - 1)))
        found = slot << shift
        if due:
            found = tick_of(self, self.earliest_ms[wheel * COARSE + (slot & (COARSE - 1))])
        earliest = min(earliest, max(tick, found))
    return earliest


cdef bint again(Timeout self, int64_t now_ms, int64_t delay_ms) except -1:
    """As `Timeout.restart`."""
    if self._state != STATE_INIT or self.wheel == NULL:
        return False
    cdef HashedWheelTimer wheel = <HashedWheelTimer>self.wheel
    cdef int64_t deadline_ms = deadline_of(wheel, now_ms, delay_ms)
    cdef bint sooner = deadline_ms < self.deadline_ms
    self.started_ms = now_ms
    self.deadline_ms = deadline_ms
    if sooner or self.place == DUE:
        unlink(chain_of(wheel, <PyObject*>self), <PyObject*>self)
        if self.place == BUCKET and wheel.buckets[self.slot].head == NULL:
            vacate(wheel, self.slot)
        enqueue(wheel, <PyObject*>self)
    return True


# --- chains ----------------------------------------------------------------------------------------------------------


cdef int link(Chain* chain, PyObject* timeout, uint8_t place) noexcept:
    """Appends; the caller's reference goes over to the chain."""
    (<Timeout>timeout).next = NULL
    (<Timeout>timeout).prev = chain.tail
    (<Timeout>timeout).place = place
    if chain.tail == NULL:
        chain.head = timeout
    else:
        (<Timeout>chain.tail).next = timeout
    chain.tail = timeout
    return 0


cdef int link_first(Chain* chain, PyObject* timeout) noexcept:
    """As `link`, to the front of a bucket."""
    (<Timeout>timeout).next = chain.head
    (<Timeout>timeout).prev = NULL
    (<Timeout>timeout).place = BUCKET
    if chain.head == NULL:
        chain.tail = timeout
    else:
        (<Timeout>chain.head).prev = timeout
    chain.head = timeout
    return 0


cdef inline int enqueue(HashedWheelTimer self, PyObject* timeout) noexcept:
    """Appends to the pending queue."""
    if (<Timeout>timeout).deadline_ms < self.queue_earliest_ms:
        self.queue_earliest_ms = (<Timeout>timeout).deadline_ms
    link(&self.queue, timeout, PENDING)
    return 0


cdef inline Chain* chain_of(HashedWheelTimer self, PyObject* timeout) noexcept:
    if (<Timeout>timeout).place == PENDING:
        return &self.queue
    if (<Timeout>timeout).place == DUE:
        return &self.due
    return &self.buckets[(<Timeout>timeout).slot]


cdef int unlink(Chain* chain, PyObject* timeout) noexcept:
    """Takes out; the chain's reference goes over to the caller."""
    cdef PyObject* following = (<Timeout>timeout).next
    cdef PyObject* preceding = (<Timeout>timeout).prev
    if preceding == NULL:
        chain.head = following
    else:
        (<Timeout>preceding).next = following
    if following == NULL:
        chain.tail = preceding
    else:
        (<Timeout>following).prev = preceding
    (<Timeout>timeout).next = NULL
    (<Timeout>timeout).prev = NULL
    return 0


cdef int remove(HashedWheelTimer self, PyObject* timeout) noexcept:
    """Takes out of wherever it is, for good."""
    cdef Chain* chain = chain_of(self, timeout)
    if (<Timeout>timeout).place == BUCKET and chain.head == chain.tail:
        vacate(self, (<Timeout>timeout).slot)
    release(chain, timeout)
    return 0


cdef int release(Chain* chain, PyObject* timeout) noexcept:
    """Takes out for good."""
    unlink(chain, timeout)
    (<Timeout>timeout).wheel = NULL
    Py_DECREF(<Timeout>timeout)
    return 0


cdef inline int vacate(HashedWheelTimer self, int64_t index) noexcept:
    self.occupied[index >> 6] &= ~(<uint64_t>1 << (index & 63))
    return 0


cdef int collect(Chain* chain, list unprocessed) except -1:
    cdef PyObject* timeout = chain.head
    while timeout != NULL:
        unprocessed.append(<Timeout>timeout)
        timeout = (<Timeout>timeout).next
    return 0


cdef int release_all(HashedWheelTimer self) noexcept:
    cdef int64_t index
    self.cancelled_count = 0
    release_chain(&self.due)
    for index in range(self.coarse + self.coarse_wheels * COARSE):
        if self.occupied[index >> 6] == 0:
            continue
        vacate(self, index)
        release_chain(&self.buckets[index])
    release_chain(&self.queue)
    self.queue_earliest_ms = INT64_MAX
    self.pending = 0
    return 0


cdef int release_chain(Chain* chain) noexcept:
    while chain.head != NULL:
        release(chain, chain.head)
    return 0


# --- cancelled timeouts ----------------------------------------------------------------------------------------------


cdef int enqueue_cancelled(HashedWheelTimer self, PyObject* timeout) noexcept:
    self.pending -= 1
    if (<Timeout>timeout).place == DUE:
        release(&self.due, timeout)  # its turn comes before the next tick
        return 0
    if self.cancelled_count == cancelled_max:
        process_cancelled(self)
    self.cancelled[self.cancelled_count] = timeout
    self.cancelled_count += 1
    return 0


cdef int process_cancelled(HashedWheelTimer self) noexcept:
    """Unlinks the cancelled timeouts. They hold no callback and no argument, so this runs nobody's destructor."""
    cdef Py_ssize_t index
    cdef PyObject* timeout
    cdef PyObject* neighbour
    for index in range(self.cancelled_count):
        if index + PREFETCHED < self.cancelled_count:
            # Those it is linked with lie anywhere in memory: without this, to wait for them is most of what a cancel costs.
            timeout = self.cancelled[index + PREFETCHED]
            neighbour = (<Timeout>timeout).next
            if neighbour != NULL:
                prefetch(&(<Timeout>neighbour).prev)
            neighbour = (<Timeout>timeout).prev
            if neighbour != NULL:
                prefetch(&(<Timeout>neighbour).next)
        remove(self, self.cancelled[index])
    self.cancelled_count = 0
    if self.queue.head == NULL:
        self.queue_earliest_ms = INT64_MAX
    return 0


# --- instances -------------------------------------------------------------------------------------------------------


cdef int count_instance(HashedWheelTimer self) except -1:
    global instances, instances_warned
    instances += 1
    self.counted = True
    if instances > INSTANCES_MAX and not instances_warned:
        instances_warned = True
        logger.warning(
            "You are creating too many HashedWheelTimer instances: %d. A wheel is a shared resource that must be "
            "reused across the application, so that only a few instances are created.",
            instances,
        )
    return 0


cdef int uncount_instance(HashedWheelTimer self) noexcept:
    global instances
    if self.counted:
        self.counted = False
        instances -= 1
    return 0
