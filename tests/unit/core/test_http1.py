"""The HTTP/1.1 machine: what it takes, what it refuses and with which status. `tests/fuzz` holds it against h11."""

from __future__ import annotations

import pytest

from nacosx._core.http1 import Http1Parser, Request

HOST = b"Host: a\r\n"


def head(line: bytes = b"GET /nacos HTTP/1.1", fields: bytes = HOST) -> bytes:
    return line + b"\r\n" + fields + b"\r\n"


def one(stream: bytes) -> Request:
    parser = Http1Parser()
    requests = parser.feed(stream)
    assert parser.refusal_status == 0, parser.refusal
    assert len(requests) == 1
    return requests[0]


def refused(stream: bytes, **limits: int) -> int:
    parser = Http1Parser(**limits)
    assert parser.feed(stream) == []
    assert parser.refusal
    assert parser.feed(head()) == []  # nothing is read after a refusal
    return parser.refusal_status


# --- what is asked ---


def test_a_request_tells_its_method_path_query_and_headers() -> None:
    request = one(
        head(b"PUT /nacos/v1/ns/instance?a=1&b=%41 HTTP/1.1", b"HOST:a\r\nUser-Agent:\t Nacos \r\nX: \xe9\r\nX: 2\r\n")
    )
    assert (request.method, request.path, request.raw_path, request.query) == (
        "PUT",
        "/nacos/v1/ns/instance",
        "/nacos/v1/ns/instance",
        b"a=1&b=%41",
    )
    assert request.header("user-agent") == "Nacos"
    assert request.header("x") == "é"
    assert request.header("nope") is None
    assert request.header("user-agen") is None
    assert request.headers() == [("HOST", "a"), ("User-Agent", "Nacos"), ("X", "é"), ("X", "2")]
    assert request.body == b""
    assert request.keep_alive
    assert not request.asks_keep_alive


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/", "/"),
        (b"/a%20b", "/a b"),
        (b"/%E4%B8%AD", "/中"),
        (b"/a//b/./c/../d", "/a/b/d"),
        (b"/a/", "/a/"),
        (b"/a/..", "/"),
        (b"/a/.", "/a/"),
        (b"/nacos;jsessionid=1/v1;x", "/nacos/v1"),
        (b"/..a/b..", "/..a/b.."),
        (b"http://some.host:1/a?b=/c", "/a"),
        (b"HTTPS://some.host?b", "/"),
        (b"https://some.host", "/"),
    ],
)
def test_the_path_is_decoded_and_normalised_as_tomcat_does(target: bytes, path: str) -> None:
    assert one(head(b"GET " + target + b" HTTP/1.1")).path == path


@pytest.mark.parametrize(
    "target",
    [
        b"/..",
        b"/a/../..",
        b"/a%2Fb",
        b"/a%2fb",
        b"/a%5Cb",
        b"/a%00",
        b"/a%",
        b"/a%4",
        b"/a%zz",
        b"/%ff",
        b"/%+1",
        b"/a\\b",
        b"/#",
    ],
)
def test_a_path_that_can_be_read_in_two_ways_is_refused(target: bytes) -> None:
    assert refused(head(b"GET " + target + b" HTTP/1.1")) == 400


def test_options_may_ask_for_the_whole_server() -> None:
    assert one(head(b"OPTIONS * HTTP/1.1")).path == "*"
    assert refused(head(b"GET * HTTP/1.1")) == 400


@pytest.mark.parametrize(
    ("stream", "status"),
    [
        (b"GET / HTTP/1.1\n" + HOST + b"\r\n", 400),  # Tomcat wants CRLF here
        (head(b"GET  / HTTP/1.1"), 400),
        (head(b"GET /"), 400),
        (head(b"GET / HTTP/1.1 "), 400),
        (head(b"GET / HTTP/1,1"), 400),
        (head(b"GET / http/1.1"), 400),
        (head(b"GET / HTTP/2.0"), 505),
        (head(b"GE\tT / HTTP/1.1"), 400),
        (head(b"A" * 33 + b" / HTTP/1.1"), 400),
        (head(b"GET /a b HTTP/1.1"), 400),
        (head(b"GET a HTTP/1.1"), 400),
        (head(b"CONNECT some.host:443 HTTP/1.1"), 400),
        (head(b"GET http:///a HTTP/1.1"), 400),
        (head(b"GET /\xe4 HTTP/1.1"), 400),
        (head(b"GET /?\x01 HTTP/1.1"), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),  # TLS: told at the first byte
    ],
)
def test_an_illegal_request_line_is_refused(stream: bytes, status: int) -> None:
    assert refused(stream) == status


@pytest.mark.parametrize(
    "field",
    [
        b"X\r\n",
        b": y\r\n",
        b"X : y\r\n",
        b" X: y\r\n",
        b"X: y\r\n z\r\n",
        b"X: a\0b\r\n",
        b"X: a\rb\r\n",
        b"X: \x7f\r\n",
        b"X\xe9: y\r\n",
    ],
)
def test_an_illegal_header_line_is_refused(field: bytes) -> None:
    assert refused(head(fields=HOST + field)) == 400


