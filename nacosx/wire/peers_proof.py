"""Who may talk to whom: both sides show that they know the secret of the cluster, without telling it.

::

    client                                      server
      greeting (random nonce, id, address) ──────→
      ←────────────── greeting, HMAC(secret, "server" │ both greetings)
      HMAC(secret, "client" │ both greetings) ───→
      ←────────────────────────────────── the node

The nonces make every proof good for one connection, the roles keep it from being sent back to its author, and what the
greetings say is part of it. It tells members from strangers. It does not hide or seal what follows: for that there is TLS.
"""

from __future__ import annotations

import hmac

from msgspec import Struct

NONCE_BYTES = 32
NAME_BYTES_MAX = 255  # limit: of an id or address in a greeting

SERVER = b"nacosx peer server"
CLIENT = b"nacosx peer client"


class RefusedError(OSError):
    """The other side is not who it should be, or would not have us."""


class Greeting(Struct, frozen=True):
    version: int
    nonce: bytes
    member: str  # the stable id
    address: str  # where it listens to members


def check(greeting: Greeting, version: int) -> None:
    """RefusedError when there is no point in going on."""
    if greeting.version != version:
        raise RefusedError(f"version {greeting.version} of the protocol is spoken there, version {version} here")
    if len(greeting.nonce) != NONCE_BYTES:
        raise RefusedError("the nonce has the wrong size")
    for name in (greeting.member, greeting.address):
        if not 0 < len(name.encode()) <= NAME_BYTES_MAX:
            raise RefusedError(f"an id or address takes from 1 to {NAME_BYTES_MAX} bytes")


def proof(secret: bytes, role: bytes, client: Greeting, server: Greeting) -> bytes:
    """Every part goes in with its size: no two pairs of greetings give the same bytes."""
    parts = [role]
    for greeting in (client, server):
        parts += [
            greeting.version.to_bytes(2, "little"),
            greeting.nonce,
            greeting.member.encode(),
            greeting.address.encode(),
        ]
    text = b"".join(len(part).to_bytes(4, "little") + part for part in parts)
    return hmac.digest(secret, text, "sha256")


def verify(given: bytes, secret: bytes, role: bytes, client: Greeting, server: Greeting) -> None:
    """RefusedError when it is not the proof; takes as long for a nearly right one as for a wrong one."""
    if not hmac.compare_digest(given, proof(secret, role, client, server)):
        raise RefusedError("the secret of the cluster is not the same on both sides")
