"""System calls on files, without the GIL, as functions that return 0 or an errno; and faults to be met on purpose.

Everything durable goes through here, so a test can let any call of any kind fail as a disk does: once or for ever, at
once or later, a write half done. Without `Faults` a call costs one comparison with NULL more than the system call.
"""

cimport cython
from libc.errno cimport EINTR, EIO, ENXIO, errno
from libc.stdint cimport INT64_MAX, SIZE_MAX
from libc.stdio cimport rename
from libc.stdlib cimport calloc, free
from posix.fcntl cimport O_CLOEXEC, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_TRUNC, open
from posix.types cimport off_t
from posix.unistd cimport close, fdatasync, fsync, ftruncate, lseek, pread, pwrite, unlink

from nacosx._core.pthread cimport (
    pthread_cond_broadcast,
    pthread_cond_destroy,
    pthread_cond_init,
    pthread_cond_t,
    pthread_cond_wait,
    pthread_mutex_destroy,
    pthread_mutex_init,
    pthread_mutex_lock,
    pthread_mutex_t,
    pthread_mutex_unlock,
)

cdef extern from "<fcntl.h>" nogil:
    int fallocate(int fd, int mode, off_t offset, off_t size) noexcept

cdef extern from "<sys/uio.h>" nogil:
    Py_ssize_t pwritev(int fd, const iovec* pieces, int count, off_t offset) noexcept

cdef extern from "<unistd.h>" nogil:
    int SEEK_DATA
    int SEEK_HOLE

OPERATION_NAMES = (
    *("create", "write", "sync", "truncate", "allocate", "rename", "unlink", "sync_directory", "open", "read", "seek"),
    "zero",
)


cdef uint8_t[ZEROS_MAX] zeros  # never written


cdef struct Gate:
    pthread_mutex_t mutex
    pthread_cond_t changed


@cython.final
cdef class Faults:
    """What is to go wrong. For tests: hand it to what writes, then say what fails when."""

    def __cinit__(self):
        cdef Gate* gate = <Gate*>calloc(1, sizeof(Gate))
        if gate == NULL:
            raise MemoryError
        pthread_mutex_init(&gate.mutex, NULL)
        pthread_cond_init(&gate.changed, NULL)
        self.table.gate = gate

    def __dealloc__(self):
        cdef Gate* gate = <Gate*>self.table.gate
        if gate != NULL:
            pthread_cond_destroy(&gate.changed)
            pthread_mutex_destroy(&gate.mutex)
            free(gate)

    def fail(self, str operation, int error, *, int64_t after=0, int64_t times=-1, uint64_t written=0):
        """The calls of `operation` fail with `error`, the first `after` of them excepted, `times` often (-1: for ever).

        A failing write has written `written` bytes of what it should.
        """
        cdef Gate* gate = <Gate*>self.table.gate
        cdef Fault* fault = &self.table.of[OPERATION_NAMES.index(operation)]
        pthread_mutex_lock(&gate.mutex)
        fault.after = after
        fault.error = error
        fault.written = written
        fault.times = times
        pthread_mutex_unlock(&gate.mutex)

    def shorten(self, str operation, uint64_t size):
        """The system calls of `operation`, "read" or "write", do not fail, but take or give at most `size` bytes each."""
        cdef Gate* gate = <Gate*>self.table.gate
        cdef Fault* fault = &self.table.of[OPERATION_NAMES.index(operation)]
        pthread_mutex_lock(&gate.mutex)
        fault.short_bytes = size
        pthread_mutex_unlock(&gate.mutex)

    def heal(self):
        """Nothing fails or falls short any more."""
        cdef Gate* gate = <Gate*>self.table.gate
        pthread_mutex_lock(&gate.mutex)
        for operation in range(<int>OPERATIONS):
            self.table.of[operation].times = 0
            self.table.of[operation].short_bytes = 0
        pthread_mutex_unlock(&gate.mutex)

    def calls(self, str operation):
        """How often it was called so far, with or without success."""
        cdef Gate* gate = <Gate*>self.table.gate
        cdef Fault* fault = &self.table.of[OPERATION_NAMES.index(operation)]
        pthread_mutex_lock(&gate.mutex)
        cdef int64_t calls = fault.calls
        pthread_mutex_unlock(&gate.mutex)
        return calls

    @property
    def resyncs(self):
        """How often a descriptor was synced although a sync of it had failed before, which must never be."""
        cdef Gate* gate = <Gate*>self.table.gate
        pthread_mutex_lock(&gate.mutex)
        cdef int64_t resyncs = self.table.resyncs
        pthread_mutex_unlock(&gate.mutex)
        return resyncs

    def hold(self):
        """Whoever calls sync from now on waits until `release`."""
        cdef Gate* gate = <Gate*>self.table.gate
        pthread_mutex_lock(&gate.mutex)
        self.table.held = True
        pthread_mutex_unlock(&gate.mutex)

    def wait_held(self):
        """Returns once somebody waits in sync."""
        cdef Gate* gate = <Gate*>self.table.gate
        with nogil:
            pthread_mutex_lock(&gate.mutex)
            while not (self.table.held and self.table.waiting):
                pthread_cond_wait(&gate.changed, &gate.mutex)
            pthread_mutex_unlock(&gate.mutex)

    def release(self):
        cdef Gate* gate = <Gate*>self.table.gate
        with nogil:
            pthread_mutex_lock(&gate.mutex)
            self.table.held = False
            pthread_cond_broadcast(&gate.changed)
            pthread_mutex_unlock(&gate.mutex)


