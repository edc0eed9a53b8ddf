"""Which version a client gets: the first gray version whose rule matches, else the formal one (contract/semantics.md §6)."""

from __future__ import annotations

from nacosx.config.model import BETA, Config, GrayConfig, GrayRule


def matches(rule: GrayRule, client_ip: str, tag: str) -> bool:
    """Whether a client with this ip and this Vipserver-Tag ("": none) is meant."""
    if rule.type == BETA:
        return any(client_ip == ip.strip() for ip in rule.expression.split(","))
    return tag == rule.expression


def serve(
    formal: Config | None, grays: tuple[GrayConfig, ...], client_ip: str, tag: str = ""
) -> Config | GrayConfig | None:
    """What a client reads. An explicit tag that matches no gray version must be refused by the caller: it never falls
    back to the formal version, whereas the tag a client carries as a label does."""
    for gray in grays:
        if matches(gray.rule, client_ip, tag):
            return gray
    return formal
