"""The seam between `wire.http` and the HTTP handlers of the desk.

A handler takes the request and returns a `Response`; one that is `Later` when it waits for a write; or a coroutine of one
when it waits for anything else (long polls, searches). Only the last costs a task. A refusal is a `NacosError`; the route
says how its generation words it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from time import gmtime
from typing import Any, NamedTuple

from nacosx._core.http1 import Request, Response
from nacosx.api.later import Later
from nacosx.errors import NacosError

WaitingAnswer = Later[Response] | Coroutine[Any, Any, Response]
Answer = Response | WaitingAnswer
Handler = Callable[[Request], Answer]


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
