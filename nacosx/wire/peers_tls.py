"""TLS between members: each side shows a certificate of one authority. Names in certificates are not looked at, since members
move; who a member is the handshake tells (`peers_proof`)."""

from __future__ import annotations

import ssl
from typing import NamedTuple


class Contexts(NamedTuple):
    client: ssl.SSLContext
    server: ssl.SSLContext


def contexts(*, certificate: str, key: str, password: str, trusted: str, mutual: bool) -> Contexts:
    """PEM files: the chain of this member and its key; `trusted`, whose certificates are believed. `mutual`: who calls shows
    one, too. OSError (ssl.SSLError is one) when a file cannot be used."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
    for context in (client, server):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key, password or None)
        context.load_verify_locations(trusted)
    return Contexts(client, server)
