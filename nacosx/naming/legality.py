"""Which instances may be registered, whatever the state is.

Source: Nacos 2.5.1 `NamingUtils.checkInstanceIsLegal` (contract/http-v1-naming.md §1.1).
"""

from __future__ import annotations

import re

from nacosx.errors import INSTANCE, NacosError
from nacosx.naming.model import DEFAULT_CLUSTER, Instance

HEART_BEAT_INTERVAL = "preserved.heart.beat.interval"
HEART_BEAT_TIMEOUT = "preserved.heart.beat.timeout"
IP_DELETE_TIMEOUT = "preserved.ip.delete.timeout"
INSTANCE_ID_GENERATOR = "preserved.instance.id.generator"

HEART_BEAT_INTERVAL_MS = 5_000
HEART_BEAT_TIMEOUT_MS = 15_000
IP_DELETE_TIMEOUT_MS = 30_000

_DIGITS_MAX = 18  # fits a Java long
_cluster_name = re.compile(r"[0-9a-zA-Z-]+").fullmatch


def preserved_ms(metadata: dict[str, str], key: str, default_ms: int) -> int:
    """A duration out of metadata. Anything but digits counts as absent, as in the Java server; so do absurd lengths."""
    value = metadata.get(key)
    if value is None or len(value) > _DIGITS_MAX or not (value.isascii() and value.isdigit()):
        return default_ms
    return int(value)


def check_instance(instance: Instance) -> None:
    """Raises NacosError(INSTANCE) for an inconsistent heart beat or an illegal cluster name."""
    metadata = instance.metadata
    if metadata:
        interval_ms = preserved_ms(metadata, HEART_BEAT_INTERVAL, HEART_BEAT_INTERVAL_MS)
        timeout_ms = preserved_ms(metadata, HEART_BEAT_TIMEOUT, HEART_BEAT_TIMEOUT_MS)
        delete_ms = preserved_ms(metadata, IP_DELETE_TIMEOUT, IP_DELETE_TIMEOUT_MS)
        if timeout_ms < interval_ms or delete_ms < interval_ms:
            raise NacosError(
                INSTANCE, "Instance 'heart beat interval' must less than 'heart beat timeout' and 'ip delete timeout'."
            )
    cluster = instance.cluster
    if cluster is not DEFAULT_CLUSTER and not _cluster_name(cluster):
        raise NacosError(
            INSTANCE, f"Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: {cluster})"
        )
