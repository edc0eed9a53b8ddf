"""What a Nacos client can say, whichever protocol it speaks, and requests that differ in a number only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from bench.serve.closed_loop import Line

GROUP = "DEFAULT_GROUP"
CLUSTER = "DEFAULT"
PORT = 8080  # of the instances
MARK = "NNNNNNNN"  # stands for a number of eight digits in a request, whose length so does not depend on the number


class Dialect(Protocol):
    """One generation of clients: how it connects, its requests as bytes, and how its answers are read."""

    name: str

    def connect(self) -> Line: ...

    def register(self, service: str, ip: str) -> bytes: ...

    def list_instances(self, service: str) -> bytes: ...

    def config_get(self, data_id: str) -> bytes: ...

    def config_publish(self, data_id: str, content: str) -> bytes: ...

    def ips(self, answer: bytes) -> list[str]:
        """The addresses in the answer to `list_instances`."""

    def content(self, answer: bytes) -> str:
        """The content in the answer to `config_get`."""


class Numbered(Iterator[bytes]):
    """Endless requests: the n-th is made from template n modulo their count, with n in the place of every MARK."""

    __slots__ = ("_templates", "issued")

    def __init__(self, templates: Sequence[bytes]) -> None:
        self._templates = [template.split(MARK.encode()) for template in templates]
        self.issued = 0

    def __next__(self) -> bytes:
        number = self.issued
        self.issued = number + 1
        return (b"%08d" % number).join(self._templates[number % len(self._templates)])


def marked(text: str, number: int) -> str:
    return text.replace(MARK, f"{number:08d}")


def config_content(size: int, head: str) -> str:
    """A properties file of `size` ASCII characters that begins with `head`; in a form it needs the usual escapes."""
    lines = [head]
    length = len(head)
    number = 0
    while length < size:
        line = f"\napp.datasource.{number}.url=jdbc:mysql://10.0.{number % 256}.7:3306/orders?useSSL=false&timeout=3000"
        lines.append(line)
        length += len(line)
        number += 1
    return "".join(lines)[:size]
