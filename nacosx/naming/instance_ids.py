"""The id an instance gets when its client chose none.

`simple` (the default) is derived whenever it is shown and never stored (`views.instance_id`). `snowflake`, asked for by the
metadata `preserved.instance.id.generator`, is drawn at registration. Source: Nacos 2.5.1 `SnowFlakeInstanceIdGenerator`
(contract/semantics.md §1).
"""

from __future__ import annotations

SNOWFLAKE = "snowflake"

EPOCH_MS = 1_533_429_240_000
WORKER_MAX = 1_023
_SEQUENCE_BITS = 12
_WORKER_BITS = 10


class SnowflakeIds:
    """Ids that grow: milliseconds, then the worker, then a sequence. A clock that stands or goes back is outrun."""

    __slots__ = ("_last", "_worker")

    def __init__(self, worker: int) -> None:
        assert 0 <= worker <= WORKER_MAX
        self._worker = worker << _SEQUENCE_BITS
        self._last = 0  # (milliseconds << sequence bits) | sequence

    def draw(self, now_ms: int) -> int:
        self._last = max(self._last + 1, (now_ms - EPOCH_MS) << _SEQUENCE_BITS)
        milliseconds = self._last >> _SEQUENCE_BITS
        sequence = self._last & ((1 << _SEQUENCE_BITS) - 1)
        return (milliseconds << (_SEQUENCE_BITS + _WORKER_BITS)) | self._worker | sequence


def worker_of(ip: str) -> int:
    """The worker of a server without `nacos.core.snowflake.worker-id`: the last ten bits of its IPv4 address; else 0."""
    parts = ip.split(".")
    if len(parts) != 4 or not all(part.isdecimal() and part.isascii() and len(part) <= 3 for part in parts):
        return 0
    return ((int(parts[2]) & 3) << 8) + (int(parts[3]) & 255)
