"""What the disk thread does to one log: frames, segments, resets. Nothing here needs the GIL.

::

    operation ─gather→ batcher ─write_frame→ one write ─sync_frame→ one fdatasync, index, answers ─call_owner→ fileno()

A write that fails is taken back (the file is cut to its last good byte) and the segment is used on. After a failed fdatasync
nobody knows what of the file is on disk and asking again would lie (fsyncgate), so the segment is left for a new one, whose
header tells where the valid part of the old one ends. Either way everything queued so far fails, for it follows entries that
are not there, and its indexes are used again: the generation of the log grows, and operations of an older one are refused as
they come out of the ring. The next frame of this generation tries the disk again.
"""

from libc.errno cimport ENOENT, ENOMEM
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove, strlen
from posix.unistd cimport close, write

from nacosx._core.append_batcher cimport AppendBatcher, Operation, batcher_add, batcher_clear, batcher_takes
from nacosx._core.disk cimport (
    ZEROS_MAX,
    disk_sync,
    disk_sync_directory,
    disk_truncate,
    disk_unlink,
    disk_write,
    disk_zero,
    iovec,
)
from nacosx._core.pthread cimport pthread_cond_broadcast, pthread_mutex_lock, pthread_mutex_unlock
from nacosx._core.segment cimport (
    FRAME_HEADER,
    FRAME_TRAILER,
    NOT_ZEROED,
    SEGMENT_HEADER,
    TRAILER,
    Run,
    Segment,
    frame_begin,
    runs_add,
    runs_forget,
    runs_reserve,
    segment_create,
)

cdef enum:
    LARGE_FRAME = 128 << 10  # the bytes of larger ones cost more than that they are written and synced

cdef uint8_t trailer = TRAILER


cdef bint gather(Log* log, Operation* operation) noexcept nogil:
    """Takes an operation to be written, or refuses it at once; False: not before what has gathered is written."""
    if operation.generation == log.generation:
        if not batcher_takes(&log.batcher, operation):
            return False
        batcher_add(&log.batcher, operation)
        return True
    pthread_mutex_lock(&log.mutex)
    log.waiting_bytes -= operation.size
    complete(log, 1, log.error)
    pthread_mutex_unlock(&log.mutex)
    free(operation)
    return True


cdef void write_frame(Log* log) noexcept nogil:
    """Writes what has gathered into the newest segment, as one frame. `sync_frame` says what became of it."""
    cdef AppendBatcher* batcher = &log.batcher
    cdef uint64_t size = FRAME_HEADER + batcher.size + FRAME_TRAILER
    cdef Segment* segment = newest(log)
    cdef bint room
    if batcher.operations == 0:
        return
    pthread_mutex_lock(&log.mutex)
    log.waiting_bytes -= batcher.size
    room = runs_reserve(&log.runs, batcher.runs_count)
    pthread_mutex_unlock(&log.mutex)
    log.frame_error = log.dead if room else ENOMEM
    if log.frame_error == 0 and (
        log.broken or (segment.end + size > segment.capacity and segment.end > SEGMENT_HEADER)
    ):
        log.frame_error = roll(log, size, log.durable_index + 1, segment.end)
        segment = newest(log)
    if log.frame_error:
        return
    frame_begin(segment, batcher.header, batcher.size, batcher.entries)
    batcher.pieces[0] = iovec(&batcher.header[0], FRAME_HEADER)
    batcher.pieces[batcher.operations + 1] = iovec(&trailer, FRAME_TRAILER)
    log.frame_error = disk_write(log.faults, segment.fd, batcher.pieces, batcher.operations + 2, segment.end)  # io
    if log.frame_error:
        segment.zeroed = NOT_ZEROED
        if disk_truncate(log.faults, segment.fd, segment.end) or disk_sync(log.faults, segment.fd):
            log.broken = True
    elif batcher.size <= LARGE_FRAME:
        zero_ahead(log, segment, segment.end + size)


