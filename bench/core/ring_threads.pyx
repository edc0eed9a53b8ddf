"""Producers and consumers of a ring in C: `with nogil` loops that Python threads enter and leave once.

Built on demand (`bench.core.build`) against the installed `nacosx._core.ring`; tests use it for the long stress.
"""

from libc.stdint cimport int32_t, int64_t

from nacosx._core.ring cimport RingBuffer, Sequence, SequenceBarrier


def produce(RingBuffer ring, int64_t count, int32_t batch, int64_t producer):
    """Publishes `count` events of 8 bytes in claims of `batch`: the value is producer << 48 | n, n counts from 0."""
    cdef int64_t sent = 0
    cdef int64_t high, sequence
    with nogil:
        while sent < count:
            high = ring.claim(batch)
            for sequence in range(high - batch + 1, high + 1):
                (<int64_t *> ring.slot(sequence))[0] = producer << 48 | sent
                sent += 1
            ring.publish_range(high - batch + 1, high)


def consume(SequenceBarrier barrier, Sequence sequence, int64_t count, int64_t producers):
    """Consumes `count` events; returns how many came out of order (per producer) and the sum of the values."""
    cdef RingBuffer ring = barrier.ring
    cdef int64_t[64] expected
    cdef int64_t next_sequence = sequence.load() + 1
    cdef int64_t last = sequence.load() + count
    cdef int64_t wrong = 0
    cdef int64_t total = 0
    cdef int64_t LOW = (<int64_t> 1 << 48) - 1
    cdef int64_t available, value, producer
    for producer in range(producers):
        expected[producer] = 0
    with nogil:
        while next_sequence <= last:
            available = barrier.wait_for(next_sequence)
            if available < next_sequence:
                break
            while next_sequence <= available:
                value = (<int64_t *> ring.slot(next_sequence))[0]
                producer = value >> 48
                if (value & LOW) != expected[producer]:
                    wrong += 1
                expected[producer] += 1
                total += value & LOW
                next_sequence += 1
            sequence.store(available)
    return wrong, total
