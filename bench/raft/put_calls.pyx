"""The puts of one connection: any number of calls in flight, their frames written and read here (RFC 9113).

Compiled, as the rival's own load is: it shares the cores with the members, and in Python a put takes as much of them as a
member does.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport errno
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memmove

import os

from bench.serve.closed_loop import AnswerError, LineError
from bench.serve.grpc_line import DATA, END_HEADERS, END_STREAM, HEADER_BLOCK_AGAIN, HEADERS, frame

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int fd, void* into, size_t size, int flags)
    ssize_t send(int fd, const void* data, size_t size, int flags)

cdef extern from "<string.h>" nogil:
    void* memmem(const void* data, size_t size, const void* wanted, size_t wanted_size)

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    ctypedef struct timespec_t "struct timespec":
        time_t tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec_t* time) noexcept

cdef enum:
    HEAD_BYTES = 9  # of a frame
    STREAM_AT = 5  # in it
    SLOTS = 1024  # limit: calls begun since the oldest in flight
    BUFFER_BYTES = 256 * 1024
    KIND_DATA = 0
    KIND_HEADERS = 1
    FLAG_END_STREAM = 1


cdef int64_t now_ns() noexcept:
    cdef timespec_t now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef void write_stream(uint8_t* at, uint32_t stream) noexcept:
    at[0] = <uint8_t>(stream >> 24)
    at[1] = <uint8_t>(stream >> 16)
    at[2] = <uint8_t>(stream >> 8)
    at[3] = <uint8_t>stream


cdef class PutCalls:
    """`line` has made its handshake and has no call in flight; it goes on to hear of frames that belong to no call.

    `requests` are made one after the other, again and again; every answer must hold `accepted`. A call that fails has no
    answer.
    """

    cdef object line
    cdef bytes accepted
    cdef list frames  # HEADERS and DATA of each request, on the stream 0
    cdef size_t following  # of `frames`
    cdef size_t data_at  # where DATA begins in each of them
    cdef object opening  # those of the first call, whose header block is the one the others refer to; None: they are out
    cdef int fd
    cdef int64_t stream  # of the newest call
    cdef uint32_t[SLOTS] streams  # in flight; 0: none
    cdef int64_t[SLOTS] began_ns
    cdef bint[SLOTS] answered  # the answer is there, but not the end
    cdef uint8_t[BUFFER_BYTES] buffer
    cdef size_t have

    def __cinit__(self, line not None, list requests not None, bytes accepted not None):
        cdef bytes rest
        self.line = line
        self.fd = line.fileno()
        self.accepted = accepted
        self.frames = [
            frame(HEADERS, END_HEADERS, 0, HEADER_BLOCK_AGAIN) + frame(DATA, END_STREAM, 0, each) for each in requests
        ]
        self.data_at = HEAD_BYTES + len(HEADER_BLOCK_AGAIN)
        self.stream, first_block, rest = line.hand_over()
        if first_block is not None:
            self.opening = frame(HEADERS, END_HEADERS, self.stream + 2, first_block) + frame(
                DATA, END_STREAM, self.stream + 2, requests[0]
            )
        self.have = len(rest)
        memcpy(self.buffer, PyBytes_AS_STRING(rest), self.have)

    def fileno(self):
        return self.fd

    def close(self):
        self.line.close()

    def begin(self, int count):
        """Makes so many calls at once. LineError."""
        cdef int64_t now = now_ns()
        cdef list templates = []
        cdef Py_ssize_t size = 0
        cdef bytes template, data
        cdef uint8_t* at
        if self.opening is not None:
            self.call(now)
            self.write(self.opening)
            self.opening = None
            count -= 1
        for _ in range(count):
            template = self.frames[self.following]
            self.following = (self.following + 1) % <size_t>len(self.frames)
            templates.append(template)
            size += PyBytes_GET_SIZE(template)
        data = PyBytes_FromStringAndSize(NULL, size)
        at = <uint8_t*>PyBytes_AS_STRING(data)
        for template in templates:
            self.call(now)
            memcpy(at, PyBytes_AS_STRING(template), PyBytes_GET_SIZE(template))
            write_stream(at + STREAM_AT, <uint32_t>self.stream)
            write_stream(at + self.data_at + STREAM_AT, <uint32_t>self.stream)
            at += PyBytes_GET_SIZE(template)
        self.write(data)

    cdef int call(self, int64_t now) except -1:
        """There is one more."""
        self.stream += 2
        cdef size_t slot = (self.stream >> 1) % SLOTS
        if self.streams[slot]:
            raise LineError("a call is far behind the others")
        self.streams[slot] = <uint32_t>self.stream
        self.began_ns[slot] = now
        self.answered[slot] = False
        return 0

    cdef int write(self, bytes data) except -1:
        cdef const char* at = PyBytes_AS_STRING(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t sent
        self.line.spend(size)
        while size:
            with nogil:
                sent = send(self.fd, at, size, 0)
            if sent < 0:
                raise LineError(f"sending failed: {os.strerror(errno)}")
            at += sent
            size -= sent
        return 0

    def receive(self, list took_ns not None):
        """Takes what has come, adds to `took_ns` how long each call took that ended; how many. LineError, AnswerError."""
        cdef ssize_t size
        cdef int64_t now
        cdef uint8_t* at = self.buffer
        cdef uint8_t* end
        cdef size_t length
        cdef uint32_t stream
        cdef int ended = 0
        with nogil:
            size = recv(self.fd, self.buffer + self.have, BUFFER_BYTES - self.have, 0)
        now = now_ns()
        if size <= 0:
            raise LineError("the server closed the connection" if size == 0 else os.strerror(errno))
        end = at + self.have + size
        while end - at >= HEAD_BYTES:
            length = <size_t>at[0] << 16 | <size_t>at[1] << 8 | at[2]
            if <size_t>(end - at) < HEAD_BYTES + length:
                break
            stream = <uint32_t>at[5] << 24 | <uint32_t>at[6] << 16 | <uint32_t>at[7] << 8 | at[8]
            if at[3] <= KIND_HEADERS and stream and self.streams[(stream >> 1) % SLOTS] == stream:
                ended += self.on_frame(at, length, stream, now, took_ns)
            else:
                self.line.on_other_frame(at[3], at[4], stream, (<char*>at)[HEAD_BYTES : HEAD_BYTES + length])
            at += HEAD_BYTES + length
        self.have = end - at  # less than a frame, which has at most 16 KiB
        memmove(self.buffer, at, self.have)
        return ended

    cdef int on_frame(self, uint8_t* at, size_t length, uint32_t stream, int64_t now, list took_ns) except -1:
        """Of a call in flight; 1: it has ended."""
        cdef size_t slot = (stream >> 1) % SLOTS
        cdef bytes accepted = self.accepted
        if at[3] == KIND_DATA and length:
            if not memmem(at + HEAD_BYTES, length, PyBytes_AS_STRING(accepted), PyBytes_GET_SIZE(accepted)):
                raise AnswerError(f"refused: {(<char*>at)[HEAD_BYTES : HEAD_BYTES + length]!r}")
            self.answered[slot] = True
        if not at[4] & FLAG_END_STREAM:
            return 0
        if not self.answered[slot]:
            raise AnswerError(f"a call ended without an answer: {(<char*>at)[HEAD_BYTES : HEAD_BYTES + length]!r}")
        took_ns.append(now - self.began_ns[slot])
        self.streams[slot] = 0
        return 1