cdef int met(FaultTable* faults, Operation operation) noexcept nogil:
    """The errno this call is to fail with, or 0."""
    if faults == NULL:
        return 0
    cdef Gate* gate = <Gate*>faults.gate
    cdef Fault* fault = &faults.of[<int>operation]
    cdef int error = 0
    pthread_mutex_lock(&gate.mutex)
    fault.calls += 1
    if fault.times != 0:
        if fault.after > 0:
            fault.after -= 1
        else:
            fault.times -= fault.times > 0
            error = fault.error
    pthread_mutex_unlock(&gate.mutex)
    return error


cdef size_t portion(FaultTable* faults, Operation operation, size_t size) noexcept nogil:
    """How much of `size` bytes one system call is given."""
    if faults == NULL:
        return size
    cdef Gate* gate = <Gate*>faults.gate
    pthread_mutex_lock(&gate.mutex)
    cdef uint64_t short_bytes = faults.of[<int>operation].short_bytes
    pthread_mutex_unlock(&gate.mutex)
    return min(size, <size_t>short_bytes) if short_bytes else size


cdef void note_descriptor(FaultTable* faults, int fd, bint fresh, int error) noexcept nogil:
    """Remembers which descriptors failed to sync. `fresh`: the number belongs to another file now."""
    if faults == NULL or fd < 0 or <size_t>fd >= DESCRIPTORS:
        return
    cdef Gate* gate = <Gate*>faults.gate
    cdef bint* unsynced = &faults.unsynced[<size_t>fd]
    pthread_mutex_lock(&gate.mutex)
    if fresh:
        unsynced[0] = False
    else:
        faults.resyncs += unsynced[0]
        unsynced[0] = unsynced[0] or error != 0
    pthread_mutex_unlock(&gate.mutex)


cdef int disk_create(FaultTable* faults, const char* path, int* fd) noexcept nogil:
    """Creates or empties a file, for reading and writing."""
    cdef int error = met(faults, OP_CREATE)
    if error:
        return error
    fd[0] = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, <int>0o644)
    note_descriptor(faults, fd[0], True, 0)
    return errno if fd[0] < 0 else 0


cdef int disk_open(FaultTable* faults, const char* path, int* fd) noexcept nogil:
    """Opens a file that is there, for reading and writing."""
    cdef int error = met(faults, OP_OPEN)
    if error:
        return error
    fd[0] = open(path, O_RDWR | O_CLOEXEC)
    note_descriptor(faults, fd[0], True, 0)
    return errno if fd[0] < 0 else 0


cdef int disk_write(FaultTable* faults, int fd, iovec* pieces, int count, uint64_t offset) noexcept nogil:
    """Writes all pieces, one behind the other, in one system call unless the kernel takes less. Uses `pieces` up."""
    cdef int error = met(faults, OP_WRITE)
    cdef size_t step = portion(faults, OP_WRITE, SIZE_MAX)
    cdef size_t left = faults.of[<int>OP_WRITE].written if error else SIZE_MAX
    cdef Py_ssize_t written
    while count and left:
        if step == SIZE_MAX and not error:
            written = pwritev(fd, pieces, count, <off_t>offset)
        else:
            written = pwrite(fd, pieces.iov_base, min(pieces.iov_len, step, left), <off_t>offset)
        if written < 0:
            if errno == EINTR:
                continue
            return error or errno
        offset += written
        left -= written
        while count and pieces.iov_len <= <size_t>written:
            written -= pieces.iov_len
            pieces += 1
            count -= 1
        if count:
            pieces.iov_base = <uint8_t*>pieces.iov_base + written
            pieces.iov_len -= written
    return error


