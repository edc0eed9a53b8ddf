"""Resident memory: at rest after the start, then with 10 000 × 10 instances, then with 10 000 configs of 1 KB more."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from bench.serve import closed_loop, meter
from bench.serve.closed_loop import call
from bench.serve.dialect import MARK, Numbered, config_content, marked
from bench.serve.grpc_dialect import Resident
from bench.serve.scenario import Effort
from bench.serve.servers import Contender, Server, UnsoundError, started

CLIENTS = 10  # each registers one instance in every service
CONFIG_BYTES = 1024
UNBOUNDED_S = 3600.0  # the sources end, not the time
SERVICE = f"stock-{MARK}"
DATA_ID = f"stock-{MARK}.properties"
CONTENT = config_content(CONFIG_BYTES, f"# {MARK}")


class Memory:
    name = "memory"
    units: Mapping[str, str] = {
        "idle RSS": "MB",
        "growth, 10 000 × 10 instances": "MB",
        "growth, 10 000 configs of 1 KB": "MB",
        "RSS with both": "MB",
    }

    def measure(self, contender: Contender, effort: Effort) -> dict[str, float]:
        with started(contender, effort.data) as server:
            server.expect_sound()
            meter.settle(server.pid)
            idle = meter.rss_mb(server.pid)
            clients = [Resident(server.grpc.connect()) for _ in range(CLIENTS)]
            publisher = server.grpc.connect()
            try:
                self._register(server, clients, effort.services)
                with_instances = meter.rss_mb(server.pid)
                self._publish(server, clients, effort.configs)
                with_both = meter.rss_mb(server.pid)
                server.expect_alive()
            finally:
                publisher.close()
                for client in clients:
                    client.close()
        return dict(zip(self.units, (idle, with_instances - idle, with_both - with_instances, with_both), strict=True))

    def _register(self, server: Server, clients: list[Resident], services: int) -> None:
        sources = [
            itertools.islice(Numbered([server.grpc.register(SERVICE, f"10.6.0.{number}")]), services)
            for number in range(CLIENTS)
        ]
        closed_loop.run(clients, sources, seconds=UNBOUNDED_S)
        meter.settle(server.pid)
        for number in (0, services // 2, services - 1):
            found = len(server.grpc.ips(call(clients[0], server.grpc.list_instances(marked(SERVICE, number)))))
            if found != CLIENTS:
                raise UnsoundError(f"service {number} has {found} of {CLIENTS} acknowledged instances")

    def _publish(self, server: Server, clients: list[Resident], configs: int) -> None:
        publisher = server.grpc.connect()
        try:
            source = itertools.islice(Numbered([server.grpc.config_publish(DATA_ID, CONTENT)]), configs)
            closed_loop.run([publisher], [source], seconds=UNBOUNDED_S, standing_by=clients)
            meter.settle(server.pid)
            for number in (0, configs // 2, configs - 1):
                answer = call(publisher, server.grpc.config_get(marked(DATA_ID, number)))
                if server.grpc.content(answer) != marked(CONTENT, number):
                    raise UnsoundError(f"config {number} is not what was acknowledged")
        finally:
            publisher.close()
