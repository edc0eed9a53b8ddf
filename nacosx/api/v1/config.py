"""The routes of configuration over HTTP v1 (contract/http-v1-config.md §1, §2).

One path has many meanings: a query parameter marks what a request to /configs is about. Marks without a handler here (export,
import, clone) are not looked at, as a Java server of before their time would not.
"""

from __future__ import annotations

from nacosx._core.http1 import Request, Response
from nacosx.api.checks import Checks
from nacosx.api.config_form import ConfigLimits
from nacosx.api.http import Answer, Handler, Route, Routes
from nacosx.api.v1.config_content import ContentDesk
from nacosx.api.v1.config_details import DetailsDesk
from nacosx.api.v1.config_history import HistoryDesk
from nacosx.api.v1.config_http import TEXT, refuse
from nacosx.api.v1.config_listener import ListenerDesk
from nacosx.engine.gateway import Gateway
from nacosx.engine.ports import RowStore
from nacosx.engine.push.listeners import Listeners
from nacosx.engine.push.long_polls import LongPolls


def routes(
    gateway: Gateway,
    listeners: Listeners,
    polls: LongPolls,
    rows: RowStore,
    *,
    checks: Checks,
    limits: ConfigLimits,
) -> Routes:
    content = ContentDesk(gateway, checks, limits)
    details = DetailsDesk(gateway, rows, checks)
    history = HistoryDesk(gateway, rows, checks)
    listener = ListenerDesk(listeners, polls, checks, gateway.clock.wall_ms)

    def get(request: Request) -> Answer:
        form = request.form()
        if "search" in form or "show" in form or "beta" in form:
            if form.get("show") == "all":
                return details.show_all(request, form)
            if form.get("search") in ("accurate", "blur"):
                return details.search(request, form)
            if form.get("beta") == "true":
                return details.beta(request, form)
        return content.get(request, form)

    def health(request: Request) -> Response:
        """The state of the database: contents are in memory, so a database that fails makes only search and history late."""
        return Response(b"DOWN:search and history are too far behind" if rows.behind else b"UP", 200, TEXT)

    table: dict[str, dict[str, Handler]] = {
        "/v1/cs/configs": {"GET": get, "POST": content.publish, "DELETE": content.delete},
        "/v1/cs/configs/catalog": {"GET": details.catalog},
        "/v1/cs/configs/listener": {"GET": listener.of_config, "POST": listener.listen},
        "/v1/cs/listener": {"GET": listener.of_client},
        "/v1/cs/communication/configWatchers": {"GET": listener.sample_of_config},
        "/v1/cs/communication/watcherConfigs": {"GET": listener.sample_of_client},
        "/v1/cs/history": {"GET": history.history},
        "/v1/cs/history/previous": {"GET": history.previous},
        "/v1/cs/history/configs": {"GET": history.configs},
        "/v1/cs/health": {"GET": health},
    }
    return {
        path: {method: Route(handler, refuse) for method, handler in methods.items()} for path, methods in table.items()
    }