def test_blank_lines_before_a_request_and_bare_line_feeds_after_headers_are_taken() -> None:
    assert one(b"\r\n\n" + b"GET / HTTP/1.1\r\nHost: a\n\n").headers() == [("Host", "a")]


def test_http_1_1_needs_exactly_one_host() -> None:
    assert refused(head(fields=b"")) == 400
    assert refused(head(fields=HOST + HOST)) == 400
    assert one(head(b"GET / HTTP/1.0", b"")).path == "/"


# --- how long the connection lives ---


@pytest.mark.parametrize(
    ("version", "connection", "kept", "asked"),
    [
        (b"1.1", b"", True, False),
        (b"1.1", b"Connection: close\r\n", False, False),
        (b"1.1", b"Connection: Keep-Alive\r\n", True, True),
        (b"1.1", b"Connection: TE, Close\r\n", False, False),
        (b"1.1", b"Connection: closed\r\n", True, False),
        (b"1.0", b"", False, False),
        (b"1.0", b"connection: keep-alive\r\n", True, True),
        (b"1.0", b"Connection: keep-alive\r\nConnection: close\r\n", False, True),
    ],
)
def test_the_client_says_whether_the_connection_is_kept(
    version: bytes, connection: bytes, kept: bool, asked: bool
) -> None:
    parser = Http1Parser()
    stream = head(b"GET / HTTP/" + version, HOST + connection)
    requests = parser.feed(stream + stream)
    assert requests[0].keep_alive is kept
    assert requests[0].asks_keep_alive is asked
    assert len(requests) == (2 if kept else 1)  # what follows the last request is not read


# --- bodies ---


def test_pipelined_requests_come_out_in_order_with_their_bodies() -> None:
    stream = (
        head(b"POST /1 HTTP/1.1", HOST + b"Content-Length: 3\r\n")
        + b"abc"
        + head(b"GET /2 HTTP/1.1", HOST + b"Content-Length: 0\r\n")
        + head(b"POST /3 HTTP/1.1", HOST + b"Transfer-Encoding: chunked\r\n")
        + b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"
        + head(b"GET /4 HTTP/1.1")
    )
    for step in (1, 2, 7, len(stream)):
        parser = Http1Parser()
        requests = [each for at in range(0, len(stream), step) for each in parser.feed(stream[at : at + step])]
        assert [(each.path, each.body) for each in requests] == [
            ("/1", b"abc"),
            ("/2", b""),
            ("/3", b"abc0123456789"),
            ("/4", b""),
        ]
        assert not parser.in_request
        assert parser.held_bytes == 0


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
        (b"Content-Length: 5\r\nContent-Length: 5\r\n", 400),
        (b"Content-Length: 5, 5\r\n", 400),
        (b"Content-Length: +5\r\n", 400),
        (b"Content-Length: -5\r\n", 400),
        (b"Content-Length: 0x5\r\n", 400),
        (b"Content-Length:\r\n", 400),
        (b"Content-Length: " + b"9" * 16 + b"\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", 501),
        (b"Transfer-Encoding: identity\r\n", 501),
        (b"Transfer-Encoding: xchunked\r\n", 501),
        (b"Expect: something\r\n", 417),
    ],
)
def test_a_body_whose_length_is_not_certain_is_refused(fields: bytes, status: int) -> None:
    assert refused(head(b"POST / HTTP/1.1", HOST + fields)) == status


