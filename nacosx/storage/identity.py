"""Who a member is: an id in its data directory, which stays when addresses, ports and host names change.

Two directories never have the same one, unless one is a copy of the other: a copy must not run beside its original.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from nacosx.storage.snapshots import sync_directory

FILE = "member_id"
MEMBER_ID = re.compile(r"[0-9a-f]{16}")


class DamagedError(Exception):
    """The id is there and cannot be read; the text names the file."""


def member_id(directory: str | os.PathLike[str]) -> str:
    """The id of the member whose data this is; a new one when there is none. OSError, DamagedError."""
    path = Path(directory) / FILE
    try:
        found = path.read_text("ascii").strip()
    except FileNotFoundError:
        return _new(path)
    if not MEMBER_ID.fullmatch(found):
        raise DamagedError(f"{path} does not hold the id of a member")
    return found


def _new(path: Path) -> str:
    made = secrets.token_hex(8)
    draft = path.with_suffix(".tmp")
    with draft.open("w", encoding="ascii") as file:
        file.write(f"{made}\n")
        file.flush()
        os.fsync(file.fileno())  # io
    draft.rename(path)
    sync_directory(path.parent)
    return made
