"""One gRPC call on the server: bytes of the request → messages; messages, status and trailers of the answer. Used by `http2`.

A message is framed by a compressed flag, four bytes of length and that many bytes (gRPC PROTOCOL-HTTP2). It may come in any
parts; one that comes whole is copied once.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_GET_ITEM
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from nacosx._core.nghttp2 cimport *

import zlib

# The gRPC statuses a server says by itself.
OK = 0
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14

cdef enum:
    BUFFER_BYTES_MIN = 4096
    PIECES_KEPT = 64  # sent pieces of an answer before its list is compacted


class RefusedError(Exception):
    """The call ends with `status` and `message`, in the words of grpc-java."""

    def __init__(self, status, message):
        super().__init__(status, message)
        self.status = status
        self.message = message


cdef bytes inflated(bytes message, Py_ssize_t size_max):
    """A gzip stream, of one member or more, that gives no more than `size_max` bytes."""
    cdef list parts = []
    cdef Py_ssize_t size = 0
    while True:
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(message, size_max - size + 1)
        except zlib.error:
            part = b""
        size += len(part)
        if size > size_max:
            raise RefusedError(RESOURCE_EXHAUSTED, f"Decompressed gRPC message exceeds maximum size {size_max}")
        if not member.eof:
            raise RefusedError(INTERNAL, "Can't decompress the gRPC message")
        parts.append(part)
        message = member.unused_data
        if not message:
            return b"".join(parts)


# --- header fields ---------------------------------------------------------------------------------------------------


cdef int check(int code) except -1:
    """What nghttp2 says to a submission."""
    if code < 0:
        raise RuntimeError(nghttp2_strerror(code).decode())
    return 0


cdef nghttp2_nv field(bytes name, bytes value) noexcept:
    """Both strings must outlive the submission."""
    cdef nghttp2_nv result
    result.name = <uint8_t*>PyBytes_AS_STRING(name)
    result.namelen = PyBytes_GET_SIZE(name)
    result.value = <uint8_t*>PyBytes_AS_STRING(value)
    result.valuelen = PyBytes_GET_SIZE(value)
    result.flags = NGHTTP2_NV_FLAG_NONE
    return result


cdef nghttp2_nv constant(bytes name, bytes value) noexcept:
    """Both strings live as long as this module, so nghttp2 need not copy them."""
    cdef nghttp2_nv result = field(name, value)
    result.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE
    return result


cdef bytes STATUS = b":status"
cdef bytes CONTENT_TYPE = b"content-type"
cdef bytes GRPC_STATUS = b"grpc-status"
cdef bytes GRPC_MESSAGE = b"grpc-message"
cdef bytes GRPC_ACCEPT_ENCODING = b"grpc-accept-encoding"
cdef bytes HTTP_200 = b"200"
cdef bytes APPLICATION_GRPC = b"application/grpc"
cdef bytes STATUS_OK = b"0"
cdef bytes GZIP = b"gzip"

cdef nghttp2_nv[2] RESPONSE_FIELDS
cdef nghttp2_nv[1] OK_FIELDS
RESPONSE_FIELDS[0] = constant(STATUS, HTTP_200)
RESPONSE_FIELDS[1] = constant(CONTENT_TYPE, APPLICATION_GRPC)
OK_FIELDS[0] = constant(GRPC_STATUS, STATUS_OK)


cdef bytes percent_encoded(str message):
    """gRPC PROTOCOL-HTTP2, Percent-Encoded: all but printable ASCII without the percent sign."""
    return b"".join(
        [bytes((byte,)) if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte for byte in message.encode()]
    )


# --- the call --------------------------------------------------------------------------------------------------------


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Call:
    def __dealloc__(self):
        free(self.buffer)

    # --- messages of the request ---

    cdef bytes next_message(self, const uint8_t** at, size_t* size, size_t size_max):
        """Takes bytes until a message is complete; None when there are too few. Raises `RefusedError`."""
        cdef size_t here
        cdef bytes message
        while size[0]:
            if self.frame_have < FRAME_BYTES:
                here = min(FRAME_BYTES - self.frame_have, size[0])
                memcpy(self.frame + self.frame_have, at[0], here)
                self.frame_have += here
                at[0] += here
                size[0] -= here
                if self.frame_have < FRAME_BYTES:
                    return None
                self.begin_message(size_max)
            here = min(self.size - self.have, size[0])
            if here == 0 and self.size:
                return None
            if here == self.size:
                message = PyBytes_FromStringAndSize(<const char*>at[0], here)
            else:
                self.keep(at[0], here)
                message = None
            at[0] += here
            size[0] -= here
            self.have += here
            if self.have == self.size:
                if message is None:
                    message = PyBytes_FromStringAndSize(<const char*>self.buffer, self.size)
                    self.drop_buffer()
                self.frame_have = 0
                return inflated(message, size_max) if self.frame[0] else message
        return None

    cdef int begin_message(self, size_t size_max) except -1:
        cdef uint8_t* frame = self.frame
        self.have = 0
        self.size = <size_t>frame[1] << 24 | <size_t>frame[2] << 16 | <size_t>frame[3] << 8 | frame[4]
        if frame[0] > 1:
            raise RefusedError(INTERNAL, "gRPC frame header malformed: reserved bits non-zero")
        if frame[0] == 1 and not self.is_gzip:
            raise RefusedError(INTERNAL, "Can't decode compressed gRPC message as compression not configured")
        if self.size > size_max:
            raise RefusedError(RESOURCE_EXHAUSTED, f"gRPC message exceeds maximum size {size_max}: {self.size}")
        if self.message is not None:
            raise RefusedError(INTERNAL, "Too many requests")
        return 0

    cdef int keep(self, const uint8_t* at, size_t size) except -1:
        """Adds a part to the buffer, which grows with what has come, not with what was announced."""
        cdef size_t wanted = self.have + size
        cdef uint8_t* buffer
        if size == 0:
            return 0  # memcpy may not be given the buffer that is not there yet, not even for nothing
        if wanted > self.buffer_size:
            wanted = max(wanted, min(max(2 * self.buffer_size, <size_t>BUFFER_BYTES_MIN), self.size))
            buffer = <uint8_t*>realloc(self.buffer, wanted)
            if buffer == NULL:
                raise MemoryError
            self.held += wanted - self.buffer_size
            self.buffer = buffer
            self.buffer_size = wanted
        memcpy(self.buffer + self.have, at, size)
        return 0

    cdef void drop_buffer(self) noexcept:
        free(self.buffer)
        self.buffer = NULL
        self.held -= self.buffer_size
        self.buffer_size = 0

    # --- messages of the answer ---

    cdef int queue(self, bytes piece) except -1:
        self.pieces.append(piece)
        self.left += PyBytes_GET_SIZE(piece)
        return 0

    cdef int copy_out(self, uint8_t* target, size_t size) except -1:
        """Moves the next `size` bytes out of the queue; there are as many."""
        cdef bytes piece
        cdef size_t here
        self.left -= size
        while size:
            piece = <bytes>PyList_GET_ITEM(self.pieces, self.piece)
            here = PyBytes_GET_SIZE(piece) - self.offset
            if here > size:
                memcpy(target, PyBytes_AS_STRING(piece) + self.offset, size)
                self.offset += size
                break
            memcpy(target, PyBytes_AS_STRING(piece) + self.offset, here)
            target += here
            size -= here
            self.offset = 0
            self.pieces[self.piece] = b""
            self.piece += 1
        if self.left == 0 or self.piece > PIECES_KEPT:
            del self.pieces[:self.piece]
            self.piece = 0
        return 0

    # --- the answer ---

    cdef int answer(self, nghttp2_session* session, list pieces, nghttp2_data_source_read_callback read) except -1:
        """Headers, then the pieces and whatever is queued later; `read` takes them and calls for the trailers."""
        cdef nghttp2_data_provider provider
        self.answered = True
        self.pieces = pieces
        for piece in pieces:
            self.left += PyBytes_GET_SIZE(<bytes>piece)
        provider.source.ptr = <void*>self
        provider.read_callback = read
        return check(nghttp2_submit_response(session, self.stream_id, RESPONSE_FIELDS, 2, &provider))

    cdef int answer_status(self, nghttp2_session* session, int status, str message) except -1:
        """Nothing but a status: Trailers-Only."""
        cdef nghttp2_nv[5] fields
        cdef bytes status_text = b"%d" % status
        cdef bytes message_text = percent_encoded(message)
        self.answered = self.ending = True
        fields[0] = RESPONSE_FIELDS[0]
        fields[1] = RESPONSE_FIELDS[1]
        fields[2] = field(GRPC_STATUS, status_text)
        fields[3] = field(GRPC_MESSAGE, message_text)
        fields[4] = constant(GRPC_ACCEPT_ENCODING, GZIP)
        # A client that used an encoding we do not know is told the one we do.
        cdef size_t count = 5 if self.encoding is not None else 4
        return check(nghttp2_submit_response(session, self.stream_id, fields, count, NULL))

    cdef int answer_plain(
        self, nghttp2_session* session, bytes http_status, bytes text, nghttp2_data_source_read_callback read
    ) except -1:
        """An answer of plain HTTP."""
        cdef nghttp2_nv[2] fields
        cdef nghttp2_data_provider provider
        self.answered = self.ending = True
        self.pieces = [text]
        self.left = PyBytes_GET_SIZE(text)
        fields[0] = field(STATUS, http_status)
        fields[1] = field(CONTENT_TYPE, b"text/plain")
        provider.source.ptr = <void*>self
        provider.read_callback = read
        return check(nghttp2_submit_response(session, self.stream_id, fields, 2, &provider))

    cdef int end(self, int status, str message) except -1:
        """After what is queued come trailers with this status."""
        self.ending = True
        self.status = status
        self.status_message = message
        return 0

    cdef int submit_trailers(self, nghttp2_session* session) except -1:
        cdef nghttp2_nv[2] fields
        if self.status == 0:
            return check(nghttp2_submit_trailer(session, self.stream_id, OK_FIELDS, 1))
        cdef bytes status_text = b"%d" % self.status
        cdef bytes message_text = percent_encoded(self.status_message)
        fields[0] = field(GRPC_STATUS, status_text)
        fields[1] = field(GRPC_MESSAGE, message_text)
        return check(nghttp2_submit_trailer(session, self.stream_id, fields, 2))