cdef int disk_zero(FaultTable* faults, int fd, size_t size, uint64_t offset) noexcept nogil:
    """Writes zeros, at most ZEROS_MAX, where space is reserved."""
    cdef int error = met(faults, OP_ZERO)
    if error:
        return error
    return errno if pwrite(fd, zeros, min(size, <size_t>ZEROS_MAX), <off_t>offset) < 0 else 0


cdef int disk_data(FaultTable* faults, int fd, uint64_t offset, uint64_t* begin, uint64_t* end) noexcept nogil:
    """Where, from `offset` on, the next part of the file is that was ever written; INT64_MAX when none is."""
    cdef int error = met(faults, OP_SEEK)
    if error:
        return error
    cdef off_t at = lseek(fd, <off_t>offset, SEEK_DATA)
    if at < 0:
        begin[0] = end[0] = INT64_MAX
        return 0 if errno == ENXIO else errno
    begin[0] = at
    at = lseek(fd, at, SEEK_HOLE)
    end[0] = at
    return errno if at < 0 else 0


cdef int disk_read(FaultTable* faults, int fd, uint8_t* into, size_t size, uint64_t offset) noexcept nogil:
    """Reads everything; EIO when the file ends before."""
    cdef int error = met(faults, OP_READ)
    if error:
        return error
    cdef size_t done = 0
    cdef Py_ssize_t got
    while done < size:
        got = pread(fd, into + done, portion(faults, OP_READ, size - done), <off_t>(offset + done))
        if got < 0:
            if errno == EINTR:
                continue
            return errno
        if got == 0:
            return EIO
        done += got
    return 0


cdef int disk_sync(FaultTable* faults, int fd) noexcept nogil:
    """fdatasync. After a failure nobody knows what of this descriptor is on disk: never call it again on the same one."""
    cdef Gate* gate
    if faults != NULL:
        gate = <Gate*>faults.gate
        pthread_mutex_lock(&gate.mutex)
        faults.waiting += 1
        pthread_cond_broadcast(&gate.changed)
        while faults.held:
            pthread_cond_wait(&gate.changed, &gate.mutex)
        faults.waiting -= 1
        pthread_mutex_unlock(&gate.mutex)
    cdef int error = met(faults, OP_SYNC)
    if error == 0 and fdatasync(fd) < 0:
        error = errno
    note_descriptor(faults, fd, False, error)
    return error


cdef int disk_truncate(FaultTable* faults, int fd, uint64_t size) noexcept nogil:
    cdef int error = met(faults, OP_TRUNCATE)
    if error:
        return error
    return errno if ftruncate(fd, <off_t>size) < 0 else 0


cdef int disk_allocate(FaultTable* faults, int fd, uint64_t size) noexcept nogil:
    """Reserves space up to `size`; what was not there reads as zeros."""
    cdef int error = met(faults, OP_ALLOCATE)
    if error:
        return error
    return errno if fallocate(fd, 0, 0, <off_t>size) < 0 else 0


cdef int disk_rename(FaultTable* faults, const char* old, const char* new) noexcept nogil:
    cdef int error = met(faults, OP_RENAME)
    if error:
        return error
    return errno if rename(old, new) < 0 else 0


cdef int disk_unlink(FaultTable* faults, const char* path) noexcept nogil:
    cdef int error = met(faults, OP_UNLINK)
    if error:
        return error
    return errno if unlink(path) < 0 else 0


cdef int disk_sync_directory(FaultTable* faults, const char* path) noexcept nogil:
    """Makes creations, renames and deletions in a directory durable."""
    cdef int error = met(faults, OP_SYNC_DIRECTORY)
    if error:
        return error
    cdef int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if fd < 0:
        return errno
    if fsync(fd) < 0:
        error = errno
    close(fd)
    return error