cdef bint sync_frame(Log* log) noexcept nogil:
    """Makes the frame that was written durable, and notes what became of it. `call_owner` is due; was it a large one?"""
    cdef AppendBatcher* batcher = &log.batcher
    cdef bint large = batcher.size > LARGE_FRAME
    cdef Segment* segment = newest(log)
    if batcher.operations and log.frame_error == 0:
        log.frame_error = disk_sync(log.faults, segment.fd)  # io
        if log.frame_error:
            log.broken = True
            disk_truncate(log.faults, segment.fd, segment.end)  # so that a restart does not find what was refused
    pthread_mutex_lock(&log.mutex)
    if batcher.operations:
        complete(log, batcher.operations, log.frame_error)
        if log.frame_error == 0:
            index_frame(log, segment)
        else:
            log.generation += 1
            log.error = log.frame_error
            log.last_index = log.durable_index
    pthread_mutex_unlock(&log.mutex)
    batcher_clear(batcher)
    return large


cdef void call_owner(Log* log) noexcept nogil:
    """There are answers."""
    cdef uint64_t one = 1
    write(log.wakeup, &one, 8)


cdef void zero_ahead(Log* log, Segment* segment, uint64_t end) noexcept nogil:
    """Writes what follows the frame that ends here, once for many frames.

    A write into reserved space that was never written changes metadata, which fdatasync has to put into the journal of the
    file system; one over zeros does not. That saves a small frame half its time. Of a large one the bytes cost more than the
    metadata, and twice as many of them more than is saved (ext4, fdatasyncs/s over zeros : without, written 512 KiB ahead:
    5 KB 1.5 : 1, 37 KB 1.5 : 1, 74 KB 1.1 : 1, 275 KB 0.9 : 1, 540 KB 0.8 : 1).
    """
    cdef uint64_t size
    if end <= segment.zeroed or end >= segment.capacity:
        return
    size = min(segment.capacity - end, <uint64_t>ZEROS_MAX)
    segment.zeroed = NOT_ZEROED if disk_zero(log.faults, segment.fd, size, end) else end + size


cdef int roll(Log* log, uint64_t size, uint64_t first_index, uint64_t previous_end) noexcept nogil:
    """Begins a new segment in which a frame of `size` fits; 0 or an errno, and then the newest is the same as before."""
    cdef Segment segment
    cdef Segment* segments
    cdef size_t room
    cdef int error
    if log.segments_count == log.segments_room:
        room = log.segments_room * 2
        segments = <Segment*>malloc(room * sizeof(Segment))
        if segments == NULL:
            return ENOMEM
        memcpy(segments, log.segments, log.segments_count * sizeof(Segment))
        pthread_mutex_lock(&log.mutex)
        log.segments, segments = segments, log.segments
        log.segments_room = room
        pthread_mutex_unlock(&log.mutex)
        free(segments)
    segment.sequence = 1 + (newest(log).sequence if log.segments_count else 0)
    segment.first_index = first_index
    segment.previous_end = previous_end
    log.salt = log.salt * 6364136223846793005ULL + 1442695040888963407ULL
    segment.salt = log.salt
    segment.capacity = max(log.segment_bytes, SEGMENT_HEADER + size)
    cdef size_t path_size = strlen(log.directory) + 64
    cdef char* draft = <char*>malloc(2 * path_size)
    if draft == NULL:
        return ENOMEM
    cdef char* path = draft + path_size
    draft_path(log, draft, path_size)
    segment_path(log, &segment, path, path_size)
    error = segment_create(log.faults, log.directory, draft, path, &segment)
    free(draft)
    if error:
        # The file may be there nevertheless: nothing may be written behind the end that it tells of its predecessor. The
        # next try replaces it. A reset cannot be taken back like that.
        log.broken = True
        if segment.lingers and previous_end == 0:
            log.dead = error
        return error
    if log.segments_count and not log.broken:
        disk_truncate(log.faults, newest(log).fd, newest(log).end)  # gives back what was preallocated and is not used
    pthread_mutex_lock(&log.mutex)
    log.segments[log.segments_count] = segment
    log.segments_count += 1
    pthread_mutex_unlock(&log.mutex)
    log.broken = False
    return 0


cdef void draft_path(Log* log, char* path, size_t size) noexcept nogil:
    snprintf(path, size, "%s/draft.tmp", log.directory)


cdef void segment_path(Log* log, const Segment* segment, char* path, size_t size) noexcept nogil:
    snprintf(
        path, size, "%s/%016llx-%016llx.wal", log.directory,
        <unsigned long long>segment.sequence, <unsigned long long>segment.first_index,
    )


cdef Segment* newest(Log* log) noexcept nogil:
    return &log.segments[log.segments_count - 1]


