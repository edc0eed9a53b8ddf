"""Producers and consumers of a ring in C: loops without the GIL that Python threads enter and leave once.

`bench.core.build` compiles this; benchmarks, the stress and its run under ThreadSanitizer use it.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

from nacosx._core.atomic cimport NX_PAUSE
from nacosx._core.ring cimport RingBuffer, Sequence, SequenceBarrier, ring_claim, ring_publish, ring_slot

cdef enum:
    PRODUCERS_MAX = 64
    NUMBER_BITS = 48


def produce(RingBuffer ring, int64_t count, int32_t batch, int64_t producer, int64_t idle_max=0):
    """Publishes `count` events of 8 bytes in claims of `batch`: producer << 48 | n, where n counts from 0.

    Looks away for up to `idle_max` turns between two claims, so that consumers fall asleep at every possible moment.
    """
    cdef int64_t sent = 0
    cdef int64_t high, sequence, turns
    cdef uint64_t random = 88172645463325252 + <uint64_t> producer
    with nogil:
        while sent < count:
            high = ring_claim(ring, batch)
            for sequence in range(high - batch + 1, high + 1):
                (<int64_t *> ring_slot(ring, sequence))[0] = producer << NUMBER_BITS | sent
                sent += 1
            ring_publish(ring, high - batch + 1, high)
            if idle_max:
                random ^= random << 13  # xorshift64
                random ^= random >> 7
                random ^= random << 17
                turns = <int64_t> (random % <uint64_t> idle_max)
                while turns > 0:
                    NX_PAUSE()
                    turns -= 1


def consume(SequenceBarrier barrier, Sequence sequence, int64_t count, int64_t producers):
    """Consumes `count` events. Returns how many were not the next of their producer, and the sum of their numbers."""
    cdef RingBuffer ring = barrier.ring
    cdef int64_t[PRODUCERS_MAX] expected
    cdef int64_t next_sequence = sequence.load() + 1
    cdef int64_t last = sequence.load() + count
    cdef int64_t wrong = 0
    cdef int64_t total = 0
    cdef int64_t available, value, producer, number
    for producer in range(PRODUCERS_MAX):
        expected[producer] = 0
    with nogil:
        while next_sequence <= last:
            available = barrier.wait_for(next_sequence)
            if available < next_sequence:
                break
            while next_sequence <= available:
                value = (<int64_t *> ring_slot(ring, next_sequence))[0]
                producer = value >> NUMBER_BITS
                number = value & ((<int64_t> 1 << NUMBER_BITS) - 1)
                if number != expected[producer]:
                    wrong += 1
                expected[producer] += 1
                total += number
                next_sequence += 1
            ring.advance(sequence, available)
    return wrong, total
