"""Who must be told: a listener knows an md5 ("" = no content) and is told when it would be served another one."""

from __future__ import annotations

from typing import NamedTuple

from nacosx.config.events import ConfigChanged
from nacosx.config.gray import serve
from nacosx.config.model import ConfigKey, Versions


class Listening(NamedTuple):
    """One config a client listens to."""

    key: ConfigKey
    md5: str  # of what it knows; "" = nothing
    tenant: str | None  # as the client wrote it; answers and pushes echo it


def served_md5(versions: Versions, client_ip: str, tag: str) -> str:
    """The md5 of what this client reads; "" when there is nothing (Nacos: an unknown config has md5 "")."""
    version = serve(versions.formal, versions.grays, client_ip, tag)
    return "" if version is None else version.md5


def concerns(event: ConfigChanged, client_ip: str, tag: str) -> bool:
    """Whether this client is served something else than before.

    Compared with what it was served, not with the md5 the listener named last: a client that has read the new content
    but not renewed its listener would miss the change back.
    """
    before, after = event.before, event.after
    if not before.grays and not after.grays:
        return True  # the formal version changed, and everybody reads it
    return served_md5(before, client_ip, tag) != served_md5(after, client_ip, tag)


def group_key(listening: Listening) -> str:
    """`dataId+group[+tenant]` with `+` and `%` escaped inside the parts (Nacos GroupKey2), as listener views show it."""
    key = listening.key
    parts = (key.data_id, key.group, listening.tenant) if listening.tenant else (key.data_id, key.group)
    return "+".join(part.replace("%", "%25").replace("+", "%2B") for part in parts)
