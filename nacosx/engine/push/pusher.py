"""Service pushes: who is told of a change, when, and until it was heard.

When, for each service:

* The first change in a quiet service is pushed in the next turn of the loop. The push opens a window of `delay_ms`; what
  changes meanwhile is pushed once, when the window ends. (Nacos 2.5.1 waits `delay_ms` before the first push, too.)
* A new subscriber is pushed to alone, `delay_ms` after it subscribed or together with the next push of the service.

Until heard, for each subscriber of a service, at most one push is under way (a `_Flight`):

* gRPC: not answered well within `timeout_ms` → again after `retry_delay_ms`, for ever while subscribed and connected.
  What changed meanwhile makes one more push after the answer.
* UDP: resent once, then failed (see `datagram_pushes`). A newer push takes the place of one not yet acknowledged.

A push shows the service as it is when it is sent, so a late or repeated one is never stale. The JSON is rendered once for
all subscribers of the same clusters. Nothing is pushed while the switch `pushEnabled` is off; it is made up for later.

Source: Nacos 2.5.1 `PushDelayTaskExecuteEngine`, `PushExecuteTask`, `PushConfig` (contract/semantics.md §2, udp-push.md).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from nacosx._core.wheel import Timeout
from nacosx.clock import Clock
from nacosx.engine.ports import Datagrams, Pushes
from nacosx.engine.push.datagram_pushes import DatagramPushes
from nacosx.engine.ticker import Ticker
from nacosx.naming.client import is_connection
from nacosx.naming.events import ServiceChanged, ServiceSubscribed
from nacosx.naming.model import ServiceKey, Subscriber
from nacosx.naming.registry import Registry
from nacosx.naming.views import service_info, service_info_datagram

log = logging.getLogger(__name__)

DELAY_MS = 500
TIMEOUT_MS = 5000
RETRY_DELAY_MS = 1000

PUSH_TYPE = "NotifySubscriberRequest"
CLIENTS_A_TURN_MAX = 32  # pushed to before these pushes leave and other events of the loop get their turn


class PushCounters:
    """What /operator/push/state and the metrics show. A cost is the time from the change to the answer."""

    __slots__ = ("cost_count", "cost_max_ms", "cost_total_ms", "empty", "failed", "total")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.total = 0  # answered or failed, every attempt
        self.failed = 0
        self.empty = 0  # answered, without a healthy instance
        self.cost_count = 0
        self.cost_total_ms = 0
        self.cost_max_ms = -1  # -1: none yet, as the Java server shows it

    @property
    def cost_avg_ms(self) -> int:
        """-1 when none was measured."""
        return self.cost_total_ms // self.cost_count if self.cost_count else -1

    def succeeded(self, cost_ms: int, *, empty: bool) -> None:
        self.total += 1
        self.empty += empty
        self.cost_count += 1
        self.cost_total_ms += cost_ms
        self.cost_max_ms = max(self.cost_max_ms, cost_ms)


class _Window:
    """A service in which something is to be pushed, or was pushed less than `delay_ms` ago."""

    __slots__ = ("changed_ms", "key", "quiet_ms", "subscribed_ms", "timeout")

    def __init__(self, key: ServiceKey) -> None:
        self.key = key
        self.timeout: Timeout | None = None
        self.quiet_ms = 0  # no push to all before this
        self.changed_ms: int | None = None  # when the oldest change not yet pushed was made
        self.subscribed_ms: dict[str, int] = {}  # client id → when it subscribed, if not yet pushed to


class _Flight:
    """A push to one subscriber: under way, or waiting to be repeated."""

    __slots__ = ("again_ms", "attempts", "client_id", "datagram", "empty", "key", "retry", "since_ms")

    def __init__(self, key: ServiceKey, client_id: str, since_ms: int, attempts: int) -> None:
        self.key = key
        self.client_id = client_id
        self.since_ms = since_ms  # when the oldest change it tells of was made
        self.attempts = attempts
        self.empty = False
        self.again_ms: int | None = None  # when the oldest change since it was sent was made
        self.retry: Timeout | None = None
        self.datagram: int | None = None  # reference of the datagram, if it is one


class _Rendered:
    """One state of a service, rendered at most once for each list of clusters."""

    __slots__ = ("_datagrams", "_key", "_members", "_now_ms", "_registry", "_rendered_datagrams")

    def __init__(self, registry: Registry, datagrams: DatagramPushes, key: ServiceKey, now_ms: int) -> None:
        self._registry = registry
        self._datagrams = datagrams
        self._key = key
        self._now_ms = now_ms
        self._members: dict[str, tuple[bytes, bool]] = {}
        self._rendered_datagrams: dict[str, tuple[int, bytes, bool]] = {}

    def members(self, clusters: str) -> tuple[bytes, bool]:
        """(members of the NotifySubscriberRequest, whether no instance is healthy)."""
        members = self._members.get(clusters)
        if members is None:
            info = service_info(self._registry, self._key, clusters, False, grouped=False, now_ms=self._now_ms)
            members = self._members[clusters] = (b'"serviceInfo":' + info + b',"module":"naming"', _is_empty(info))
        return members

    def datagram(self, clusters: str) -> tuple[int, bytes, bool]:
        """(reference, payload, whether no instance is healthy)."""
        datagram = self._rendered_datagrams.get(clusters)
        if datagram is None:
            info = service_info_datagram(self._registry, self._key, clusters, now_ms=self._now_ms)
            datagram = (*self._datagrams.enveloped(info), _is_empty(info))
            self._rendered_datagrams[clusters] = datagram
        return datagram


def _is_empty(info: bytes) -> bool:
    return b'"healthy":true' not in info


class Pusher:
    """Give it the events of the registry; it does the rest. `stop` of the ticker stops it."""

    __slots__ = (
        "_clock",
        "_delay_ms",
        "_flights",
        "_held",
        "_pushes",
        "_registry",
        "_retry_delay_ms",
        "_ticker",
        "_timeout_ms",
        "_windows",
        "counters",
        "datagrams",
    )

    def __init__(
        self,
        registry: Registry,
        pushes: Pushes,
        datagrams: Datagrams,
        ticker: Ticker,
        clock: Clock,
        *,
        delay_ms: int = DELAY_MS,
        timeout_ms: int = TIMEOUT_MS,
        retry_delay_ms: int = RETRY_DELAY_MS,
    ) -> None:
        self._registry = registry
        self.counters = PushCounters()
        self.datagrams = DatagramPushes(datagrams, ticker, clock)  # its `acknowledged` takes the answers
        self._pushes = pushes
        self._ticker = ticker
        self._clock = clock
        self._delay_ms = delay_ms
        self._timeout_ms = timeout_ms
        self._retry_delay_ms = retry_delay_ms
        self._windows: dict[ServiceKey, _Window] = {}
        self._flights: dict[tuple[ServiceKey, str], _Flight] = {}
        self._held: dict[ServiceKey, _Window] = {}  # due while pushes are switched off

    @property
    def pending(self) -> int:
        """Services with a push to come."""
        return sum(window.changed_ms is not None or bool(window.subscribed_ms) for window in self._windows.values())

    # --- when --------------------------------------------------------------------------------------------------------

    def on_service_changed(self, event: ServiceChanged) -> None:
        key = event.service
        if key not in self._registry.subscribers:
            return
        window = self._windows.get(key) or self._open(key)
        if window.changed_ms is None:
            window.changed_ms = now_ms = self._clock.monotonic_ms()
            self._due(window, max(window.quiet_ms, now_ms), now_ms)

    def on_service_subscribed(self, event: ServiceSubscribed) -> None:
        window = self._windows.get(event.service) or self._open(event.service)
        now_ms = self._clock.monotonic_ms()
        window.subscribed_ms.setdefault(event.client_id, now_ms)
        self._due(window, now_ms + self._delay_ms, now_ms)

    def _open(self, key: ServiceKey) -> _Window:
        window = self._windows[key] = _Window(key)
        return window

    def _due(self, window: _Window, due_ms: int, now_ms: int) -> None:
        """Has the window looked at no later than `due_ms`."""
        if window.key in self._held:
            return
        if window.timeout is None:
            window.timeout = self._ticker.schedule(due_ms - now_ms, self._look, window)
        elif due_ms < window.timeout.deadline_ms:
            self._ticker.restart(window.timeout, due_ms - now_ms)

    def _look(self, window: _Window) -> None:
        window.timeout = None
        if not self._registry.switches.push_enabled:
            self._hold(window)
            return
        key, changed_ms, subscribed_ms = window.key, window.changed_ms, window.subscribed_ms
        if changed_ms is None:
            del self._windows[key]
            self._push(key, subscribed_ms)
            return
        # A push to all opens the next window; nobody who just subscribed needs another one.
        window.changed_ms = None
        window.subscribed_ms = {}
        now_ms = self._clock.monotonic_ms()
        window.quiet_ms = now_ms + self._delay_ms
        self._due(window, window.quiet_ms, now_ms)
        self._push(key, dict.fromkeys(self._registry.subscribers.get(key, ()), changed_ms))

    def _hold(self, window: _Window) -> None:
        """Keeps what is due until pushes are switched on again. One timeout looks for that, whatever is held."""
        if not self._held:
            self._ticker.schedule(self._delay_ms, self._resume)
        self._held[window.key] = window

    def _resume(self, _: None) -> None:
        if not self._registry.switches.push_enabled:
            self._ticker.schedule(self._delay_ms, self._resume)
            return
        held, self._held = self._held, {}
        now_ms = self._clock.monotonic_ms()
        for window in held.values():
            self._due(window, now_ms, now_ms)

    # --- until heard -------------------------------------------------------------------------------------------------

    def _push(self, key: ServiceKey, waiting_ms: dict[str, int]) -> None:
        """Pushes to the clients (client id → since when it waits) that still subscribe."""
        if len(waiting_ms) > CLIENTS_A_TURN_MAX:
            clients = list(waiting_ms.items())
            self._push_slice((key, clients, 0))
        else:
            self._push_now(key, waiting_ms.items())

    def _push_slice(self, rest: tuple[ServiceKey, list[tuple[str, int]], int]) -> None:
        key, clients, start = rest
        end = start + CLIENTS_A_TURN_MAX
        if end < len(clients):
            self._ticker.schedule(0, self._push_slice, (key, clients, end))
        self._push_now(key, clients[start:end])

    def _push_now(self, key: ServiceKey, clients: Iterable[tuple[str, int]]) -> None:
        subscribers = self._registry.subscribers.get(key)
        if subscribers is None:
            return
        rendered = _Rendered(self._registry, self.datagrams, key, self._clock.wall_ms())
        for client_id, since_ms in clients:
            subscriber = subscribers.get(client_id)
            if subscriber is not None:
                self._push_to(key, client_id, subscriber, since_ms, rendered)

    def _push_to(
        self, key: ServiceKey, client_id: str, subscriber: Subscriber, since_ms: int, rendered: _Rendered
    ) -> None:
        attempts = 0
        flight = self._flights.get((key, client_id))
        if flight is not None:
            if flight.datagram is not None:
                self._withdraw(flight, subscriber)
            elif flight.retry is not None:
                flight.retry.cancel()
                attempts = flight.attempts
            else:
                if flight.again_ms is None:
                    flight.again_ms = since_ms
                return
        flight = self._flights[key, client_id] = _Flight(key, client_id, since_ms, attempts + 1)
        if is_connection(client_id):
            members, flight.empty = rendered.members(subscriber.clusters)
            answered = partial(self._answered, flight)
            if not self._pushes.push(client_id, PUSH_TYPE, members, answered, timeout_ms=self._timeout_ms):
                self._land(flight)  # the connection is just going: nobody to be told, no failure
        else:
            flight.datagram, payload, flight.empty = rendered.datagram(subscriber.clusters)
            answered = partial(self._datagram_answered, flight)
            self.datagrams.send(subscriber.ip, subscriber.port, flight.datagram, payload, answered)

    def _answered(self, flight: _Flight, well: bool) -> None:
        """A gRPC subscriber answered, or did not."""
        key, client_id = flight.key, flight.client_id
        subscribed = client_id in self._registry.subscribers.get(key, ())
        if well:
            self._count(flight)
            self._land(flight)
            if flight.again_ms is not None and subscribed:
                self._push_now(key, ((client_id, flight.again_ms),))
            return
        self._count_failed(flight)
        if subscribed:
            flight.retry = self._ticker.schedule(self._retry_delay_ms, self._retry, flight)
        else:
            self._land(flight)

    def _retry(self, flight: _Flight) -> None:
        self._push_now(flight.key, ((flight.client_id, flight.since_ms),))
        if self._flights.get((flight.key, flight.client_id)) is flight:
            self._land(flight)  # not pushed: it does not subscribe any more

    def _datagram_answered(self, flight: _Flight, well: bool) -> None:
        """A UDP subscriber acknowledged, or did not within the time of both attempts; it still polls, so that is the end."""
        self._land(flight)
        if well:
            self._count(flight)
        else:
            self._count_failed(flight)

    def _withdraw(self, flight: _Flight, subscriber: Subscriber) -> None:
        """A newer datagram goes out: the old one must not be resent after it."""
        assert flight.datagram is not None
        self.datagrams.withdraw(subscriber.ip, subscriber.port, flight.datagram)
        self._count_failed(flight)

    def _land(self, flight: _Flight) -> None:
        self._flights.pop((flight.key, flight.client_id), None)

    def _count(self, flight: _Flight) -> None:
        self.counters.succeeded(self._clock.monotonic_ms() - flight.since_ms, empty=flight.empty)

    def _count_failed(self, flight: _Flight) -> None:
        self.counters.total += 1
        self.counters.failed += 1
        level = logging.WARNING if flight.attempts == 1 else logging.DEBUG
        log.log(
            level, "push of %s to %s failed (attempt %d)", flight.key.grouped_name, flight.client_id, flight.attempts
        )
