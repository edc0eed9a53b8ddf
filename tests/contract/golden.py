"""The recordings: each file is a curl line, an empty line and the raw answer (`../shared/golden/README.md`)."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

FOLDER = Path(__file__).parents[3] / "shared" / "golden" / "2.5.1"


class Request(NamedTuple):
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Recorded(NamedTuple):
    name: str  # "142-ns-register"
    number: int
    request: Request
    answer: Answer


def recordings() -> list[Recorded]:
    """In the order they were sent. Without an answer (087 has none) there is nothing to compare."""
    found = []
    for path in sorted(FOLDER.glob("[0-9][0-9][0-9]-*.txt")):
        command, _, answer = path.read_bytes().partition(b"\n\nHTTP/1.1 ")
        if answer:
            name = path.stem
            found.append(
                Recorded(name, int(name[:3]), read_command(command.decode()), read_answer(b"HTTP/1.1 " + answer))
            )
    return found


def read_command(command: str) -> Request:
    """`$ curl -si -X POST -H 'a: b' --data-urlencode c=d URL`, as curl understands it."""
    words = iter(shlex.split(command)[2:])
    method = ""
    headers: list[tuple[str, str]] = []
    data: list[str] = []
    url = ""
    for word in words:
        if word in ("-si", "-s", "-i"):
            continue
        if word == "-I":
            method = "HEAD"
        elif word == "-X":
            method = next(words)
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers.append((name, value))
        elif word == "--data-urlencode":
            name, _, value = next(words).partition("=")
            data.append(f"{name}={quote(value, safe='')}")
        elif word in ("-d", "--data"):
            data.append(next(words))
        elif word in ("-F", "--form", "-o"):
            next(words)  # a file beside the recordings; such exchanges are not replayed
        else:
            assert not word.startswith("-"), f"unknown option {word} in {command}"
            url = word
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    if data and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    return Request(method or ("POST" if data else "GET"), target or "/", headers, "&".join(data).encode())


def read_answer(raw: bytes) -> Answer:
    head, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = head.decode("latin-1").split("\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
    return Answer(int(lines[0].split()[1]), headers, body)