cdef void index_frame(Log* log, Segment* segment) noexcept nogil:
    """Enters the entries of a frame that is on disk. Room was made before it was written. Called with the mutex held."""
    cdef uint64_t offset = segment.end + FRAME_HEADER
    cdef Operation* operation = log.batcher.first
    cdef Run run
    cdef size_t position
    while operation != NULL:
        for position in range(operation.runs_count):
            run = operation.runs[position]
            run.sequence = segment.sequence
            run.offset += offset
            runs_add(&log.runs, run)
        offset += operation.size
        operation = operation.next
    log.durable_index = log.batcher.last.index
    log.syncs += 1
    segment.end = offset + FRAME_TRAILER
    segment.fenced = log.batcher.entries == 0


cdef void complete(Log* log, uint64_t operations, int error) noexcept nogil:
    """Notes the outcome for `completed`; the same outcome in a row is one note. Room was made when they were queued."""
    cdef Completion* last
    if operations == 0:
        return
    log.outstanding -= operations
    if log.completions_count:
        last = &log.completions[log.completions_count - 1]
        if last.error == error:
            last.operations += operations
            return
    log.completions[log.completions_count] = Completion(operations, error)
    log.completions_count += 1


cdef void forget_segments(Log* log, uint64_t first_index) noexcept nogil:
    """Deletes segments with entries below `first_index` only, oldest first."""
    cdef size_t gone = 0
    cdef Segment segment
    while gone + 1 < log.segments_count and log.segments[gone + 1].first_index <= first_index:
        gone += 1
    if gone == 0:
        return
    while gone:
        gone -= 1
        segment = log.segments[0]
        if unlink_segment(log, &segment):
            return  # the next call of truncate_prefix meets it again
        pthread_mutex_lock(&log.mutex)
        log.segments_count -= 1
        memmove(log.segments, log.segments + 1, log.segments_count * sizeof(Segment))
        runs_forget(&log.runs, log.segments[0].sequence)
        close(segment.fd)
        pthread_mutex_unlock(&log.mutex)
    disk_sync_directory(log.faults, log.directory)


cdef int unlink_segment(Log* log, const Segment* segment) noexcept nogil:
    cdef size_t size = strlen(log.directory) + 64
    cdef char* path = <char*>malloc(size)
    if path == NULL:
        return ENOMEM
    segment_path(log, segment, path, size)
    cdef int error = disk_unlink(log.faults, path)
    free(path)
    return 0 if error == ENOENT else error


cdef void reset(Log* log, uint64_t next_index) noexcept nogil:
    """Begins anew in a segment without predecessor, and wakes whoever waits for that. Nothing is queued."""
    cdef Segment segment
    cdef int error = log.dead or roll(log, 0, next_index, 0)
    pthread_mutex_lock(&log.mutex)
    if error == 0:
        log.first_index = next_index
        log.last_index = log.durable_index = next_index - 1
        log.runs.count = 0
        while log.segments_count > 1:
            segment = log.segments[0]
            log.segments_count -= 1
            memmove(log.segments, log.segments + 1, log.segments_count * sizeof(Segment))
            close(segment.fd)
            unlink_segment(log, &segment)  # what is left of it recovery removes: it comes before a beginning
        disk_sync_directory(log.faults, log.directory)
    log.reset_error = error
    log.resetting = False
    pthread_cond_broadcast(&log.rest)
    pthread_mutex_unlock(&log.mutex)


cdef void detach(Log* log) noexcept nogil:
    """The last thing done to a log; whoever waits for it may free the log."""
    fence(log)
    pthread_mutex_lock(&log.mutex)
    log.attached = False
    pthread_cond_broadcast(&log.rest)
    pthread_mutex_unlock(&log.mutex)


cdef void fence(Log* log) noexcept nogil:
    """An empty frame at a clean end: it proves that the frame before it was acknowledged."""
    cdef uint8_t frame[FRAME_HEADER + FRAME_TRAILER]
    cdef iovec piece = iovec(&frame[0], sizeof(frame))
    cdef Segment* segment = newest(log)
    if log.broken or segment.fenced or segment.end + sizeof(frame) > segment.capacity:
        return
    frame_begin(segment, frame, 0, 0)
    frame[FRAME_HEADER] = TRAILER
    if disk_write(log.faults, segment.fd, &piece, 1, segment.end) or disk_sync(log.faults, segment.fd):
        disk_truncate(log.faults, segment.fd, segment.end)
