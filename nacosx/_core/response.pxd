cdef class SharedHeaders:
    cdef readonly tuple headers
    cdef bytes lines


cdef class Response:
    cdef readonly bytes body
    cdef readonly int status
    cdef readonly str content_type
    cdef object _headers  # a tuple, or SharedHeaders
    cdef readonly bint bare

    cdef bytes lines(self)
    cpdef bytes render(self, bytes closing_lines, bint head_only=*, bytes extra_lines=*)
