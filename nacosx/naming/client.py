"""One client as the registry keeps it: what it publishes and subscribes to.

Client ids (contract/semantics.md §1): a gRPC connection `<ms>_<ip>_<port>`; an address `ip:port#true` (ephemeral, HTTP) or
`ip:port#false` (persistent).
"""

from __future__ import annotations

from nacosx.naming.model import ServiceKey

_EPHEMERAL = "#true"
_PERSISTENT = "#false"


def address_client_id(ip: str, port: int, *, ephemeral: bool) -> str:
    return f"{ip}:{port}{_EPHEMERAL if ephemeral else _PERSISTENT}"


def is_connection(client_id: str) -> bool:
    """A gRPC connection; else an ip:port client."""
    return "#" not in client_id


def is_ephemeral(client_id: str) -> bool:
    return not client_id.endswith(_PERSISTENT)


class Client:
    """Changed by `Registry.apply` only. An HTTP client that publishes one instance costs one of these."""

    __slots__ = ("client_id", "published", "subscribed", "updated_ms")

    def __init__(self, client_id: str, now_ms: int) -> None:
        self.client_id = client_id
        self.updated_ms = now_ms
        # Services it publishes for, in order; a dict as an ordered set. What it publishes stands in Service.publishers.
        self.published: dict[ServiceKey, None] = {}
        self.subscribed: dict[ServiceKey, None] | None = None  # None: never subscribed
