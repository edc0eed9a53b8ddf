from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    ENTRY_HEADER = 25  # bytes before the data

cdef enum EntryKind:
    ENTRY_DATA = 1
    ENTRY_NO_OP = 2
    ENTRY_CONFIGURATION = 3

cdef enum EntryFault:
    ENTRY_OK = 0
    ENTRY_SHORT = 1  # ends before its length says
    ENTRY_TOO_LARGE = 2
    ENTRY_CHECKSUM = 3

cdef struct EntryView:
    uint8_t kind
    uint64_t term
    uint64_t index
    const uint8_t* data  # inside the buffer that was read
    size_t data_size
    size_t size  # of the whole entry

cdef uint32_t crc32c_extend(uint32_t crc, const uint8_t* data, size_t size) noexcept nogil
cdef void entry_write(
    uint8_t* into, uint8_t kind, uint64_t term, uint64_t index, const uint8_t* data, size_t data_size
) noexcept nogil
cdef EntryFault entry_read(const uint8_t* buffer, size_t size, EntryView* view) noexcept nogil

cdef class Entry:
    cdef readonly uint64_t index
    cdef readonly uint64_t term
    cdef readonly uint8_t kind
    cdef readonly bytes data

cdef class Configuration:
    cdef readonly tuple peers
    cdef readonly tuple learners
    cdef readonly tuple old_peers
    cdef readonly tuple old_learners

cdef Entry entry_of(const EntryView* view)
