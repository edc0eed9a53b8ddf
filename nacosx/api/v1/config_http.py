"""How the v1 APIs of configuration and console word things: parameters, refusals, headers.

Source: Nacos 2.5.1 `GlobalExceptionHandler`, `ConsoleExceptionHandler`, Spring 5.3 parameter binding
(contract/http-v1-config.md §0, golden/2.5.1/030–051).
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from nacosx._core.http1 import Request, Response
from nacosx.api.form import Form, bound_whole
from nacosx.api.pages import ESCAPES
from nacosx.errors import SERVER, NacosError

JSON: Final = "application/json;charset=UTF-8"
TEXT: Final = "text/plain;charset=UTF-8"
NO_CACHE: Final = (
    ("Pragma", "no-cache"),
    ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("Cache-Control", "no-cache,no-store"),
)

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1

_integer = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII).fullmatch


class RestResult(msgspec.Struct):
    """The envelope of v1."""

    code: int
    message: str | None
    data: object


def json_response(data: object) -> Response:
    return Response(msgspec.json.encode(data), 200, JSON)


def rest_result(data: object, message: str | None = None, code: int = 200) -> Response:
    return json_response(RestResult(code, message, data))


def refuse(error: NacosError) -> Response:
    """`caused: <detail>;` as text; a detail that is worded like that already stays as it is."""
    detail = error.detail
    text = detail if detail.startswith("caused: ") else f"caused: {detail};"
    return Response(text.encode(), error.code, TEXT)


def refused(refusal: str, content_type: str = JSON) -> Response:
    """The answer of the parameter checker, which stands before the handlers and speaks for itself (golden 034)."""
    return Response(f"{refusal}\r\n".encode(), 400, content_type, NO_CACHE, True)


def required(form: Form, name: str, java_type: str = "String") -> str:
    """Raises NacosError when the parameter was not sent; it may be empty."""
    value = form.get(name)
    if value is None:
        quoted = f"&#39;{name}&#39;"
        raise NacosError(
            SERVER, f"caused: Required request parameter {quoted} for method parameter type {java_type} is not present;"
        )
    return value


def required_int(form: Form, name: str) -> int:
    """An empty one is no number, and no default either (`bound_whole`); this generation escapes what it says."""
    required(form, name, "int")
    try:
        return bound_whole(form, name)
    except NacosError as error:
        raise NacosError(error.kind, error.detail.translate(ESCAPES)) from None


def optional_int(form: Form, name: str, default: int) -> int:
    value = form.get(name)
    return default if not value else _number(value, "java.lang.Integer", INT32_MAX)


def required_long(form: Form, name: str) -> int:
    return _number(required(form, name, "Long"), "java.lang.Long", INT64_MAX)


def longs(text: str) -> list[int]:
    """A comma list."""
    return [_number(each, "java.lang.Long", INT64_MAX) for each in text.split(",") if each]


def _number(text: str, java_type: str, largest: int) -> int:
    trimmed = text.strip()
    if _integer(trimmed) and -largest - 1 <= int(trimmed) <= largest:
        return int(trimmed)
    cause = f'For input string: "{trimmed}"'
    message = (
        f"caused: Failed to convert value of type 'java.lang.String' to required type '{java_type}'; nested exception is "
        f"java.lang.NumberFormatException: {cause};caused: {cause};"
    )
    raise NacosError(SERVER, message.translate(ESCAPES))


def client_ip(request: Request) -> str:
    """Whom a proxy says it speaks for, else the peer. Beta rules look at it."""
    forwarded = request.header("x-forwarded-for")
    if forwarded and (first := forwarded.split(",", 1)[0].strip()):
        return first
    real = request.header("x-real-ip")
    return real.strip() if real and not real.isspace() else request.remote_ip
