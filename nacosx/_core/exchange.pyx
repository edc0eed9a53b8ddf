"""The way of nearly every HTTP request, without a line of Python but the handler: bytes → requests → route → answer → bytes.

A server and its connections derive from these two. What is rare is left to them: the methods at the end of HttpExchange.
"""

from nacosx._core.http1 cimport Http1Parser
from nacosx._core.request cimport Request
from nacosx._core.response cimport Response

from cpython.object cimport PyObject

cdef extern from "Python.h":
    PyObject *PyDict_GetItemWithError(object mapping, object key) except? NULL


cdef str ABSTRACT = "it is for a derived class to say what is done here"


cdef class HttpShared:
    """What the connections of a server share.

    `table`: path → method → route, which is a tuple and begins with its handler. `closing_lines`: the last header lines, for a
    connection that is kept, that is kept on the client's word, that is closed; None when they are out of date.
    `closing_statuses`: after an answer with one of these the connection is closed, and after any when `stopping`.
    """

    cdef public dict table
    cdef public tuple closing_lines
    cdef public frozenset closing_statuses
    cdef public bint stopping

    def fresh_closing_lines(self):
        """Brings `closing_lines` up to date."""
        raise TypeError(ABSTRACT)


cdef class HttpExchange:
    """One connection.

    invariant: requests wait only while an earlier one is not answered (`awaited` brings it) or the client does not read
    (`writing_paused`)
    """

    cdef readonly Http1Parser parser
    cdef HttpShared shared
    cdef public object write  # of the transport
    cdef public str remote_ip
    cdef public object awaited  # what brings the answer of the request before those that wait, or None
    cdef public list waiting  # the newest first
    cdef public bint ended  # nothing that comes from the client matters any more
    cdef public bint writing_paused
    cdef public Py_ssize_t held_bytes  # of an incomplete request, as the server knows it
    cdef public Py_ssize_t answered  # requests so far

    def __cinit__(self, HttpShared shared not None, Http1Parser parser not None):
        self.shared = shared
        self.parser = parser
        self.remote_ip = ""
        self.waiting = []

    def data_received(self, bytes data not None):
        cdef list requests
        if self.ended:
            return
        requests = self.parser.feed(data)
        if requests:
            requests.reverse()
            if self.waiting:
                requests += self.waiting
            self.waiting = requests
            if self.awaited is None:
                self.pump()
            if self.waiting:
                self.hold()
        if self.held_bytes or self.parser.is_unsettled():
            self.attend()

    def answer_waiting(self):
        """Answers what waits, in order, until an answer has to be waited for or the client does not read."""
        self.pump()

    cdef int pump(self) except -1:
        cdef Request request
        cdef Response answer
        while self.waiting and not self.writing_paused:
            request = self.waiting.pop()
            request.remote_ip = self.remote_ip
            answer = self.answer(request)
            if answer is None:
                break
            self.put(request, answer)
        return 0

    cdef Response answer(self, Request request):
        """None when it comes later."""
        cdef object answer
        cdef tuple route = None
        cdef PyObject *found = PyDict_GetItemWithError(self.shared.table, request.path)
        if found != NULL:
            found = PyDict_GetItemWithError(<dict> found, request.method)
            if found != NULL:
                route = <tuple> found
        if route is None or request.has_origin:
            answer = self.route(request)
            if type(answer) is Response:
                return <Response> answer
            route = <tuple> answer
        try:
            if request.is_multipart:
                self.read_multipart(request)
            answer = route[0](request)
        except Exception as error:
            return self.refuse(request, route, error)
        if type(answer) is Response:
            return <Response> answer
        self.wait_for(request, route, answer)
        return None

    def send(self, Request request not None, Response response not None):
        self.put(request, response)

    cdef int put(self, Request request, Response response) except -1:
        cdef HttpShared shared = self.shared
        cdef tuple lines = shared.closing_lines
        cdef bint close = not request.keep_alive or shared.stopping
        self.answered += 1
        if lines is None:
            lines = shared.fresh_closing_lines()
        if response.status != 200 and response.status in shared.closing_statuses:
            close = True
        self.write(  # io
            response.render(
                <bytes> lines[2 if close else 1 if request.asks_keep_alive else 0],
                request.method == "HEAD",
                self.extra_lines(request) if request.has_origin and not response.bare else b"",
            )
        )
        if close:
            self.finish()
        return 0

    # --- what is rare ---

    def route(self, Request request):
        """The route of a request that has an origin or is not in the table; or the answer to one that has none."""
        raise TypeError(ABSTRACT)

    def read_multipart(self, Request request):
        """Sets the fields of a multipart body."""
        raise TypeError(ABSTRACT)

    def refuse(self, Request request, tuple route, error):
        """The answer when the handler, or `read_multipart`, has raised."""
        raise TypeError(ABSTRACT)

    def wait_for(self, Request request, tuple route, answer):
        """The handler returned what is no Response: sets `awaited`, until it is sent."""
        raise TypeError(ABSTRACT)

    def extra_lines(self, Request request):
        """Header lines for a browser."""
        raise TypeError(ABSTRACT)

    def finish(self):
        """The last answer is out."""
        raise TypeError(ABSTRACT)

    def hold(self):
        """Requests wait: no more should come."""
        raise TypeError(ABSTRACT)

    def attend(self):
        """The stream is refused, a client waits for "100 Continue", or bytes are held of an incomplete request."""
        raise TypeError(ABSTRACT)
