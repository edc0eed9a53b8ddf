"""A server that is not ready for clients: a member of a cluster that does not hold yet what the others hold.

An empty answer now would be taken for the truth: a config that is gone, a service without instances.
"""

from __future__ import annotations

from nacosx._core.http1 import Request, Response
from nacosx.api.http import Route, Routes

# What is answered all the same: naming v1 has a filter of its own (`ServerStatus`), and keepers of the process ask how it is.
OPEN = ("/v1/ns/", "/v1/console/health/", "/v2/console/health/", "/v1/console/server/state")

# As the filter of naming v1 words it.
STARTING = b"server is STARTING now, please try again later!"


def starting(routes: Routes) -> Routes:
    """The routes until then."""
    return {
        path: methods
        if path.startswith(OPEN)
        else {method: Route(_refuse, route.refuse) for method, route in methods.items()}
        for path, methods in routes.items()
    }


def _refuse(_: Request) -> Response:
    return Response(STARTING, 503, "", (), True)
