"""The server side of gRPC over HTTP/2, on libnghttp2. Sans-IO: bytes in → events, answers → bytes out.

::

    receive(bytes) → [(CALL, stream, message), …]          respond / send / end …          drain() → bytes

nghttp2 keeps HPACK, the stream states and both flow controls; this module keeps gRPC (message frames, compression, status)
and the limits. One Python object lives for each open stream; a unary call leaves as one event when its message is complete.

What a peer can make us hold or do is bounded: open streams, header list, CONTINUATIONs, SETTINGS entries, unread
acknowledgements, stream resets (theirs by nghttp2, ours by `Session`), frames that carry nothing, pings, the size of a
message before and after inflation, bytes received for unanswered calls, bytes waiting to be sent.

Sources: RFC 9113; gRPC PROTOCOL-HTTP2; grpc-java for the words of a refusal and the rules of keepalive (KeepAliveEnforcer).
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memcmp, memcpy

from nacosx._core.grpc_call cimport Call, check
from nacosx._core.nghttp2 cimport *

from nacosx._core.grpc_call import INTERNAL, OK, RESOURCE_EXHAUSTED, UNIMPLEMENTED, RefusedError

# Kinds of events.
CALL = 0  # a unary call is complete: the value is its message
OPENED = 1  # a stream call began: the value is None
MESSAGE = 2  # a message on a stream call
HALF_CLOSED = 3  # the client will send no more on a stream call
CLOSED = 4  # a stream call is over: the value is the HTTP/2 error code

MESSAGE_BYTES_MAX = 10 * 1024 * 1024  # nacos.remote.server.grpc.sdk.max-inbound-message-size

cdef int64_t PING_WITHOUT_CALLS_MS = 7_200_000  # grpc-java: IMPLICIT_PERMIT_TIME

cdef enum:
    HEAD_BYTES = 9  # of an HTTP/2 frame
    DRAIN_BYTES_MAX = 128 * 1024  # limit: what one drain returns
    OUTPUT_BYTES = 256 * 1024  # a drain ends with the frame that passes DRAIN_BYTES_MAX; frames have at most 16 KiB
    STREAM_WINDOW_BYTES = 1024 * 1024  # of a call of the client, as grpc-java
    CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024
    HEADER_LIST_BYTES_MAX = 8192  # as grpc-java; a client tells nothing else in its header fields
    NAME_BYTES_MAX = 200  # of what a client asked for, in the status that refuses it
    CONTINUATIONS_MAX = 8
    SETTINGS_MAX = 32  # entries in one SETTINGS frame
    ACKNOWLEDGEMENTS_MAX = 1000  # unread PING and SETTINGS acknowledgements
    RESETS_BURST_MAX = 1000
    RESETS_PER_SECOND_MAX = 33
    PING_STRIKES_MAX = 2  # grpc-java: MAX_PING_STRIKES
    IDLE_FRAMES_MAX = 2000  # budget of frames that carry nothing …
    IDLE_FRAMES_PER_SECOND = 100  # … what it regains with time …
    IDLE_FRAMES_PER_USEFUL = 10  # … and for each frame that carries something, in either direction
    RESET_COST = 40  # of a stream that the peer made us reset; more than its request regains

# Filled and read within one `drain`; the GIL is held all the time, so one is enough for all sessions.
cdef uint8_t output[OUTPUT_BYTES]
cdef size_t output_size = 0


cdef bint equal(const uint8_t* at, size_t size, bytes expected) noexcept:
    return size == <size_t>PyBytes_GET_SIZE(expected) and memcmp(at, PyBytes_AS_STRING(expected), size) == 0


# --- the session -----------------------------------------------------------------------------------------------------


@cython.final
@cython.no_gc
cdef class Session:
    """One HTTP/2 connection of a client. It serves a unary method and a streaming one, told by their paths.

    After `receive`, `drain` until it is `drained` and look at `closed`: then the connection has nothing more to do.
    """

    cdef nghttp2_session* session
    cdef dict streams  # id → Call, of every open one: this is what keeps it alive
    cdef Call recent  # the one nghttp2 spoke of last, which it most often speaks of again
    cdef list events
    cdef int32_t last_stream_id  # of the newest request
    cdef bytes unary_path
    cdef bytes stream_path
    cdef size_t message_bytes_max
    cdef size_t inbound_bytes_max
    cdef size_t send_queue_bytes_max
    cdef int64_t permit_keep_alive_ms
    cdef int64_t now_ms
    cdef size_t inbound_bytes  # received for calls that are not over
    cdef size_t batch_bytes  # the part of them that left with the last events
    cdef int64_t idle_budget  # in thousandths of a frame
    cdef int64_t pinged_ms  # when the peer's last acceptable ping came; -1 = any is acceptable
    cdef int ping_strikes
    cdef bint finished
    cdef Exception error  # what a callback raised
    cdef readonly size_t queued_bytes  # of messages and replies that wait to be sent
    cdef readonly bint ping_pending  # a ping of ours is not acknowledged
    cdef readonly bint drained  # the last drain took all that could go

    def __cinit__(
        self,
        *,
        bytes unary_path not None,
        bytes stream_path not None,
        size_t message_bytes_max=MESSAGE_BYTES_MAX,
        size_t inbound_bytes_max=64 * 1024 * 1024,
        size_t send_queue_bytes_max=4 * 1024 * 1024,
        uint32_t concurrent_streams_max=1024,
        int64_t permit_keep_alive_ms=300_000,
    ):
        cdef nghttp2_settings_entry[4] settings
        self.streams = {}
        self.events = []
        self.unary_path = unary_path
        self.stream_path = stream_path
        self.message_bytes_max = message_bytes_max
        self.inbound_bytes_max = inbound_bytes_max
        self.send_queue_bytes_max = send_queue_bytes_max
        self.permit_keep_alive_ms = permit_keep_alive_ms
        self.idle_budget = IDLE_FRAMES_MAX * 1000
        self.pinged_ms = -1
        check(nghttp2_session_server_new2(&self.session, callbacks, <void*>self, options))
        settings[0].settings_id = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS
        settings[0].value = concurrent_streams_max
        settings[1].settings_id = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE
        settings[1].value = STREAM_WINDOW_BYTES
        settings[2].settings_id = NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE
        settings[2].value = HEADER_LIST_BYTES_MAX
        # Streams need no tree of priorities: messages leave in the order they were queued.
        settings[3].settings_id = NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES
        settings[3].value = 1
        check(nghttp2_submit_settings(self.session, NGHTTP2_FLAG_NONE, settings, 4))
        check(nghttp2_session_set_local_window_size(self.session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES))

    def __dealloc__(self):
        nghttp2_session_del(self.session)

    # --- what the wire calls ---

    def receive(self, bytes data not None, int64_t now_ms):
        """Takes bytes of the peer; returns the events in their order: `(kind, stream_id, value)`."""
        cdef list events
        cdef int64_t elapsed_ms = now_ms - self.now_ms
        if self.finished:
            return []
        if elapsed_ms > 0:
            self.now_ms = now_ms
            self.add_budget(min(elapsed_ms, <int64_t>3_600_000) * IDLE_FRAMES_PER_SECOND)
        self.inbound_bytes -= self.batch_bytes
        self.batch_bytes = 0
        if nghttp2_session_mem_recv(self.session, <const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)) < 0:
            self.finish()
        events = self.events
        self.events = []
        return events

    def drain(self):
        """The next bytes to write; none when nothing waits or the peer's windows are full."""
        global output_size
        cdef const uint8_t* chunk
        cdef ssize_t size
        output_size = 0
        while output_size < DRAIN_BYTES_MAX:
            size = nghttp2_session_mem_send(self.session, &chunk)
            if size <= 0 or <size_t>size > OUTPUT_BYTES - output_size:
                if size:
                    self.finish()
                break
            memcpy(output + output_size, chunk, size)
            output_size += size
        self.drained = output_size < DRAIN_BYTES_MAX
        return PyBytes_FromStringAndSize(<const char*>output, output_size)

    def respond(self, int32_t stream_id, bytes head not None, bytes body not None):
        """Answers a unary call with one message, given in two parts, and status OK. False when the client gave it up."""
        cdef Call call = self.find(stream_id)
        if call is None or call.answered:
            return False
        call.ending = True
        self.answer(call, [head, body])
        return True

    def send(self, int32_t stream_id, bytes head not None, bytes body not None, bytes tail not None=b""):
        """Queues one message, given in three parts, on a stream call. False when the call is over or the queue is full."""
        cdef Call call = self.find(stream_id)
        cdef size_t size = PyBytes_GET_SIZE(head) + PyBytes_GET_SIZE(body) + PyBytes_GET_SIZE(tail)
        if call is None or call.ending or not call.streaming:
            return False
        if self.queued_bytes and self.queued_bytes + size > self.send_queue_bytes_max:
            return False
        call.pieces.append(head)
        call.pieces.append(body)
        if tail:
            call.pieces.append(tail)
        call.left += size
        self.queued_bytes += size
        nghttp2_session_resume_data(self.session, stream_id)
        return True

    def end(self, int32_t stream_id, int status=OK, str message not None=""):
        """Ends a call with a status; what is queued on it is sent before. Nothing happens when it is over already."""
        cdef Call call = self.find(stream_id)
        if call is not None and not call.ending:
            self.end_call(call, status, message)

    def end_streams(self, int status, str message not None):
        """Ends all stream calls; unary ones go on."""
        for call in self.streams.values():
            if (<Call>call).streaming and not (<Call>call).ending:
                self.end_call(<Call>call, status, message)

    def is_open(self, int32_t stream_id):
        """Whether messages can still be sent on a stream call."""
        cdef Call call = self.find(stream_id)
        return call is not None and not call.ending

    def ping(self):
        """Asks the peer for a sign of life; `ping_pending` until it comes."""
        self.ping_pending = True
        nghttp2_submit_ping(self.session, NGHTTP2_FLAG_NONE, NULL)

    def goaway(self, uint32_t error_code=NGHTTP2_NO_ERROR, bytes reason not None=b""):
        """Accepts no new calls. Without an error the open ones go on, with one the connection is over."""
        if self.finished:
            return
        nghttp2_submit_goaway(
            self.session,
            NGHTTP2_FLAG_NONE,
            nghttp2_session_get_last_proc_stream_id(self.session),
            error_code,
            <const uint8_t*>PyBytes_AS_STRING(reason),
            PyBytes_GET_SIZE(reason),
        )
        if error_code != NGHTTP2_NO_ERROR:
            self.finished = True

    @property
    def open_streams(self):
        return len(self.streams)

    @property
    def closed(self):
        """Nothing more will be read; once drained, the connection can be closed."""
        return self.finished or not (nghttp2_session_want_read(self.session) or nghttp2_session_want_write(self.session))

    cdef int fail(self, Exception error) noexcept:
        """A callback raised: nghttp2 gives up."""
        self.error = error
        return NGHTTP2_ERR_CALLBACK_FAILURE

    cdef int finish(self) except -1:
        """nghttp2 gave up: the peer broke the protocol, or a callback raised."""
        self.finished = True
        if self.error is not None:
            raise self.error
        return 0

    # --- answers ---

    cdef Call find(self, int32_t stream_id):
        """None when it is not open."""
        cdef void* found
        if self.recent is not None and self.recent.stream_id == stream_id:
            return self.recent
        found = nghttp2_session_get_stream_user_data(self.session, stream_id)
        return None if found == NULL else <Call>found

    cdef int answer(self, Call call, list pieces) except -1:
        """Headers now, then the pieces and whatever is queued later, then trailers."""
        call.answer(self.session, pieces, read_pieces)
        self.queued_bytes += call.left
        return 0

    cdef int end_call(self, Call call, int status, str message) except -1:
        call.deaf = True
        if not call.answered:
            return call.answer_status(self.session, status, message)
        call.end(status, message)
        nghttp2_session_resume_data(self.session, call.stream_id)
        return 0

    cdef int refuse_plain(self, Call call) except -1:
        """Tells a client that does not speak gRPC so, in words it understands."""
        cdef bytes text = b"This port speaks gRPC: POST with content-type application/grpc only.\n"
        call.answer_plain(self.session, b"415" if call.is_post else b"405", b"" if call.is_head else text, read_pieces)
        self.queued_bytes += call.left
        return 0

    # --- what nghttp2 tells ---

    cdef int begin_call(self, int32_t stream_id) except -1:
        cdef Call call = Call.__new__(Call)
        call.stream_id = self.last_stream_id = stream_id
        self.streams[stream_id] = self.recent = call
        return check(nghttp2_session_set_stream_user_data(self.session, stream_id, <void*>call))

    cdef int header(
        self, Call call, const uint8_t* name, size_t name_size, const uint8_t* value, size_t value_size
    ) except -1:
        if name_size == 5 and memcmp(name, b":path", 5) == 0:
            call.streaming = equal(value, value_size, self.stream_path)
            if not call.streaming and not equal(value, value_size, self.unary_path):
                call.other_path = PyBytes_FromStringAndSize(<const char*>value, value_size)
        elif name_size == 7 and memcmp(name, b":method", 7) == 0:
            call.is_post = equal(value, value_size, b"POST")
            call.is_head = equal(value, value_size, b"HEAD")
        elif name_size == 12 and memcmp(name, b"content-type", 12) == 0:
            call.is_grpc = value_size >= 16 and memcmp(value, b"application/grpc", 16) == 0
        elif name_size == 13 and memcmp(name, b"grpc-encoding", 13) == 0:
            call.is_gzip = equal(value, value_size, b"gzip")
            if not call.is_gzip and not equal(value, value_size, b"identity"):
                call.encoding = PyBytes_FromStringAndSize(<const char*>value, value_size)
        return 0

    cdef int dispatch(self, Call call) except -1:
        """The head of a request is complete."""
        if not call.is_grpc or not call.is_post:
            call.deaf = call.plain = True
            return 0
        if call.other_path is not None:
            name = call.other_path[:NAME_BYTES_MAX].decode("utf-8", "replace").lstrip("/")
            return self.end_call(call, UNIMPLEMENTED, "Method not found: " + name)
        if call.encoding is not None:
            name = call.encoding[:NAME_BYTES_MAX].decode("utf-8", "replace")
            return self.end_call(call, UNIMPLEMENTED, "Can't find decompressor for " + name)
        if call.streaming:
            self.answer(call, [])
            self.events.append((OPENED, call.stream_id, None))
        return 0

    cdef int body(self, Call call, const uint8_t* at, size_t size) except -1:
        """Bytes of the request body: any part of any number of messages."""
        cdef bytes message
        while size and not call.deaf:
            try:
                message = call.next_message(&at, &size, self.message_bytes_max)
            except RefusedError as refused:
                return self.end_call(call, refused.status, refused.message)
            if message is not None:
                call.held += PyBytes_GET_SIZE(message)
            self.inbound_bytes += call.held
            self.inbound_bytes -= call.charged
            call.charged = call.held
            if self.inbound_bytes > self.inbound_bytes_max:
                return self.end_call(call, RESOURCE_EXHAUSTED, "too many bytes wait for an answer on this connection")
            if message is None:
                break
            if call.streaming:
                # It leaves with the events of this receive, and is off our hands with the next.
                call.held -= PyBytes_GET_SIZE(message)
                call.charged = call.held
                self.batch_bytes += PyBytes_GET_SIZE(message)
                self.events.append((MESSAGE, call.stream_id, message))
            else:
                call.message = message
        return 0

    cdef int half_close(self, Call call) except -1:
        """The client has said all."""
        call.remote_ended = True
        if call.plain:
            return self.refuse_plain(call)
        if call.deaf:
            return 0
        if call.frame_have:
            return self.end_call(call, INTERNAL, "Encountered end-of-stream mid-frame")
        if call.streaming:
            self.events.append((HALF_CLOSED, call.stream_id, None))
        elif call.message is None:
            self.end_call(call, INTERNAL, "Half-closed without a request")
        elif self.queued_bytes > self.send_queue_bytes_max:
            self.end_call(call, RESOURCE_EXHAUSTED, "too many bytes wait to be sent on this connection")
        else:
            self.events.append((CALL, call.stream_id, call.message))
        return 0

    cdef int close_call(self, int32_t stream_id, uint32_t error_code) except -1:
        cdef Call call = self.streams.pop(stream_id, None)
        if call is None:
            return 0
        if call is self.recent:
            self.recent = None
        self.queued_bytes -= call.left
        self.inbound_bytes -= call.charged
        if call.streaming and call.answered:
            self.events.append((CLOSED, stream_id, error_code))
        return 0

    cdef int sent(self, const nghttp2_frame* frame) except -1:
        cdef Call call
        if frame.hd.type == NGHTTP2_DATA or frame.hd.type == NGHTTP2_HEADERS:
            # Whoever receives something may ping again: grpc-java's KeepAliveEnforcer.resetCounters.
            self.ping_strikes = 0
            self.pinged_ms = -1
            self.add_budget(IDLE_FRAMES_PER_USEFUL * 1000)
            if frame.hd.flags & NGHTTP2_FLAG_END_STREAM:
                call = self.find(frame.hd.stream_id)
                if call is not None and not call.remote_ended:
                    # RFC 9113 §8.1: the rest of the request is not needed.
                    nghttp2_submit_rst_stream(self.session, NGHTTP2_FLAG_NONE, frame.hd.stream_id, NGHTTP2_NO_ERROR)
        elif frame.hd.type == NGHTTP2_RST_STREAM and frame.rst_stream.error_code != NGHTTP2_NO_ERROR:
            self.spend_budget(RESET_COST)
        return 0

    # --- limits ---

    cdef void add_budget(self, int64_t thousandths) noexcept:
        self.idle_budget = min(self.idle_budget + thousandths, <int64_t>IDLE_FRAMES_MAX * 1000)

    cdef int spend_budget(self, int64_t frames) except -1:
        self.idle_budget -= frames * 1000
        if self.idle_budget < 0:
            self.goaway(NGHTTP2_ENHANCE_YOUR_CALM, b"too_many_idle_frames")
        return 0

    cdef int begin_frame(self, const nghttp2_frame_hd* head) except -1:
        """Tells frames that carry something from those that do not, and refuses what nghttp2 lets pass."""
        cdef bint known = head.stream_id > self.last_stream_id or self.find(head.stream_id) is not None
        if head.type == NGHTTP2_HEADERS and not known:
            # RFC 9113 §5.1: a request on a stream that is over. nghttp2 reads it and drops it.
            self.goaway(NGHTTP2_STREAM_CLOSED, b"")
        elif head.type == NGHTTP2_PRIORITY and head.stream_id == 0:
            # RFC 9113 §6.3; nghttp2 does not look at PRIORITY frames once priorities are switched off.
            self.goaway(NGHTTP2_PROTOCOL_ERROR, b"")
        elif head.type == NGHTTP2_HEADERS or (head.type == NGHTTP2_DATA and head.length and known):
            self.add_budget(IDLE_FRAMES_PER_USEFUL * 1000)
        elif not (head.type == NGHTTP2_DATA and head.flags & NGHTTP2_FLAG_END_STREAM):
            self.spend_budget(1)
        return 0

    cdef int pinged(self) except -1:
        """grpc-java's KeepAliveEnforcer.pingAcceptable."""
        cdef int64_t interval_ms = self.permit_keep_alive_ms if self.streams else PING_WITHOUT_CALLS_MS
        if self.pinged_ms < 0 or self.now_ms - self.pinged_ms >= interval_ms:
            self.pinged_ms = self.now_ms
            return 0
        self.ping_strikes += 1
        if self.ping_strikes > PING_STRIKES_MAX:
            self.goaway(NGHTTP2_ENHANCE_YOUR_CALM, b"too_many_pings")
        return 0


