"""Long polls of 1.x config clients: requests that wait until something they listen to changes, or their time is up.

(contract/http-v1-config.md §1.15)
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain

from nacosx.config.catalog import Catalog
from nacosx.config.events import ConfigChanged
from nacosx.config.model import ConfigKey
from nacosx.config.watch import Listening, group_key, served_md5
from nacosx.engine.ticker import Ticker
from nacosx.errors import OVER_THRESHOLD, NacosError

LISTENINGS_MAX = 2_000_000  # all polls together


class Poll:
    """One waiting request."""

    __slots__ = ("changed", "client_ip", "listenings", "tag")

    def __init__(self, client_ip: str, tag: str, changed: asyncio.Future[Listening | None]) -> None:
        self.client_ip = client_ip
        self.tag = tag
        self.changed = changed
        # A client may write one config twice, under two spellings of its tenant.
        self.listenings: dict[ConfigKey, list[Listening]] = {}


class LongPolls:
    """invariant: a poll is in `_by_key` under each of its keys as long as it waits."""

    def __init__(self, catalog: Catalog, ticker: Ticker, *, listenings_max: int = LISTENINGS_MAX) -> None:
        self._catalog = catalog
        self._ticker = ticker
        self._listenings_max = listenings_max
        self._by_key: dict[ConfigKey, dict[Poll, None]] = {}
        self._polls: dict[Poll, None] = {}
        self._listenings = 0
        self._ended = False

    @property
    def count(self) -> int:
        """Requests that wait."""
        return len(self._polls)

    def changed(self, client_ip: str, tag: str, listenings: Sequence[Listening]) -> list[Listening]:
        """Those of which this client would be served another md5 than it knows."""
        served = self._catalog.served_md5
        return [listening for listening in listenings if served(listening.key, client_ip, tag) != listening.md5]

    async def wait(
        self, client_ip: str, tag: str, listenings: Sequence[Listening], timeout_ms: int
    ) -> Listening | None:
        """The first of these that changes, or None when the time is up. NacosError (OVER_THRESHOLD) at the limit."""
        # A coroutine starts in a later turn of the loop than the request that made it: what has changed since then, and
        # whatever changes from here on, is told.
        for listening in self.changed(client_ip, tag, listenings):
            return listening
        if self._ended:
            return None
        if self._listenings + len(listenings) > self._listenings_max:
            raise NacosError(OVER_THRESHOLD, f"more than {self._listenings_max} configs are polled")
        poll = Poll(client_ip, tag, asyncio.get_running_loop().create_future())
        for listening in listenings:
            poll.listenings.setdefault(listening.key, []).append(listening)
        self._listenings += len(listenings)
        self._polls[poll] = None
        for key in poll.listenings:
            self._by_key.setdefault(key, {})[poll] = None
        timeout = self._ticker.schedule(timeout_ms, self._expire, poll)
        try:
            return await poll.changed
        finally:
            timeout.cancel()
            self._forget(poll, len(listenings))

    def _expire(self, poll: Poll) -> None:
        if not poll.changed.done():
            poll.changed.set_result(None)

    def _forget(self, poll: Poll, listenings: int) -> None:
        self._listenings -= listenings
        del self._polls[poll]
        for key in poll.listenings:
            others = self._by_key[key]
            del others[poll]
            if not others:
                del self._by_key[key]

    def on_config_changed(self, event: ConfigChanged) -> None:
        for poll in self._by_key.get(event.key, ()):
            if poll.changed.done():
                continue
            md5 = served_md5(event.after, poll.client_ip, poll.tag)
            for listening in poll.listenings[event.key]:
                if listening.md5 != md5:
                    poll.changed.set_result(listening)
                    break

    def end(self) -> None:
        """The server stops: everybody is told now that nothing has changed, and asks again, elsewhere or later."""
        self._ended = True
        for poll in self._polls:
            self._expire(poll)

    # --- views -------------------------------------------------------------------------------------------------------

    def of_config(self, key: ConfigKey) -> dict[str, str]:
        """Client ip → the md5 it knows."""
        return {poll.client_ip: poll.listenings[key][-1].md5 for poll in self._by_key.get(key, ())}

    def of_client(self, ip: str) -> dict[str, str]:
        """Group key → the md5 known, over all polls of this ip."""
        return {
            group_key(listening): listening.md5
            for poll in self._polls
            if poll.client_ip == ip
            for listening in chain.from_iterable(poll.listenings.values())
        }
