"""A corpus of streams that have fooled HTTP servers: requests smuggled in bodies, obfuscated codings, endless lines.

Each hides `GET /smuggled`. It must not come out, whatever comes before it, and however the bytes are split.
"""

from __future__ import annotations

import pytest

from nacosx._core.http1 import Http1Parser
from tests.models import http1 as h11_twin

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


def hidden_in_length(fields: bytes) -> bytes:
    """Who heeds Content-Length sees one request, who heeds the coding sees two."""
    body = b"0\r\n\r\n" + SMUGGLED
    return POST + b"Content-Length: %d\r\n" % len(body) + fields + b"\r\n" + body


def hidden_in_chunks(fields: bytes) -> bytes:
    """Who heeds the coding sees one request, who does not sees two."""
    return POST + fields + b"\r\n" + b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)


CORPUS = {
    "CL.TE": hidden_in_length(b"Transfer-Encoding: chunked\r\n"),
    "CL.TE, first": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 40\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "TE.CL": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n24\r\n" + SMUGGLED + b"\r\n0\r\n\r\n",
    "TE with a blank before the colon": hidden_in_length(b"Transfer-Encoding : chunked\r\n"),
    "TE with a tab before the colon": hidden_in_length(b"Transfer-Encoding\t: chunked\r\n"),
    "TE folded": hidden_in_length(b"Transfer-Encoding:\r\n chunked\r\n"),
    "TE behind a folded line": hidden_in_length(b"X: y\r\n Transfer-Encoding: chunked\r\n"),
    "TE with a vertical tab": hidden_in_length(b"Transfer-Encoding:\x0bchunked\r\n"),
    "TE with NUL": hidden_in_length(b"Transfer-Encoding: chunked\0\r\n"),
    "TE with NUL in its name": hidden_in_length(b"Transfer\0-Encoding: chunked\r\n"),
    "TE behind a bare CR": hidden_in_length(b"X: y\rTransfer-Encoding: chunked\r\n"),
    "TE behind a bare LF": hidden_in_length(b"X: y\nTransfer-Encoding: chunked\r\n"),
    "TE quoted": hidden_in_length(b'Transfer-Encoding: "chunked"\r\n'),
    "TE with a parameter": hidden_in_length(b"Transfer-Encoding: chunked;q=1\r\n"),
    "TE identity": hidden_in_length(b"Transfer-Encoding: identity\r\n"),
    "TE identity, chunked": hidden_in_length(b"Transfer-Encoding: identity, chunked\r\n"),
    "TE chunked, identity": hidden_in_length(b"Transfer-Encoding: chunked, identity\r\n"),
    "TE x": hidden_in_length(b"Transfer-Encoding: x\r\n"),
    "TE empty": hidden_in_length(b"Transfer-Encoding:\r\n"),
    "TE twice": hidden_in_length(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
    "TE in HTTP/1.0": hidden_in_chunks(b"Transfer-Encoding: chunked\r\n").replace(b"/1.1", b"/1.0", 1),
    "CL twice": POST + b"Content-Length: 0\r\nContent-Length: 36\r\n\r\n" + SMUGGLED,
    "CL twice, same": POST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
    "CL list": POST + b"Content-Length: 0, 36\r\n\r\n" + SMUGGLED,
    "CL plus": POST + b"Content-Length: +0\r\n\r\n" + SMUGGLED,
    "CL minus": POST + b"Content-Length: -1\r\n\r\n" + SMUGGLED,
    "CL hexadecimal": POST + b"Content-Length: 0x0\r\n\r\n" + SMUGGLED,
    "CL with blanks within": POST + b"Content-Length: 3 6\r\n\r\n" + SMUGGLED,
    "CL fraction": POST + b"Content-Length: 0.0\r\n\r\n" + SMUGGLED,
    "CL beyond 64 bits": POST + b"Content-Length: 18446744073709551616\r\n\r\n" + SMUGGLED,
    "CL empty": POST + b"Content-Length:\r\n\r\n" + SMUGGLED,
    "CL underscore": POST + b"Content_Length: 0\r\nContent-Length: 36\r\n\r\n" + SMUGGLED,
    "CL with superscript digits": POST + b"Content-Length: \xb2\r\n\r\n" + SMUGGLED,
    "chunk size negative": POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + SMUGGLED,
    "chunk size with 0x": POST + b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + SMUGGLED,
    "chunk size beyond 64 bits": POST + b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n" + SMUGGLED,
    "chunk size empty": POST + b"Transfer-Encoding: chunked\r\n\r\n\r\n" + SMUGGLED,
    "chunk size with a bare LF": POST + b"Transfer-Encoding: chunked\r\n\r\n0\n\n" + SMUGGLED,
    "chunk size with a bare CR": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\r" + SMUGGLED,
    "chunk extension with a bare LF": POST + b"Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n0\r\n\r\n" + SMUGGLED,
    "chunk extension with a bare CR": POST + b"Transfer-Encoding: chunked\r\n\r\n0;a\rb\r\n\r\n" + SMUGGLED,
    "chunk longer than it says": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n" + SMUGGLED,
    "chunk ends in anything": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxAA0\r\n\r\n" + SMUGGLED,
    "trailer folded": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n z\r\n\r\n" + SMUGGLED,
    "trailer without end": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + SMUGGLED,
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + SMUGGLED,
    "no host": b"GET / HTTP/1.1\r\n\r\n" + SMUGGLED,
    "HTTP/0.9": b"GET /\r\n" + SMUGGLED,
    "request line with a bare LF": b"GET / HTTP/1.1\nHost: a\n\n" + SMUGGLED,
    "version with more": b"GET / HTTP/1.1x\r\nHost: a\r\n\r\n" + SMUGGLED,
    "version 1.10": b"GET / HTTP/1.10\r\nHost: a\r\n\r\n" + SMUGGLED,
    "target with a line end": b"GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n" + SMUGGLED,
    "target with a fragment": b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n" + SMUGGLED,
    "behind close": b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + SMUGGLED,
    "behind HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n" + SMUGGLED,
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
    "TLS": b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03" + SMUGGLED,
    "proxy protocol": b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + SMUGGLED,
}
# Streams in which the hidden request is a body that may be read, or never comes.
HARMLESS = {"chunked body": hidden_in_chunks(b"Transfer-Encoding: chunked\r\n")}


def paths(pieces: list[bytes]) -> list[str]:
    parser = Http1Parser()
    return [request.path for piece in pieces for request in parser.feed(piece)]


@pytest.mark.parametrize("name", [*CORPUS, *HARMLESS])
def test_no_request_comes_out_of_the_body_of_another(name: str) -> None:
    stream = (CORPUS | HARMLESS)[name]
    whole = paths([stream])
    assert "/smuggled" not in whole
    for step in (1, 2, 3, 5, 64):
        assert paths([stream[at : at + step] for at in range(0, len(stream), step)]) == whole


@pytest.mark.parametrize("name", CORPUS)
def test_what_is_let_through_is_what_h11_reads(name: str) -> None:
    """The corpus is refused, but where a request without any trick comes first."""
    requests = Http1Parser().feed(CORPUS[name])
    twins, _ = h11_twin.read(CORPUS[name])
    assert [request.body for request in requests] == [twin.body for twin in twins[: len(requests)]]
    assert len(requests) <= 1
