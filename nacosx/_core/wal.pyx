"""A segmented append log with group commit.

::

    append ─entry bytes→ filling buffer ──swap── flushing buffer ─one write, one fdatasync→ segment
    (any thread with the GIL)            └ disk thread, never the GIL ┘            └→ fileno() is readable, completed()

While the disk thread syncs one frame, everything that arrives gathers in the other buffer and rides on the next fdatasync.
The thread waits on a condition; nothing polls.

For Raft: entries carry term and kind, `truncate_suffix` is itself an entry and so is as atomic and as ordered as an append, and
`reset` starts anew behind an installed snapshot. One log is one directory and one thread; groups have one each.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.list cimport PyList_CheckExact
from libc.errno cimport EBADF, EBUSY, EINVAL, ENOBUFS, ENOMEM, errno
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memmove, strdup
from posix.unistd cimport close, read

from nacosx._core.disk cimport Faults, disk_read
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
from nacosx._core.flush cimport (
    Buffer,
    Completion,
    Log,
    disk_thread,
    pthread_cond_destroy,
    pthread_cond_init,
    pthread_cond_signal,
    pthread_cond_wait,
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_unlock,
    pthread_t,
)
from nacosx._core.recovery cimport make_directory, recover
from nacosx._core.segment cimport (
    FRAME_HEADER,
    FRAME_TRAILER,
    KIND_TRUNCATION,
    Run,
    Segment,
    runs_reserve,
)

import os

from nacosx._core.entry import DATA_BYTES_MAX, KIND_MAX
from nacosx._core.segment import CorruptLogError

SEGMENT_BYTES = 16 << 20  # preallocated; a larger frame gets a larger segment
PENDING_BYTES_MAX = 64 << 20  # limit: bytes that wait for the disk
READ_BYTES_MAX = 1 << 20  # default of one read

cdef enum:
    DATA_MAX = 16 << 20
    BUFFER_STEP = 1 << 20  # a buffer doubles up to here, then grows as needed
    WINDOW = 256 << 10  # read at once

cdef extern from "<pthread.h>" nogil:
    int pthread_create(pthread_t* thread, void* attributes, void* (*run)(void*) noexcept nogil, void* argument) noexcept
    int pthread_join(pthread_t thread, void** result) noexcept
    int pthread_setname_np(pthread_t thread, const char* name) noexcept

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    int SIG_SETMASK
    int sigfillset(sigset_t* signals) noexcept
    int pthread_sigmask(int how, const sigset_t* signals, sigset_t* old) noexcept

cdef extern from "<sys/eventfd.h>" nogil:
    int EFD_CLOEXEC
    int EFD_NONBLOCK
    int eventfd(unsigned int initial, int flags) noexcept


cdef int enter(Log* log, size_t size, uint64_t runs) noexcept:
    """Makes room for one operation of `size` bytes; 0 or an errno. Called with the mutex held."""
    cdef Buffer* buffer = &log.buffers[log.filling]
    cdef size_t room = buffer.size + size
    cdef uint8_t* frame
    cdef Completion* completions
    cdef size_t notes = log.completions_count + log.outstanding + 1
    if log.stopping:
        return EBADF
    if room > log.pending_bytes_max and buffer.size:
        return ENOBUFS
    if room > buffer.room:
        room = max(room, min(buffer.room * 2, <size_t>BUFFER_STEP), <size_t>4096)
        frame = <uint8_t*>realloc(buffer.frame, FRAME_HEADER + room + FRAME_TRAILER)
        if frame == NULL:
            return ENOMEM
        buffer.frame = frame
        buffer.room = room
    if notes > log.completions_room:
        completions = <Completion*>realloc(log.completions, 2 * notes * sizeof(Completion))
        if completions == NULL:
            return ENOMEM
        log.completions = completions
        log.completions_room = 2 * notes
    return 0 if runs_reserve(&buffer.runs, runs) else ENOMEM


cdef void put(Log* log, uint8_t kind, uint64_t term, uint64_t index, const uint8_t* data, size_t size) noexcept:
    """Adds an entry to the filling buffer."""
    cdef Buffer* buffer = &log.buffers[log.filling]
    entry_write(buffer.frame + FRAME_HEADER + buffer.size, kind, term, index, data, size)
    buffer.size += ENTRY_HEADER + size
    buffer.entries += 1
    buffer.last_index = log.last_index = index


cdef void begin_run(
    Buffer* buffer, uint64_t first_index, uint64_t count, size_t size, uint64_t term, uint8_t kind
) noexcept:
    """Notes where `count` entries of `size` bytes are going to lie in the frame."""
    cdef Run* last = &buffer.runs.items[buffer.runs.count - 1] if buffer.runs.count else NULL
    if (
        last != NULL and last.count and last.first_index + last.count == first_index
        and last.term == term and last.kind == kind
    ):
        last.count += count
        last.size += size
        return
    buffer.runs.items[buffer.runs.count] = Run(first_index, count, 0, FRAME_HEADER + buffer.size, size, term, kind)
    buffer.runs.count += 1


cdef int refuse(int error) except -1:
    if error == EBADF:
        raise OSError(error, "the log is closed")
    if error == ENOBUFS:
        raise OSError(error, "too much waits for the disk")
    if error == ENOMEM:
        raise MemoryError
    return 0


@cython.final
cdef class Wal:
    """The log in a directory, which it creates. Recovers when made: CorruptLogError or OSError when that cannot be.

    Indexes begin at 1. One log a directory: the caller holds the lock. `fileno()` is readable when `completed()` has
    something to tell.
    """

    cdef Log* log
    cdef Faults faults
    cdef readonly uint64_t cut_bytes  # of a torn write, at recovery

    def __cinit__(
        self,
        str directory not None,
        *,
        uint64_t segment_bytes=SEGMENT_BYTES,
        uint64_t pending_bytes_max=PENDING_BYTES_MAX,
        Faults faults=None,
    ):
        cdef Log* log = <Log*>calloc(1, sizeof(Log))
        self.log = log
        if log == NULL:
            raise MemoryError
        pthread_mutex_init(&log.mutex, NULL)
        pthread_cond_init(&log.work, NULL)
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
        start_thread(log)

    def __dealloc__(self):
        cdef Log* log = self.log
        cdef size_t position
        if log == NULL:
            return
        stop_thread(log)
        for position in range(log.segments_count):
            close(log.segments[position].fd)
        if log.wakeup >= 0:
            close(log.wakeup)
        for position in range(2):
            free(log.buffers[position].frame)
            free(log.buffers[position].runs.items)
        pthread_cond_destroy(&log.rest)
        pthread_cond_destroy(&log.work)
        pthread_mutex_destroy(&log.mutex)
        free(log.completions)
        free(log.runs.items)
        free(log.segments)
        free(log.directory)
        free(log)

    @property
    def first_index(self):
        """The first entry kept; `last_index + 1` when there is none."""
        return self.log.first_index

    @property
    def last_index(self):
        """The last entry appended, on disk or not."""
        return self.log.last_index

    @property
    def durable_index(self):
        """The last entry on disk."""
        return self.log.durable_index

    @property
    def segments(self):
        """How many files there are."""
        return self.log.segments_count

    @property
    def syncs(self):
        """How many frames were synced so far."""
        return self.log.syncs

    def fileno(self):
        """An eventfd, readable when `completed` has something to tell."""
        return self.log.wakeup

    def append(self, data not None, *, uint64_t term, uint8_t kind=1):
        """Queues entries, one each of `data`, as one operation; returns the index of the last.

        OSError (closed, or ENOBUFS: more than `pending_bytes_max` waits) and ValueError: nothing is queued.
        """
        cdef list items = data if PyList_CheckExact(data) else list(data)
        cdef size_t size = 0
        cdef Log* log = self.log
        cdef Buffer* buffer
        cdef uint64_t last_index = 0
        cdef int error
        cdef bytes item
        for item in items:
            if item is None or PyBytes_GET_SIZE(item) > DATA_MAX:
                raise ValueError(f"an entry is bytes, at most {DATA_BYTES_MAX}")
            size += ENTRY_HEADER + PyBytes_GET_SIZE(item)
        if not items or kind == 0 or kind > 254:
            raise ValueError(f"append takes at least one entry, of a kind from 1 to {KIND_MAX}")
        pthread_mutex_lock(&log.mutex)
        error = enter(log, size, 1)
        if error == 0:
            buffer = &log.buffers[log.filling]
            begin_run(buffer, log.last_index + 1, len(items), size, term, kind)
            for item in items:
                put(log, kind, term, log.last_index + 1, <const uint8_t*>PyBytes_AS_STRING(item), PyBytes_GET_SIZE(item))
            buffer.operations += 1
            log.outstanding += 1
            last_index = log.last_index
            pthread_cond_signal(&log.work)
        pthread_mutex_unlock(&log.mutex)
        refuse(error)
        return last_index

    def append_entries(self, entries not None):
        """Queues entries as they are, as one operation; the first must follow `last_index`, and each the one before.

        As a follower gets them: of any terms and kinds. OSError as `append`, ValueError: nothing is queued.
        """
        cdef list items = list(entries)
        cdef Log* log = self.log
        cdef Buffer* buffer
        cdef Entry entry, before = None
        cdef size_t size = 0
        cdef uint64_t runs = 0
        cdef int error = EINVAL
        for entry in items:
            if entry is None or PyBytes_GET_SIZE(entry.data) > DATA_MAX or entry.kind == 0 or entry.kind > 254:
                raise ValueError(f"an entry is of a kind from 1 to {KIND_MAX} and holds at most {DATA_BYTES_MAX} bytes")
            if before is not None and entry.index != before.index + 1:
                raise ValueError(f"entry {entry.index} does not follow entry {before.index}")
            runs += before is None or entry.term != before.term or entry.kind != before.kind
            size += ENTRY_HEADER + PyBytes_GET_SIZE(entry.data)
            before = entry
        if before is None:
            raise ValueError("append_entries takes at least one entry")
        entry = items[0]
        pthread_mutex_lock(&log.mutex)
        if entry.index == log.last_index + 1:
            error = enter(log, size, runs)
        if error == 0:
            buffer = &log.buffers[log.filling]
            for entry in items:
                begin_run(buffer, entry.index, 1, ENTRY_HEADER + PyBytes_GET_SIZE(entry.data), entry.term, entry.kind)
                put(
                    log, entry.kind, entry.term, entry.index,
                    <const uint8_t*>PyBytes_AS_STRING(entry.data), PyBytes_GET_SIZE(entry.data),
                )
            buffer.operations += 1
            log.outstanding += 1
            pthread_cond_signal(&log.work)
        pthread_mutex_unlock(&log.mutex)
        if error == EINVAL:
            raise ValueError(f"entry {(<Entry>items[0]).index} does not follow the last one, {log.last_index}")
        refuse(error)
        return before.index

    def truncate_suffix(self, uint64_t last_index_kept):
        """Queues, as one operation, that the entries above are forgotten."""
        cdef Log* log = self.log
        cdef Buffer* buffer
        cdef int error
        pthread_mutex_lock(&log.mutex)
        error = EINVAL
        if log.first_index <= last_index_kept + 1 and last_index_kept <= log.last_index:
            error = enter(log, ENTRY_HEADER, 1)
        if error == 0:
            buffer = &log.buffers[log.filling]
            buffer.runs.items[buffer.runs.count] = Run(last_index_kept + 1, 0, 0, 0, 0, 0, 0)
            buffer.runs.count += 1
            put(log, KIND_TRUNCATION, 0, last_index_kept, NULL, 0)
            buffer.operations += 1
            log.outstanding += 1
            pthread_cond_signal(&log.work)
        pthread_mutex_unlock(&log.mutex)
        if error == EINVAL:
            raise ValueError(f"entry {last_index_kept} is not in the log")
        refuse(error)

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
        if first_index < self.log.first_index:
            raise ValueError(f"entry {first_index} is no longer kept, the first is {self.log.first_index}")
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
        if index < self.log.first_index:
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
        cdef bint possible
        pthread_mutex_lock(&log.mutex)
        possible = first_index_kept <= log.durable_index + 1
        if possible and not log.stopping:
            log.first_index = max(log.first_index, first_index_kept)
            log.prefix_wanted = max(log.prefix_wanted, first_index_kept)
            pthread_cond_signal(&log.work)
        pthread_mutex_unlock(&log.mutex)
        if not possible:
            raise ValueError(f"entry {first_index_kept - 1} is not on disk, and may not be forgotten")

    def reset(self, uint64_t next_index):
        """Forgets everything; the next entry gets `next_index`. Blocks until that is on disk.

        OSError: the log is as it was. ValueError: operations are queued.
        """
        cdef Log* log = self.log
        cdef int error = 0
        if next_index == 0:
            raise ValueError("indexes begin at 1")
        with nogil:
            pthread_mutex_lock(&log.mutex)
            if log.stopping:
                error = EBADF
            elif log.outstanding or log.reset_wanted:
                error = EBUSY
            else:
                log.reset_wanted = next_index
                pthread_cond_signal(&log.work)
                while log.reset_wanted:
                    pthread_cond_wait(&log.rest, &log.mutex)
                error = log.reset_error
            pthread_mutex_unlock(&log.mutex)
        if error == EBUSY:
            raise ValueError("entries wait for the disk")
        refuse(error)
        if error:
            raise OSError(error, os.strerror(error))

    def close(self):
        """Waits until everything queued is on disk or has failed; `completed` still tells which. Nothing more is taken."""
        stop_thread(self.log)


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
    refuse(error)
    if error:
        raise OSError(error, os.strerror(error))
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


# --- beginning and end -----------------------------------------------------------------------------------------------------


cdef int start_thread(Log* log) except -1:
    cdef sigset_t every, before
    sigfillset(&every)
    pthread_sigmask(SIG_SETMASK, &every, &before)  # signals are for the threads of the interpreter
    cdef int error = pthread_create(&log.thread, NULL, disk_thread, log)
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    if error:
        raise OSError(error, os.strerror(error))
    log.started = True
    pthread_setname_np(log.thread, "nacosx-wal")
    return 0


cdef int stop_thread(Log* log) except -1:
    cdef bint started
    with nogil:
        pthread_mutex_lock(&log.mutex)
        started = log.started
        log.started = False
        log.stopping = True
        pthread_cond_signal(&log.work)
        pthread_mutex_unlock(&log.mutex)
        if started:
            pthread_join(log.thread, NULL)
    return 0
