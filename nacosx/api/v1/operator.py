"""Naming v1: `/v1/ns/operator` (alias `/v1/ns/ops`) and `/v1/ns/health`.

Source: Nacos 2.5.1 `OperatorController`, `HealthController`, `HealthOperatorV2Impl` (contract/http-v1-naming.md §5–§6, golden
006, 007, 215–228).
"""

from __future__ import annotations

import logging

from nacosx._core.http1 import Request, Response
from nacosx.api.form import Form, bound, bound_flag, is_true, loosely_true, optional, required, whole
from nacosx.api.http import Answer, Routes
from nacosx.api.later import Later
from nacosx.api.v1.machine import Machine
from nacosx.api.v1.naming_desk import OK, NamingDesk, as_json, named
from nacosx.engine.push.pusher import PushCounters
from nacosx.errors import BAD_REQUEST, NacosError
from nacosx.naming.client import address_client_id
from nacosx.naming.commands import OverrideSwitch, SetPersistentHealth, UpdateSwitch
from nacosx.naming.directory import census
from nacosx.naming.model import DEFAULT_CLUSTER, ServiceKey

CHECKERS = Response(
    b'{"TCP":{},"HTTP":{"path":"","headers":"","expectedResponseCode":200},'
    b'"MYSQL":{"user":null,"pwd":null,"cmd":null},"NONE":{}}'
)

# The Java server's log files → our loggers.
LOGGERS = {
    "naming-push": "nacosx.engine.push.pusher",
    "naming-rt": "nacosx.engine.beats",
    "naming-server": "nacosx.api",
    "naming-event": "nacosx.engine.reactions",
    "naming-raft": "nacosx.engine.raft.group",
    "naming-distro": "nacosx.engine.gateway",
    "naming-performance": "nacosx.engine",
}
# Logback's names; what it does not know is DEBUG there.
LEVELS = {
    "OFF": logging.CRITICAL + 10,
    "ERROR": logging.ERROR,
    "WARN": logging.WARNING,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
    "TRACE": logging.DEBUG,
    "ALL": logging.DEBUG,
}


class OperatorDesk:
    """`address`: ip:port of this server as members and clients see it."""

    __slots__ = ("_address", "_counters", "_desk", "_gateway", "_machine", "_registry")

    def __init__(self, desk: NamingDesk, counters: PushCounters, machine: Machine, address: str) -> None:
        self._desk = desk
        self._gateway = desk.gateway
        self._registry = desk.registry
        self._counters = counters
        self._machine = machine
        self._address = address

    def routes(self) -> Routes:
        route = self._desk.route
        routes: Routes = {
            "/v1/ns/health": {"PUT": route(self._update_health)},
            "/v1/ns/health/instance": {"PUT": route(self._update_health)},
            "/v1/ns/health/server": {"*": route(self._hello)},
            "/v1/ns/health/checkers": {"GET": route(self._checkers)},
        }
        for prefix in ("/v1/ns/operator", "/v1/ns/ops"):
            routes |= {
                f"{prefix}/push/state": {"*": route(self._push_state)},
                f"{prefix}/switches": {"GET": route(self._switches), "PUT": route(self._update_switch)},
                f"{prefix}/metrics": {"GET": route(self._metrics)},
                f"{prefix}/distro/client": {"GET": route(self._responsible_server)},
                f"{prefix}/log": {"PUT": route(self._set_log_level)},
            }
        return routes

    # --- health ---

    def _hello(self, _: Request, _form: Form, _key: ServiceKey | None) -> Response:
        services = len(self._registry.services)
        port = self._address.rpartition(":")[2]
        return as_json({"msg": f"Hello! I am Nacos-Naming and healthy! total services: {services}, local port:{port}"})

    def _checkers(self, _: Request, _form: Form, _key: ServiceKey | None) -> Response:
        return CHECKERS

    async def _update_health(self, _: Request, form: Form, key: ServiceKey | None) -> Response:
        """Only where nobody checks. (In 2.5.1 even that fails, by a bug: golden 217.)"""
        text = optional(form, "healthy") or optional(form, "valid")
        if not text:
            raise NacosError(BAD_REQUEST, "Param 'healthy' is required.")
        key = named(form, key)
        cluster = optional(form, "clusterName", DEFAULT_CLUSTER)
        ip = required(form, "ip")
        port = whole(required(form, "port"))
        metadata = self._registry.metadata.get(key)
        checked = metadata.clusters.get(cluster) if metadata is not None else None
        if checked is None or checked.health_checker.get("type") != "NONE":
            text = f"health check is still working, service: {key.grouped_name}, cluster: {cluster}"
            raise NacosError(BAD_REQUEST, text)
        client = self._registry.clients.get(address_client_id(ip, port, ephemeral=False))
        if client is not None and key in client.published:
            now_ms = self._desk.clock.wall_ms()
            await self._gateway.propose(SetPersistentHealth(key, ip, port, cluster, loosely_true(text), now_ms))
        return OK

    # --- operator ---

    def _push_state(self, _: Request, form: Form, _key: ServiceKey | None) -> Response:
        detail = bound_flag(form, "detail")
        reset = bound_flag(form, "reset")
        counters = self._counters
        total, succeeded = counters.total, counters.total - counters.failed
        state: dict[str, object] = {
            "succeed": succeeded,
            "total": total,
            "ratio": succeeded / total if total else 0,
        }
        if detail:
            state["detail"] = {"avgPushCost": counters.cost_avg_ms, "maxPushCost": counters.cost_max_ms}
        if reset:
            counters.reset()
        state["reset"] = reset
        return as_json(state)

    def _switches(self, _: Request, _form: Form, _key: ServiceKey | None) -> Response:
        return as_json(self._registry.switches)

    def _update_switch(self, _: Request, form: Form, _key: ServiceKey | None) -> Answer:
        local = bound_flag(form, "debug")
        entry = bound(form, "entry")
        value = bound(form, "value")
        if not local:
            return Later(self._gateway.propose(UpdateSwitch(entry, value)), OK)
        self._gateway.submit(OverrideSwitch(entry, value))
        return OK

    def _metrics(self, _: Request, form: Form, _key: ServiceKey | None) -> Response:
        status = self._desk.status.shown(self._registry.switches)
        if is_true(optional(form, "onlyStatus", "true")):
            return as_json({"status": status})
        counts = census(self._registry)
        return as_json(
            {
                "status": status,
                "serviceCount": counts.service_count,
                "instanceCount": counts.instance_count,
                "subscribeCount": counts.subscribe_count,
                "responsibleInstanceCount": counts.instance_count,
                "clientCount": counts.client_count,
                "connectionBasedClientCount": counts.connection_based_client_count,
                "ephemeralIpPortClientCount": counts.ephemeral_ip_port_client_count,
                "persistentIpPortClientCount": counts.persistent_ip_port_client_count,
                "responsibleClientCount": counts.client_count,
                "cpu": self._machine.cpu(),
                "load": self._machine.load(),
                "mem": self._machine.memory(),
            }
        )

    def _responsible_server(self, _: Request, form: Form, _key: ServiceKey | None) -> Response:
        bound(form, "ip")
        bound(form, "port")
        return as_json({"responsibleServer": self._address})

    def _set_log_level(self, _: Request, form: Form, _key: ServiceKey | None) -> Response:
        name = LOGGERS.get(bound(form, "logName"))
        level = LEVELS.get(bound(form, "logLevel").upper(), logging.DEBUG)
        if name is not None:
            logging.getLogger(name).setLevel(level)
        return OK
