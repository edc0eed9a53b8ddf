from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from nacosx._core.disk cimport FaultTable

cdef enum:
    SEGMENT_HEADER = 4096  # a block of its own: no write of a frame touches it
    FRAME_HEADER = 24
    FRAME_TRAILER = 1
    TRAILER = 0x0a  # the byte it is
    NOT_ZEROED = 0xFFFFFFFFFFFFFFFF  # of `Segment.zeroed`: no space is reserved, so no zeros are written ahead
    KIND_TRUNCATION = 255  # an entry that forgets: the last index is now the one it carries

cdef struct Segment:
    uint64_t sequence
    uint64_t first_index  # of the first entry that may be in it
    uint64_t previous_end  # where the valid part of the segment before ends; 0: the log begins here
    uint64_t salt
    uint64_t end  # of the valid part; the next frame is written here
    uint64_t capacity  # bytes it may grow to
    uint64_t zeroed  # up to here it has been written, at least with zeros
    int fd
    bint fenced  # its last frame is empty
    bint lingers  # creating it failed, and yet the file may be there
    uint64_t torn  # bytes behind `end` that a write left which nobody was told of

# Entries of one term and kind with consecutive indexes that lie one after the other in a segment.
cdef struct Run:
    uint64_t first_index
    uint64_t count
    uint64_t sequence  # of the segment
    uint64_t offset
    uint64_t size  # in bytes
    uint64_t term
    uint8_t kind

cdef struct Runs:
    Run* items
    size_t count
    size_t room

cdef bint runs_reserve(Runs* runs, size_t more) noexcept nogil
cdef void runs_truncate(Runs* runs, uint64_t last_index) noexcept nogil
cdef void runs_forget(Runs* runs, uint64_t sequence) noexcept nogil
cdef void runs_add(Runs* runs, Run run) noexcept nogil

cdef int segment_create(
    FaultTable* faults, const char* directory, const char* draft, const char* path, Segment* segment
) noexcept nogil
cdef void frame_begin(const Segment* segment, uint8_t* header, size_t payload_size, uint32_t count) noexcept nogil
cdef Segment segment_open(FaultTable* faults, str path, uint64_t sequence, uint64_t first_index) except *
cdef uint64_t segment_recover(
    FaultTable* faults, str path, Segment* segment, uint64_t end, bint newest, uint64_t last_index, Runs* runs
) except? 0
