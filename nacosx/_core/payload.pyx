"""The Nacos gRPC envelope ⇄ (type, client ip, headers, body). contract/grpc.md §1::

    message Metadata { string type = 3; map<string,string> headers = 7; string clientIp = 8; }
    message Payload  { Metadata metadata = 2; google.protobuf.Any body = 3; }
    message Any      { string type_url = 1; bytes value = 2; }

The wire format is protobuf's, read as its C++ and Java parsers read it: a member given twice is merged (the last scalar
wins), a known number with another wire type is an unknown member, unknown members are skipped, strings must be UTF-8.
Everything else is a ValueError.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from nacosx._core.familiar cimport familiar

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

# limit: groups within groups and messages within messages, as protobuf's default recursion limit.
cdef enum:
    NESTING_MAX = 100

cdef enum:
    VARINT = 0
    FIXED64 = 1
    DELIMITED = 2
    GROUP = 3
    GROUP_END = 4
    FIXED32 = 5

cdef enum:
    FRAME_BYTES = 5  # compressed flag and big-endian length, before every gRPC message


cdef struct Reader:
    const uint8_t* at
    const uint8_t* end


cdef object malformed():
    return ValueError("the message is no Payload")


# --- reading ---------------------------------------------------------------------------------------------------------


cdef uint64_t read_varint(Reader* reader, int bytes_max) except? 0xDEADBEEF:
    cdef uint64_t value = 0
    cdef uint8_t byte
    cdef int shift = 0
    while reader.at < reader.end and shift < 7 * bytes_max:
        byte = reader.at[0]
        reader.at += 1
        value |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7
    raise malformed()


cdef uint32_t read_tag(Reader* reader) except 0:
    """The next tag; never 0, because the number 0 is refused."""
    cdef uint64_t tag
    if reader.at < reader.end and reader.at[0] < 0x80:
        tag = reader.at[0]
        reader.at += 1
    else:
        tag = read_varint(reader, 5)
    if tag >> 3 == 0 or tag > 0xFFFFFFFF:
        raise malformed()
    return <uint32_t>tag


cdef int read_delimited(Reader* reader, Reader* inner) except -1:
    """Gives the bytes of a length-delimited member; the reader moves behind them."""
    cdef uint64_t length
    if reader.at < reader.end and reader.at[0] < 0x80:
        length = reader.at[0]
        reader.at += 1
    else:
        length = read_varint(reader, 5)
    if length > <uint64_t>(reader.end - reader.at):
        raise malformed()
    inner.at = reader.at
    inner.end = reader.at + length
    reader.at = inner.end
    return 0


cdef str text_of(Reader* member):
    return PyUnicode_DecodeUTF8(<const char*>member.at, member.end - member.at, NULL)


cdef bint is_ascii(Reader* reader) noexcept:
    cdef const uint8_t* at = reader.at
    while at < reader.end and at[0] < 0x80:
        at += 1
    return at == reader.end


cdef str name_of(Reader* member):
    """A string of which there are not many."""
    if is_ascii(member):
        return familiar(<const char*>member.at, member.end - member.at)
    return text_of(member)


cdef int check_text(Reader* member) except -1:
    if not is_ascii(member):
        text_of(member)
    return 0


cdef int skip(Reader* reader, uint32_t tag, int nesting) except -1:
    """Moves behind an unknown member, whose tag has been read."""
    cdef Reader content
    cdef uint32_t inner
    cdef uint32_t wire_type = tag & 7
    if wire_type == VARINT:
        read_varint(reader, 10)
    elif wire_type == DELIMITED:
        read_delimited(reader, &content)
    elif wire_type == FIXED64 or wire_type == FIXED32:
        if reader.end - reader.at < (8 if wire_type == FIXED64 else 4):
            raise malformed()
        reader.at += 8 if wire_type == FIXED64 else 4
    elif wire_type == GROUP and nesting < NESTING_MAX:
        inner = read_tag(reader)
        while inner & 7 != GROUP_END:
            skip(reader, inner, nesting + 1)
            inner = read_tag(reader)
        if inner >> 3 != tag >> 3:
            raise malformed()
    else:
        raise malformed()
    return 0


cdef inline uint32_t next_member(Reader* reader, Reader* member, int nesting) except? 0xFFFFFFFF:
    """The number of the next length-delimited member, whose bytes are `member`; 0 behind the last one. All that we know of
    are length-delimited, so whatever is not is unknown and skipped."""
    cdef uint32_t tag
    while reader.at < reader.end:
        tag = read_tag(reader)
        if tag & 7 == DELIMITED:
            read_delimited(reader, member)
            return tag >> 3
        skip(reader, tag, nesting)
    return 0


@cython.final
@cython.no_gc  # holds text and bytes only, so it can be in no cycle
@cython.freelist(32)
cdef class Headers:
    """The headers of a message. Its form is checked at once; they are read when somebody asks, which few requests need."""

    cdef bytes message
    cdef dict headers

    def get(self, str name not None):
        return self.all().get(name)

    cpdef dict all(self):
        cdef Reader reader
        if self.headers is None:
            self.headers = {}
            reader.at = <const uint8_t*>PyBytes_AS_STRING(self.message)
            reader.end = reader.at + PyBytes_GET_SIZE(self.message)
            self.read(&reader)
        return self.headers

    cdef int read(self, Reader* reader) except -1:
        cdef Reader metadata, header
        cdef uint32_t number, inner
        while (number := next_member(reader, &metadata, 0)):
            if number == 2:
                while (inner := next_member(&metadata, &header, 1)):
                    if inner == 7:
                        self.read_header(&header)
        return 0

    cdef int read_header(self, Reader* reader) except -1:
        cdef Reader member
        cdef uint32_t number
        cdef str key = ""
        cdef str value = ""
        while (number := next_member(reader, &member, 2)):
            if number == 1:
                key = name_of(&member)
            elif number == 2:
                value = text_of(&member)
        self.headers[key] = value
        return 0


@cython.final
@cython.no_gc
@cython.freelist(8)
cdef class _Envelope:
    """What has been read so far."""

    cdef str type_name
    cdef str client_ip
    cdef bytes body

    def __cinit__(self):
        self.type_name = ""
        self.client_ip = ""
        self.body = b""

    cdef int read(self, Reader* reader) except -1:
        cdef Reader member
        cdef uint32_t number
        while (number := next_member(reader, &member, 0)):
            if number == 2:
                self.read_metadata(&member)
            elif number == 3:
                self.read_body(&member)
        return 0

    cdef int read_metadata(self, Reader* reader) except -1:
        cdef Reader member
        cdef uint32_t number
        while (number := next_member(reader, &member, 1)):
            if number == 3:
                self.type_name = name_of(&member)
            elif number == 8:
                self.client_ip = text_of(&member)
            elif number == 7:
                self.check_header(&member)
        return 0

    cdef int check_header(self, Reader* reader) except -1:
        cdef Reader member
        cdef uint32_t number
        while (number := next_member(reader, &member, 2)):
            if number <= 2:
                check_text(&member)
        return 0

    cdef int read_body(self, Reader* reader) except -1:
        cdef Reader member
        cdef uint32_t number
        while (number := next_member(reader, &member, 1)):
            if number == 2:
                self.body = PyBytes_FromStringAndSize(<const char*>member.at, member.end - member.at)
            elif number == 1:
                check_text(&member)  # the type_url is empty in Nacos and means nothing
        return 0


def decode(bytes message not None):
    """The parts of a Payload: `(type, client_ip, headers, body)`. ValueError when it is not one."""
    cdef Reader reader
    cdef _Envelope envelope = _Envelope.__new__(_Envelope)
    cdef Headers headers = Headers.__new__(Headers)
    reader.at = <const uint8_t*>PyBytes_AS_STRING(message)
    reader.end = reader.at + PyBytes_GET_SIZE(message)
    envelope.read(&reader)
    headers.message = message
    return envelope.type_name, envelope.client_ip, headers, envelope.body


# --- writing ---------------------------------------------------------------------------------------------------------


cdef Py_ssize_t varint_size(uint64_t value) noexcept:
    cdef Py_ssize_t size = 1
    while value >= 0x80:
        value >>= 7
        size += 1
    return size


cdef uint8_t* write_varint(uint8_t* at, uint64_t value) noexcept:
    while value >= 0x80:
        at[0] = <uint8_t>(value | 0x80)
        at += 1
        value >>= 7
    at[0] = <uint8_t>value
    return at + 1


cdef Py_ssize_t delimited_size(Py_ssize_t length) noexcept:
    """Of a member with a number below 16: tag, length and content."""
    return 1 + varint_size(<uint64_t>length) + length


cdef uint8_t* write_prefix(uint8_t* at, int number, Py_ssize_t length) noexcept:
    at[0] = <uint8_t>(number << 3 | DELIMITED)
    return write_varint(at + 1, <uint64_t>length)


cdef uint8_t* write_delimited(uint8_t* at, int number, const char* content, Py_ssize_t length) noexcept:
    at = write_prefix(at, number, length)
    memcpy(at, content, length)
    return at + length


def head(str type_name not None, Py_ssize_t body_size, str client_ip not None = "", bytes lead not None = b""):
    """A gRPC message as far as the body: frame prefix, metadata, the head of the Any, and `lead`, the first bytes of the body.

    The caller sends `body_size - len(lead)` more bytes: so a body can be shared by many messages. ValueError when the body
    is shorter than its lead, or longer than a frame can tell.
    """
    cdef Py_ssize_t type_size = 0
    cdef Py_ssize_t ip_size = 0
    cdef Py_ssize_t lead_size = PyBytes_GET_SIZE(lead)
    cdef const char* type_utf8 = PyUnicode_AsUTF8AndSize(type_name, &type_size)
    cdef const char* ip_utf8 = PyUnicode_AsUTF8AndSize(client_ip, &ip_size)
    if body_size < lead_size or body_size > 0x7FFFFF00 - type_size - ip_size:
        raise ValueError("the body does not fit")
    cdef Py_ssize_t metadata_size = 0
    if type_size:
        metadata_size += delimited_size(type_size)
    if ip_size:
        metadata_size += delimited_size(ip_size)
    cdef Py_ssize_t any_size = delimited_size(body_size) if body_size else 0
    cdef Py_ssize_t message_size = delimited_size(metadata_size) + delimited_size(any_size)
    cdef Py_ssize_t head_size = FRAME_BYTES + message_size - body_size + lead_size

    cdef bytes result = PyBytes_FromStringAndSize(NULL, head_size)
    cdef uint8_t* at = <uint8_t*>PyBytes_AS_STRING(result)
    at[0] = 0
    at[1] = <uint8_t>(message_size >> 24)
    at[2] = <uint8_t>(message_size >> 16)
    at[3] = <uint8_t>(message_size >> 8)
    at[4] = <uint8_t>message_size
    at = write_prefix(at + FRAME_BYTES, 2, metadata_size)
    if type_size:
        at = write_delimited(at, 3, type_utf8, type_size)
    if ip_size:
        at = write_delimited(at, 8, ip_utf8, ip_size)
    at = write_prefix(at, 3, any_size)
    if body_size:
        at = write_prefix(at, 2, body_size)
        memcpy(at, PyBytes_AS_STRING(lead), lead_size)
    return result
