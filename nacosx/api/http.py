"""The seam between `wire.http` and the HTTP handlers of the desk.

A handler takes the request and returns a `Response`, or a coroutine of one when it has to wait (durable writes, long polls).
Most answers need no waiting, so they cost no task. A refusal is a `NacosError`; the route says how its generation words it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from time import gmtime
from typing import Any, NamedTuple

from nacosx._core.http1 import Request, Response
from nacosx.errors import NacosError

Handler = Callable[[Request], Response | Coroutine[Any, Any, Response]]


class Route(NamedTuple):
    handler: Handler
    refuse: Callable[[NacosError], Response]


# path below the context path ("/v1/ns/instance") → method ("GET", or "*" for any) → route
Routes = dict[str, dict[str, Route]]

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(epoch_s: int) -> str:
    """As in Date and Last-Modified (RFC 9110 §5.6.7); `strftime` would follow the locale."""
    now = gmtime(epoch_s)
    return (
        f"{DAYS[now.tm_wday]}, {now.tm_mday:02} {MONTHS[now.tm_mon - 1]} {now.tm_year:04} "
        f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} GMT"
    )
