"""One HTTP/1.1 request: what was asked, decoded when somebody looks.

The whole head is one bytes object. `header()` scans it: a request has a dozen short lines and a handler looks at one or
two, so that is cheaper than a dict for each request.
"""

from nacosx._core.form cimport parse_form

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeLatin1
from libc.string cimport memchr

cdef extern from "strings.h" nogil:
    int strncasecmp(const char *one, const char *other, size_t size)


cdef str decode_path(bytes raw):
    """Percent-decoded, path parameters dropped, dot segments and double slashes resolved (Tomcat `CoyoteAdapter`).

    None where Tomcat answers 400: broken or unsafe escapes (NUL, slash, backslash), not UTF-8, above the root.
    """
    cdef list segments = []
    cdef bytes segment
    for segment in raw.split(b"/"):
        segment = segment.partition(b";")[0]
        if b"%" in segment:
            segment = _unescape(segment)
            if segment is None:
                return None
        if segment == b"..":
            if not segments:
                return None
            segments.pop()
        elif segment and segment != b".":
            segments.append(segment)
    if segments and raw.endswith((b"/", b"/.", b"/..")):
        segments.append(b"")
    try:
        return (b"/" + b"/".join(segments)).decode()
    except UnicodeDecodeError:
        return None


cdef bytes _unescape(bytes segment):
    cdef list parts = segment.split(b"%")
    cdef bytearray decoded = bytearray(parts[0])
    cdef bytes part
    for part in parts[1:]:
        try:
            code = int(part[:2], 16) if part[:2].isalnum() and len(part) >= 2 else -1
        except ValueError:
            return None
        if code <= 0 or code == 47 or code == 92:
            return None
        decoded.append(code)
        decoded += part[2:]
    return bytes(decoded)


@cython.final
@cython.no_gc  # holds text and bytes only, so it can be in no cycle
@cython.freelist(32)
cdef class Request:
    def __init__(self, str method, str target, *, headers=(), bytes body=b"", str remote_ip="127.0.0.1"):
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), ""]
        self.head = "\r\n".join(lines).encode("latin-1")
        self.path_at = len(method) + 1
        self.query_end = self.path_at + len(target)
        self.path_end = self.path_at + len(target.partition("?")[0])
        self.query_at = min(self.path_end + 1, self.query_end)
        self.fields_at = len(lines[0]) + 2
        self.method = method
        self.path = decode_path(self.head[self.path_at:self.path_end])
        self.body = body
        self.remote_ip = remote_ip
        self.keep_alive = True
        self.has_origin = self.header("origin") is not None

    @property
    def query(self):
        return self.head[self.query_at:self.query_end]

    @property
    def raw_path(self):
        return PyUnicode_DecodeLatin1(
            PyBytes_AS_STRING(self.head) + self.path_at, self.path_end - self.path_at, NULL
        )

    def header(self, str name):
        cdef Py_ssize_t name_size, value_size = 0
        cdef const char *wanted = PyUnicode_AsUTF8AndSize(name, &name_size)
        cdef const char *value = self._find(wanted, name_size, &value_size)
        if value == NULL:
            return None
        return PyUnicode_DecodeLatin1(value, value_size, NULL)

    cdef const char *_find(self, const char *name, Py_ssize_t name_size, Py_ssize_t *value_size) noexcept:
        cdef const char *at = PyBytes_AS_STRING(self.head) + self.fields_at
        cdef const char *end = PyBytes_AS_STRING(self.head) + PyBytes_GET_SIZE(self.head)
        cdef const char *stop
        while at < end:
            stop = <const char *> memchr(at, b"\n", end - at)
            if stop - at > name_size and at[name_size] == b":" and strncasecmp(at, name, name_size) == 0:
                at += name_size + 1
                return trim(at, stop, value_size)
            at = stop + 1
        return NULL

    def headers(self):
        cdef list pairs = []
        cdef const char *at = PyBytes_AS_STRING(self.head) + self.fields_at
        cdef const char *end = PyBytes_AS_STRING(self.head) + PyBytes_GET_SIZE(self.head)
        cdef const char *stop
        cdef const char *colon
        cdef const char *value
        cdef Py_ssize_t value_size = 0
        while at < end:
            stop = <const char *> memchr(at, b"\n", end - at)
            colon = <const char *> memchr(at, b":", stop - at)
            value = trim(colon + 1, stop, &value_size)
            pairs.append((
                PyUnicode_DecodeLatin1(at, colon - at, NULL), PyUnicode_DecodeLatin1(value, value_size, NULL),
            ))
            at = stop + 1
        return pairs

    def form(self):
        cdef dict form
        if self._form is None:
            form = self._parse_form()
            if self.fields is not None:
                for name, value in self.fields.items():
                    form.setdefault(name, value)
            self._form = form
        return self._form

    cdef dict _parse_form(self):
        cdef Py_ssize_t size = 0
        cdef const char *value = NULL
        if PyBytes_GET_SIZE(self.body):
            value = self._find(b"content-type", 12, &size)
        if value == NULL or size < 33 or strncasecmp(value, b"application/x-www-form-urlencoded", 33) != 0:
            return parse_form(self.head[self.query_at:self.query_end], b"", None)
        return parse_form(
            self.head[self.query_at:self.query_end], self.body, _charset(value[33:size]) if size > 33 else None
        )


cdef str _charset(bytes parameters):
    for parameter in parameters.split(b";"):
        name, _, value = parameter.partition(b"=")
        if name.strip().lower() == b"charset":
            return value.strip(b" \t\"").decode("latin-1")
    return None


cdef const char *trim(const char *value, const char *stop, Py_ssize_t *size) noexcept nogil:
    while value < stop and (value[0] == b" " or value[0] == b"\t"):
        value += 1
    while value < stop and ((stop - 1)[0] == b" " or (stop - 1)[0] == b"\t" or (stop - 1)[0] == b"\r"):
        stop -= 1
    size[0] = stop - value
    return value
