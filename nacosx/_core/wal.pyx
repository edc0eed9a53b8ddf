"""A segmented append log with group commit.

::

    append ─entry bytes→ operation ─→ ring of the disk thread ─→ AppendBatcher ─one write, one fdatasync→ segment
    (any thread with the GIL)         └ never the GIL from here on                └→ fileno() is readable, completed()

While the disk thread syncs one frame, everything that arrives gathers in the ring and rides on the next fdatasync.

For Raft: entries carry term and kind, `truncate_suffix` is itself an entry and so is as atomic and as ordered as an append, and
`reset` starts anew behind an installed snapshot. One log is one directory; the groups of a node share one `DiskThread`.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_CheckExact
from libc.errno cimport EBADF, EBUSY, EINVAL, ENOBUFS, ENOMEM, errno
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memmove, strdup
from posix.unistd cimport close, read

from nacosx._core.append_batcher cimport (
    OPERATION_ENTRIES,
    OPERATION_PREFIX,
    OPERATION_RESET,
    Operation,
    OperationKind,
    operation_new,
)
from nacosx._core.disk cimport Faults, disk_read
from nacosx._core.disk_thread cimport DiskThread
from nacosx._core.entry cimport (
    ENTRY_CONFIGURATION,
    ENTRY_HEADER,
    ENTRY_OK,
    Entry,
    EntryView,
    entry_of,
    entry_read,
    entry_write,
)
from nacosx._core.flush cimport Completion, Log
from nacosx._core.pthread cimport (
    pthread_cond_destroy,
    pthread_cond_init,
    pthread_cond_wait,
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
)
from nacosx._core.recovery cimport make_directory, recover
from nacosx._core.ring cimport ring_claim
from nacosx._core.segment cimport KIND_TRUNCATION, Run, Segment

import os

from nacosx._core.entry import DATA_BYTES_MAX, KIND_MAX
from nacosx._core.segment import CorruptLogError

SEGMENT_BYTES = 32 << 20  # preallocated; a larger frame gets a larger segment. Half of it: twice the beginnings of new ones
PENDING_BYTES_MAX = 64 << 20  # limit: bytes that wait for the disk
READ_BYTES_MAX = 1 << 20  # default of one read

cdef enum:
    DATA_MAX = 16 << 20
    WINDOW = 256 << 10  # read at once

cdef extern from "<sys/eventfd.h>" nogil:
    int EFD_CLOEXEC
    int EFD_NONBLOCK
    int eventfd(unsigned int initial, int flags) noexcept


cdef int64_t claim(DiskThread disk, Log* log, Operation* operation) noexcept:
    """A slot in the ring for entries, and room for the answer; or minus an errno. Called with the mutex held."""
    cdef Completion* completions
    cdef size_t notes = log.completions_count + log.outstanding + 1
    if log.stopping:
        return -EBADF
    if log.waiting_bytes and log.waiting_bytes + operation.size > log.pending_bytes_max:
        return -ENOBUFS
    if notes > log.completions_room:
        completions = <Completion*>realloc(log.completions, 2 * notes * sizeof(Completion))
        if completions == NULL:
            return -ENOMEM
        log.completions = completions
        log.completions_room = 2 * notes
    cdef int64_t sequence = -1 if log.resetting else disk.ring.try_claim(1)
    if sequence < 0:
        return -EBUSY
    operation.generation = log.generation
    log.waiting_bytes += operation.size
    log.outstanding += 1
    return sequence


cdef Operation* entries_operation(size_t size, size_t runs_count) except NULL:
    cdef Operation* operation = operation_new(OPERATION_ENTRIES, size, runs_count)
    if operation == NULL:
        raise MemoryError
    return operation


cdef size_t put(
    Operation* operation, size_t position, uint8_t kind, uint64_t term, uint64_t index, const uint8_t* data, size_t size
) noexcept:
    """Encodes an entry at `position` of the bytes; returns where it ends."""
    entry_write(operation.bytes + position, kind, term, index, data, size)
    operation.entries += 1
    operation.index = index
    return position + ENTRY_HEADER + size


cdef int refuse(int64_t error, Operation* operation) except -1:
    """Raises what minus an errno stands for."""
    free(operation)
    if error == -EBADF:
        raise OSError(EBADF, "the log is closed")
    if error == -ENOBUFS or error == -EBUSY:
        raise OSError(-error, "too much waits for the disk")
    if error == -ENOMEM:
        raise MemoryError
    raise OSError(-error, os.strerror(-error))


@cython.final
@cython.no_gc_clear  # the disk thread is needed until __dealloc__
cdef class Wal:
    """The log in a directory, which it creates. Recovers when made: CorruptLogError or OSError when that cannot be.

    Indexes begin at 1. One log a directory: the caller holds the lock. `disk`: who writes; None: a thread of its own.
    `fileno()` is readable when `completed()` has something to tell.
    """

    cdef Log* log
    cdef Faults faults
    cdef DiskThread disk
    cdef readonly uint64_t cut_bytes  # of a torn write, at recovery

    def __cinit__(
        self,
        str directory not None,
        *,
        uint64_t segment_bytes=SEGMENT_BYTES,
        uint64_t pending_bytes_max=PENDING_BYTES_MAX,
        DiskThread disk=None,
        Faults faults=None,
    ):
        cdef Log* log = <Log*>calloc(1, sizeof(Log))
        self.log = log
        if log == NULL:
            raise MemoryError
        pthread_mutex_init(&log.mutex, NULL)
        pthread_cond_init(&log.rest, NULL)
        log.wakeup = -1
        log.segment_bytes = segment_bytes
        log.pending_bytes_max = pending_bytes_max
        self.faults = faults
        log.faults = NULL if faults is None else &faults.table
        log.salt = int.from_bytes(os.urandom(8), "little")
        log.directory = strdup(os.fsencode(directory))
        log.segments_room = 16
        log.segments = <Segment*>malloc(log.segments_room * sizeof(Segment))
        if log.directory == NULL or log.segments == NULL:
            raise MemoryError
        make_directory(log.faults, directory)
        self.cut_bytes = recover(log, directory)
        log.wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if log.wakeup < 0:
            raise OSError(errno, os.strerror(errno))
        self.disk = DiskThread() if disk is None else disk
        log.attached = True

    def __dealloc__(self):
        cdef Log* log = self.log
        cdef size_t position
        if log == NULL:
            return
        let_go(self.disk, log)
        for position in range(log.segments_count):
            close(log.segments[position].fd)
        if log.wakeup >= 0:
            close(log.wakeup)
        pthread_cond_destroy(&log.rest)
        pthread_mutex_destroy(&log.mutex)
        free(log.completions)
        free(log.runs.items)
        free(log.segments)
        free(log.directory)
        free(log)

    @property
    def first_index(self):
        """The first entry kept; `last_index + 1` when there is none."""
        return guarded(self.log, &self.log.first_index)

    @property
    def last_index(self):
        """The last entry appended, on disk or not."""
        return guarded(self.log, &self.log.last_index)

    @property
    def durable_index(self):
        """The last entry on disk."""
        return guarded(self.log, &self.log.durable_index)

    @property
    def segments(self):
        """How many files there are."""
        return guarded(self.log, <uint64_t*>&self.log.segments_count)

    @property
    def syncs(self):
        """How many frames were synced so far."""
        return guarded(self.log, &self.log.syncs)

    def fileno(self):
        """An eventfd, readable when `completed` has something to tell."""
        return self.log.wakeup

    def append(self, data not None, *, uint64_t term, uint8_t kind=1):
        """Queues entries, one each of `data`, as one operation; returns the index of the last.

        OSError (closed; EBUSY: the ring is full; ENOBUFS: more than `pending_bytes_max` waits), ValueError: nothing is queued.
        """
        cdef list items = data if PyList_CheckExact(data) else list(data)
        cdef size_t size = 0
        cdef size_t position = 0
        cdef Log* log = self.log
        cdef Operation* operation
        cdef uint64_t index
        cdef int64_t sequence
        cdef bytes item
        for item in items:
            if item is None or PyBytes_GET_SIZE(item) > DATA_MAX:
                raise ValueError(f"an entry is bytes, at most {DATA_BYTES_MAX}")
            size += ENTRY_HEADER + PyBytes_GET_SIZE(item)
        if not items or kind == 0 or kind > 254:
            raise ValueError(f"append takes at least one entry, of a kind from 1 to {KIND_MAX}")
        operation = entries_operation(size, 1)
        pthread_mutex_lock(&log.mutex)
        sequence = claim(self.disk, log, operation)
        index = log.last_index + 1
        if sequence >= 0:
            log.last_index += len(items)
        pthread_mutex_unlock(&log.mutex)
        if sequence < 0:
            refuse(sequence, operation)
        operation.runs[0] = Run(index, len(items), 0, 0, size, term, kind)
        operation.runs_count = 1
        for item in items:
            position = put(
                operation, position, kind, term, index, <const uint8_t*>PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item)
            )
            index += 1
        self.disk.put(sequence, log, operation)
        return index - 1

    def append_entries(self, entries not None):
        """Queues entries as they are, as one operation; the first must follow `last_index`, and each the one before.

        As a follower gets them: of any terms and kinds. OSError as `append`, ValueError: nothing is queued.
        """
        cdef list items = list(entries)
        cdef Log* log = self.log
        cdef Operation* operation
        cdef Entry entry, before = None
        cdef size_t size = 0
        cdef size_t position = 0
        cdef size_t end
        cdef uint64_t runs_count = 0
        cdef uint64_t last_index
        cdef int64_t sequence = -EINVAL
        cdef Run* run = NULL
        for entry in items:
            if entry is None or PyBytes_GET_SIZE(entry.data) > DATA_MAX or entry.kind == 0 or entry.kind > 254:
                raise ValueError(f"an entry is of a kind from 1 to {KIND_MAX} and holds at most {DATA_BYTES_MAX} bytes")
            if before is not None and entry.index != before.index + 1:
                raise ValueError(f"entry {entry.index} does not follow entry {before.index}")
            runs_count += before is None or entry.term != before.term or entry.kind != before.kind
            size += ENTRY_HEADER + PyBytes_GET_SIZE(entry.data)
            before = entry
        if before is None:
            raise ValueError("append_entries takes at least one entry")
        entry = items[0]
        operation = entries_operation(size, runs_count)
        pthread_mutex_lock(&log.mutex)
        last_index = log.last_index
        if entry.index == last_index + 1:
            sequence = claim(self.disk, log, operation)
        if sequence >= 0:
            log.last_index = before.index
        pthread_mutex_unlock(&log.mutex)
        if sequence == -EINVAL:
            free(operation)
            raise ValueError(f"entry {entry.index} does not follow the last one, {last_index}")
        if sequence < 0:
            refuse(sequence, operation)
        for entry in items:
            end = put(
                operation, position, entry.kind, entry.term, entry.index,
                <const uint8_t*>PyBytes_AS_STRING(entry.data), PyBytes_GET_SIZE(entry.data),
            )
            if run == NULL or entry.term != run.term or entry.kind != run.kind:
                run = &operation.runs[operation.runs_count]
                run[0] = Run(entry.index, 0, 0, position, 0, entry.term, entry.kind)
                operation.runs_count += 1
            run.count += 1
            run.size += end - position
            position = end
        self.disk.put(sequence, log, operation)
        return before.index

    def truncate_suffix(self, uint64_t last_index_kept):
        """Queues, as one operation, that the entries above are forgotten."""
        cdef Log* log = self.log
        cdef Operation* operation = entries_operation(ENTRY_HEADER, 1)
        cdef int64_t sequence = -EINVAL
        pthread_mutex_lock(&log.mutex)
        if log.first_index <= last_index_kept + 1 and last_index_kept <= log.last_index:
            sequence = claim(self.disk, log, operation)
        if sequence >= 0:
            log.last_index = last_index_kept
        pthread_mutex_unlock(&log.mutex)
        if sequence == -EINVAL:
            free(operation)
            raise ValueError(f"entry {last_index_kept} is not in the log")
        if sequence < 0:
            refuse(sequence, operation)
        operation.runs[0] = Run(last_index_kept + 1, 0, 0, 0, 0, 0, 0)
        operation.runs_count = 1
        put(operation, 0, KIND_TRUNCATION, 0, last_index_kept, NULL, 0)
        self.disk.put(sequence, log, operation)

    def completed(self):
        """What became of the operations not yet reported, in their order: (how many, errno or 0), ...

        Those that failed are not in the log: `last_index` is what it was before the first of them.
        """
        cdef Log* log = self.log
        cdef uint64_t count
        cdef Completion note
        cdef list notes = []
        read(log.wakeup, &count, 8)
        while True:
            pthread_mutex_lock(&log.mutex)
            note = Completion(0, 0)
            if log.completions_count:
                note = log.completions[0]
                log.completions_count -= 1
                memmove(log.completions, log.completions + 1, log.completions_count * sizeof(Completion))
            pthread_mutex_unlock(&log.mutex)
            if note.operations == 0:
                return notes
            notes.append((note.operations, note.error))

    def read(self, uint64_t first_index, *, size_t bytes_max=READ_BYTES_MAX):
        """The entries on disk from `first_index` on, up to `bytes_max` of them, at least one unless there is none.

        ValueError: that entry is no longer kept. CorruptLogError: its bytes have changed since. OSError.
        """
        cdef list entries = []
        cdef size_t size = 0
        cdef Window window = Window(NULL, 0, 0, 0, 0)
        cdef Run run
        cdef uint64_t kept = guarded(self.log, &self.log.first_index)
        if first_index < kept:
            raise ValueError(f"entry {first_index} is no longer kept, the first is {kept}")
        try:
            while size < bytes_max and fetch(self.log, first_index, &run, &window):
                size += take(self.log, &run, &window, first_index, entries)
                first_index = run.first_index + run.count
        finally:
            free(window.bytes)
        return entries

    def get(self, uint64_t index):
        """The entry, or None when it is not on disk or no longer kept. Errors as of `read`."""
        cdef Window window = Window(NULL, 0, 0, 0, 0)
        cdef Run run
        cdef list entries = []
        if index < guarded(self.log, &self.log.first_index):
            return None
        try:
            if not fetch(self.log, index, &run, &window):
                return None
            take(self.log, &run, &window, index, entries)
        finally:
            free(window.bytes)
        return entries[0]

    def term(self, uint64_t index):
        """The term of the entry, or None when it is not on disk or no longer kept. Does not read the disk."""
        cdef Log* log = self.log
        cdef Run run
        cdef Segment* segment
        pthread_mutex_lock(&log.mutex)
        cdef bint found = index >= log.first_index and find(log, index, &run, &segment)
        pthread_mutex_unlock(&log.mutex)
        return run.term if found else None

    def configurations(self):
        """The configuration entries on disk, in order. Errors as of `read`."""
        cdef Log* log = self.log
        cdef Run* run
        cdef uint64_t index
        cdef size_t position
        cdef list indexes = []
        pthread_mutex_lock(&log.mutex)
        for position in range(log.runs.count):
            run = &log.runs.items[position]
            if run.kind == ENTRY_CONFIGURATION:
                for index in range(max(run.first_index, log.first_index), run.first_index + run.count):
                    indexes.append(index)
        pthread_mutex_unlock(&log.mutex)
        return [self.get(found) for found in indexes]

    def truncate_prefix(self, uint64_t first_index_kept):
        """Forgets the entries below. Their files go by and by, whole; after a restart `first_index` tells what is left."""
        cdef Log* log = self.log
        cdef bint possible, wanted
        pthread_mutex_lock(&log.mutex)
        possible = first_index_kept <= log.durable_index + 1
        wanted = possible and not log.stopping
        if wanted:
            log.first_index = max(log.first_index, first_index_kept)
        pthread_mutex_unlock(&log.mutex)
        if not possible:
            raise ValueError(f"entry {first_index_kept - 1} is not on disk, and may not be forgotten")
        if wanted:
            self.send(OPERATION_PREFIX, first_index_kept)

    def reset(self, uint64_t next_index):
        """Forgets everything; the next entry gets `next_index`. Blocks until that is on disk.

        OSError: the log is as it was. ValueError: operations are queued.
        """
        cdef Log* log = self.log
        cdef int error
        if next_index == 0:
            raise ValueError("indexes begin at 1")
        pthread_mutex_lock(&log.mutex)
        error = EBADF if log.stopping else EBUSY if log.outstanding or log.resetting else 0
        if error == 0:
            log.resetting = True
        pthread_mutex_unlock(&log.mutex)
        if error == EBUSY:
            raise ValueError("entries wait for the disk")
        if error == 0:
            self.send(OPERATION_RESET, next_index)
            with nogil:
                pthread_mutex_lock(&log.mutex)
                while log.resetting:
                    pthread_cond_wait(&log.rest, &log.mutex)
                error = log.reset_error
                pthread_mutex_unlock(&log.mutex)
        if error:
            refuse(-error, NULL)

    def close(self):
        """Waits until everything queued is on disk or has failed; `completed` still tells which. Nothing more is taken."""
        let_go(self.disk, self.log)
        self.disk = None

    cdef int send(self, OperationKind kind, uint64_t index) except -1:
        """Queues what is no entry. Waits while the ring is full."""
        cdef Operation* operation = operation_new(kind, 0, 0)
        cdef DiskThread disk = self.disk
        if operation == NULL:
            raise MemoryError
        operation.index = index
        with nogil:
            disk.put(ring_claim(disk.ring, 1), self.log, operation)
        return 0


cdef void let_go(DiskThread disk, Log* log) noexcept:
    """Returns when the disk thread has done everything with the log."""
    cdef bint last
    with nogil:
        pthread_mutex_lock(&log.mutex)
        last = log.attached and not log.stopping
        log.stopping = True
        pthread_mutex_unlock(&log.mutex)
        if last:
            disk.put(ring_claim(disk.ring, 1), log, NULL)
        pthread_mutex_lock(&log.mutex)
        while log.attached:
            pthread_cond_wait(&log.rest, &log.mutex)
        pthread_mutex_unlock(&log.mutex)


cdef uint64_t guarded(Log* log, const uint64_t* value) noexcept:
    pthread_mutex_lock(&log.mutex)
    cdef uint64_t found = value[0]
    pthread_mutex_unlock(&log.mutex)
    return found


# --- reading ---------------------------------------------------------------------------------------------------------------


cdef struct Window:
    # A part of a segment in memory.
    uint8_t* bytes
    size_t room
    uint64_t sequence
    uint64_t offset
    uint64_t size


cdef bint fetch(Log* log, uint64_t index, Run* run, Window* window) except -1:
    """Finds the run that holds the entry, and brings its bytes into the window. False when there is none."""
    cdef Segment* segment = NULL
    cdef uint64_t size
    cdef int error = 0
    pthread_mutex_lock(&log.mutex)
    cdef bint found = find(log, index, run, &segment)
    if found and not (
        run.sequence == window.sequence
        and window.offset <= run.offset
        and run.offset + run.size <= window.offset + window.size
    ):
        size = max(run.size, min(<uint64_t>WINDOW, segment.end - run.offset))
        window.sequence = 0
        if size > window.room:
            free(window.bytes)
            window.bytes = <uint8_t*>malloc(size)
            window.room = size if window.bytes != NULL else 0
        error = ENOMEM if window.bytes == NULL else disk_read(log.faults, segment.fd, window.bytes, size, run.offset)  # io
        window.sequence, window.offset, window.size = run.sequence, run.offset, size
    pthread_mutex_unlock(&log.mutex)
    if error:
        refuse(-error, NULL)
    return found


cdef bint find(Log* log, uint64_t index, Run* run, Segment** segment) noexcept:
    """Called with the mutex held."""
    cdef size_t low = 0
    cdef size_t high = log.runs.count
    cdef size_t middle
    while low < high:  # the first run that begins after the entry
        middle = (low + high) // 2
        if log.runs.items[middle].first_index <= index:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return False
    run[0] = log.runs.items[low - 1]
    segment[0] = &log.segments[run.sequence - log.segments[0].sequence]  # sequences have no gaps
    return index < run.first_index + run.count


cdef size_t take(Log* log, const Run* run, const Window* window, uint64_t first_index, list entries) except? 0:
    """Appends the entries of a run from `first_index` on; returns the bytes of their data."""
    cdef uint64_t position = run.offset - window.offset
    cdef uint64_t end = position + run.size
    cdef size_t size = 0
    cdef EntryView view
    cdef uint64_t index
    for index in range(run.first_index, run.first_index + run.count):
        if entry_read(window.bytes + position, end - position, &view) != ENTRY_OK or view.index != index:
            raise CorruptLogError(
                f"{os.fsdecode(log.directory)}, segment {run.sequence:016x}", window.offset + position,
                f"entry {index} has changed since it was written",
            )
        if index >= first_index:
            entries.append(entry_of(&view))
            size += view.size
        position += view.size
    return size
