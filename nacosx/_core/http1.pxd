from libc.stdint cimport int64_t

from nacosx._core.request cimport Request as HttpRequest


cdef class Http1Parser:
    cdef Py_ssize_t _head_bytes_max
    cdef Py_ssize_t _body_bytes_max
    cdef int _headers_max

    cdef int _state
    cdef readonly int refusal_status
    cdef readonly str refusal
    cdef readonly bint continue_wanted

    # bytes that came without the end of their line; `_line_at` and `_scan_at` count from the start of the head or line
    cdef char *_held
    cdef Py_ssize_t _held_size
    cdef Py_ssize_t _held_room
    cdef Py_ssize_t _line_at
    cdef Py_ssize_t _scan_at

    # the request being read
    cdef HttpRequest _request
    cdef bint _http11
    cdef bint _closing
    cdef bint _chunked
    cdef bint _expecting
    cdef int _header_count
    cdef int _host_count
    cdef int64_t _content_length  # -1: none
    cdef int64_t _missing  # bytes of the body or of the chunk that have not come
    cdef Py_ssize_t _trailer_bytes

    cdef char *_body
    cdef Py_ssize_t _body_size
    cdef Py_ssize_t _body_room

    cpdef list feed(self, bytes data)
    cdef bint is_unsettled(self) noexcept
    cdef int _hold(self, const char *text, Py_ssize_t size) except -1
    cdef void _release_held(self) noexcept
    cdef void _release_body(self) noexcept
    cdef int _refuse(self, int status, str why) except -1
    cdef Py_ssize_t _advance(self, const char *text, Py_ssize_t size, list requests) except -1
    cdef int _begin(self) except -1
    cdef Py_ssize_t _read_head(self, const char *text, Py_ssize_t size) except -1
    cdef int _judge_line(self, const char *line, Py_ssize_t size) except -1
    cdef int _judge_target(self, const char *line, Py_ssize_t at, Py_ssize_t end) except -1
    cdef int _judge_field(self, const char *line, Py_ssize_t size) except -1
    cdef int _judge_length(self, const char *value, Py_ssize_t size) except -1
    cdef int _judge_connection(self, const char *value, Py_ssize_t size) except -1
    cdef int _judge_head(self, Py_ssize_t following) except -1
    cdef Py_ssize_t _read_body(self, const char *text, Py_ssize_t size) except -1
    cdef Py_ssize_t _read_chunk_line(self, const char *text, Py_ssize_t size) except -1
    cdef int _judge_chunk(self, const char *line, Py_ssize_t size) except -1
    cdef int _judge_trailer(self, const char *line, Py_ssize_t size) except -1
    cdef int _deliver_body(self, list requests) except -1
    cdef int _deliver(self, bytes body, list requests) except -1
