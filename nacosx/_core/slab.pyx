"""Memory for the objects of one kind of which there may be a million: the timeouts of the wheel.

The objects lie side by side in slabs of 2 MiB. What is freed is put on a stack and is the first to be used again. With a
million timeouts that come and go in any order the next free block is seldom in a cache, and waiting for it would be most of
what `schedule` costs (in Python's own allocator it is); a stack tells early which blocks will be next, so they are fetched
ahead. From the second slab on the kernel is asked for huge pages: one page fault and one entry of the TLB instead of 512.

A process with few timeouts touches a few pages of the first slab. The slabs are given back when the last object is gone, all
but the first. Everything happens under the GIL. Under AddressSanitizer, which shall see every use after free, and in debug
builds nothing is kept here.
"""

from cpython.mem cimport PyMem_RawRealloc
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memset

SLAB_BYTES = 1 << 21

cdef enum:
    SLAB = 1 << 21
    AHEAD = 8  # blocks on their way from memory

cdef extern from *:
    """
    #include <sys/mman.h>
    #if defined(__SANITIZE_ADDRESS__) || !defined(NDEBUG)
    #define NACOSX_SLABS 0
    #else
    #define NACOSX_SLABS 1
    #endif
    """
    bint NACOSX_SLABS

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void* address, size_t length, int protection, int flags, int descriptor, long offset)
    int munmap(void* address, size_t length)
    int madvise(void* address, size_t length, int advice)
    void* MAP_FAILED
    int PROT_READ
    int PROT_WRITE
    int MAP_PRIVATE
    int MAP_ANONYMOUS
    int MADV_HUGEPAGE

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void* address, int write) noexcept

cdef extern from "Python.h":
    ctypedef PyObject* (*allocfunc)(PyTypeObject*, Py_ssize_t) noexcept
    ctypedef void (*freefunc)(void*) noexcept
    ctypedef struct Slots "PyTypeObject":
        Py_ssize_t tp_basicsize
        allocfunc tp_alloc
        freefunc tp_free
    PyObject* PyObject_Init(PyObject* block, PyTypeObject* kind) noexcept
    PyObject* PyErr_NoMemory() noexcept  # returns NULL

cdef bint kept = False
cdef Py_ssize_t block_bytes = 0
cdef int64_t live = 0  # objects
cdef char** owned = NULL  # the slabs
cdef Py_ssize_t owned_count = 0
cdef char* fresh = NULL  # where the part of the newest slab begins that was never used
cdef char* fresh_end = NULL
cdef char** freed = NULL  # a stack with room for every block there is, so that freeing cannot fail
cdef Py_ssize_t freed_count = 0


def slabs():
    """How many slabs there are."""
    return owned_count


def blocks():
    """How many objects live in slabs."""
    return live


cdef int keep(type kind) except -1:
    """Has the objects of this final, statically made class without a free list live here from now on. For one class only."""
    global kept, block_bytes
    cdef Slots* slots = <Slots*>kind
    if kept:
        raise RuntimeError("the slabs are another class's")
    kept = True
    if not NACOSX_SLABS:
        return 0
    block_bytes = (slots.tp_basicsize + 15) & ~15
    slots.tp_alloc = allocate
    slots.tp_free = release
    return 0


cdef PyObject* allocate(PyTypeObject* kind, Py_ssize_t _count) noexcept:
    """As `PyType_GenericAlloc`: zeros, and one reference; NULL and MemoryError."""
    global live, fresh, freed_count
    cdef char* block
    if freed_count > 0:
        freed_count -= 1
        block = freed[freed_count]
        if freed_count >= AHEAD:
            prefetch(freed[freed_count - AHEAD], 1)
    else:
        if fresh == fresh_end and not add_slab():
            return PyErr_NoMemory()
        block = fresh
        fresh += block_bytes
    memset(block, 0, block_bytes)
    live += 1
    return PyObject_Init(<PyObject*>block, kind)


cdef void release(void* block) noexcept:
    global live, freed_count
    live -= 1
    if live == 0:
        give_back()
        return
    freed[freed_count] = <char*>block
    freed_count += 1


cdef bint add_slab() noexcept:
    """False: there is no memory, and everything is as before."""
    global owned, owned_count, fresh, fresh_end, freed
    cdef Py_ssize_t each = SLAB // block_bytes
    cdef char** more = <char**>PyMem_RawRealloc(freed, (owned_count + 1) * each * sizeof(char*))
    if more == NULL:
        return False
    freed = more
    more = <char**>PyMem_RawRealloc(owned, (owned_count + 1) * sizeof(char*))
    if more == NULL:
        return False
    owned = more
    cdef char* slab = aligned()
    if slab == NULL:
        return False
    if owned_count > 0:
        madvise(slab, SLAB, MADV_HUGEPAGE)  # a wish: a kernel without huge pages refuses it, and that is well
    owned[owned_count] = slab
    owned_count += 1
    fresh = slab
    fresh_end = slab + each * block_bytes
    return True


cdef char* aligned() noexcept:
    """A slab that begins at a multiple of its size; NULL: no memory."""
    cdef char* space = <char*>mmap(NULL, 2 * SLAB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if space == <char*>MAP_FAILED:
        return NULL
    cdef size_t before = <size_t>(-<uintptr_t>space & (SLAB - 1))
    if before > 0:
        munmap(space, before)
    munmap(space + before + SLAB, SLAB - before)
    return space + before


cdef void give_back() noexcept:
    """Nothing lives any more: all slabs but the first go, and the first is used from its beginning."""
    global owned_count, fresh, fresh_end, freed_count
    while owned_count > 1:
        owned_count -= 1
        munmap(owned[owned_count], SLAB)
    freed_count = 0
    fresh = owned[0]
    fresh_end = fresh + SLAB // block_bytes * block_bytes
