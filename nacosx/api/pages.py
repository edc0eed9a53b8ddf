"""What the Java server answers where no handler does: the error pages of Spring Boot and of Tomcat.

Source: Nacos 2.5.1 on Spring Boot 2.7 (`BasicErrorController`, `WhitelabelErrorViewConfiguration`) and Tomcat 9
(`ErrorReportValve`); golden 021, 023, 024, 155, 227.
"""

from __future__ import annotations

from time import gmtime

import msgspec

from nacosx._core.http1 import Request, Response
from nacosx.api.http import DAYS, MONTHS, Route
from nacosx.errors import SERVER, NacosError

REASONS = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Payload Too Large",
    417: "Expectation Failed",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

TOMCAT_PAGE = (
    '<!doctype html><html lang="en"><head><title>HTTP Status {0} – {1}</title><style type="text/css">'
    "body {{font-family:Tahoma,Arial,sans-serif;}} h1, h2, h3, b {{color:white;background-color:#525D76;}} "
    "h1 {{font-size:22px;}} h2 {{font-size:16px;}} h3 {{font-size:14px;}} p {{font-size:12px;}} a {{color:black;}} "
    ".line {{height:1px;background-color:#525D76;border:none;}}</style></head><body><h1>HTTP Status {0} – {1}</h1>"
    "</body></html>"
)
WHITELABEL_PAGE = (
    "<html><body><h1>Whitelabel Error Page</h1><p>This application has no explicit mapping for /error, so you are seeing "
    "this as a fallback.</p><div id='created'>{}</div><div>There was an unexpected error (type={}, status={}).</div>"
    "<div>{}</div></body></html>"
)
# Spring's HtmlUtils.htmlEscape; the html module would be loaded for nothing else.
ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})

# What Spring's CORS filter puts on every answer; preflights leave before the Content-Security-Policy is added.
VARY = (
    ("Vary", "Origin"),
    ("Vary", "Access-Control-Request-Method"),
    ("Vary", "Access-Control-Request-Headers"),
)


class SpringError(msgspec.Struct):
    timestamp: str
    status: int
    error: str
    message: str
    path: str


def spring_error(request: Request, status: int, message: str, now_ms: int, *, bare: bool = True) -> Response:
    """The answer of Spring's `/error`. `bare`: the error left the filter chain, which took the headers of the filters
    with it."""
    reason = REASONS[status]
    if "text/html" in (request.header("accept") or ""):
        page = WHITELABEL_PAGE.format(_java_date(now_ms), reason, status, message.translate(ESCAPES))
        return Response(page.encode(), status, "text/html;charset=UTF-8", (("Content-Language", "en"),), bare)
    body = SpringError(iso_date(now_ms), status, reason, message, request.raw_path)
    return Response(msgspec.json.encode(body), status, "application/json", (), bare)


def tomcat_error(status: int) -> Response:
    """The answer where no application is asked: outside the context path, or to what is no HTTP."""
    page = TOMCAT_PAGE.format(status, REASONS[status])
    return Response(page.encode(), status, "text/html;charset=utf-8", (("Content-Language", "en"),), True)


def not_routed(request: Request, methods: dict[str, Route] | None, context_path: str, now_ms: int) -> Response:
    """The answer to a path without handlers, or (`methods`: what the path has) to a method without one."""
    path = request.path
    if not path.startswith(context_path + "/") and path != context_path:
        return tomcat_error(404)
    if path.startswith(context_path + "/v1/ns/"):
        # The distro filter of naming v1 judges before Spring does.
        return spring_error(request, 501, f"no such api:{request.method}:{request.raw_path}", now_ms)
    if methods is None:
        return spring_error(request, 404, "No message available", now_ms, bare=False)
    if request.method == "OPTIONS":
        return Response(b"", headers=(("Allow", allowed(methods)),), content_type="")
    route = next(iter(methods.values()))
    return route.refuse(NacosError(SERVER, f"caused: Request method &#39;{request.method}&#39; not supported;"))


def allowed(methods: dict[str, Route]) -> str:
    if "*" in methods:
        return "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS"
    names = [name for method in methods for name in (("GET", "HEAD") if method == "GET" else (method,))]
    return ",".join([*names, "OPTIONS"])


def preflight(origin: str, method: str, headers: str | None) -> Response:
    """CORS preflight, allowed for every origin as in Nacos (`NacosCoreConfig.corsFilter`; golden 024)."""
    lines = [*VARY, ("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Methods", method)]
    if headers:
        lines.append(("Access-Control-Allow-Headers", headers))
    lines += [("Access-Control-Allow-Credentials", "true"), ("Access-Control-Max-Age", "18000")]
    return Response(b"", 200, "application/json;charset=UTF-8", tuple(lines), True)


def iso_date(now_ms: int) -> str:
    """As Jackson writes a `java.util.Date`, in UTC."""
    now = gmtime(now_ms // 1000)
    return (
        f"{now.tm_year:04}-{now.tm_mon:02}-{now.tm_mday:02}T{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
        f".{now_ms % 1000:03}+00:00"
    )


def _java_date(now_ms: int) -> str:
    """As `java.util.Date.toString()` in UTC."""
    now = gmtime(now_ms // 1000)
    return (
        f"{DAYS[now.tm_wday]} {MONTHS[now.tm_mon - 1]} {now.tm_mday:02} {now.tm_hour:02}:{now.tm_min:02}:"
        f"{now.tm_sec:02} UTC {now.tm_year}"
    )
