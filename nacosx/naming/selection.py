"""Which instances a query or a push shows.

Source: Nacos 2.5.1 `ServiceUtil.selectInstancesWithHealthyProtection` (contract/semantics.md §2, observed.md 18). The order is
cluster → enabled → selector → protect threshold → healthyOnly. The `label` selector needs a CMDB plug-in and, as in a Java
server without one, keeps everything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from nacosx.naming.metadata import ServiceMetadata
from nacosx.naming.model import Instance


def select(
    instances: Sequence[Instance], metadata: ServiceMetadata | None, clusters: str, *, healthy_only: bool
) -> tuple[list[Instance], bool]:
    """The shown instances, and whether the protect threshold was reached: then all are shown, and as healthy.

    `metadata` None: nobody ever wrote to the service, so nothing protects it. Once there is metadata even a threshold of 0
    protects: 0 healthy of n is a ratio of 0. No instance at all is never protected (0/0).
    """
    wanted = set(clusters.split(",")) if clusters and not clusters.isspace() else None
    shown = [each for each in instances if each.enabled and (wanted is None or each.cluster in wanted)]
    healthy = [each for each in shown if each.healthy]
    if metadata is not None and shown and len(healthy) / len(shown) <= max(metadata.protect_threshold, 0.0):
        return [each if each.healthy else msgspec.structs.replace(each, healthy=True) for each in shown], True
    return healthy if healthy_only else shown, False


_label = re.compile(r"CONSUMER\.label\.([^=&]+)=PROVIDER\.label\.([^=&]+)").fullmatch


def label_names(expression: str) -> frozenset[str] | None:
    """The labels that have to be equal, of a `label` selector's expression; None when it is none (`ExpressionInterpreter`).

    `CONSUMER.label.A = PROVIDER.label.A & CONSUMER.label.B = PROVIDER.label.B` → {A, B}; blank → no label.
    """
    packed = "".join(expression.split())
    if not packed:
        return frozenset()
    names: set[str] = set()
    for term in packed.split("&"):
        found = _label(term)
        if found is None or found[1] != found[2]:
            return None
        names.add(found[1])
    return frozenset(names)
