"""h11 as the slow twin of `_core.http1`: what it makes of a stream, in the form of our requests.

h11 takes some streams that we refuse, as Tomcat does or because they are read in two ways; it never takes a stream that we
take and reads it differently. It refuses blank lines before a request line, which Tomcat skips, so they are skipped here;
and it writes the name of the transfer coding in lower case.
"""

from __future__ import annotations

from typing import NamedTuple

import h11

HEAD_BYTES_MAX = 1 << 20


class Read(NamedTuple):
    method: str
    target: bytes
    headers: list[tuple[str, str]]
    body: bytes


def read(stream: bytes) -> tuple[list[Read], bool]:
    """(the complete requests, whether h11 refused what follows)."""
    requests: list[Read] = []
    rest = stream
    while True:
        rest = rest.lstrip(b"\r\n")
        connection = h11.Connection(h11.SERVER, HEAD_BYTES_MAX)
        try:
            if rest:
                connection.receive_data(rest)
            request = connection.next_event()
            if not isinstance(request, h11.Request):
                return requests, False
            body = b""
            while isinstance(event := connection.next_event(), h11.Data):
                body += event.data
        except h11.RemoteProtocolError:
            return requests, True
        if not isinstance(event, h11.EndOfMessage):
            return requests, False
        requests.append(
            Read(
                request.method.decode(),
                request.target,
                [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers],
                body,
            )
        )
        if connection.their_state is h11.MUST_CLOSE and not kept_by_http10(request):
            return requests, False
        rest = connection.trailing_data[0]


def kept_by_http10(request: h11.Request) -> bool:
    """h11 closes after each HTTP/1.0 request; with "keep-alive" and without "close" the connection may go on."""
    tokens = {
        token.strip().lower() for name, value in request.headers if name == b"connection" for token in value.split(b",")
    }
    return request.http_version == b"1.0" and b"keep-alive" in tokens and b"close" not in tokens
