"""What waits for the disk, gathered into one write: SOFAJRaft's LogManagerImpl.AppendBatcher.

The entries of an operation are encoded where it is queued and stay there: the batcher only notes where they lie, and one
`pwritev` takes them from there to the file.

SOFAJRaft gathers 256 entries or 256 KiB, and syncs each time. Here as many *operations* ride on one fdatasync: a group appends
up to 256 entries with each, and 1 MiB still takes the disk less than a millisecond.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memset


cdef Operation* operation_new(OperationKind kind, size_t size, size_t runs_count) noexcept nogil:
    """One block of memory, for `free`; NULL when there is none."""
    cdef Operation* operation = <Operation*>malloc(sizeof(Operation) + runs_count * sizeof(Run) + size)
    if operation != NULL:
        memset(operation, 0, sizeof(Operation))
        operation.kind = kind
        operation.size = size
        operation.runs = <Run*>(operation + 1)
        operation.bytes = <uint8_t*>(operation.runs + runs_count)
    return operation


cdef bint batcher_takes(const AppendBatcher* batcher, const Operation* operation) noexcept nogil:
    """Is there room for one more?"""
    return batcher.operations == 0 or (
        batcher.operations < OPERATIONS_MAX and batcher.size + operation.size <= BYTES_MAX
    )


cdef void batcher_add(AppendBatcher* batcher, Operation* operation) noexcept nogil:
    if batcher.last == NULL:
        batcher.first = operation
    else:
        batcher.last.next = operation
    batcher.last = operation
    batcher.operations += 1
    batcher.pieces[batcher.operations] = iovec(operation.bytes, operation.size)
    batcher.entries += operation.entries
    batcher.size += operation.size
    batcher.runs_count += operation.runs_count


cdef void batcher_clear(AppendBatcher* batcher) noexcept nogil:
    """Gives the operations back."""
    cdef Operation* operation
    while batcher.first != NULL:
        operation = batcher.first
        batcher.first = operation.next
        free(operation)
    batcher.last = NULL
    batcher.operations = 0
    batcher.entries = 0
    batcher.size = 0
    batcher.runs_count = 0
