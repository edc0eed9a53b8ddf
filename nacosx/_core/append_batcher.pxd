from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from nacosx._core.disk cimport iovec
from nacosx._core.segment cimport FRAME_HEADER, Run

cdef enum:
    OPERATIONS_MAX = 256  # limit: of one write
    BYTES_MAX = 1 << 20  # limit: a write is closed when it holds this; one operation may be larger

cdef enum OperationKind:
    OPERATION_ENTRIES  # append the entries in `bytes`; a truncation of the suffix is one, too
    OPERATION_PREFIX  # delete segments with entries below `index` only
    OPERATION_RESET  # begin anew with `index`

cdef struct Operation:
    Operation* next  # of those gathered
    OperationKind kind
    uint64_t index  # ENTRIES: the last index after it
    uint64_t generation  # ENTRIES: of the log, when it was queued
    uint32_t entries
    size_t size  # of `bytes`
    size_t runs_count
    Run* runs  # offsets count from `bytes`; count 0: a truncation
    uint8_t* bytes  # encoded entries

cdef struct AppendBatcher:
    iovec pieces[OPERATIONS_MAX + 2]  # the header of a frame, `bytes` of each operation, the trailer
    uint8_t header[FRAME_HEADER]
    Operation* first
    Operation* last
    uint32_t operations
    uint32_t entries
    size_t size
    size_t runs_count

cdef Operation* operation_new(OperationKind kind, size_t size, size_t runs_count) noexcept nogil
cdef bint batcher_takes(const AppendBatcher* batcher, const Operation* operation) noexcept nogil
cdef void batcher_add(AppendBatcher* batcher, Operation* operation) noexcept nogil
cdef void batcher_clear(AppendBatcher* batcher) noexcept nogil
