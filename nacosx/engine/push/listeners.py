"""Config listeners of gRPC connections: who listens to what, and the notifications they get (contract/grpc.md §5.3).

A change is pushed at once to every listener it concerns. Each (connection, config) has at most one notification on its
way: a change while one is unanswered is remembered and pushed after the answer. One that fails or is not answered in time
is tried again 2, 4, 6 … s later; after `push_tries_max` the connection is given up (Nacos 2.5.1 `RpcConfigChangeNotifier`).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from nacosx._core.wheel import Timeout
from nacosx.config.events import ConfigChanged
from nacosx.config.model import ConfigKey
from nacosx.config.watch import Listening, concerns, group_key
from nacosx.engine.ports import Pushes
from nacosx.engine.ticker import Ticker
from nacosx.errors import OVER_THRESHOLD, NacosError

PUSH_TIMEOUT_MS = 3_000
PUSH_TRIES_MAX = 50
PUSH_RETRY_DELAY_MS = 2_000  # times the number of tries so far
PUSHES_A_TURN_MAX = 32  # of one change, in one turn of the loop
LISTENERS_MAX = 2_000_000  # all connections together

_json = msgspec.json.encode


class Listener:
    """One connection's interest in one config, and the notification on its way to it."""

    __slots__ = ("_listeners", "again", "client", "listening", "pushing", "retry", "tries")

    def __init__(self, listeners: Listeners, client: Client, listening: Listening) -> None:
        self._listeners = listeners
        self.client = client
        self.listening = listening
        self.pushing = False  # a notification is about to leave, is unanswered, or waits to be tried again
        self.again = False  # it has changed since that notification left
        self.tries = 0
        self.retry: Timeout | None = None

    def answered(self, success: bool) -> None:
        self._listeners.on_answered(self, success)


class Client:
    """A connection that listens."""

    __slots__ = ("connection_id", "ip", "listeners", "tag")

    def __init__(self, connection_id: str, ip: str, tag: str) -> None:
        self.connection_id = connection_id
        self.ip = ip  # as the client declared it; beta rules look at it
        self.tag = tag  # its Vipserver-Tag, "" for none
        # By the tenant as written, too: a client may listen to one config under two spellings.
        self.listeners: dict[tuple[ConfigKey, str | None], Listener] = {}


