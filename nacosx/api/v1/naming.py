"""Naming over HTTP v1, `/v1/ns/*`: the desk of 1.x clients, consoles and curl.

naming_v1_desk      the filters before every handler, the words of a refusal
naming_v1_instance  instances: register, list, beat, metadata
naming_v1_service   services, catalog, clusters
naming_v1_operator  switches, metrics, push state, health
"""

from __future__ import annotations

from nacosx.api.checks import Checks
from nacosx.api.http import Routes
from nacosx.api.v1.instance import InstanceDesk
from nacosx.api.v1.machine import Machine
from nacosx.api.v1.naming_desk import NamingDesk, ServerStatus
from nacosx.api.v1.operator import OperatorDesk
from nacosx.api.v1.service import ServiceDesk
from nacosx.engine.beats import Beats
from nacosx.engine.gateway import Gateway
from nacosx.engine.push.pusher import PushCounters


def routes(
    gateway: Gateway, beats: Beats, counters: PushCounters, *, checks: Checks, status: ServerStatus, address: str
) -> Routes:
    """`address`: ip:port of this server; `status` is STARTING until the server says otherwise."""
    desk = NamingDesk(gateway, checks, status)
    return {
        **InstanceDesk(desk, beats).routes(),
        **ServiceDesk(desk).routes(),
        **OperatorDesk(desk, counters, Machine(), address).routes(),
    }
