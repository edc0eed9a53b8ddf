"""Listening to configs over HTTP v1: long polls, short polls of very old clients, and who listens (contract/http-v1-config.md
§1.15, §1.16, §2)."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote_plus

import msgspec

from nacosx._core.http1 import Request, Response
from nacosx.api.checks import Checks
from nacosx.api.config_form import is_blank, url_encoded
from nacosx.api.http import Answer
from nacosx.api.namespaces import canonical_namespace
from nacosx.api.pages import spring_error
from nacosx.api.v1.config_content import illegal
from nacosx.api.v1.config_http import JSON, NO_CACHE, client_ip, json_response, refused, required
from nacosx.config.model import ConfigKey
from nacosx.config.watch import Listening
from nacosx.engine.push.listeners import Listeners
from nacosx.engine.push.long_polls import LongPolls
from nacosx.errors import PARAMETER_INVALID, NacosError

WORD, LINE = "\x02", "\x01"
LISTENINGS_MAX = 10_000  # one request
POLL_MS_MIN = 10_000  # MIN_LONG_POOLING_TIMEOUT
ANSWER_EARLY_MS = 500  # FIXED_DELAY_TIME: before the client gives up
# Clients before this read the answer to a short poll in headers.
BODY_VERSION = 204

DEFAULT_GROUP = "DEFAULT_GROUP"
UNCHANGED = Response(b"", 200, JSON)


class ListenersOfConfig(msgspec.Struct, rename="camel"):
    """The typing mistake is part of the contract."""

    collect_status: int
    lisenters_groupkey_status: dict[str, str]


class Sample(msgspec.Struct, rename="camel"):
    lisenters_groupkey_status: dict[str, str]


class ListenerDesk:
    __slots__ = ("_checks", "_listeners", "_polls", "_wall_ms")

    def __init__(self, listeners: Listeners, polls: LongPolls, checks: Checks, wall_ms: Callable[[], int]) -> None:
        self._listeners = listeners
        self._polls = polls
        self._checks = checks
        self._wall_ms = wall_ms

    # --- polls -------------------------------------------------------------------------------------------------------

    def listen(self, request: Request) -> Answer:
        """Answers at once what has changed, else waits; `Listening-Configs` is percent-encoded once more than the form."""
        spelled = request.form().get("Listening-Configs")
        if spelled is None or is_blank(spelled):
            raise NacosError(PARAMETER_INVALID, "invalid probeModify")
        spelled = unquote_plus(spelled)
        if self._checks.enabled:
            for line in _without_empty_end(spelled.split(LINE)):
                words = _without_empty_end(line.split(WORD))
                if not 2 <= len(words) <= 4:
                    return self._invalid(request)
                if refusal := self._checks.config(words[3] if len(words) == 4 else None, words[0], words[1]):
                    return refused(refusal)
        return self._compare(request, parse_listenings(spelled))

    def _invalid(self, request: Request) -> Response:
        """The checker of the Java server throws here, which nobody words; the charset stays from the filter before it."""
        page = spring_error(request, 500, "invalid probeModify", self._wall_ms())
        content_type = JSON if page.content_type == "application/json" else page.content_type
        return Response(page.body, page.status, content_type, page.headers, True)

    def _compare(self, request: Request, listenings: list[Listening]) -> Answer:
        ip, tag = client_ip(request), request.header("vipserver-tag") or ""
        changed = self._polls.changed(ip, tag, listenings)
        timeout = request.header("long-pulling-timeout")
        if timeout is None:
            return _short_poll(request, changed)
        if changed:
            return _changed(changed)
        if (request.header("long-pulling-timeout-no-hangup") or "").lower() == "true":
            return UNCHANGED
        if not timeout.strip().isdecimal():
            raise NacosError(PARAMETER_INVALID, f'For input string: "{timeout}"')
        return self._wait(ip, tag, listenings, max(POLL_MS_MIN, int(timeout) - ANSWER_EARLY_MS))

    async def _wait(self, ip: str, tag: str, listenings: list[Listening], timeout_ms: int) -> Response:
        changed = await self._polls.wait(ip, tag, listenings, timeout_ms)
        return UNCHANGED if changed is None else _changed([changed])

    # --- who listens -------------------------------------------------------------------------------------------------

    def of_config(self, request: Request) -> Response:
        form = request.form()
        if refusal := illegal(self._checks, form):
            return refused(refusal)
        return json_response(ListenersOfConfig(200, self._of_config(form)))

    def of_client(self, request: Request) -> Response:
        """Without `all`: configs of the default namespace, and of the `tenant` that is named."""
        form = request.form()
        if refusal := illegal(self._checks, form):
            return refused(refusal)
        status = self._of_client(required(form, "ip"))
        tenant = form.get("tenant")
        if form.get("all") != "true":
            status = {
                group_key: md5
                for group_key, md5 in status.items()
                if _in_default_namespace(group_key) or (tenant and not tenant.isspace() and tenant in group_key)
            }
        return json_response(ListenersOfConfig(200, status))

    def sample_of_config(self, request: Request) -> Response:
        form = request.form()
        if refusal := illegal(self._checks, form):
            return refused(refusal)
        return json_response(Sample(self._of_config(form)))

    def sample_of_client(self, request: Request) -> Response:
        form = request.form()
        if refusal := illegal(self._checks, form):
            return refused(refusal)
        return json_response(Sample(self._of_client(required(form, "ip"))))

    def _of_config(self, form: dict[str, str]) -> dict[str, str]:
        data_id, group = required(form, "dataId"), required(form, "group")
        key = ConfigKey(canonical_namespace(form.get("tenant")), DEFAULT_GROUP if is_blank(group) else group, data_id)
        return self._polls.of_config(key) | self._listeners.of_config(key)

    def _of_client(self, ip: str) -> dict[str, str]:
        return self._polls.of_client(ip) | self._listeners.of_client(ip)


def parse_listenings(text: str) -> list[Listening]:
    """Entries `dataId ^B group ^B md5 [^B tenant] ^A`; what stands behind the last ^A is ignored (Nacos `MD5Util`).

    NacosError when an entry has too few or too many words, or there are too many entries. Of a config written twice the
    last entry counts.
    """
    entries = text.split(LINE)[:-1]
    listenings: dict[tuple[str, ...], Listening] = {}
    for entry in entries:
        words = entry.split(WORD)
        if not 3 <= len(words) <= 4:
            raise NacosError(PARAMETER_INVALID, "invalid probeModify")
        data_id, group, md5, *tenant = words
        spelled = tenant[0] if tenant else ""
        key = ConfigKey(canonical_namespace(spelled), group, data_id)
        listenings[data_id, group, spelled] = Listening(key, md5, spelled)
    if len(listenings) > LISTENINGS_MAX:
        raise NacosError(PARAMETER_INVALID, "invalid probeModify")
    return list(listenings.values())


def _changed(changed: list[Listening]) -> Response:
    return Response(f"{_changed_text(changed)}\n".encode(), 200, JSON, NO_CACHE)


def _changed_text(changed: list[Listening]) -> str:
    """`dataId ^B group [^B tenant] ^A`, percent-encoded; the tenant as the client wrote it."""
    parts = []
    for key, _, tenant in changed:
        parts.append(f"{key.data_id}{WORD}{key.group}{WORD + tenant if tenant and not tenant.isspace() else ''}{LINE}")
    return url_encoded("".join(parts))


def _short_poll(request: Request, changed: list[Listening]) -> Response:
    if version_number(request.header("client-version") or "2.0.0") >= BODY_VERSION:
        return Response(b"", 200, JSON, NO_CACHE)
    old = "".join(f"{key.data_id}:{key.group};" for key, _, _ in changed)
    answer = (("Probe-Modify-Response", old), ("Probe-Modify-Response-New", _changed_text(changed)))
    return Response(b"", 200, JSON, (*answer, *NO_CACHE))


def version_number(version: str) -> int:
    """2.0.4 → 204; parts that are no number are left out (Nacos `Protocol`)."""
    number = 0
    for part in version.split("."):
        if part.isascii() and part.isdigit():
            number = number * 10 + int(part)
    return number


def _in_default_namespace(group_key: str) -> bool:
    tenant = group_key.split("+", 2)[2:]
    return not tenant or canonical_namespace(tenant[0]) == canonical_namespace(None)


def _without_empty_end(parts: list[str]) -> list[str]:
    """Java's `split` drops empty strings at the end, but leaves one when there is nothing else."""
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts
