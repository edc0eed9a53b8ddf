cdef str decode_path(bytes raw)
cdef const char *trim(const char *value, const char *stop, Py_ssize_t *size) noexcept nogil


cdef class Request:
    cdef readonly str method
    cdef readonly str path
    cdef public bytes body
    cdef public dict fields
    cdef public str remote_ip
    cdef readonly bint keep_alive
    cdef readonly bint asks_keep_alive
    cdef readonly bint has_origin
    cdef readonly bint is_multipart
    cdef bytes head  # request line and header lines, without the blank line
    # offsets into the head
    cdef Py_ssize_t path_at
    cdef Py_ssize_t path_end
    cdef Py_ssize_t query_at
    cdef Py_ssize_t query_end
    cdef Py_ssize_t fields_at
    cdef dict _form

    cdef const char *_find(self, const char *name, Py_ssize_t name_size, Py_ssize_t *value_size) noexcept
    cdef dict _parse_form(self)
