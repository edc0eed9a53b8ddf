"""The life of ephemeral ip:port clients: they are alive as long as they are heard of.

* An instance whose beats stop for more than 15 s becomes unhealthy, for more than 30 s it is removed. Its metadata, or an
  operator's overlay, may say otherwise (`preserved.heart.beat.timeout`, `preserved.ip.delete.timeout`), or that silence is
  no sign (`enableClientBeat`). The next beat makes it healthy again.
* A client that only subscribes is gone after 30 s without a request, a client of any kind after `client_expired_ms`.

Each beat is one store in the instance's timeout (`Timeout.restart`); rules are asked only when a timeout runs out. The
Java server looks at each client every 5 s, so it is up to 5 s later. Times are strict, as there: *more than* 15 s.

Source: Nacos 2.5.1 `ClientBeatCheckTaskV2`, `UnhealthyInstanceChecker`, `ExpiredInstanceChecker`,
`EphemeralIpPortClientManager` (contract/semantics.md §2, udp-push.md §1).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from nacosx._core.wheel import Timeout
from nacosx.clock import Clock
from nacosx.engine.ticker import Ticker
from nacosx.naming.client import is_ephemeral
from nacosx.naming.commands import DeregisterInstance, DisconnectClient, EphemeralCommand, SetHealth
from nacosx.naming.events import ClientReleased
from nacosx.naming.health import beat_rules
from nacosx.naming.legality import IP_DELETE_TIMEOUT_MS
from nacosx.naming.model import Instance, ServiceKey, instances_of
from nacosx.naming.registry import Registry

log = logging.getLogger(__name__)

CLIENT_EXPIRED_MS = 180_000

_Several = dict[ServiceKey, Timeout]


class Beats:
    """The desk calls `watch`, `renew` and `watch_subscriber`; `submit` is the gateway's.

    Not for gRPC connections: those live as long as their transport.
    """

    __slots__ = (
        "_client_expired_ms",
        "_clock",
        "_expire_instances",
        "_look",
        "_published",
        "_registry",
        "_submit",
        "_subscribed",
        "_ticker",
    )

    def __init__(
        self,
        registry: Registry,
        submit: Callable[[EphemeralCommand], None],
        ticker: Ticker,
        clock: Clock,
        *,
        expire_instances: bool = True,
        client_expired_ms: int = CLIENT_EXPIRED_MS,
    ) -> None:
        self._registry = registry
        self._submit = submit
        self._ticker = ticker
        self._clock = clock
        self._expire_instances = expire_instances
        self._client_expired_ms = client_expired_ms
        # client id → the timeout of the one service it publishes for, or of each of several. Nearly all have one, and
        # 100 000 of these must be cheap: hence no object between.
        self._published: dict[str, Timeout | _Several] = {}
        self._subscribed: dict[str, Timeout] = {}
        self._look = self._look_at_only  # one bound method, not one for each timeout

    # --- the desk ----------------------------------------------------------------------------------------------------

    def watch(self, client_id: str, service: ServiceKey) -> None:
        """The client registered an instance of the service (it is in the registry): from now on it has to beat.

        Persistent clients need not, and are not watched.
        """
        instance = self._instance(client_id, service)
        if instance is None or not is_ephemeral(client_id):
            return
        delay_ms = self._first_delay_ms(service, instance)
        watched = self._published.get(client_id)
        if watched is None:
            self._published[client_id] = self._ticker.schedule(delay_ms, self._look, client_id)
        elif isinstance(watched, Timeout):
            if len(self._registry.clients[client_id].published) == 1:
                self._restart_only(client_id, watched, delay_ms)
            else:
                self._published[client_id] = several = self._split(client_id, watched)
                self._restart(client_id, several, service, delay_ms)
        else:
            self._restart(client_id, watched, service, delay_ms)

    def renew(self, client_id: str, service: ServiceKey) -> bool:
        """A beat came. False: this client has no such instance (it should register)."""
        instance = self._instance(client_id, service)
        watched = self._published.get(client_id)
        if instance is None:
            return False
        timeout = watched.get(service) if isinstance(watched, dict) else watched
        if timeout is None or not self._ticker.restart(timeout, self._first_delay_ms(service, instance)):
            self.watch(client_id, service)
        if not instance.healthy:
            self._submit(SetHealth(client_id, service, True, self._clock.wall_ms()))
        return True

    def watch_subscriber(self, client_id: str) -> None:
        """The client subscribed, or asked again: it is to be remembered for another while."""
        timeout = self._subscribed.get(client_id)
        delay_ms = self._idle_ms_max() + 1
        if timeout is None or not self._ticker.restart(timeout, delay_ms):
            self._subscribed[client_id] = self._ticker.schedule(delay_ms, self._look_at_subscriber, client_id)

    def on_client_released(self, event: ClientReleased) -> None:
        self._forget(event.client_id)

    @property
    def watched(self) -> int:
        """Timeouts kept: one for each instance and one for each subscribing client."""
        return len(self._subscribed) + sum(
            1 if isinstance(watched, Timeout) else len(watched) for watched in self._published.values()
        )

    # --- timeouts ----------------------------------------------------------------------------------------------------

    def _restart_only(self, client_id: str, timeout: Timeout, delay_ms: int) -> None:
        if not self._ticker.restart(timeout, delay_ms):
            self._published[client_id] = self._ticker.schedule(delay_ms, self._look, client_id)

    def _restart(self, client_id: str, several: _Several, service: ServiceKey, delay_ms: int) -> None:
        timeout = several.get(service)
        if timeout is None or not self._ticker.restart(timeout, delay_ms):
            several[service] = self._ticker.schedule(delay_ms, self._look_at_one, (client_id, service))

    def _split(self, client_id: str, timeout: Timeout) -> _Several:
        """The client publishes for a second service: each beats for itself from now on."""
        timeout.cancel()
        return {
            service: self._ticker.schedule(
                timeout.deadline_ms - timeout.started_ms,
                self._look_at_one,
                (client_id, service),
                since_ms=timeout.started_ms,
            )
            for service in self._registry.clients[client_id].published
        }

    def _forget(self, client_id: str) -> None:
        for timeout in self._timeouts(client_id):
            timeout.cancel()
        self._published.pop(client_id, None)
        self._subscribed.pop(client_id, None)

    def _timeouts(self, client_id: str) -> Iterator[Timeout]:
        watched = self._published.get(client_id)
        if isinstance(watched, Timeout):
            yield watched
        elif watched is not None:
            yield from watched.values()
        if client_id in self._subscribed:
            yield self._subscribed[client_id]

    # --- instances ---------------------------------------------------------------------------------------------------

    def _look_at_only(self, client_id: str) -> None:
        """The timeout of a client that published for one service ran out."""
        timeout = self._published[client_id]
        assert isinstance(timeout, Timeout)
        client = self._registry.clients.get(client_id)
        service = next(iter(client.published), None) if client is not None else None
        next_ms = self._judge(client_id, service, timeout) if service is not None else None
        if next_ms is not None:
            self._published[client_id] = self._ticker.schedule(
                next_ms, self._look, client_id, since_ms=timeout.started_ms
            )
        elif self._published.get(client_id) is timeout:
            del self._published[client_id]

    def _look_at_one(self, watched: tuple[str, ServiceKey]) -> None:
        """The timeout of one of several services a client publishes for ran out."""
        client_id, service = watched
        several = self._published[client_id]
        assert isinstance(several, dict)
        timeout = several[service]
        next_ms = self._judge(client_id, service, timeout)
        if next_ms is not None:
            several[service] = self._ticker.schedule(next_ms, self._look_at_one, watched, since_ms=timeout.started_ms)
        elif several.get(service) is timeout:
            del several[service]
            if not several and self._published.get(client_id) is several:
                del self._published[client_id]

    def _judge(self, client_id: str, service: ServiceKey, timeout: Timeout) -> int | None:
        """Does what is due for a silent instance; returns the length of silence at which to look again, None for never."""
        instance = self._instance(client_id, service)
        if instance is None:
            return None
        now_ms = self._clock.monotonic_ms()
        silent_ms = now_ms - timeout.started_ms
        rules = beat_rules(self._registry, service, instance)
        expires = rules.checked and self._expire_instances
        if expires and silent_ms > rules.removed_after_ms:
            log.info("%s of %s is removed: silent for %d ms", client_id, service.grouped_name, silent_ms)
            self._submit(DeregisterInstance(client_id, service, self._clock.wall_ms()))
            return None
        if rules.checked and instance.healthy and silent_ms > rules.unhealthy_after_ms:
            log.info("%s of %s is unhealthy: silent for %d ms", client_id, service.grouped_name, silent_ms)
            self._submit(SetHealth(client_id, service, False, self._clock.wall_ms()))
        if now_ms - self._heard_ms(client_id) > self._client_expired_ms:
            self._disconnect(client_id)
            return None
        looks = (
            rules.unhealthy_after_ms if rules.checked else 0,
            rules.removed_after_ms if expires else 0,
            self._client_expired_ms,
        )
        return min((look for look in looks if look >= silent_ms), default=silent_ms + self._client_expired_ms) + 1

    def _first_delay_ms(self, service: ServiceKey, instance: Instance) -> int:
        rules = beat_rules(self._registry, service, instance)
        return min(rules.unhealthy_after_ms, rules.removed_after_ms) + 1

    def _instance(self, client_id: str, service: ServiceKey) -> Instance | None:
        found = self._registry.services.get(service)
        publication = found.publishers.get(client_id) if found is not None else None
        return None if publication is None else instances_of(publication)[0]

    # --- clients -----------------------------------------------------------------------------------------------------

    def _look_at_subscriber(self, client_id: str) -> None:
        """No request for a while from a client that subscribes."""
        client = self._registry.clients.get(client_id)
        if client is None or not client.subscribed:
            del self._subscribed[client_id]
            return
        now_ms, heard_ms = self._clock.monotonic_ms(), self._heard_ms(client_id)
        # While it publishes, its instances are looked at in their own time; then what is left of it is.
        next_ms = self._idle_ms_max() + (now_ms if client.published else heard_ms)
        if now_ms > next_ms:
            self._disconnect(client_id)
        else:
            self._subscribed[client_id] = self._ticker.schedule(
                next_ms - heard_ms + 1, self._look_at_subscriber, client_id, since_ms=heard_ms
            )

    def _idle_ms_max(self) -> int:
        """A client that only subscribes is kept this long: it comes back within the cache time it was told."""
        cache_ms = self._registry.switches.default_push_cache_millis
        return min(max(IP_DELETE_TIMEOUT_MS, cache_ms), self._client_expired_ms)

    def _heard_ms(self, client_id: str) -> int:
        """When the client was heard of last, by whatever it did."""
        return max((timeout.started_ms for timeout in self._timeouts(client_id)), default=0)

    def _disconnect(self, client_id: str) -> None:
        log.info("%s is gone: nothing was heard of it", client_id)
        self._forget(client_id)
        self._submit(DisconnectClient(client_id, self._clock.wall_ms()))
