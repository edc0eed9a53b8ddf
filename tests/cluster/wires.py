"""The wires between the members of a cluster: TCP proxies that let nothing through where they are cut.

As on a real network a cut loses nothing that TCP would send again: bytes wait, and connections stand, until it is mended.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable

CHUNK_BYTES = 1 << 16


class Wires:
    """`who(ip)` is the member that calls from there. A member is called at `front(member)` and listens at `back(member)`."""

    def __init__(
        self,
        members: Iterable[int],
        front: Callable[[int], tuple[str, int]],
        back: Callable[[int], tuple[str, int]],
        who: Callable[[str], int],
    ) -> None:
        self._members = list(members)
        self._back = back
        self._who = who
        self._open = {(a, b): threading.Event() for a in self._members for b in self._members}
        self.mend()
        self._listening: list[socket.socket] = []
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        for member in self._members:
            listening = socket.create_server(front(member))
            self._listening.append(listening)
            self._begin(self._accept, member, listening)

    def cut(self, one: int, other: int) -> None:
        """Nothing goes from one to the other; what goes back still does."""
        self._open[one, other].clear()

    def isolate(self, members: Iterable[int]) -> None:
        """These, and the others: nothing goes between the two halves."""
        inside = set(members)
        for one, other in self._open:
            if (one in inside) != (other in inside):
                self.cut(one, other)

    def mend(self) -> None:
        for event in self._open.values():
            event.set()

    def close(self) -> None:
        for sock in (*self._listening, *list(self._sockets)):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self.mend()
        for thread in self._threads:
            thread.join()

    def _begin(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, member: int, listening: socket.socket) -> None:
        while True:
            try:
                near, (ip, _) = listening.accept()
            except OSError:
                return
            self._begin(self._connect, near, self._who(ip), member)

    def _connect(self, near: socket.socket, caller: int, member: int) -> None:
        self._sockets.add(near)
        self._open[caller, member].wait()
        try:
            far = socket.create_connection(self._back(member))
        except OSError:
            near.close()
            return
        self._sockets.add(far)
        self._begin(self._carry, near, far, caller, member)
        self._carry(far, near, member, caller)

    def _carry(self, source: socket.socket, sink: socket.socket, one: int, other: int) -> None:
        passable = self._open[one, other]
        try:
            while data := source.recv(CHUNK_BYTES):
                passable.wait()
                sink.sendall(data)
        except OSError:
            pass
        passable.wait()
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
            self._sockets.discard(sock)
