"""Server side of HTTP/1.1 (RFC 9112), without IO: bytes → `Request`s. (`request`, `response`: the values.)

`Http1Parser` eats the stream of one connection in pieces of any size. Lines are judged when they are complete and in the
order of the stream, so the answer does not depend on how the bytes were split. What it refuses follows Tomcat 9 (the
server inside Nacos 2.5.1), and is stricter where two readings of one stream would make request smuggling possible:

* request line: CRLF only, one blank between its parts; header lines may end in a bare LF, lines of a chunked body may not;
* no obs-fold, no blank before the colon, no control characters;
* Content-Length once, digits only, never beside Transfer-Encoding; `chunked` is the only coding (others: 501);
* HTTP/1.1 needs exactly one Host.
"""

from nacosx._core.familiar cimport familiar
from nacosx._core.request cimport Request as HttpRequest, decode_path, trim

# Handlers find all of HTTP in one place.
from nacosx._core.request import Request  # no-cython-lint
from nacosx._core.response import Response, SharedHeaders  # no-cython-lint

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memmove

cdef extern from "strings.h" nogil:
    int strncasecmp(const char *one, const char *other, size_t size)

# nacos-docker: server.max-http-request-header-size
HEAD_BYTES_MAX = 512 * 1024
# Tomcat: maxHeaderCount
HEADERS_MAX = 100
# Nacos maxContent (10 MiB), every byte of it percent-encoded, and 1 MiB for the other parameters.
BODY_BYTES_MAX = 31 * 1024 * 1024

cdef Py_ssize_t METHOD_BYTES_MAX = 32
cdef Py_ssize_t CHUNK_LINE_BYTES_MAX = 8192  # Tomcat: maxExtensionSize
cdef Py_ssize_t TRAILER_BYTES_MAX = 8192  # Tomcat: maxTrailerSize
cdef Py_ssize_t SIZE_DIGITS_MAX = 15  # of a Content-Length or a chunk size, so that it fits an int64
cdef Py_ssize_t BODY_BYTES_FIRST = 16 * 1024  # first buffer of an incomplete body; it doubles as bytes arrive

cdef enum:
    CHAR_TOKEN = 1  # RFC 9110 tchar
    CHAR_VALUE = 2  # what a field value may hold: HTAB, SP, visible, obs-text
    CHAR_TARGET = 4  # what a request target may hold: visible ASCII but '#' and '\'

cdef uint8_t[256] CHARS


cdef int _fill_chars() except -1:
    cdef int code
    for code in range(256):
        CHARS[code] = 0
        if code == 9 or (code >= 32 and code != 127):
            CHARS[code] |= CHAR_VALUE
        if 33 <= code <= 126 and code != 35 and code != 92:
            CHARS[code] |= CHAR_TARGET
    for code in b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        CHARS[code] |= CHAR_TOKEN
    return 0

_fill_chars()


cdef str _method(const char *text, Py_ssize_t size):
    if size == 3:
        if memcmp(text, b"GET", 3) == 0:
            return "GET"
        if memcmp(text, b"PUT", 3) == 0:
            return "PUT"
    elif size == 4:
        if memcmp(text, b"POST", 4) == 0:
            return "POST"
        if memcmp(text, b"HEAD", 4) == 0:
            return "HEAD"
    elif size == 6 and memcmp(text, b"DELETE", 6) == 0:
        return "DELETE"
    return PyUnicode_DecodeASCII(text, size, NULL)


cdef bint _is_token(const char *value, Py_ssize_t size, const char *token, Py_ssize_t token_size) noexcept nogil:
    return size == token_size and strncasecmp(value, token, size) == 0


cdef enum:
    START  # between requests
    LINE  # request line
    FIELD  # header lines
    FIXED  # body of known length
    CHUNK_SIZE
    CHUNK
    CHUNK_END  # the CRLF after a chunk
    TRAILER
    DEAD  # refused, or the last request was seen