# --- callbacks of nghttp2 --------------------------------------------------------------------------------------------
# They are called within receive and drain, with the GIL held, and no exception may pass through nghttp2: the session keeps
# it, and receive or drain raises it.


cdef int on_begin_frame(nghttp2_session* _, const nghttp2_frame_hd* head, void* user_data) noexcept:
    try:
        return (<Session>user_data).begin_frame(head)
    except Exception as error:
        return (<Session>user_data).fail(error)


cdef int on_begin_headers(nghttp2_session* _, const nghttp2_frame* frame, void* user_data) noexcept:
    if frame.headers.cat != NGHTTP2_HCAT_REQUEST:
        return 0
    try:
        return (<Session>user_data).begin_call(frame.hd.stream_id)
    except Exception as error:
        return (<Session>user_data).fail(error)


cdef int on_header(
    nghttp2_session* session,
    const nghttp2_frame* frame,
    const uint8_t* name,
    size_t name_size,
    const uint8_t* value,
    size_t value_size,
    uint8_t _,
    void* user_data,
) noexcept:
    cdef Call call = (<Session>user_data).find(frame.hd.stream_id)
    if call is None:
        return 0
    call.header_bytes += name_size + value_size + 32
    if call.header_bytes > HEADER_LIST_BYTES_MAX:
        # The call is reset, and nghttp2 stops telling its fields: a small frame can stand for megabytes of them.
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame.hd.stream_id, NGHTTP2_ENHANCE_YOUR_CALM)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
    if frame.headers.cat != NGHTTP2_HCAT_REQUEST:
        return 0
    try:
        return (<Session>user_data).header(call, name, name_size, value, value_size)
    except Exception as error:
        return (<Session>user_data).fail(error)


