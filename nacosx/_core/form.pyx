"""`application/x-www-form-urlencoded` (WHATWG URL §5.1), as Tomcat 9 reads it: bytes → dict.

Only `&` separates; `+` is a blank; a name without `=` has the empty value; an empty name is dropped; a pair with a broken
percent sequence is dropped; bytes that are not of the charset become U+FFFD. The first value of a name wins.
"""

from codecs import lookup

from nacosx._core.familiar cimport familiar

from cpython.dict cimport PyDict_SetDefault
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdlib cimport free, malloc
from libc.string cimport memchr

# limit: later parameters are ignored (Tomcat maxParameterCount)
PARAMETERS_MAX = 10_000

# What Java calls a charset and clients of Nacos are known to speak. A closed list: some Python codecs ("idna",
# "unicode_escape") are no charsets and can be made slow on purpose. All of them write ASCII as ASCII.
CHARSETS = frozenset(
    lookup(name).name
    for name in (
        "utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "gb2312", "gbk", "gb18030", "big5",
        "shift_jis", "euc-jp", "euc-kr",
    )
)

cdef Py_ssize_t SCRATCH_BYTES = 512
cdef signed char[256] HEX_DIGITS

cdef void _fill_tables() noexcept:
    cdef int code
    for code in range(256):
        HEX_DIGITS[code] = -1
    for code in range(10):
        HEX_DIGITS[48 + code] = <signed char> code
    for code in range(6):
        HEX_DIGITS[65 + code] = <signed char> (10 + code)
        HEX_DIGITS[97 + code] = <signed char> (10 + code)

_fill_tables()


cdef Py_ssize_t _unescape(const unsigned char *text, Py_ssize_t size, char *into) noexcept nogil:
    """Length of what was written to `into` (never more than `size`); -1 at a broken percent sequence."""
    cdef Py_ssize_t at = 0, length = 0
    cdef int high, low
    while at < size:
        if text[at] == b"%":
            if at + 2 >= size:
                return -1
            high = HEX_DIGITS[text[at + 1]]
            low = HEX_DIGITS[text[at + 2]]
            if high < 0 or low < 0:
                return -1
            into[length] = <char> (high * 16 + low)
            at += 3
        else:
            into[length] = b" " if text[at] == b"+" else <char> text[at]
            at += 1
        length += 1
    return length


cdef str _decode(const char *text, Py_ssize_t size, str charset):
    """None at a broken percent sequence. `charset` None is UTF-8."""
    cdef char[512] scratch
    cdef char *into = scratch
    cdef Py_ssize_t length
    cdef Py_ssize_t at
    for at in range(size):
        if text[at] == b"%" or text[at] == b"+":
            break
    else:
        if charset is None:
            return PyUnicode_DecodeUTF8(text, size, b"replace")
        return text[:size].decode(charset, "replace")
    if size > SCRATCH_BYTES:
        into = <char *> malloc(size)
        if into == NULL:
            raise MemoryError
    try:
        length = _unescape(<const unsigned char *> text, size, into)
        if length < 0:
            return None
        if charset is None:
            return PyUnicode_DecodeUTF8(into, length, b"replace")
        return into[:length].decode(charset, "replace")
    finally:
        if into != scratch:
            free(into)


cdef str _decode_name(const char *text, Py_ssize_t size, str charset):
    """Names repeat from request to request; nearly all are letters, which every charset writes as ASCII."""
    cdef Py_ssize_t at
    for at in range(size):
        if text[at] == b"%" or text[at] == b"+" or <signed char> text[at] < 0:
            return _decode(text, size, charset)
    return familiar(text, size)


cdef int _parse(dict form, const char *text, Py_ssize_t size, str charset, Py_ssize_t *left) except -1:
    """Adds the pairs of `text` to `form`; `left` counts down the parameters still allowed."""
    cdef const char *at = text
    cdef const char *end = text + size
    cdef const char *stop
    cdef const char *equals
    cdef str name, value
    while at < end and left[0] > 0:
        stop = <const char *> memchr(at, b"&", end - at)
        if stop == NULL:
            stop = end
        if stop > at:
            left[0] -= 1
            equals = <const char *> memchr(at, b"=", stop - at)
            if equals == NULL:
                name = _decode_name(at, stop - at, charset)
                value = ""
            else:
                name = _decode_name(at, equals - at, charset)
                value = _decode(equals + 1, stop - equals - 1, charset)
            if name and value is not None:
                PyDict_SetDefault(form, name, value)
        at = stop + 1
    return 0


cdef str _known(str charset):
    """The codec of a charset name; None for UTF-8 and for what is no charset (Java keeps the value as it is then)."""
    try:
        name = lookup(charset).name
    except (LookupError, ValueError):
        return None
    return name if name in CHARSETS and name != "utf-8" else None


cpdef dict parse_form(bytes query, bytes body, str body_charset=None):
    """Query and body as one form; `body_charset` is the one declared in the Content-Type.

    A parameter `encoding` names the charset of all values instead (Nacos `WebUtils.required`).
    """
    cdef dict form = {}
    cdef str charset
    _parse_both(form, query, None, body, _known(body_charset) if body_charset is not None else None)
    if "encoding" in form:
        charset = _known(form["encoding"].strip())
        if charset is not None:
            form = {}
            _parse_both(form, query, charset, body, charset)
    return form


cdef int _parse_both(dict form, bytes query, str query_charset, bytes body, str body_charset) except -1:
    cdef Py_ssize_t left = PARAMETERS_MAX
    _parse(form, query, len(query), query_charset, &left)
    _parse(form, body, len(body), body_charset, &left)
    return 0
