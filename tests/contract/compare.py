"""What is different between a recorded answer and ours, accidental things aside.

Accidental: dates, ids, addresses and ports of the machine. What is made by us is only looked at for its type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.contract.golden import Answer

# How the answer is framed, and when it was sent.
FRAMING = {"content-length", "transfer-encoding", "date", "keep-alive"}
DATED = {"last-modified"}

# Members whose value is accidental: compared by type.
ACCIDENTAL = re.compile(
    r"(timestamp|lastRefTime|lastBeat|createTime|modifyTime|createdTime|lastModified|lastModifiedTime|gmtCreate|gmtModified|"
    r"responsibleServer|server_port|id|hisId|nid|cpu|load|mem)"
)
# Within texts.
LOCAL_PORT = re.compile(r"local port:\d+")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def differences(recorded: Answer, ours: Answer, unordered: tuple[str, ...] = ()) -> list[str]:
    """`place: recorded → ours`, one for each; none when the answers say the same. `unordered`: places of lists."""
    found = []
    if recorded.status != ours.status:
        found.append(f"status: {recorded.status} → {ours.status}")
    found += _headers(recorded, ours)
    before, after = _parsed(recorded), _parsed(ours)
    if isinstance(before, str) or isinstance(after, str):
        if before != after:
            found.append(f"body: {before!r} → {after!r}")
    else:
        found += _values("body", before[0], after[0], unordered)
    return found


def learned(recorded: Answer, ours: Answer) -> Iterator[tuple[str, str]]:
    """Accidental texts and numbers a later request may name: (as recorded, as ours)."""
    before, after = _parsed(recorded), _parsed(ours)
    if not isinstance(before, str) and not isinstance(after, str):
        yield from _pairs(before[0], after[0])


def _headers(recorded: Answer, ours: Answer) -> Iterator[str]:
    before = sorted(_header(*each) for each in recorded.headers if each[0].lower() not in FRAMING)
    after = sorted(_header(*each) for each in ours.headers if each[0].lower() not in FRAMING)
    for line in before:
        if line in after:
            after.remove(line)
        else:
            yield f"header {line[0]}: {line[1]} → missing"
    for line in after:
        yield f"header {line[0]}: missing → {line[1]}"


def _header(name: str, value: str) -> tuple[str, str]:
    return name.lower(), "some date" if name.lower() in DATED else value


def _parsed(answer: Answer) -> tuple[Any] | str:
    """A JSON document (in a tuple), or text."""
    text = answer.body.decode("utf-8", "replace")
    if text[:1] in "{[" and text:
        try:
            return (json.loads(text),)
        except json.JSONDecodeError:
            pass  # a text that begins like one
    return _settled(text)


def _settled(text: str) -> str:
    return UUID.sub("some-uuid", LOCAL_PORT.sub("local port:N", text))


def _values(place: str, before: Any, after: Any, unordered: tuple[str, ...]) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() | after.keys():
            inner = f"{place}.{name}"
            if name not in after:
                yield f"{inner}: {before[name]!r} → missing"
            elif name not in before:
                yield f"{inner}: missing → {after[name]!r}"
            elif ACCIDENTAL.fullmatch(name):
                if type(before[name]) is not type(after[name]):
                    yield f"{inner}: {before[name]!r} → {after[name]!r}"
            else:
                yield from _values(inner, before[name], after[name], unordered)
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield f"{place}: {len(before)} → {len(after)} items: {before!r} → {after!r}"
            return
        if place in unordered:
            before, after = (
                sorted(each, key=lambda item: json.dumps(item, sort_keys=True)) for each in (before, after)
            )
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _values(f"{place}[{number}]", one, other, unordered)
    else:
        one, other = (_settled(each) if isinstance(each, str) else each for each in (before, after))
        if one != other or type(one) is not type(other):
            yield f"{place}: {before!r} → {after!r}"


def _pairs(before: Any, after: Any) -> Iterator[tuple[str, str]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() & after.keys():
            one, other = before[name], after[name]
            if ACCIDENTAL.fullmatch(name) and isinstance(one, str | int) and isinstance(other, str | int):
                yield str(one), str(other)
            else:
                yield from _pairs(one, other)
    elif isinstance(before, list) and isinstance(after, list):
        for one, other in zip(before, after, strict=False):
            yield from _pairs(one, other)
