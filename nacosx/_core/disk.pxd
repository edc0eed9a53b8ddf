from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef enum Operation:
    OP_CREATE = 0
    OP_WRITE = 1
    OP_SYNC = 2
    OP_TRUNCATE = 3
    OP_ALLOCATE = 4
    OP_RENAME = 5
    OP_UNLINK = 6
    OP_SYNC_DIRECTORY = 7
    OP_OPEN = 8
    OP_READ = 9
    OP_SEEK = 10
    OP_ZERO = 11
    OPERATIONS = 12

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len

cdef enum:
    DESCRIPTORS = 1024  # whose failed syncs are remembered
    ZEROS_MAX = 512 << 10  # bytes of zeros in one go

cdef struct Fault:
    int64_t calls  # so far
    int64_t after  # calls that succeed before the fault
    int64_t times  # calls that fail then; -1 for ever
    int error
    uint64_t written  # bytes that a failing write has written nevertheless
    uint64_t short_bytes  # what one system call takes or gives at most; 0: all of it

cdef struct FaultTable:
    Fault of[OPERATIONS]
    bint held  # syncs wait
    int waiting  # for the hold to end
    void* gate
    bint unsynced[DESCRIPTORS]  # a sync of this descriptor has failed
    int64_t resyncs  # syncs of such a descriptor

# Each returns 0 or an errno. `faults` may be NULL.
cdef int disk_create(FaultTable* faults, const char* path, int* fd) noexcept nogil
cdef int disk_write(FaultTable* faults, int fd, iovec* pieces, int count, uint64_t offset) noexcept nogil
cdef int disk_zero(FaultTable* faults, int fd, size_t size, uint64_t offset) noexcept nogil
cdef int disk_open(FaultTable* faults, const char* path, int* fd) noexcept nogil
cdef int disk_data(FaultTable* faults, int fd, uint64_t offset, uint64_t* begin, uint64_t* end) noexcept nogil
cdef int disk_read(FaultTable* faults, int fd, uint8_t* into, size_t size, uint64_t offset) noexcept nogil
cdef int disk_sync(FaultTable* faults, int fd) noexcept nogil
cdef int disk_truncate(FaultTable* faults, int fd, uint64_t size) noexcept nogil
cdef int disk_allocate(FaultTable* faults, int fd, uint64_t size) noexcept nogil
cdef int disk_rename(FaultTable* faults, const char* old, const char* new) noexcept nogil
cdef int disk_unlink(FaultTable* faults, const char* path) noexcept nogil
cdef int disk_sync_directory(FaultTable* faults, const char* path) noexcept nogil

cdef class Faults:
    cdef FaultTable table
