"""The HTTP/1.1 machine on valid and mutated streams, cut anywhere, against h11."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nacosx._core.http1 import Http1Parser, Request
from tests.models import http1 as h11_twin

HEAD_BYTES_MAX = 2048
HEADERS_MAX = 12
BODY_BYTES_MAX = 4096
# A buffer doubles, and holds at most one read more than the limit.
HELD_BYTES_MAX = 2 * (HEAD_BYTES_MAX + BODY_BYTES_MAX + 8192)

TOKEN = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "PROPFIND"])
names = st.text(TOKEN, min_size=1, max_size=12).filter(
    lambda name: name.lower() not in ("host", "content-length", "transfer-encoding", "connection", "expect")
)
values = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=20)
paths = st.text(TOKEN + "/=?&;:@,()", max_size=30).map(lambda text: f"/{text}")
targets = st.one_of(
    paths,
    paths.map(lambda path: f"http://some.host:8848{path}"),
    st.just("http://some.host"),
    st.sampled_from(["/a%20b", "/%E4%B8%AD", "/a/../b", "/a//b", "/%2e%2e/x", "/a%2Fb", "/a%zz", "/./", "/.."]),
)


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    chunks = []
    while body:
        size = draw(st.integers(1, len(body)))
        extension = draw(st.sampled_from(["", ";a", ";a=b"]))
        chunks.append(f"{size:x}{extension}\r\n".encode() + body[:size] + b"\r\n")
        body = body[size:]
    trailer = draw(st.sampled_from(["", "X-Trailer: 1\r\n"]))
    return b"".join(chunks) + b"0\r\n" + trailer.encode() + b"\r\n"


@st.composite
def valid_requests(draw: st.DrawFn) -> bytes:
    version = draw(st.sampled_from(["1.1", "1.1", "1.1", "1.0"]))
    line_end = draw(st.sampled_from(["\r\n", "\r\n", "\n"]))
    lines = [
        f"{name}:{draw(st.sampled_from(['', ' ', '  ']))}{draw(values)}" for name in draw(st.lists(names, max_size=6))
    ]
    lines.append("Host: some.host")
    body = draw(st.binary(max_size=200))
    kind = draw(st.sampled_from(["none", "length", "chunked"]))
    payload = b""
    if kind == "length":
        lines.append(f"Content-Length: {len(body)}")
        payload = body
    elif kind == "chunked" and version == "1.1":
        lines.append(f"transfer-encoding: {draw(st.sampled_from(['chunked', 'Chunked']))}")
        payload = draw(chunked(body))
    if draw(st.booleans()):
        lines.append(f"Connection: {draw(st.sampled_from(['keep-alive', 'close', 'Upgrade, close', 'x']))}")
    lines = draw(st.permutations(lines))
    head = f"{draw(methods)} {draw(targets)} HTTP/{version}\r\n" + "".join(f"{line}{line_end}" for line in lines)
    blank_lines = draw(st.sampled_from(["", "", "\r\n"]))
    return (blank_lines + head + line_end).encode("latin-1") + payload


streams = st.lists(valid_requests(), max_size=4).map(b"".join)
# What can change the meaning of a stream.
PIECES = [
    *(
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b":",
        b"\0",
        b"\x80",
        b"\x7f",
        b",",
        b";",
        b"%",
        b"0",
        b"-1",
        b"9" * 20,
    ),
    *(
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Host: b\r\n",
    ),
    *(
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b" folded\r\n",
        b"HTTP/2.0",
        b"GET / HTTP/1.1\r\n",
        b"ffff\r\n",
    ),
    *(b"X: " + b"y" * 3000 + b"\r\n", b"A: b\r\n" * 13, b"f" * 15 + b"\r\n"),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    stream = bytearray(draw(streams))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(stream)))
        end = min(len(stream), start + draw(st.integers(0, 4)))
        stream[start:end] = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)))
    return bytes(stream)


def new_parser() -> Http1Parser:
    return Http1Parser(HEAD_BYTES_MAX, HEADERS_MAX, BODY_BYTES_MAX)


def told(request: Request) -> tuple[object, ...]:
    return (
        request.method, request.path, request.raw_path, request.query, request.headers(), request.body,
        request.keep_alive, request.asks_keep_alive, request.has_origin, request.is_multipart, request.form(),
    )  # fmt: skip


def parse(pieces: list[bytes]) -> tuple[list[Request], int, str, bool]:
    parser = new_parser()
    requests = []
    for piece in pieces:
        requests += parser.feed(piece)
        assert parser.held_bytes <= HELD_BYTES_MAX + len(piece)
        if parser.refusal_status:
            assert parser.held_bytes == 0
    return requests, parser.refusal_status, parser.refusal, parser.in_request


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


places = st.lists(st.integers(0, 1 << 16), max_size=12)


@given(streams, places)
def test_valid_streams_are_read_as_h11_reads_them(stream: bytes, where: list[int]) -> None:
    requests, status, _, unfinished = parse(cut(stream, where))
    twins, refused = h11_twin.read(stream)
    if not status:
        assert len(requests) == len(twins)
        assert not refused
        assert not unfinished
    assert_equal(requests, twins)


@settings(max_examples=300)
@given(mutated())
@example(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc")
@example(b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n")
def test_what_is_taken_is_never_read_otherwise_than_by_h11(stream: bytes) -> None:
    requests, _, _, _ = parse([stream])
    assert_equal(requests, h11_twin.read(stream)[0])


@settings(max_examples=300)
@given(st.one_of(streams, mutated(), st.binary(max_size=300)), places)
def test_the_answer_does_not_depend_on_how_the_bytes_were_split(stream: bytes, where: list[int]) -> None:
    whole = parse([stream])
    for pieces in (cut(stream, where), [stream[at : at + 1] for at in range(len(stream))]):
        split = parse(pieces)
        assert [told(each) for each in split[0]] == [told(each) for each in whole[0]]
        assert split[1:] == whole[1:]


@given(st.lists(st.binary(max_size=64), max_size=20))
def test_bytes_of_any_kind_do_no_harm(pieces: list[bytes]) -> None:
    parse(pieces)


def assert_equal(requests: list[Request], twins: list[h11_twin.Read]) -> None:
    """Ours are the first of the twin's: what we refuse, it may take."""
    assert len(requests) <= len(twins)
    for request, twin in zip(requests, twins, strict=False):
        assert request.method == twin.method
        assert target_of(twin.target) == (request.raw_path, request.query)
        headers = [(name.lower(), value) for name, value in request.headers()]
        assert [(n, v.lower() if n == "transfer-encoding" else v) for n, v in headers] == twin.headers
        assert request.body == twin.body


def target_of(target: bytes) -> tuple[str, bytes]:
    """(raw path, query) of a request target in any form."""
    for scheme in (b"http://", b"https://"):
        if target.lower().startswith(scheme):
            target = target[len(scheme) :]
            ends = [end for end in (target.find(b"/"), target.find(b"?")) if end >= 0]
            target = target[min(ends) :] if ends else b""
    path, _, query = target.partition(b"?")
    return path.decode("latin-1"), query