class Listeners:
    """invariant: a listener is in `_by_key` as long as its client has it."""

    def __init__(
        self,
        pushes: Pushes,
        ticker: Ticker,
        disconnect: Callable[[str], None],
        *,
        push_timeout_ms: int = PUSH_TIMEOUT_MS,
        push_tries_max: int = PUSH_TRIES_MAX,
        listeners_max: int = LISTENERS_MAX,
    ) -> None:
        """`disconnect(connection_id)` ends a connection that does not answer; `release` follows from that."""
        self._pushes = pushes
        self._ticker = ticker
        self._disconnect = disconnect
        self._push_timeout_ms = push_timeout_ms
        self._push_tries_max = push_tries_max
        self._listeners_max = listeners_max
        self._clients: dict[str, Client] = {}
        self._by_key: dict[ConfigKey, dict[Listener, None]] = {}
        self.count = 0

    # --- who listens -------------------------------------------------------------------------------------------------

    def listen(self, connection_id: str, client_ip: str, tag: str, listening: Listening) -> None:
        """Adds a listener, or renews what it knows. NacosError (OVER_THRESHOLD) at the limit."""
        client = self._clients.get(connection_id)
        if client is None:
            client = self._clients[connection_id] = Client(connection_id, client_ip, tag)
        client.tag = tag
        key = listening.key, listening.tenant
        listener = client.listeners.get(key)
        if listener is not None:
            listener.listening = listening
            return
        if self.count >= self._listeners_max:
            raise NacosError(OVER_THRESHOLD, f"more than {self._listeners_max} config listeners")
        self.count += 1
        listener = client.listeners[key] = Listener(self, client, listening)
        self._by_key.setdefault(listening.key, {})[listener] = None

    def unlisten(self, connection_id: str, key: ConfigKey, tenant: str | None) -> None:
        """Unknown is not an error."""
        client = self._clients.get(connection_id)
        if client is None:
            return
        listener = client.listeners.pop((key, tenant), None)
        if listener is not None:
            self._forget(listener)
            if not client.listeners:
                del self._clients[connection_id]

    def release(self, connection_id: str) -> None:
        """The connection has ended."""
        client = self._clients.pop(connection_id, None)
        if client is not None:
            for listener in client.listeners.values():
                self._forget(listener)
            client.listeners.clear()

    def _forget(self, listener: Listener) -> None:
        self.count -= 1
        if listener.retry is not None:
            listener.retry.cancel()
        key = listener.listening.key
        others = self._by_key[key]
        del others[listener]
        if not others:
            del self._by_key[key]

    # --- notifications -----------------------------------------------------------------------------------------------

    def on_config_changed(self, event: ConfigChanged) -> None:
        members: dict[str | None, bytes] = {}
        due: list[tuple[Listener, bytes]] = []
        for listener in self._by_key.get(event.key, ()):
            if not concerns(event, listener.client.ip, listener.client.tag):
                continue
            if listener.pushing:
                listener.again = True
                continue
            listener.pushing = True
            tenant = listener.listening.tenant
            body = members.get(tenant)
            if body is None:
                body = members[tenant] = notification(event.key, tenant)
            due.append((listener, body))
        if due:
            self._push_slice((due, 0))

    def _push_slice(self, rest: tuple[list[tuple[Listener, bytes]], int]) -> None:
        """Some of many. They leave before the next are made, and whatever else there is to do gets its turn."""
        due, start = rest
        end = start + PUSHES_A_TURN_MAX
        if end < len(due):
            self._ticker.schedule(0, self._push_slice, (due, end))
        for listener, members in due[start:end]:
            if start == 0 or listener in self._by_key.get(listener.listening.key, ()):
                self._push(listener, members)

    def _push(self, listener: Listener, members: bytes) -> None:
        listener.pushing = True
        listener.again = False
        sent = self._pushes.push(
            listener.client.connection_id,
            "ConfigChangeNotifyRequest",
            members,
            listener.answered,
            timeout_ms=self._push_timeout_ms,
        )
        if not sent:  # the connection has gone; its release is on the way
            listener.pushing = False

    def on_answered(self, listener: Listener, success: bool) -> None:
        """A notification was answered (`success`), refused, or not answered in time."""
        if listener not in self._by_key.get(listener.listening.key, ()):
            return
        if success:
            listener.tries = 0
            listener.pushing = False
            if listener.again:
                self._push(listener, notification(listener.listening.key, listener.listening.tenant))
            return
        listener.tries += 1
        if listener.tries >= self._push_tries_max:
            self._disconnect(listener.client.connection_id)
        else:
            listener.retry = self._ticker.schedule(listener.tries * PUSH_RETRY_DELAY_MS, self._try_again, listener)

    def _try_again(self, listener: Listener) -> None:
        listener.retry = None
        self._push(listener, notification(listener.listening.key, listener.listening.tenant))

    # --- views -------------------------------------------------------------------------------------------------------

    def of_config(self, key: ConfigKey) -> dict[str, str]:
        """Client ip → the md5 it knows."""
        return {listener.client.ip: listener.listening.md5 for listener in self._by_key.get(key, ())}

    def of_client(self, ip: str) -> dict[str, str]:
        """Group key → the md5 known, over all connections of this ip."""
        return {
            group_key(listener.listening): listener.listening.md5
            for client in self._clients.values()
            if client.ip == ip
            for listener in client.listeners.values()
        }


def notification(key: ConfigKey, tenant: str | None) -> bytes:
    """The members of a ConfigChangeNotifyRequest. A blank tenant is left out, as Java leaves out null (golden/wire)."""
    echoed = b',"tenant":' + _json(tenant) if tenant else b""
    return b'"dataId":' + _json(key.data_id) + b',"group":' + _json(key.group) + echoed + b',"module":"config"'