@cython.final
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

    def __cinit__(self):
        self._state = START
        self.refusal = ""

    def __init__(
        self,
        Py_ssize_t head_bytes_max=HEAD_BYTES_MAX,
        int headers_max=HEADERS_MAX,
        Py_ssize_t body_bytes_max=BODY_BYTES_MAX,
    ):
        self._head_bytes_max = head_bytes_max
        self._headers_max = headers_max
        self._body_bytes_max = body_bytes_max

    def __dealloc__(self):
        free(self._held)
        free(self._body)

    @property
    def unsettled(self):
        return self.refusal_status != 0 or self.continue_wanted or self._held_room != 0 or self._body_room != 0

    @property
    def in_request(self):
        return self._state != START and self._state != DEAD

    @property
    def body_bytes(self):
        return self._body_size

    @property
    def held_bytes(self):
        return self._held_room + self._body_room

    cpdef list feed(self, bytes data):
        cdef list requests = []
        cdef const char *text = PyBytes_AS_STRING(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t used
        if self._state == DEAD:
            return requests
        self.continue_wanted = False
        if self._held_size == 0:
            used = self._advance(text, size, requests)
            if used < size:
                self._hold(text + used, size - used)
        else:
            self._hold(text, size)
            used = self._advance(self._held, self._held_size, requests)
            self._held_size -= used
            if self._held_size == 0:
                self._release_held()
            elif used:
                memmove(self._held, self._held + used, self._held_size)
        if self._state == DEAD:
            self._held_size = 0
            self._release_held()
            self._release_body()
            self._request = None
        return requests

    cdef int _hold(self, const char *text, Py_ssize_t size) except -1:
        cdef char *grown
        cdef Py_ssize_t room
        if self._held_size + size > self._held_room:
            room = max(self._held_size + size, 2 * self._held_room)
            grown = <char *> realloc(self._held, room)
            if grown == NULL:
                raise MemoryError
            self._held = grown
            self._held_room = room
        memcpy(self._held + self._held_size, text, size)
        self._held_size += size
        return 0

    cdef void _release_held(self) noexcept:
        free(self._held)
        self._held = NULL
        self._held_room = 0

    cdef void _release_body(self) noexcept:
        free(self._body)
        self._body = NULL
        self._body_size = 0
        self._body_room = 0

    cdef int _refuse(self, int status, str why) except -1:
        self._state = DEAD
        self.refusal_status = status
        self.refusal = why
        return 0

    cdef Py_ssize_t _advance(self, const char *text, Py_ssize_t size, list requests) except -1:
        """Eats what can be judged; returns how many bytes need not be kept."""
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t taken
        while self._state != DEAD:
            if self._state == START:
                # Tomcat skips blank lines before a request line
                while at < size and (text[at] == b"\r" or text[at] == b"\n"):
                    at += 1
                if at == size:
                    return size
                if not CHARS[<uint8_t> text[at]] & CHAR_TOKEN:
                    self._refuse(400, "a request does not begin with a method")
                    break
                self._begin()
            if self._state == LINE or self._state == FIELD:
                taken = self._read_head(text + at, size - at)
                if taken == 0:
                    return at
                at += taken
                if self._state == START:
                    self._deliver(b"", requests)
                elif self._state == FIXED and self._missing <= size - at:
                    self._deliver(PyBytes_FromStringAndSize(text + at, <Py_ssize_t> self._missing), requests)
                    at += <Py_ssize_t> self._missing
            elif self._state == FIXED or self._state == CHUNK:
                if at == size:
                    return size
                at += self._read_body(text + at, size - at)
                if self._missing == 0:
                    if self._state == CHUNK:
                        self._state = CHUNK_END
                    else:
                        self._deliver_body(requests)
            else:
                taken = self._read_chunk_line(text + at, size - at)
                if taken == 0:
                    return at
                at += taken
                if self._state == START:
                    self._deliver_body(requests)
        return size

    cdef int _begin(self) except -1:
        self._state = LINE
        self._line_at = self._scan_at = 0
        self._request = HttpRequest.__new__(HttpRequest)
        self._closing = self._chunked = self._expecting = False
        self._header_count = self._host_count = 0
        self._content_length = -1
        return 0

    # --- head ---

    cdef Py_ssize_t _read_head(self, const char *text, Py_ssize_t size) except -1:
        """0 while the head is incomplete or when it is refused, else its length; the state is then START (no body),
        FIXED or CHUNK_SIZE."""
        cdef const char *stop
        cdef const char *line
        cdef Py_ssize_t end, length
        while True:
            stop = <const char *> memchr(text + self._scan_at, b"\n", size - self._scan_at)
            end = size if stop == NULL else stop - text
            if end >= self._head_bytes_max:
                self._refuse(400, "the head is too large")
                return 0
            if stop == NULL:
                self._scan_at = size
                return 0
            line = text + self._line_at
            length = stop - line
            if self._state == LINE:
                if length == 0 or line[length - 1] != b"\r":
                    self._refuse(400, "the request line does not end in CRLF")
                    return 0
                self._judge_line(line, length - 1)
                self._request.fields_at = end + 1
            else:
                if length and line[length - 1] == b"\r":
                    length -= 1
                if length == 0:
                    self._request.head = PyBytes_FromStringAndSize(text, self._line_at)
                    self._judge_head(size - end - 1)
                    return end + 1
                self._judge_field(line, length)
            if self._state == DEAD:
                return 0
            self._line_at = self._scan_at = end + 1

    cdef int _judge_line(self, const char *line, Py_ssize_t size) except -1:
        cdef const char *blank = <const char *> memchr(line, b" ", size)
        cdef Py_ssize_t method_size = blank - line if blank != NULL else size
        cdef Py_ssize_t at
        for at in range(method_size):
            if not CHARS[<uint8_t> line[at]] & CHAR_TOKEN:
                return self._refuse(400, "illegal character in the method")
        if blank == NULL or method_size > METHOD_BYTES_MAX:
            return self._refuse(400, "illegal request line")
        self._request.method = _method(line, method_size)
        cdef Py_ssize_t target_at = method_size + 1
        blank = <const char *> memchr(line + target_at, b" ", size - target_at)
        if blank == NULL or blank == line + target_at:
            return self._refuse(400, "illegal request line")
        self._judge_target(line, target_at, blank - line)
        if self._state == DEAD:
            return 0
        cdef const char *version = blank + 1
        if (
            line + size - version != 8 or memcmp(version, b"HTTP/", 5) != 0 or version[6] != b"."
            or not b"0" <= version[5] <= b"9" or not b"0" <= version[7] <= b"9"
        ):
            return self._refuse(400, "illegal protocol version")
        if version[5] != b"1":
            return self._refuse(505, "unsupported protocol version")
        self._http11 = version[7] != b"0"
        self._state = FIELD
        return 0

    cdef int _judge_target(self, const char *line, Py_ssize_t at, Py_ssize_t end) except -1:
        cdef HttpRequest request = self._request
        cdef Py_ssize_t start = at
        cdef bint plain = True
        cdef char last = 0
        if line[at] != b"/":
            if end - at == 1 and line[at] == b"*" and request.method == "OPTIONS":
                request.path = "*"
                request.path_at = at
                request.path_end = request.query_at = request.query_end = end
                return 0
            # RFC 9112 §3.2.2: a server must accept the absolute form
            if end - at > 7 and strncasecmp(line + at, b"http://", 7) == 0:
                start = at + 7
            elif end - at > 8 and strncasecmp(line + at, b"https://", 8) == 0:
                start = at + 8
            else:
                return self._refuse(400, "illegal request target")
            at = start
            while start < end and line[start] != b"/" and line[start] != b"?":
                if not CHARS[<uint8_t> line[start]] & CHAR_TARGET:
                    return self._refuse(400, "illegal character in the request target")
                start += 1
            if start == at:
                return self._refuse(400, "illegal request target")
        at = start
        while at < end and line[at] != b"?":
            if not CHARS[<uint8_t> line[at]] & CHAR_TARGET:
                return self._refuse(400, "illegal character in the request target")
            if line[at] == b"%" or line[at] == b";" or (last == b"/" and (line[at] == b"/" or line[at] == b".")):
                plain = False
            last = line[at]
            at += 1
        request.path_at = start
        request.path_end = at
        request.query_at = at + 1 if at < end else at
        request.query_end = end
        while at < end:
            if not CHARS[<uint8_t> line[at]] & CHAR_TARGET:
                return self._refuse(400, "illegal character in the request target")
            at += 1
        if request.path_end == start:
            request.path = "/"
        elif plain:
            request.path = familiar(line + start, request.path_end - start)
        else:
            request.path = decode_path(line[start:request.path_end])
            if request.path is None:
                return self._refuse(400, "illegal request path")
        return 0

    cdef int _judge_field(self, const char *line, Py_ssize_t size) except -1:
        cdef Py_ssize_t name_size = 0
        cdef Py_ssize_t at, value_size = 0
        cdef const char *value
        while name_size < size and CHARS[<uint8_t> line[name_size]] & CHAR_TOKEN:
            name_size += 1
        if name_size == 0 or name_size == size or line[name_size] != b":":
            return self._refuse(400, "illegal header line")
        for at in range(name_size + 1, size):
            if not CHARS[<uint8_t> line[at]] & CHAR_VALUE:
                return self._refuse(400, "illegal character in a header value")
        self._header_count += 1
        if self._header_count > self._headers_max:
            return self._refuse(400, "too many headers")
        if name_size not in (4, 6, 10, 12, 14, 17):
            return 0
        value = trim(line + name_size + 1, line + size, &value_size)
        if name_size == 4:
            if strncasecmp(line, b"host", 4) == 0:
                self._host_count += 1
        elif name_size == 6:
            if strncasecmp(line, b"expect", 6) == 0:
                if not _is_token(value, value_size, b"100-continue", 12):
                    return self._refuse(417, "unknown expectation")
                self._expecting = True
            elif strncasecmp(line, b"origin", 6) == 0:
                self._request.has_origin = True
        elif name_size == 10:
            if strncasecmp(line, b"connection", 10) == 0:
                self._judge_connection(value, value_size)
        elif name_size == 12:
            if strncasecmp(line, b"content-type", 12) == 0:
                if value_size >= 19 and strncasecmp(value, b"multipart/form-data", 19) == 0:
                    self._request.is_multipart = True
        elif name_size == 14:
            if strncasecmp(line, b"content-length", 14) == 0:
                self._judge_length(value, value_size)
        elif strncasecmp(line, b"transfer-encoding", 17) == 0:
            if not _is_token(value, value_size, b"chunked", 7):
                return self._refuse(501, "unsupported transfer coding")
            if self._chunked:
                return self._refuse(400, "transfer coding given twice")
            self._chunked = True
        return 0

    cdef int _judge_length(self, const char *value, Py_ssize_t size) except -1:
        cdef int64_t length = 0
        cdef Py_ssize_t at
        if self._content_length >= 0:
            return self._refuse(400, "content length given twice")
        if not 0 < size <= SIZE_DIGITS_MAX:
            return self._refuse(400, "illegal content length")
        for at in range(size):
            if not b"0" <= value[at] <= b"9":
                return self._refuse(400, "illegal content length")
            length = 10 * length + (value[at] - c"0")
        self._content_length = length
        return 0

    cdef int _judge_connection(self, const char *value, Py_ssize_t size) except -1:
        cdef const char *end = value + size
        cdef const char *stop
        cdef const char *token
        cdef Py_ssize_t token_size = 0
        while value < end:
            stop = <const char *> memchr(value, b",", end - value)
            if stop == NULL:
                stop = end
            token = trim(value, stop, &token_size)
            if _is_token(token, token_size, b"close", 5):
                self._closing = True
            elif _is_token(token, token_size, b"keep-alive", 10):
                self._request.asks_keep_alive = True
            value = stop + 1
        return 0

    cdef int _judge_head(self, Py_ssize_t following) except -1:
        """The head is complete: how long is the body? `following` bytes have come after the head."""
        if self._host_count > 1 or (self._http11 and self._host_count == 0):
            return self._refuse(400, "one Host header is required")
        self._request.keep_alive = not self._closing and (self._http11 or self._request.asks_keep_alive)
        if self._chunked:
            if self._content_length >= 0 or not self._http11:
                return self._refuse(400, "ambiguous length of the body")
            self._state = CHUNK_SIZE
            self._scan_at = 0
            self._trailer_bytes = 0
        elif self._content_length > 0:
            if self._content_length > self._body_bytes_max:
                return self._refuse(413, "the body is too large")
            self._state = FIXED
            self._missing = self._content_length
        else:
            self._state = START
        # RFC 9110 §10.1.1: no 100 when the body is already on its way, or for HTTP/1.0
        self.continue_wanted = self._expecting and self._http11 and self._state != START and following == 0
        return 0

    # --- body ---

    cdef Py_ssize_t _read_body(self, const char *text, Py_ssize_t size) except -1:
        """Moves what belongs to the body or chunk; returns its length."""
        cdef Py_ssize_t taken = <Py_ssize_t> min(self._missing, <int64_t> size)
        cdef Py_ssize_t room
        cdef char *grown
        if self._body_size + taken > self._body_room:
            room = max(self._body_size + taken, 2 * self._body_room, BODY_BYTES_FIRST)
            if self._state == FIXED:
                room = min(room, <Py_ssize_t> self._content_length)
            grown = <char *> realloc(self._body, room)
            if grown == NULL:
                raise MemoryError
            self._body = grown
            self._body_room = room
        memcpy(self._body + self._body_size, text, taken)
        self._body_size += taken
        self._missing -= taken
        return taken

    cdef Py_ssize_t _read_chunk_line(self, const char *text, Py_ssize_t size) except -1:
        """Chunk size, end of a chunk or trailer: 0 while its line is incomplete or when it is refused."""
        cdef const char *stop
        cdef Py_ssize_t end
        if self._state == CHUNK_END:
            if size and text[0] != b"\r" or size > 1 and text[1] != b"\n":
                self._refuse(400, "a chunk does not end in CRLF")
                return 0
            if size < 2:
                return 0
            self._state = CHUNK_SIZE
            self._scan_at = 0
            return 2
        stop = <const char *> memchr(text + self._scan_at, b"\n", size - self._scan_at)
        end = size if stop == NULL else stop - text
        if end >= (CHUNK_LINE_BYTES_MAX if self._state == CHUNK_SIZE else TRAILER_BYTES_MAX - self._trailer_bytes):
            self._refuse(400, "a line of the chunked body is too long")
            return 0
        if stop == NULL:
            self._scan_at = size
            return 0
        if end == 0 or text[end - 1] != b"\r":
            self._refuse(400, "a line of the chunked body does not end in CRLF")
            return 0
        self._scan_at = 0
        if self._state == CHUNK_SIZE:
            self._judge_chunk(text, end - 1)
        else:
            self._judge_trailer(text, end - 1)
        return 0 if self._state == DEAD else end + 1

    cdef int _judge_chunk(self, const char *line, Py_ssize_t size) except -1:
        cdef int64_t length = 0
        cdef Py_ssize_t digits = 0
        cdef Py_ssize_t at
        cdef char code
        while digits < size:
            code = line[digits] | 0x20
            if b"0" <= line[digits] <= b"9":
                length = 16 * length + (line[digits] - c"0")
            elif b"a" <= code <= b"f":
                length = 16 * length + (code - c"a" + 10)
            else:
                break
            digits += 1
            if digits > SIZE_DIGITS_MAX:
                return self._refuse(400, "illegal chunk size")
        if digits == 0 or (digits < size and line[digits] != b";"):
            return self._refuse(400, "illegal chunk size")
        for at in range(digits, size):
            if not CHARS[<uint8_t> line[at]] & CHAR_VALUE:
                return self._refuse(400, "illegal character in a chunk extension")
        if self._body_size + length > self._body_bytes_max:
            return self._refuse(413, "the body is too large")
        self._missing = length
        self._state = CHUNK if length else TRAILER
        return 0

    cdef int _judge_trailer(self, const char *line, Py_ssize_t size) except -1:
        """Trailers are checked like headers and dropped: nothing in Nacos reads them."""
        cdef Py_ssize_t at
        if size == 0:
            self._state = START
            return 0
        self._trailer_bytes += size + 2
        at = 0
        while at < size and CHARS[<uint8_t> line[at]] & CHAR_TOKEN:
            at += 1
        if at == 0 or at == size or line[at] != b":":
            return self._refuse(400, "illegal trailer line")
        for at in range(at, size):
            if not CHARS[<uint8_t> line[at]] & CHAR_VALUE:
                return self._refuse(400, "illegal character in a trailer value")
        return 0

    cdef int _deliver_body(self, list requests) except -1:
        cdef bytes body = PyBytes_FromStringAndSize(self._body, self._body_size) if self._body_size else b""
        self._release_body()
        return self._deliver(body, requests)

    cdef int _deliver(self, bytes body, list requests) except -1:
        cdef HttpRequest request = self._request
        request.body = body
        self._request = None
        requests.append(request)
        self._state = START if request.keep_alive else DEAD
        return 0