cdef int on_data_chunk(
    nghttp2_session* _session, uint8_t _flags, int32_t stream_id, const uint8_t* at, size_t size, void* user_data
) noexcept:
    cdef Call call = (<Session>user_data).find(stream_id)
    if call is None:
        return 0
    try:
        return (<Session>user_data).body(call, at, size)
    except Exception as error:
        return (<Session>user_data).fail(error)


cdef int on_frame_received(nghttp2_session* _, const nghttp2_frame* frame, void* user_data) noexcept:
    cdef Call call
    try:
        if frame.hd.type == NGHTTP2_PING:
            if frame.hd.flags & NGHTTP2_FLAG_ACK:
                (<Session>user_data).ping_pending = False
            else:
                (<Session>user_data).pinged()
        elif frame.hd.type == NGHTTP2_HEADERS or frame.hd.type == NGHTTP2_DATA:
            call = (<Session>user_data).find(frame.hd.stream_id)
            if call is None:
                return 0
            if frame.hd.type == NGHTTP2_HEADERS and frame.headers.cat == NGHTTP2_HCAT_REQUEST:
                (<Session>user_data).dispatch(call)
            if frame.hd.flags & NGHTTP2_FLAG_END_STREAM:
                (<Session>user_data).half_close(call)
        return 0
    except Exception as error:
        return (<Session>user_data).fail(error)


