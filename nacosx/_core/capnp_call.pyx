"""One method's calls and results as Cap'n Proto RPC puts them on a connection, and the messages of a connection cut apart.

The method is number 0 of an interface and takes and gives a list of structs of one shape. A row of it is::

    kind, term, a, b, flags, c, d, group, data
    struct { data: term, a, b, flags:8 kind:16 at bit 16, c, d; pointers: group :Text, data :Data }

(`Message` of nacosx.capnp: `a` to `d` and the two lowest bits of `flags` are what the members of its union have there). Written
is one segment; read is every form that has one segment. The layout of Call, Return and Payload: rpc.capnp of Cap'n Proto 1.0;
of pointers: its encoding specification. What is not a call of this method, or the result of one, is left to whoever knows it.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

# The numbers of the calls written here begin here; below are those of the RPC system on the same connection.
FIRST_QUESTION = 1 << 30

# What a message of a connection is.
OTHER = 0
CALL = 1
RESULTS = 2

cdef enum:
    FIRST = 1 << 30
    ROWS_MAX = 1 << 16  # limit: in one message
    MESSAGE_WORDS_MAX = (64 << 20) // 8  # limit: of one message
    SEGMENTS_MAX = 512  # limit: of one message; Cap'n Proto's own

cdef enum:
    ROW_DATA = 6  # words
    ROW_POINTERS = 2
    ROW = ROW_DATA + ROW_POINTERS
    CALL_WORDS = 15  # before the rows: message, Call, target, Payload, parameters, tag of the list
    RETURN_WORDS = 10

cdef enum:
    RPC_CALL = 2  # members of the union Message of rpc.capnp
    RPC_RETURN = 3
    SENDER_HOSTED = 1  # a member of the union CapDescriptor
    NO_FINISH_NEEDED = 2  # the flag of Return: results without capabilities are forgotten once they are sent


cdef inline uint64_t struct_pointer(uint64_t offset, uint64_t data, uint64_t pointers) noexcept:
    return offset << 2 | data << 32 | pointers << 48


cdef inline uint64_t list_pointer(uint64_t offset, uint64_t size, uint64_t count) noexcept:
    return offset << 2 | 1 | size << 32 | count << 35


cdef inline uint64_t words_of(uint64_t size) noexcept:
    return (size + 7) >> 3


# --- writing ---------------------------------------------------------------------------------------------------------


def call(uint32_t question, uint32_t target, uint64_t interface, list rows not None):
    cdef uint64_t words = CALL_WORDS + words_of_rows(rows)
    cdef bytes message = PyBytes_FromStringAndSize(NULL, 8 * (words + 1))
    cdef uint64_t* at = begin(message, words, CALL_WORDS)
    at[1] = RPC_CALL
    at[2] = struct_pointer(0, 3, 3)
    at[3] = question  # method 0, results to the caller
    at[4] = interface
    at[6] = struct_pointer(2, 1, 1)
    at[7] = struct_pointer(3, 0, 2)
    at[9] = target  # an imported capability
    at[11] = struct_pointer(1, 0, 1)
    write_rows(at, CALL_WORDS, rows)
    return message


def results(uint32_t question, list rows not None):
    cdef uint64_t words = RETURN_WORDS + words_of_rows(rows)
    cdef bytes message = PyBytes_FromStringAndSize(NULL, 8 * (words + 1))
    cdef uint64_t* at = begin(message, words, RETURN_WORDS)
    at[1] = RPC_RETURN
    at[2] = struct_pointer(0, 2, 1)
    at[3] = question | <uint64_t>NO_FINISH_NEEDED << 32
    at[5] = struct_pointer(0, 0, 2)
    at[6] = struct_pointer(1, 0, 1)
    write_rows(at, RETURN_WORDS, rows)
    return message


cdef uint64_t words_of_rows(list rows) except? 0:
    cdef uint64_t words = ROW * <uint64_t>len(rows)
    cdef Py_ssize_t size
    if len(rows) > ROWS_MAX:
        raise ValueError(f"a message has at most {ROWS_MAX} rows")
    for row in rows:
        PyUnicode_AsUTF8AndSize((<tuple?>row)[7], &size)
        words += words_of(size + 1) + words_of(len(<bytes?>(<tuple>row)[8]))
    if words + CALL_WORDS > MESSAGE_WORDS_MAX:
        raise ValueError(f"a message has at most {8 * MESSAGE_WORDS_MAX} bytes")
    return words


cdef uint64_t* begin(bytes message, uint64_t words, size_t header) noexcept:
    """The table of segments, and the root; the rest of the header is 0. Returns where the segment begins."""
    cdef uint64_t* at = <uint64_t*>PyBytes_AS_STRING(message)
    at[0] = words << 32
    at += 1
    memset(at, 0, 8 * header)
    at[0] = struct_pointer(0, 1, 1)
    return at


cdef int write_rows(uint64_t* segment, uint64_t header, list rows) except -1:
    """Behind the header; its last two words are the pointer to the list and the tag of the list."""
    cdef uint64_t count = len(rows)
    cdef uint64_t* at = segment + header
    cdef uint64_t* free = at + ROW * count
    cdef const char* group
    cdef Py_ssize_t size
    cdef bytes data
    segment[header - 2] = list_pointer(0, 7, ROW * count)
    segment[header - 1] = struct_pointer(count, ROW_DATA, ROW_POINTERS)
    for kind, term, a, b, flags, c, d, name, data in rows:
        at[0], at[1], at[2], at[4], at[5] = term, a, b, c, d
        at[3] = <uint8_t>flags | <uint64_t><uint16_t>kind << 16
        group = PyUnicode_AsUTF8AndSize(name, &size)
        at[6] = list_pointer(free - at - 7, 2, size + 1)
        free = write_bytes(free, group, size + 1)  # with the 0 that ends it
        size = PyBytes_GET_SIZE(data)
        at[7] = list_pointer(free - at - 8, 2, size) if size else 0
        free = write_bytes(free, PyBytes_AS_STRING(data), size)
        at += ROW
    return 0


cdef uint64_t* write_bytes(uint64_t* into, const char* bytes_, size_t size) noexcept:
    """Returns what follows them, at the next word."""
    cdef uint64_t words = words_of(size)
    if words:
        into[words - 1] = 0
        memcpy(into, bytes_, size)
    return into + words


# --- reading ---------------------------------------------------------------------------------------------------------


cdef struct Segment:
    const uint64_t* at
    int64_t words


cdef struct Struct:
    const uint64_t* data
    const uint64_t* pointers
    int64_t data_words
    int64_t pointer_count


cdef object malformed():
    return ValueError("the message is not one of Cap'n Proto")


cdef bint find_struct(const Segment* segment, const Struct* within, int64_t number, Struct* found) noexcept:
    """What pointer `number` points at; without data or pointers where there is none. False: not a struct of this segment."""
    cdef uint64_t pointer = within.pointers[number] if number < within.pointer_count else 0
    cdef int64_t start
    found.data_words = found.pointer_count = 0
    if pointer == 0:
        return True
    if pointer & 3:
        return False
    start = (&within.pointers[number] - segment.at) + 1 + (<int32_t><uint32_t>pointer >> 2)
    found.data_words = pointer >> 32 & 0xFFFF
    found.pointer_count = pointer >> 48
    if start < 0 or start + found.data_words + found.pointer_count > segment.words:
        return False
    found.data = segment.at + start
    found.pointers = found.data + found.data_words
    return True


cdef inline uint64_t word(const Struct* within, int64_t number) noexcept:
    return within.data[number] if number < within.data_words else 0


cdef bint find_list(
    const Segment* segment, const Struct* within, int64_t number, uint64_t size, int64_t* start, int64_t* count
) noexcept:
    """The list of elements of this `size` that pointer `number` points at. False: it is no such list of this segment."""
    cdef uint64_t pointer = within.pointers[number] if number < within.pointer_count else 0
    start[0] = count[0] = 0
    if pointer == 0:
        return True
    if pointer & 3 != 1 or (pointer >> 32 & 7) != size:
        return False
    start[0] = (&within.pointers[number] - segment.at) + 1 + (<int32_t><uint32_t>pointer >> 2)
    count[0] = pointer >> 35
    words = <int64_t>words_of(count[0]) if size == 2 else count[0] + 1
    return start[0] >= 0 and start[0] + words <= segment.words


cdef list read_rows(const Segment* segment, const Struct* payload):
    """ValueError. Nothing is given out twice: a few bytes cannot be made into many."""
    cdef Struct content
    cdef Struct row
    cdef list rows = []
    cdef int64_t start
    cdef int64_t words
    cdef int64_t count
    cdef uint64_t tag
    cdef int64_t left = 8 * segment.words
    if not find_struct(segment, payload, 0, &content) or not find_list(segment, &content, 0, 7, &start, &words):
        raise malformed()
    if start == 0:
        return rows
    tag = segment.at[start]
    count = <uint32_t>tag >> 2
    row.data_words = tag >> 32 & 0xFFFF
    row.pointer_count = tag >> 48
    if tag & 3 or count > ROWS_MAX or count * (row.data_words + row.pointer_count) > words:
        raise malformed()
    row.data = segment.at + start + 1
    for _number in range(count):
        row.pointers = row.data + row.data_words
        rows.append(read_row(segment, &row, &left))
        row.data = row.pointers + row.pointer_count
    return rows


cdef tuple read_row(const Segment* segment, const Struct* row, int64_t* left):
    cdef int64_t group
    cdef int64_t group_size
    cdef int64_t data
    cdef int64_t data_size
    cdef const char* bytes_ = <const char*>segment.at
    cdef uint64_t flags = word(row, 3)
    if not find_list(segment, row, 0, 2, &group, &group_size) or not find_list(segment, row, 1, 2, &data, &data_size):
        raise malformed()
    left[0] -= group_size + data_size
    if left[0] < 0 or (group_size and bytes_[8 * group + group_size - 1]):
        raise malformed()
    return (
        flags >> 16 & 0xFFFF,
        word(row, 0),
        word(row, 1),
        word(row, 2),
        flags & 0xFF,
        word(row, 4),
        word(row, 5),
        PyUnicode_DecodeUTF8(bytes_ + 8 * group, group_size - 1, NULL) if group_size else "",
        PyBytes_FromStringAndSize(bytes_ + 8 * data, data_size),
    )


cdef bint find_message(const Segment* segment, Struct* message) noexcept:
    """The root of a message."""
    cdef Struct root
    root.data_words = 0
    root.pointer_count = 1
    root.pointers = segment.at
    return segment.words > 0 and find_struct(segment, &root, 0, message)


cdef int64_t find_capability(const Segment* segment, const Struct* payload) noexcept:
    """The one that results bring, by the number of its sender; -1: there is none, or there are several."""
    cdef Struct row
    cdef int64_t start
    cdef int64_t words
    if not find_list(segment, payload, 1, 7, &start, &words) or words == 0:
        return -1
    if segment.at[start] >> 2 & 0x3FFFFFFF != 1 or (segment.at[start] >> 32 & 0xFFFF) == 0:
        return -1
    row.data_words = 1
    row.data = segment.at + start + 1
    return <uint32_t>(word(&row, 0) >> 32) if word(&row, 0) & 0xFFFF == SENDER_HOSTED else -1


cdef bint find_call(const Segment* segment, const Struct* message, uint64_t interface, Struct* found) noexcept:
    """Call, when it is one of the method."""
    return (
        word(message, 0) & 0xFFFF == RPC_CALL
        and find_struct(segment, message, 0, found)
        and word(found, 0) >> 32 == 0  # method 0, results to the caller
        and word(found, 1) == interface
    )


@cython.final
cdef class Inbox:
    """Cuts what arrives on a connection into messages, and reads those that are of the method of `interface`."""

    cdef readonly int64_t capability
    cdef uint64_t interface
    cdef bytearray rest  # of what arrived: a message that is not whole
    cdef int64_t missing  # bytes, at least: until then there is no use in looking at it

    def __cinit__(self, uint64_t interface):
        self.capability = -1
        self.interface = interface
        self.rest = bytearray()
        self.missing = 0

    def take(self, bytes data not None):
        cdef list found = []
        cdef int64_t size
        cdef int64_t offset = 0
        cdef int64_t others = 0  # where the messages begin that are left to others
        cdef int64_t whole
        if self.rest:
            self.missing -= len(data)
            self.rest += data
            if self.missing > 0:
                return found
            data = bytes(self.rest)
            self.rest.clear()
        size = PyBytes_GET_SIZE(data)
        while offset < size:
            whole = message_size(<const uint8_t*>PyBytes_AS_STRING(data) + offset, size - offset)
            if whole > size - offset:
                break
            read = self.read(<const uint64_t*>(PyBytes_AS_STRING(data) + offset), whole)
            if read is not None:
                if others < offset:
                    found.append((OTHER, 0, data[others:offset]))
                found.append(read)
                others = offset + whole
            offset += whole
        if others < offset:
            found.append((OTHER, 0, data[others:offset]))
        if offset < size:
            self.rest += data[offset:]
            self.missing = whole - (size - offset)
        return found

    cdef tuple read(self, const uint64_t* at, int64_t size):
        """Of a whole message: None when it is left to others."""
        cdef Segment segment
        cdef Struct message
        cdef Struct found
        cdef Struct payload
        cdef bint failed
        segment.at = at + 1
        segment.words = size // 8 - 1
        if <uint32_t>at[0] or not find_message(&segment, &message):  # it has several segments, or nothing
            return None
        if find_call(&segment, &message, self.interface, &found):
            if not find_struct(&segment, &found, 1, &payload):
                return None
            return CALL, <uint32_t>word(&found, 0), read_rows(&segment, &payload)
        if word(&message, 0) & 0xFFFF == RPC_RETURN and find_struct(&segment, &message, 0, &found):
            failed = word(&found, 0) >> 48 or not find_struct(&segment, &found, 0, &payload)
            if <uint32_t>word(&found, 0) < FIRST:
                self.capability = -1 if failed else find_capability(&segment, &payload)
                return None
            if failed:
                return RESULTS, <uint32_t>word(&found, 0), None
            return RESULTS, <uint32_t>word(&found, 0), read_rows(&segment, &payload)
        return None


cdef int64_t message_size(const uint8_t* at, int64_t size) except -1:
    """Bytes of the message that begins there; of one of which not even that is known yet, more than there are."""
    cdef const uint32_t* table = <const uint32_t*>at
    cdef uint64_t segments
    cdef uint64_t head
    cdef uint64_t words = 0
    if size < 8:
        return 8
    segments = <uint64_t>table[0] + 1
    head = 8 * (segments // 2 + 1)
    if segments > SEGMENTS_MAX:
        raise malformed()
    if <uint64_t>size < head:
        return head
    for number in range(1, segments + 1):
        words += table[number]
    if words > MESSAGE_WORDS_MAX:
        raise malformed()
    return head + 8 * words
