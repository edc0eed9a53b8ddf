"""The batch event processor of the LMAX Disruptor: a consumer that takes all that is available in one go.

`handler(event, sequence, end_of_batch)` is called for each event; `end_of_batch` tells it that nothing more waits, the moment
to flush (the seed's handlers collect tasks until then, or until `apply_batch` = 32). Its own sequence moves on after each
batch, and gates the producers or other consumers.

Two drivers: `run()` blocks in a thread of its own until `halt()`; on an event loop, `drain()` is called when the ring's
eventfd is readable, and arms the eventfd again when everything is consumed. An exception of the handler goes to
`on_error(error, sequence, event)` and the event counts as consumed; without `on_error` it ends the processor.
"""

cimport cython
from libc.stdint cimport int64_t

from nacosx._core.ring cimport RingBuffer, Sequence, SequenceBarrier

from nacosx._core.ring import Alert


@cython.final
cdef class BatchEventProcessor:
    """Consumes a ring behind a barrier. `batch_max` bounds the events of one batch (0: all that is available)."""

    cdef readonly RingBuffer ring
    cdef readonly SequenceBarrier barrier
    cdef readonly Sequence sequence
    cdef object handler
    cdef object on_error
    cdef int64_t batch_max
    cdef bint halted
    cdef readonly bint running

    def __cinit__(self, RingBuffer ring, SequenceBarrier barrier, handler, *, on_error=None, int64_t batch_max=0):
        if batch_max < 0:
            raise ValueError(f"batch_max must not be negative: {batch_max}")
        self.ring = ring
        self.barrier = barrier
        self.sequence = Sequence()
        self.handler = handler
        self.on_error = on_error
        self.batch_max = batch_max

    def run(self):
        """Consumes until halted. RuntimeError when it runs already."""
        if self.running:
            raise RuntimeError("the processor runs already")
        self.running = True
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
        """Consumes what is there now and returns how many events that were.

        With an eventfd: arms it for the next events, or makes it readable when there are some already, so that a busy
        producer cannot keep the loop from its other work.
        """
        cdef int64_t first = self.sequence.load() + 1
        cdef int64_t available = self.barrier.available_now(first)
        while available >= self.sequence.load() + 1:
            self._consume(available)
        if self.ring.wait_strategy == "eventfd" and not self.barrier.arm(self.sequence.load() + 1):
            self.ring.wake()
        return self.sequence.load() + 1 - first

    def halt(self):
        """Stops `run` after the batch it is in; events not yet consumed stay for a later `run` or `drain`."""
        self.halted = True
        self.barrier.alert()

    cdef int _consume(self, int64_t available) except -1:
        cdef int64_t sequence = self.sequence.load() + 1
        if self.batch_max and available - sequence >= self.batch_max:
            available = sequence + self.batch_max - 1
        try:
            while sequence <= available:
                event = self.ring.event(sequence)
                try:
                    self.handler(event, sequence, sequence == available)
                except Exception as error:
                    if self.on_error is None:
                        raise
                    self.on_error(error, sequence, event)
                sequence += 1
        finally:
            self.sequence.store(min(sequence, available))
        return 0
