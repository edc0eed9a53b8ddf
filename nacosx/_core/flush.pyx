"""What the disk thread of a log does: frames, segments, resets. It never holds the GIL and waits only on a condition.

A write that fails is taken back (the file is cut to its last good byte) and the segment is used on. After a failed fdatasync
nobody knows what of the file is on disk and asking again would lie (fsyncgate), so the segment is left for a new one, whose
header tells where the valid part of the old one ends. Either way everything that waited fails and its indexes are used
again; the next frame tries the disk again.
"""

from libc.errno cimport ENOENT, ENOMEM
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove, strlen
from posix.unistd cimport close, write

from nacosx._core.disk cimport (
    ZEROS_MAX,
    disk_sync,
    disk_sync_directory,
    disk_truncate,
    disk_unlink,
    disk_write,
    disk_zero,
)
from nacosx._core.segment cimport (
    FRAME_HEADER,
    FRAME_TRAILER,
    NOT_ZEROED,
    SEGMENT_HEADER,
    Run,
    Segment,
    frame_close,
    runs_add,
    runs_forget,
    runs_reserve,
    segment_create,
)

cdef enum:
    BUFFER_KEPT = 1 << 20  # a buffer that grew larger is given back


cdef void* disk_thread(void* argument) noexcept nogil:
    cdef Log* log = <Log*>argument
    pthread_mutex_lock(&log.mutex)
    while True:
        if log.reset_wanted:
            run_reset(log)
        elif log.buffers[log.filling].operations:
            flush(log)
        elif log.prefix_wanted:
            forget_segments(log)
        elif log.stopping:
            break
        else:
            pthread_cond_wait(&log.work, &log.mutex)
    pthread_mutex_unlock(&log.mutex)
    fence(log)
    return NULL


cdef void flush(Log* log) noexcept nogil:
    """Writes what has gathered. Called and left with the mutex held."""
    cdef uint64_t one = 1
    cdef Buffer* buffer = &log.buffers[log.filling]
    log.filling = 1 - log.filling
    log.flushing = True
    pthread_mutex_unlock(&log.mutex)
    cdef int error = write_frame(log, buffer)  # io
    pthread_mutex_lock(&log.mutex)
    log.flushing = False
    complete(log, buffer.operations, error)
    if error == 0:
        log.durable_index = buffer.last_index
        index_frame(log, buffer)
    else:
        # What gathered meanwhile follows entries that are not there.
        complete(log, log.buffers[log.filling].operations, error)
        buffer_clear(&log.buffers[log.filling])
        log.last_index = log.durable_index
    buffer_clear(buffer)
    pthread_mutex_unlock(&log.mutex)
    write(log.wakeup, &one, 8)
    pthread_mutex_lock(&log.mutex)


cdef int write_frame(Log* log, Buffer* buffer) noexcept nogil:
    """One write and one fdatasync; 0, or an errno and then the log is what it was before."""
    cdef uint64_t size = FRAME_HEADER + buffer.size + FRAME_TRAILER
    cdef Segment* segment = newest(log)
    cdef int error
    cdef bint room
    pthread_mutex_lock(&log.mutex)
    room = runs_reserve(&log.runs, buffer.runs.count)
    pthread_mutex_unlock(&log.mutex)
    if not room:
        return ENOMEM
    if log.dead:
        return log.dead
    if log.broken or (segment.end + size > segment.capacity and segment.end > SEGMENT_HEADER):
        error = roll(log, size, log.durable_index + 1, segment.end)
        if error:
            return error
        segment = newest(log)
    frame_close(segment, buffer.frame, buffer.size, buffer.entries)
    error = disk_write(log.faults, segment.fd, buffer.frame, size, segment.end)
    if error:
        segment.zeroed = NOT_ZEROED
        if disk_truncate(log.faults, segment.fd, segment.end) or disk_sync(log.faults, segment.fd):
            log.broken = True
        return error
    zero_ahead(log, segment, segment.end + size)
    log.syncs += 1
    error = disk_sync(log.faults, segment.fd)
    if error:
        log.broken = True
        disk_truncate(log.faults, segment.fd, segment.end)  # so that a restart does not find what was refused
        return error
    segment.end += size
    segment.fenced = buffer.entries == 0
    return 0


