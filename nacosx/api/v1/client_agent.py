"""Who a 1.x client says it is, and whether its generation understands UDP pushes.

Source: Nacos 2.5.1 `ClientInfo`, `UdpPushService.canEnablePush` (contract/udp-push.md §1).
"""

from __future__ import annotations

import re

from nacosx.naming.switches import Switches

AGENTS_MAX = 1_024  # remembered agents; beyond, all are forgotten

_version = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?(?:\.([0-9]{1,9}))?").match

Version = tuple[int, int, int]

# How an agent begins → the switch that holds the oldest version to push to.
PUSHED = (
    ("Nacos-Java-Client", "push_java_version"),
    ("Nacos-DNS", "push_python_version"),
    ("Nacos-C-Client", "push_c_version"),
    ("vip-client4cpp", "push_c_version"),
    ("Nacos-Go-Client", "push_go_version"),
    ("Nacos-CSharp-Client", "push_csharp_version"),
)

_parsed: dict[str, tuple[str, Version]] = {}


def understands_push(agent: str, switches: Switches) -> bool:
    """`Nacos-Java-Client:v1.4.7`: its kind is pushed to, from the version the switches say."""
    if not switches.push_enabled:
        return False
    found = _parsed.get(agent)
    if found is None:
        if len(_parsed) >= AGENTS_MAX:
            _parsed.clear()
        found = _parsed[agent] = _parse(agent)
    switch, version = found
    return bool(switch) and version >= _read(getattr(switches, switch))


def _parse(agent: str) -> tuple[str, Version]:
    for beginning, switch in PUSHED:
        if agent.startswith(beginning):
            return switch, _read(agent.partition(":v")[2])
    return "", (0, 0, 0)


def _read(text: str) -> Version:
    found = _version(text)
    if found is None:
        return (0, 0, 0)
    major, minor, patch = (int(part or 0) for part in found.groups())
    return (major, minor, patch)
