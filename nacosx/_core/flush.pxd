from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

from nacosx._core.append_batcher cimport AppendBatcher, Operation
from nacosx._core.disk cimport FaultTable
from nacosx._core.pthread cimport pthread_cond_t, pthread_mutex_t
from nacosx._core.segment cimport Runs, Segment

cdef struct Completion:
    uint64_t operations
    int error

cdef struct Log:
    # Set once.
    char* directory
    FaultTable* faults
    uint64_t segment_bytes
    uint64_t pending_bytes_max
    int wakeup  # eventfd
    # Of the disk thread alone.
    AppendBatcher batcher
    Log* next_touched  # of the logs that have something to write
    Log* next_answered  # of the logs whose owners are to be called
    bint touched
    int frame_error  # of the frame that is being written
    uint64_t salt
    bint broken  # the newest segment may not be written any more
    int dead  # errno for ever: a reset that may or may not have happened
    # Guarded by the mutex. The disk thread alone changes `segments`, `runs` and `generation`, and reads them without it.
    pthread_mutex_t mutex
    pthread_cond_t rest  # the disk thread has done a reset, or has let go of the log
    bint attached  # to a disk thread
    bint stopping
    bint resetting
    uint64_t first_index
    uint64_t last_index
    uint64_t durable_index
    uint64_t generation  # grows when a write fails: what was queued before follows entries that are not there
    int error  # of the last write that failed
    uint64_t waiting_bytes  # queued, not yet being written
    uint64_t outstanding  # operations not yet noted as completed
    uint64_t syncs
    int reset_error
    Segment* segments
    size_t segments_count
    size_t segments_room
    Runs runs
    Completion* completions
    size_t completions_count
    size_t completions_room

cdef bint gather(Log* log, Operation* operation) noexcept nogil
cdef void write_frame(Log* log) noexcept nogil
cdef bint sync_frame(Log* log) noexcept nogil
cdef void call_owner(Log* log) noexcept nogil
cdef void forget_segments(Log* log, uint64_t first_index) noexcept nogil
cdef void reset(Log* log, uint64_t next_index) noexcept nogil
cdef void detach(Log* log) noexcept nogil
cdef int roll(Log* log, uint64_t size, uint64_t first_index, uint64_t previous_end) noexcept nogil
cdef Segment* newest(Log* log) noexcept nogil