cdef void zero_ahead(Log* log, Segment* segment, uint64_t end) noexcept nogil:
    """Writes what follows the frame that ends here, once for many frames.

    A write into reserved space that was never written changes metadata, which fdatasync has to put into the journal of the
    file system; one over zeros does not. It takes half the CPU and half the time (ext4: 40 instead of 68 µs a sync).
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


cdef void index_frame(Log* log, Buffer* buffer) noexcept nogil:
    """Enters the entries of a frame that is on disk. Room was made before it was written."""
    cdef Segment* segment = newest(log)
    cdef uint64_t frame = segment.end - (FRAME_HEADER + buffer.size + FRAME_TRAILER)
    cdef Run run
    cdef size_t position
    for position in range(buffer.runs.count):
        run = buffer.runs.items[position]
        run.sequence = segment.sequence
        run.offset += frame
        runs_add(&log.runs, run)


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


cdef void forget_segments(Log* log) noexcept nogil:
    """Deletes segments, oldest first. Called and left with the mutex held."""
    cdef uint64_t first_index = log.prefix_wanted
    cdef size_t gone = 0
    cdef Segment segment
    cdef int error
    log.prefix_wanted = 0
    while gone + 1 < log.segments_count and log.segments[gone + 1].first_index <= first_index:
        gone += 1
    if gone == 0:
        return
    while gone:
        gone -= 1
        segment = log.segments[0]
        pthread_mutex_unlock(&log.mutex)
        error = unlink_segment(log, &segment)
        pthread_mutex_lock(&log.mutex)
        if error:
            return  # the next call of truncate_prefix meets it again
        log.segments_count -= 1
        memmove(log.segments, log.segments + 1, log.segments_count * sizeof(Segment))
        runs_forget(&log.runs, log.segments[0].sequence)
        close(segment.fd)
    pthread_mutex_unlock(&log.mutex)
    disk_sync_directory(log.faults, log.directory)
    pthread_mutex_lock(&log.mutex)


cdef int unlink_segment(Log* log, const Segment* segment) noexcept nogil:
    cdef size_t size = strlen(log.directory) + 64
    cdef char* path = <char*>malloc(size)
    if path == NULL:
        return ENOMEM
    segment_path(log, segment, path, size)
    cdef int error = disk_unlink(log.faults, path)
    free(path)
    return 0 if error == ENOENT else error


cdef void run_reset(Log* log) noexcept nogil:
    """Begins anew in a segment without predecessor. Called and left with the mutex held, nothing is queued."""
    cdef uint64_t next_index = log.reset_wanted
    cdef Segment segment
    pthread_mutex_unlock(&log.mutex)
    cdef int error = log.dead or roll(log, 0, next_index, 0)
    pthread_mutex_lock(&log.mutex)
    if error == 0:
        log.first_index = next_index
        log.last_index = log.durable_index = next_index - 1
        log.prefix_wanted = 0
        log.runs.count = 0
        while log.segments_count > 1:
            segment = log.segments[0]
            log.segments_count -= 1
            memmove(log.segments, log.segments + 1, log.segments_count * sizeof(Segment))
            close(segment.fd)
            unlink_segment(log, &segment)  # what is left of it recovery removes: it comes before a beginning
        disk_sync_directory(log.faults, log.directory)
    log.reset_error = error
    log.reset_wanted = 0
    pthread_cond_broadcast(&log.rest)


cdef void fence(Log* log) noexcept nogil:
    """An empty frame at a clean end: it proves that the frame before it was acknowledged."""
    cdef uint8_t frame[FRAME_HEADER + FRAME_TRAILER]
    cdef Segment* segment = newest(log)
    if log.broken or segment.fenced or segment.end + sizeof(frame) > segment.capacity:
        return
    frame_close(segment, frame, 0, 0)
    if disk_write(log.faults, segment.fd, frame, sizeof(frame), segment.end) or disk_sync(log.faults, segment.fd):
        disk_truncate(log.faults, segment.fd, segment.end)


cdef void buffer_clear(Buffer* buffer) noexcept nogil:
    buffer.size = 0
    buffer.entries = 0
    buffer.operations = 0
    buffer.runs.count = 0
    if buffer.room > BUFFER_KEPT:
        free(buffer.frame)
        buffer.frame = NULL
        buffer.room = 0
