cdef int keep(type kind) except -1
