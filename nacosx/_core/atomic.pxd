"""Atomic words and fences, as GCC and Clang have them built in. Types are those of the pointer."""

from libc.stdint cimport int32_t, int64_t

cdef extern from * nogil:
    """
    #ifndef NACOSX_ATOMIC
    #define NACOSX_ATOMIC
    #define NX_LOAD(pointer) __atomic_load_n((pointer), __ATOMIC_ACQUIRE)
    #define NX_LOAD_RELAXED(pointer) __atomic_load_n((pointer), __ATOMIC_RELAXED)
    #define NX_STORE(pointer, value) __atomic_store_n((pointer), (value), __ATOMIC_RELEASE)
    #define NX_STORE_RELAXED(pointer, value) __atomic_store_n((pointer), (value), __ATOMIC_RELAXED)
    #define NX_ADD(pointer, value) __atomic_fetch_add((pointer), (value), __ATOMIC_ACQ_REL)
    #define NX_CAS(pointer, expected, desired) \\
        __atomic_compare_exchange_n((pointer), (expected), (desired), 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)
    #define NX_FENCE() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    #if defined(__x86_64__) || defined(__i386__)
    #define NX_PAUSE() __builtin_ia32_pause()
    #else
    #define NX_PAUSE() __asm__ __volatile__("yield" ::: "memory")
    #endif
    #endif
    """
    int64_t NX_LOAD(int64_t *) noexcept  # acquire
    int32_t NX_LOAD_INT "NX_LOAD"(int32_t *) noexcept
    int64_t *NX_LOAD_POINTER "NX_LOAD"(int64_t **) noexcept
    int64_t NX_LOAD_RELAXED(int64_t *) noexcept
    void NX_STORE(int64_t *, int64_t) noexcept  # release
    void NX_STORE_INT "NX_STORE"(int32_t *, int32_t) noexcept
    void NX_STORE_POINTER "NX_STORE"(int64_t **, int64_t *) noexcept
    void NX_STORE_RELAXED(int64_t *, int64_t) noexcept
    int64_t NX_ADD(int64_t *, int64_t) noexcept  # returns what was there before
    int32_t NX_ADD_INT "NX_ADD"(int32_t *, int32_t) noexcept
    bint NX_CAS(int64_t *, int64_t *, int64_t) noexcept  # writes what is there to the second when it fails
    bint NX_CAS_POINTER "NX_CAS"(int64_t **, int64_t **, int64_t *) noexcept
    void NX_FENCE() noexcept  # full
    void NX_PAUSE() noexcept
