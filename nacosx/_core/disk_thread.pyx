"""The thread that writes logs: SOFAJRaft's disk ring, whose events are what is to be done to a log.

::

    Wal.append ───────────┐
    Wal.truncate_suffix ──┼─operation→ [ring] ─→ the disk thread, never the GIL: takes all that waits, log by log
    Wal.reset … ──────────┘                         one write each ─→ one fdatasync each ─→ answers, fileno() is readable
    (any thread, any log)

While it syncs, everything that arrives gathers in the ring and rides on the next fdatasync: group commit. Between, it sleeps
until a producer calls it; nothing polls. Logs that share a thread share its ring: when that is full, all of them are refused
with EBUSY. A log that fails does so alone.

Unlike the consumers of `ring` it does not look about before it sleeps: the next operation comes, if it is not there already,
after an answer has travelled to the loop and back, and until then the core is better given away.
"""

cimport cython
from libc.stdint cimport int64_t
from libc.stdlib cimport free

from nacosx._core.append_batcher cimport OPERATION_ENTRIES, OPERATION_PREFIX, Operation
from nacosx._core.flush cimport Log, call_owner, detach, forget_segments, gather, reset, sync_frame, write_frame
from nacosx._core.pthread cimport (
    SIG_SETMASK,
    pthread_create,
    pthread_join,
    pthread_setname_np,
    pthread_sigmask,
    sigfillset,
    sigset_t,
)
from nacosx._core.ring cimport RingBuffer, Sequence, ring_claim, ring_publish, ring_slot

import os

OPERATIONS_MAX = 16384  # limit: operations that wait for the disk; SOFAJRaft: disruptorBufferSize


@cython.final
@cython.no_gc_clear  # the thread uses its attributes until __dealloc__
cdef class DiskThread:
    """Writes the logs that are opened with it, as many as share it. It ends with the last reference to it: each log that is
    open holds one."""

    def __cinit__(self):
        cdef sigset_t every, before
        self.ring = RingBuffer(OPERATIONS_MAX, producers="multi", event_bytes=sizeof(Event))
        self.barrier = self.ring.barrier()
        self.sequence = Sequence()
        self.ring.gate(self.sequence)
        sigfillset(&every)
        pthread_sigmask(SIG_SETMASK, &every, &before)  # signals are for the threads of the interpreter
        cdef int error = pthread_create(&self.thread, NULL, run, <void*>self)
        pthread_sigmask(SIG_SETMASK, &before, NULL)
        if error:
            raise OSError(error, os.strerror(error))
        self.started = True
        pthread_setname_np(self.thread, "nacosx-disk")

    def __dealloc__(self):
        if not self.started:
            return
        with nogil:
            self.put(ring_claim(self.ring, 1), NULL, NULL)
            pthread_join(self.thread, NULL)

    cdef void put(self, int64_t sequence, Log* log, Operation* operation) noexcept nogil:
        """Hands over what is to be done, in the claimed slot."""
        (<Event*>ring_slot(self.ring, sequence))[0] = Event(log, operation)
        ring_publish(self.ring, sequence, sequence)


cdef void* run(void* disk) noexcept nogil:
    consume(<DiskThread>disk)
    return NULL


cdef void consume(DiskThread disk) noexcept nogil:
    cdef int64_t sequence = 0
    cdef int64_t available
    cdef Event* event
    cdef Log* answered = NULL
    while True:
        available = disk.barrier.available_now(sequence)
        if available < sequence:
            if answered != NULL:
                call_owners(&answered)
            else:
                disk.barrier.sleep(sequence)
            continue
        event = <Event*>ring_slot(disk.ring, sequence)
        if event.log == NULL:
            return
        if event.operation != NULL and event.operation.kind == OPERATION_ENTRIES:
            sequence = write_entries(disk.ring, sequence, available, &answered)
        else:
            call_owners(&answered)
            carry_out(event.log, event.operation)
            sequence += 1
        disk.ring.advance(disk.sequence, sequence - 1)


cdef int64_t write_entries(RingBuffer ring, int64_t sequence, int64_t available, Log** answered) noexcept nogil:
    """Writes the entries that wait, up to something else or what one write takes; returns the sequence after them.

    All writes come before all syncs, for while one file is synced the others are on their way, too (ext4, one frame each of 4
    logs: 0.54 instead of 0.63 ms). Owners are called at once when the frame was small: what they append on hearing of it may
    ride on the next. After a large one they are called in between: where cores are scarce, whoever is called takes this one,
    and the disk would stand still meanwhile (256 × 1 KB, busy machine: 0.77 instead of 0.94 of what the disk can do).
    """
    cdef Event* event
    cdef Log* touched = NULL
    cdef Log* log
    while sequence <= available:
        event = <Event*>ring_slot(ring, sequence)
        log = event.log
        if event.operation == NULL or event.operation.kind != OPERATION_ENTRIES or not gather(log, event.operation):
            break
        if not log.touched:
            log.touched = True
            log.next_touched = touched
            touched = log
        sequence += 1
    log = touched
    while log != NULL:
        write_frame(log)
        log = log.next_touched
    call_owners(answered)
    while touched != NULL:
        log = touched
        touched = log.next_touched
        log.touched = False
        if sync_frame(log):
            log.next_answered = answered[0]
            answered[0] = log
        else:
            call_owner(log)
    return sequence


cdef void call_owners(Log** answered) noexcept nogil:
    cdef Log* log
    while answered[0] != NULL:
        log = answered[0]
        answered[0] = log.next_answered
        call_owner(log)


cdef void carry_out(Log* log, Operation* operation) noexcept nogil:
    if operation == NULL:
        detach(log)
    elif operation.kind == OPERATION_PREFIX:
        forget_segments(log, operation.index)
    else:
        reset(log, operation.index)
    free(operation)
