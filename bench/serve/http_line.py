"""An HTTP/1.1 keep-alive connection of the load: ready-made request bytes out, whole answers in."""

from __future__ import annotations

import re
import socket
import struct

from bench.serve.closed_loop import LineError

ANSWER_S_MAX = 20  # a blocking read waits no longer
READ_BYTES = 1 << 18

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


def connect(host: str, port: int) -> socket.socket:
    """A blocking socket without Nagle's delay whose reads give up after ANSWER_S_MAX."""
    sock = socket.create_connection((host, port), timeout=ANSWER_S_MAX)
    sock.settimeout(None)  # with a timeout set, CPython asks poll(2) before every read
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", ANSWER_S_MAX, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class HttpLine:
    """One request in flight; an answer is framed by Content-Length or is chunked, as the Java server does both."""

    __slots__ = ("_fd", "_recv", "_rest", "_send", "_sock")

    def __init__(self, host: str, port: int) -> None:
        self._sock = connect(host, port)
        self._fd = self._sock.fileno()
        self._send = self._sock.sendall
        self._recv = self._sock.recv
        self._rest = b""

    def fileno(self) -> int:
        return self._fd

    def send(self, request: bytes) -> None:
        self._send(request)

    def receive(self) -> bytes | None:
        try:
            chunk = self._recv(READ_BYTES)
        except BlockingIOError as silence:
            raise LineError(f"no answer within {ANSWER_S_MAX} s") from silence
        if not chunk:
            raise LineError(f"the server closed the connection after {self._rest!r}")
        answer = self._rest + chunk if self._rest else chunk
        if _complete(answer):
            self._rest = b""
            return answer
        self._rest = answer
        return None

    def accepted(self, answer: bytes) -> bool:
        return answer.startswith(b"HTTP/1.1 200")

    def close(self) -> None:
        self._sock.close()


def _complete(answer: bytes) -> bool:
    head_end = answer.find(b"\r\n\r\n")
    if head_end < 0:
        return False
    length = _LENGTH.search(answer, 0, head_end)
    if length is not None:
        return len(answer) - head_end - 4 >= int(length[1])
    if _CHUNKED.search(answer, 0, head_end) is None:
        raise LineError(f"an answer without length: {answer[:head_end]!r}")
    return answer.endswith(b"0\r\n\r\n")


def body(answer: bytes) -> bytes:
    """The body of a whole answer, de-chunked."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    if _CHUNKED.search(head) is None:
        return rest
    pieces: list[bytes] = []
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return b"".join(pieces)
        pieces.append(rest[:length])
        rest = rest[length + 2 :]
