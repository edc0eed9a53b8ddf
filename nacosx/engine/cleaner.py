"""The periodic cleaner: services nobody publishes for any more, and what operators said about what is gone.

An empty service goes after 60 s, explicitly created ones too; its metadata, and the overlay of an instance, another 60 s
after they lost what they speak of, so that a restart of a client finds them again.

Source: Nacos 2.5.1 `EmptyServiceAutoCleanerV2`, `ExpiredMetadataCleaner` (contract/semantics.md §2).
"""

from __future__ import annotations

import asyncio
import logging

from nacosx.clock import Clock
from nacosx.engine.gateway import Gateway
from nacosx.engine.ticker import Ticker
from nacosx.errors import NacosError
from nacosx.naming.commands import ForgetMetadata, RemoveIdleServices
from nacosx.naming.expiry import expired_metadata

log = logging.getLogger(__name__)

FIRST_DELAY_MS = 30_000  # clients of a server that restarted get time to register again
EMPTY_SERVICE_INTERVAL_MS = 60_000
EMPTY_SERVICE_EXPIRED_MS = 60_000
METADATA_INTERVAL_MS = 5_000
METADATA_EXPIRED_MS = 60_000


class Cleaner:
    """Works from `start` until the ticker stops."""

    __slots__ = (
        "_clock",
        "_empty_service_expired_ms",
        "_empty_service_interval_ms",
        "_forgetting",
        "_gateway",
        "_metadata_expired_ms",
        "_metadata_interval_ms",
        "_started_ms",
        "_ticker",
    )

    def __init__(
        self,
        gateway: Gateway,
        ticker: Ticker,
        clock: Clock,
        *,
        empty_service_interval_ms: int = EMPTY_SERVICE_INTERVAL_MS,
        empty_service_expired_ms: int = EMPTY_SERVICE_EXPIRED_MS,
        metadata_interval_ms: int = METADATA_INTERVAL_MS,
        metadata_expired_ms: int = METADATA_EXPIRED_MS,
    ) -> None:
        self._gateway = gateway
        self._ticker = ticker
        self._clock = clock
        self._empty_service_interval_ms = empty_service_interval_ms
        self._empty_service_expired_ms = empty_service_expired_ms
        self._metadata_interval_ms = metadata_interval_ms
        self._metadata_expired_ms = metadata_expired_ms
        self._forgetting: asyncio.Future[None] | None = None  # limit: one command on its way to the disk

    def start(self, *, forgets: bool = True) -> None:
        """`forgets`: what was said about services and instances that are gone; not where others may still have them."""
        self._started_ms = self._clock.monotonic_ms()
        self._ticker.schedule(FIRST_DELAY_MS, self._clean_services)
        if forgets:
            self._ticker.schedule(METADATA_INTERVAL_MS, self._clean_metadata)

    def _clean_services(self, _: None) -> None:
        self._ticker.schedule(self._empty_service_interval_ms, self._clean_services)
        # What a restart brought back empty has no age: it stays as if it were created at the start.
        up_ms = self._clock.monotonic_ms() - self._started_ms
        if self._gateway.registry.empty and up_ms >= self._empty_service_expired_ms:
            now_ms = self._clock.wall_ms()
            self._gateway.submit(RemoveIdleServices(now_ms - self._empty_service_expired_ms, now_ms))

    def _clean_metadata(self, _: None) -> None:
        self._ticker.schedule(self._metadata_interval_ms, self._clean_metadata)
        if self._forgetting is not None:
            return
        # Strictly longer ago, as in the Java server.
        command = expired_metadata(self._gateway.registry, self._clock.wall_ms() - self._metadata_expired_ms - 1)
        if command is not None:
            log.info(
                "forgets what was said about %d services, %d instances", len(command.services), len(command.instances)
            )
            self._forget(command)

    def _forget(self, command: ForgetMetadata) -> None:
        try:
            self._forgetting = self._gateway.propose(command)
        except NacosError as error:
            log.warning("cannot forget: %s", error)  # too much waits for the disk; the next round tries again
        else:
            self._forgetting.add_done_callback(self._forgotten)

    def _forgotten(self, forgetting: asyncio.Future[None]) -> None:
        self._forgetting = None
        if not forgetting.cancelled() and (error := forgetting.exception()) is not None:
            # The disk is full; the next round tries again.
            log.log(logging.WARNING if isinstance(error, NacosError) else logging.ERROR, "cannot forget: %s", error)
