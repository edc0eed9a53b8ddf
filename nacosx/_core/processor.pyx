"""The batch event processor of the LMAX Disruptor: a consumer that takes all that is available in one go.

`handler(event, sequence, end_of_batch)` is called for each event; `end_of_batch` tells it that nothing more waits, the moment
to flush (the seed's handlers collect tasks until then, or until `apply_batch` = 32: that is `batch_max`). Its own sequence
advances after each batch, and gates the producers or other consumers.

Two drivers: `run` blocks in a thread of its own until `halt`; on an event loop, `drain` is called when the eventfd of the
barrier is readable, and arms it again::

    ring = RingBuffer(1024, producers="multi")
    processor = BatchEventProcessor(ring, ring.barrier(wait="eventfd"), handler, batch_max=32, clear=True)
    ring.gate(processor.sequence)
    loop.add_reader(processor.barrier.fileno(), processor.drain)
    processor.drain()

Or whoever consumes calls `take` when it is its turn, and gets the events as a list.

An exception of the handler goes to `on_error(error, sequence, event)`; without `on_error`, or from it, it leaves `run` or
`drain`. Either way the event counts as consumed, and those after it wait for the next call, which an armed loop makes at once.
"""

cimport cython
from libc.stdint cimport int64_t

from nacosx._core.ring cimport RingBuffer, Sequence, SequenceBarrier

from nacosx._core.ring import Alert


@cython.final
cdef class BatchEventProcessor:
    """Consumes a ring behind a barrier of its own.

    `handler`: None when it is only asked to `take`. `batch_max` bounds the events of one batch (0: all that is available).
    `clear`: it is the last consumer, and the ring forgets each event once it is handled, instead of when its slot is needed
    again.
    """

    cdef readonly RingBuffer ring
    cdef readonly SequenceBarrier barrier
    cdef readonly Sequence sequence
    cdef object handler
    cdef object on_error
    cdef int64_t batch_max
    cdef bint clear
    cdef bint halted
    cdef readonly bint running

    def __cinit__(
        self,
        RingBuffer ring not None,
        SequenceBarrier barrier not None,
        handler,
        *,
        on_error=None,
        int64_t batch_max=0,
        bint clear=False,
    ):
        if batch_max < 0:
            raise ValueError(f"batch_max must not be negative: {batch_max}")
        self.ring = ring
        self.barrier = barrier
        self.sequence = Sequence()
        self.handler = handler
        self.on_error = on_error
        self.batch_max = batch_max
        self.clear = clear

    def run(self):
        """Consumes until halted. RuntimeError when it runs already."""
        self._enter()
        try:
            while not self.halted:
                try:
                    available = self.barrier.wait(self.sequence.load() + 1)
                except Alert:
                    continue
                self._consume(available)
        finally:
            self.running = False
            self.halted = False
            self.barrier.clear_alert()

    def drain(self):
        """Consumes what is there now and returns how many events that were. RuntimeError when it runs already.

        Arms the eventfd, if there is one, for what comes after that; it is readable at once if something is there by now, so
        a busy producer cannot keep the loop from its other work.
        """
        cdef int64_t before = self.sequence.load()
        cdef int64_t available = self.barrier.available_now(before + 1)
        self._enter()
        try:
            while self.sequence.load() < available:
                self._consume(available)
        finally:
            self.running = False
            if self.barrier.wait_strategy == "eventfd":
                self.barrier.arm(self.sequence.load() + 1)
        return self.sequence.load() - before

    def take(self):
        """The events that are there now, at most `batch_max`, as a list; they count as consumed, and no handler is called. For
        a consumer that wants them all at once. RuntimeError when it runs already."""
        cdef int64_t first = self.sequence.load() + 1
        cdef int64_t last = self.barrier.available_now(first)
        cdef int64_t sequence
        if self.running:
            raise RuntimeError("the processor runs already")
        if self.batch_max and last - first >= self.batch_max:
            last = first + self.batch_max - 1
        cdef list events = []
        for sequence in range(first, last + 1):
            events.append(self.ring.event(sequence))
            if self.clear:
                self.ring.forget(sequence)
        if events:
            self.ring.advance(self.sequence, last)
        return events

    def halt(self):
        """Stops `run` after the batch it is in; events not yet consumed stay for a later `run` or `drain`."""
        self.halted = True
        self.barrier.alert()

    cdef int _enter(self) except -1:
        if self.running:
            raise RuntimeError("the processor runs already")
        self.running = True
        return 0

    cdef int _consume(self, int64_t available) except -1:
        """Handles one batch, up to `available` at most."""
        cdef int64_t sequence = self.sequence.load()
        cdef int64_t last = available
        if self.batch_max and available - sequence > self.batch_max:
            last = sequence + self.batch_max
        try:
            while sequence < last:
                sequence += 1
                event = self.ring.event(sequence)
                try:
                    self.handler(event, sequence, sequence == last)
                except Exception as error:
                    if self.on_error is None:
                        raise
                    self.on_error(error, sequence, event)
                finally:
                    if self.clear:
                        self.ring.forget(sequence)
        finally:
            self.ring.advance(self.sequence, sequence)
        return 0
