"""What is ephemeral at one member only has no say in what all members apply."""

from __future__ import annotations

import contextlib
import http.client
import json
from pathlib import Path
from urllib.parse import urlencode

from tests.cluster.members import Cluster, Member

SEED = 8


def ask(member: Member, method: str, path: str, **form: str) -> tuple[int, str]:
    with contextlib.closing(http.client.HTTPConnection(member.host, member.port, timeout=20)) as connection:
        connection.request(method, f"/nacos/v1/ns/{path}?{urlencode(form)}")
        response = connection.getresponse()
        return response.status, response.read().decode()


def test_ephemeral_instances_here_and_durable_commands_there(tmp_path: Path) -> None:
    """Services, metadata and persistent instances of the same names; one of the members was restarted in between."""
    cluster = Cluster(tmp_path, 3, SEED)
    try:
        cluster.start()
        cluster.leader()
        cluster.agree()
        here, there, third = cluster.members
        for number in range(6):
            name = f"s{number}"
            status, body = ask(here, "POST", "instance", serviceName=name, ip="1.1.1.1", port="80", ephemeral="true")
            assert (status, body) == (200, "ok")
        for number, member in enumerate((there, there, here, third)):
            form = {"serviceName": f"s{number}", "ip": "2.2.2.2", "port": "81", "ephemeral": "false"}
            ask(member, "POST", "instance", **form)  # refused where the ephemeral ones are
        ask(there, "POST", "service", serviceName="s4", metadata="a=b")
        ask(here, "DELETE", "service", serviceName="s4")
        ask(there, "PUT", "service", serviceName="s5", metadata="c=d", protectThreshold="0.5")
        ask(third, "PUT", "instance", serviceName="s0", ip="2.2.2.2", port="81", metadata="e=f", ephemeral="false")
        third.restart()
        ask(there, "DELETE", "instance", serviceName="s1", ip="2.2.2.2", port="81", ephemeral="false")
        ask(third, "DELETE", "service", serviceName="s3")
        cluster.leader()
        cluster.agree()
        seen = []
        for member in cluster.members:
            status, body = ask(member, "GET", "instance/list", serviceName="s0")
            assert status == 200
            seen.append(
                [(each["ip"], each["metadata"]) for each in json.loads(body)["hosts"] if each["ip"] == "2.2.2.2"]
            )
        assert seen == [[("2.2.2.2", {"e": "f"})]] * 3
        cluster.stop()
    finally:
        cluster.close()
