from libc.stdint cimport int32_t, uint8_t

from nacosx._core.nghttp2 cimport nghttp2_data_source_read_callback, nghttp2_session

cdef enum:
    FRAME_BYTES = 5  # compressed flag and big-endian length, before every gRPC message

cdef class Call:
    cdef int32_t stream_id
    # The head of the request.
    cdef size_t header_bytes  # name + value + 32 each, RFC 9113 §6.5.2
    cdef bytes other_path  # what the client asked for, when it is not served
    cdef bytes encoding  # grpc-encoding, unless identity or gzip
    cdef bint streaming
    cdef bint is_post
    cdef bint is_head
    cdef bint is_grpc
    cdef bint is_gzip
    # Its messages.
    cdef bint remote_ended
    cdef bint deaf  # it has been refused: what still comes is dropped
    cdef bytes message  # of a unary call, once complete
    cdef size_t held  # bytes of memory for incoming messages
    cdef size_t charged  # the part of it that the session has counted
    cdef uint8_t[FRAME_BYTES] frame
    cdef size_t frame_have
    cdef uint8_t* buffer  # of a message that comes in parts
    cdef size_t buffer_size
    cdef size_t have
    cdef size_t size
    # The answer.
    cdef bint answered  # headers are submitted
    cdef bint ending  # after what is queued come the trailers
    cdef bint plain  # not gRPC: the body ends the stream, there are no trailers
    cdef int status
    cdef str status_message
    cdef size_t left  # bytes queued
    cdef list pieces
    cdef Py_ssize_t piece  # the first that is not sent yet
    cdef Py_ssize_t offset  # within it

    cdef bytes next_message(self, const uint8_t** at, size_t* size, size_t size_max)
    cdef int begin_message(self, size_t size_max) except -1
    cdef int keep(self, const uint8_t* at, size_t size) except -1
    cdef void drop_buffer(self) noexcept
    cdef int queue(self, bytes piece) except -1
    cdef int copy_out(self, uint8_t* target, size_t size) except -1
    cdef int answer(self, nghttp2_session* session, list pieces, nghttp2_data_source_read_callback read) except -1
    cdef int answer_status(self, nghttp2_session* session, int status, str message) except -1
    cdef int answer_plain(
        self, nghttp2_session* session, bytes http_status, bytes text, nghttp2_data_source_read_callback read
    ) except -1
    cdef int end(self, int status, str message) except -1
    cdef int submit_trailers(self, nghttp2_session* session) except -1

cdef int check(int code) except -1
