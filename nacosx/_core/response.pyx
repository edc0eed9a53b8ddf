"""The server's answer as bytes (RFC 9112 §4), with the header lines the Java server puts on every answer."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    int PyUnicode_KIND(object text) noexcept
    void *PyUnicode_DATA(object text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(object text) noexcept

cdef bytes FILTER_LINES = (
    b"Vary: Origin\r\nVary: Access-Control-Request-Method\r\nVary: Access-Control-Request-Headers\r\n"
    b"Content-Security-Policy: script-src 'self'\r\n"
)
cdef dict _openings = {}  # status, negative when bare → first lines
cdef dict _type_lines = {}  # content type → its line and the name of the next
cdef int TYPE_LINES_MAX = 64


cdef bytes _opening(int status, bint bare):
    opening = _openings.get(-status if bare else status)
    if opening is None:
        # Tomcat sends no reason phrase
        opening = b"HTTP/1.1 %d \r\n" % status
        if not bare:
            opening += FILTER_LINES
        _openings[-status if bare else status] = opening
    return opening


cdef bytes _type_line(str content_type):
    line = _type_lines.get(content_type)
    if line is None:
        line = b"Content-Length: "
        if content_type:
            line = b"Content-Type: %s\r\n%s" % (_header_text(content_type), line)
        if len(_type_lines) < TYPE_LINES_MAX:
            _type_lines[content_type] = line
    return line


cdef bint _is_printable(int code) noexcept nogil:
    return code == 9 or (code >= 32 and code != 127)


cdef bytes _header_text(str text):
    """ISO-8859-1 without control characters, which would end the line; as Tomcat writes header values."""
    return bytes(code if _is_printable(code) else 32 for code in text.encode("latin-1", "replace"))


cdef bytes _header_lines(tuple headers):
    cdef list lines = []
    cdef str name, value
    cdef bytes line
    cdef char *into
    cdef const uint8_t *source
    cdef Py_ssize_t name_size, value_size, at
    for name, value in headers:
        if PyUnicode_KIND(name) != 1 or PyUnicode_KIND(value) != 1:
            lines.append(b"%s: %s\r\n" % (_header_text(name), _header_text(value)))
            continue
        name_size = PyUnicode_GET_LENGTH(name)
        value_size = PyUnicode_GET_LENGTH(value)
        line = PyBytes_FromStringAndSize(NULL, name_size + value_size + 4)
        into = PyBytes_AS_STRING(line)
        memcpy(into, PyUnicode_DATA(name), name_size)
        into += name_size
        into[0] = b":"
        into[1] = b" "
        into += 2
        source = <const uint8_t *> PyUnicode_DATA(value)
        for at in range(value_size):
            into[at] = <char> source[at] if _is_printable(source[at]) else b" "
        into[value_size] = b"\r"
        into[value_size + 1] = b"\n"
        lines.append(line)
    return b"".join(lines)


cdef char *_put(char *into, bytes text) noexcept:
    memcpy(into, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    return into + PyBytes_GET_SIZE(text)


@cython.final
@cython.no_gc
cdef class SharedHeaders:
    cdef readonly tuple headers
    cdef bytes lines

    def __init__(self, tuple headers not None):
        self.headers = headers
        self.lines = _header_lines(headers)


@cython.final
@cython.no_gc
@cython.freelist(32)
cdef class Response:
    cdef readonly bytes body
    cdef readonly int status
    cdef readonly str content_type
    cdef object _headers  # a tuple, or SharedHeaders
    cdef readonly bint bare

    def __init__(
        self,
        bytes body not None=b"",
        int status=200,
        str content_type not None="application/json",
        headers not None=(),
        bint bare=False,
    ):
        if type(headers) is not SharedHeaders and type(headers) is not tuple:
            raise TypeError("headers are a tuple or SharedHeaders")
        self.body = body
        self.status = status
        self.content_type = content_type
        self._headers = headers
        self.bare = bare

    @property
    def headers(self):
        return (<SharedHeaders> self._headers).headers if type(self._headers) is SharedHeaders else self._headers

    cdef bytes lines(self):
        if type(self._headers) is SharedHeaders:
            return (<SharedHeaders> self._headers).lines
        return _header_lines(<tuple> self._headers) if <tuple> self._headers else b""

    def render(self, bytes closing_lines not None, bint head_only=False, bytes extra_lines not None=b""):
        cdef bytes opening = _opening(self.status, self.bare)
        cdef bytes type_line = _type_line(self.content_type)
        cdef bytes lines = self.lines()
        cdef Py_ssize_t body_size = PyBytes_GET_SIZE(self.body)
        cdef Py_ssize_t rest = body_size
        cdef char[24] digits
        cdef int first = 24
        while True:
            first -= 1
            digits[first] = <char> (48 + rest % 10)
            rest //= 10
            if rest == 0:
                break
        cdef bytes rendered = PyBytes_FromStringAndSize(
            NULL,
            PyBytes_GET_SIZE(opening) + PyBytes_GET_SIZE(extra_lines) + PyBytes_GET_SIZE(lines)
            + PyBytes_GET_SIZE(type_line) + (24 - first) + 2 + PyBytes_GET_SIZE(closing_lines) + 2
            + (0 if head_only else body_size),
        )
        cdef char *into = PyBytes_AS_STRING(rendered)
        into = _put(into, opening)
        into = _put(into, extra_lines)
        into = _put(into, lines)
        into = _put(into, type_line)
        memcpy(into, digits + first, 24 - first)
        into += 24 - first
        into[0] = b"\r"
        into[1] = b"\n"
        into = _put(into + 2, closing_lines)
        into[0] = b"\r"
        into[1] = b"\n"
        if not head_only:
            _put(into + 2, self.body)
        return rendered