cdef int on_frame_sent(nghttp2_session* _, const nghttp2_frame* frame, void* user_data) noexcept:
    try:
        return (<Session>user_data).sent(frame)
    except Exception as error:
        return (<Session>user_data).fail(error)


cdef int on_stream_close(nghttp2_session* _, int32_t stream_id, uint32_t error_code, void* user_data) noexcept:
    try:
        return (<Session>user_data).close_call(stream_id, error_code)
    except Exception as error:
        return (<Session>user_data).fail(error)


cdef ssize_t read_pieces(
    nghttp2_session* _,
    int32_t stream_id,
    uint8_t* buffer,
    size_t size,
    uint32_t* data_flags,
    nghttp2_data_source* source,
    void* user_data,
) noexcept:
    """How many bytes the next DATA frame takes; `send_pieces` writes them."""
    cdef Call call = <Call>source.ptr
    (<Session>user_data).recent = call
    if call.left == 0 and not call.ending:
        return NGHTTP2_ERR_DEFERRED
    data_flags[0] |= NGHTTP2_DATA_FLAG_NO_COPY
    if call.left > size:
        return size
    if call.ending:
        data_flags[0] |= NGHTTP2_DATA_FLAG_EOF
        if not call.plain:
            data_flags[0] |= NGHTTP2_DATA_FLAG_NO_END_STREAM
            try:
                call.submit_trailers((<Session>user_data).session)
            except Exception as error:
                return (<Session>user_data).fail(error)
    return call.left


