"""The slow twin of `_core.form`, on the standard library."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from nacosx._core.form import PARAMETERS_MAX

_broken = re.compile(rb"%(?![0-9A-Fa-f]{2})").search


def parse(query: bytes, body: bytes, charset: str = "utf-8") -> dict[str, str]:
    """What `parse_form` gives when no parameter `encoding` says otherwise."""
    form: dict[str, str] = {}
    pairs = [pair for text in (query, body) for pair in text.split(b"&") if pair]
    for pair in pairs[:PARAMETERS_MAX]:
        name, _, value = pair.partition(b"=")
        if name and not _broken(name) and not _broken(value):
            form.setdefault(_text(name, charset), _text(value, charset))
    return {name: value for name, value in form.items() if name}


def _text(raw: bytes, charset: str) -> str:
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode(charset, "replace")
