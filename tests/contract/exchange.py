"""One request on a connection of its own, as curl sends it."""

from __future__ import annotations

import socket
from http.client import HTTPResponse

from tests.contract.golden import Answer, Request

TIMEOUT_S = 30.0


def send(address: tuple[str, int], request: Request) -> Answer:
    host = f"{address[0]}:{address[1]}"
    lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: {host}"]
    names = {name.lower() for name, _ in request.headers}
    if "user-agent" not in names:
        lines.append("User-Agent: curl/7.88.1")
    lines.append("Accept: */*")
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.body:
        lines.append(f"Content-Length: {len(request.body)}")
    with socket.create_connection(address, TIMEOUT_S) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + request.body)
        with HTTPResponse(connection, method=request.method) as response:
            response.begin()
            return Answer(response.status, response.getheaders(), response.read().replace(b"\r\n", b"\n"))