cdef int send_pieces(
    nghttp2_session* _,
    nghttp2_frame* frame,
    const uint8_t* head,
    size_t size,
    nghttp2_data_source* source,
    void* user_data,
) noexcept:
    global output_size
    if HEAD_BYTES + size > OUTPUT_BYTES - output_size:
        return NGHTTP2_ERR_WOULDBLOCK
    memcpy(output + output_size, head, HEAD_BYTES)
    try:
        (<Call>source.ptr).copy_out(output + output_size + HEAD_BYTES, size)
    except Exception as error:
        return (<Session>user_data).fail(error)
    (<Session>user_data).queued_bytes -= size
    output_size += HEAD_BYTES + size
    return 0


cdef nghttp2_session_callbacks* callbacks
cdef nghttp2_option* options

check(nghttp2_session_callbacks_new(&callbacks))
nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame)
nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers)
nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header)
nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk)
nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_received)
nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent)
nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close)
nghttp2_session_callbacks_set_send_data_callback(callbacks, send_pieces)

check(nghttp2_option_new(&options))
nghttp2_option_set_no_closed_streams(options, 1)
nghttp2_option_set_max_outbound_ack(options, ACKNOWLEDGEMENTS_MAX)
nghttp2_option_set_max_settings(options, SETTINGS_MAX)
nghttp2_option_set_max_continuations(options, CONTINUATIONS_MAX)
nghttp2_option_set_stream_reset_rate_limit(options, RESETS_BURST_MAX, RESETS_PER_SECOND_MAX)
