"""One client as the registry keeps it: what it publishes and subscribes to.

Client ids (contract/semantics.md §1): a gRPC connection `<ms>_<ip>_<port>`; an address `ip:port#true` (ephemeral, HTTP) or
`ip:port#false` (persistent).
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from nacosx.naming.model import ServiceKey

_EPHEMERAL = "#true"
_PERSISTENT = "#false"

# Above this many services a dict is smaller in time than a tuple; below it is larger in space.
_TUPLE_MAX = 8


def address_client_id(ip: str, port: int, *, ephemeral: bool) -> str:
    return f"{ip}:{port}{_EPHEMERAL if ephemeral else _PERSISTENT}"


def is_connection(client_id: str) -> bool:
    """A gRPC connection; else an ip:port client."""
    return "#" not in client_id


def is_ephemeral(client_id: str) -> bool:
    return not client_id.endswith(_PERSISTENT)


class Client(msgspec.Struct, gc=False, eq=False):
    """Changed by `Registry.apply` only. An HTTP client that publishes one instance costs one of these.

    A connection may publish for ten thousand services, an address mostly does for one: hence two kinds of collection.
    """

    client_id: str
    updated_ms: int
    published: Collection[ServiceKey] = ()  # in order; what it publishes stands in Service.publishers
    subscribed: Collection[ServiceKey] = ()


def with_key(keys: Collection[ServiceKey], key: ServiceKey) -> Collection[ServiceKey]:
    """The keys with one more, which is not among them. A dict is changed in place."""
    if isinstance(keys, dict):
        keys[key] = None
        return keys
    if len(keys) < _TUPLE_MAX:
        return (*keys, key)
    return {**dict.fromkeys(keys), key: None}


def without_key(keys: Collection[ServiceKey], key: ServiceKey) -> Collection[ServiceKey]:
    """The keys without one that is among them. A dict is changed in place."""
    if isinstance(keys, dict):
        del keys[key]
        return keys
    return tuple(each for each in keys if each != key)
