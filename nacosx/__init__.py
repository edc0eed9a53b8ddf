"""nacosx: a Nacos server in Python with a compiled core.

The map of the house. A request walks left to right; the answer comes back as the return value::

    client ─bytes→ wire ─request→ api ─command→ engine.gateway ─→ naming | config | namespaces ─events→ engine ─→ wire ─→ client
                  doors          desk          engine (asyncio)    rooms: rules, no IO

    storage (disk) stands beside the rooms and is plugged in by `server`; `_core` (bytes and integers, compiled) lies under
    every floor.

cli, __main__   `nacosx start`, `python -m nacosx`
server          the composition root: builds every part, starts and stops it in order; the only module that knows all
settings        application.properties + environment + flags → one frozen Settings
errors, clock   the table of errors; the clock port
garbage         when the collector of cyclic garbage looks
wire            sockets: HTTP/1.1, gRPC over HTTP/2, UDP push, the listener that tells them apart; the members of a cluster
api             the desk: one file per generation and domain; turns a request into a command or a view, and back into a reply
engine          everything asyncio: gateway, Raft group, pusher, beats, long polls; declares the ports it needs
raft            the pure rules of Raft
naming          pure room of service discovery
config          pure room of configuration management
namespaces      pure room of namespaces
storage         segmented log, snapshots, SQLite projection
_core           compiled: hashed-wheel timer, log entries and write-ahead log, HTTP/1.1, HTTP/2, the gRPC envelope
"""

from __future__ import annotations

__version__ = "0.1.0"

NACOS_VERSION = "2.5.1"  # the Java server we answer like; what clients are told when they ask for a version