def test_http_1_0_knows_no_chunks() -> None:
    assert refused(head(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked\r\n")) == 400


@pytest.mark.parametrize(
    "chunks",
    [b"3\nabc\r\n", b"x\r\n", b"-1\r\n", b" 3\r\nabc", b"3 \r\nabc", b"3;\x01\r\nabc", b"3\r\nabcd", b"3\r\nabc\n",
     b"f" * 16 + b"\r\n", b"\r\n",
     b"0\r\n X: y\r\n", b"0\r\nX y\r\n", b"0\r\nX: \x01\r\n", b"0\r\n: y\r\n", b"0\r\n\n"],
)  # fmt: skip
def test_illegal_chunks_and_trailers_are_refused(chunks: bytes) -> None:
    assert refused(head(b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: chunked\r\n") + chunks) == 400


# --- limits ---


def test_a_head_may_be_as_long_as_the_limit_and_no_longer() -> None:
    stream = head(fields=HOST + b"X: " + b"y" * 100 + b"\r\n")
    assert len(Http1Parser(head_bytes_max=len(stream)).feed(stream)) == 1
    assert refused(stream, head_bytes_max=len(stream) - 1) == 400
    assert refused(b"GET /" + b"a" * 100, head_bytes_max=100) == 400  # told before its end has come


def test_there_may_be_as_many_headers_as_the_limit() -> None:
    assert len(Http1Parser(headers_max=3).feed(head(fields=HOST + b"X: y\r\n" * 2))) == 1
    assert refused(head(fields=HOST + b"X: y\r\n" * 3), headers_max=3) == 400


def test_a_body_that_is_too_long_is_refused_before_it_comes() -> None:
    assert refused(head(b"POST / HTTP/1.1", HOST + b"Content-Length: 11\r\n"), body_bytes_max=10) == 413
    parser = Http1Parser(body_bytes_max=10)
    parser.feed(head(b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: chunked\r\n") + b"6\r\nabcdef\r\n")
    parser.feed(b"5\r\n")
    assert parser.refusal_status == 413
    assert parser.held_bytes == 0


def test_chunk_lines_and_trailers_have_limits() -> None:
    start = head(b"POST / HTTP/1.1", HOST + b"Transfer-Encoding: chunked\r\n")
    assert refused(start + b"1;" + b"x" * 8192) == 400
    assert refused(start + b"0\r\n" + b"X: y\r\n" * 1400) == 400


def test_memory_is_taken_as_bytes_come_and_given_back() -> None:
    """A promised body takes no memory; a finished one leaves none."""
    parser = Http1Parser()
    parser.feed(head(b"POST / HTTP/1.1", HOST + b"Content-Length: 30000000\r\n"))
    assert parser.held_bytes == 0
    assert parser.in_request
    parser.feed(b"x" * 1000)
    assert parser.body_bytes == 1000
    assert 1000 <= parser.held_bytes <= 16 * 1024
    parser.feed(b"x" * 100_000)
    assert parser.unsettled
    assert parser.held_bytes <= 256 * 1024
    assert len(parser.feed(b"x" * (30_000_000 - 101_000))) == 1
    assert parser.held_bytes == 0
    assert not parser.unsettled


# --- 100-continue ---


def test_a_client_that_waits_is_told_to_go_on_once_the_head_is_complete() -> None:
    parser = Http1Parser()
    parser.feed(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n")
    assert not parser.continue_wanted
    parser.feed(b"Expect: 100-Continue\r\n\r\n")
    assert parser.continue_wanted
    parser.feed(b"a")
    assert not parser.continue_wanted
    assert parser.feed(b"bc")[0].body == b"abc"


@pytest.mark.parametrize(
    "stream",
    [
        head(b"POST / HTTP/1.1", HOST + b"Content-Length: 3\r\nExpect: 100-continue\r\n") + b"a",  # it does not wait
        head(b"POST / HTTP/1.1", HOST + b"Content-Length: 0\r\nExpect: 100-continue\r\n"),
        head(b"POST / HTTP/1.0", HOST + b"Content-Length: 3\r\nExpect: 100-continue\r\n"),
    ],
)
def test_nobody_is_told_to_go_on_who_does_not_wait(stream: bytes) -> None:
    parser = Http1Parser()
    parser.feed(stream)
    assert not parser.continue_wanted


# --- forms ---


def test_query_and_form_body_are_one_form_in_which_the_query_wins() -> None:
    fields = HOST + b"Content-Type: Application/X-www-form-urlencoded;charset=UTF-8\r\nContent-Length: 7\r\n"
    request = one(head(b"DELETE /?a=1 HTTP/1.1", fields) + b"a=2&b=3")
    assert request.form() == {"a": "1", "b": "3"}
    assert request.form() is request.form()


def test_a_body_of_another_type_is_no_form() -> None:
    request = one(
        head(b"POST /?a=1 HTTP/1.1", HOST + b"Content-Type: application/json\r\nContent-Length: 3\r\n") + b"b=2"
    )
    assert request.form() == {"a": "1"}


def test_the_declared_charset_of_a_body_is_heeded() -> None:
    body = "a=中".encode("gbk")
    fields = (
        HOST
        + b'Content-Type: application/x-www-form-urlencoded; x=1; Charset="GBK"\r\nContent-Length: %d\r\n' % len(body)
    )
    assert one(head(b"POST / HTTP/1.1", fields) + body).form() == {"a": "中"}


def test_multipart_fields_join_the_form_behind_the_query() -> None:
    request = one(head(b"POST /?a=1 HTTP/1.1", HOST + b"Content-Type: multipart/form-data; boundary=x\r\n"))
    assert request.is_multipart
    request.fields = {"a": "2", "b": "3"}
    assert request.form() == {"a": "1", "b": "3"}


def test_a_request_can_be_made_by_hand() -> None:
    request = Request("GET", "/a%20b?c=d", headers=[("Origin", "http://x")], body=b"e", remote_ip="10.0.0.1")
    assert (request.method, request.path, request.raw_path, request.query) == ("GET", "/a b", "/a%20b", b"c=d")
    assert request.header("origin") == "http://x"
    assert request.has_origin
    assert (request.body, request.remote_ip, request.form()) == (b"e", "10.0.0.1", {"c": "d"})
    assert Request("GET", "/a").query == b""
