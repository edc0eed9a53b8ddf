from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from nacosx._core.disk cimport FaultTable
from nacosx._core.segment cimport Runs, Segment

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_t:
        pass
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    int pthread_mutex_init(pthread_mutex_t* mutex, void* attributes) noexcept
    int pthread_mutex_destroy(pthread_mutex_t* mutex) noexcept
    int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept
    int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept
    int pthread_cond_init(pthread_cond_t* condition, void* attributes) noexcept
    int pthread_cond_destroy(pthread_cond_t* condition) noexcept
    int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) noexcept
    int pthread_cond_signal(pthread_cond_t* condition) noexcept
    int pthread_cond_broadcast(pthread_cond_t* condition) noexcept

cdef struct Buffer:
    uint8_t* frame  # room for a frame header, then entries, then room for a trailer
    size_t size  # of the entries
    size_t room
    uint32_t entries
    uint64_t operations  # appends and truncations
    uint64_t last_index  # after it
    Runs runs  # offsets count from the frame; count 0: a truncation

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
    pthread_t thread
    # Of the disk thread alone.
    uint64_t salt
    bint broken  # the newest segment may not be written any more
    # Guarded by the mutex; the disk thread changes `segments` and `runs` and may read them without it.
    pthread_mutex_t mutex
    pthread_cond_t work  # for the disk thread
    pthread_cond_t rest  # the disk thread has done a reset
    Buffer buffers[2]
    int filling  # which of the two
    bint flushing
    bint stopping
    bint started
    uint64_t first_index
    uint64_t last_index
    uint64_t durable_index
    uint64_t outstanding  # operations not yet noted as completed
    uint64_t syncs
    uint64_t prefix_wanted  # segments with entries only below are to go
    uint64_t reset_wanted  # 0: no
    int reset_error
    int dead  # errno for ever: a reset that may or may not have happened
    Segment* segments
    size_t segments_count
    size_t segments_room
    Runs runs
    Completion* completions
    size_t completions_count
    size_t completions_room

cdef void* disk_thread(void* argument) noexcept nogil
cdef int roll(Log* log, uint64_t size, uint64_t first_index, uint64_t previous_end) noexcept nogil
cdef Segment* newest(Log* log) noexcept nogil
