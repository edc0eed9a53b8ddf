"""Configuration over gRPC: every request type of Nacos 2.5.1 (contract/grpc.md §5.3, golden/wire/c2.5.1-s2.5.1.types.md).

Replies are put together from fixed bytes; only publishing and removing wait (for the disk).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import msgspec

from nacosx.api.checks import Checks, refused_reply
from nacosx.api.config_form import (
    ConfigForm,
    ConfigLimits,
    is_blank,
    is_known,
    publish_command,
    refuse_content,
    refuse_names,
    refuse_tag,
    refuse_tenant,
    remove_command,
    url_encoded,
)
from nacosx.api.grpc.rpc import Connection, Headers, Reply, Rpc, Rpcs
from nacosx.api.later import Later
from nacosx.api.namespaces import canonical_namespace
from nacosx.config.commands import DurableCommand
from nacosx.config.model import BETA, DEFAULT_TYPE, Config, ConfigKey, GrayConfig, config_key
from nacosx.config.watch import Listening
from nacosx.engine.gateway import Gateway
from nacosx.engine.push.listeners import Listeners
from nacosx.errors import CONFIG_CONFLICT, CONFIG_GRAY_MAX, SERVER, NacosError

VIPSERVER_TAG = "Vipserver-Tag"

_json = msgspec.json.encode

_SUCCESS = b'{"resultCode":200,"errorCode":0,"success":true}'
_FOUND = b'{"resultCode":200,"errorCode":0,"content":'
_FOUND_END = b'%b,"contentType":"%b","md5":"%b","lastModified":%d%b,"success":true}'
_NOT_FOUND = b'{"resultCode":500,"errorCode":300,"message":"config data not exist","lastModified":0%b,"success":false}'
_FAILED = b'{"resultCode":500,"errorCode":%d,"message":%b,"success":false}'
_FORMAL = b',"beta":false'
# What the Java classes always carry, for the replies of the parameter checker.
_QUERY_MEMBERS = b'"lastModified":0,"beta":false,'
_LISTEN_MEMBERS = b'"changedConfigs":[],'


class ConfigQueryRequest(msgspec.Struct, rename="camel"):
    data_id: str | None = None
    group: str | None = None
    tenant: str | None = None
    tag: str | None = None


class ConfigPublishRequest(msgspec.Struct, rename="camel"):
    data_id: str | None = None
    group: str | None = None
    tenant: str | None = None
    content: str | None = None
    cas_md5: str | None = None
    addition_map: dict[str, str | None] | None = None


class ConfigRemoveRequest(msgspec.Struct, rename="camel"):
    data_id: str | None = None
    group: str | None = None
    tenant: str | None = None
    tag: str | None = None


class ConfigListenContext(msgspec.Struct, rename="camel"):
    group: str | None = None
    data_id: str | None = None
    tenant: str | None = None
    md5: str | None = None


class ConfigBatchListenRequest(msgspec.Struct, rename="camel"):
    listen: bool | None = True
    config_listen_contexts: list[ConfigListenContext] | None = None


def rpcs(gateway: Gateway, listeners: Listeners, *, checks: Checks, limits: ConfigLimits) -> Rpcs:
    desk = _ConfigDesk(gateway, listeners, checks, limits)
    return {
        "ConfigQueryRequest": Rpc(ConfigQueryRequest, "ConfigQueryResponse", desk.query),
        "ConfigPublishRequest": Rpc(ConfigPublishRequest, "ConfigPublishResponse", desk.publish),
        "ConfigRemoveRequest": Rpc(ConfigRemoveRequest, "ConfigRemoveResponse", desk.remove),
        "ConfigBatchListenRequest": Rpc(ConfigBatchListenRequest, "ConfigChangeBatchListenResponse", desk.batch_listen),
    }


class _ConfigDesk:
    __slots__ = ("_checks", "_gateway", "_limits", "_listeners")

    def __init__(self, gateway: Gateway, listeners: Listeners, checks: Checks, limits: ConfigLimits) -> None:
        self._gateway = gateway
        self._listeners = listeners
        self._checks = checks
        self._limits = limits

    # --- reads -------------------------------------------------------------------------------------------------------

    def query(self, connection: Connection, request: ConfigQueryRequest, headers: Headers) -> bytes:
        """What this client reads. The content stays as it was published; an encrypted one is decrypted by the client."""
        data_id, group, tag = request.data_id, request.group, request.tag
        if data_id is not None and group is not None:
            # A name that is found was checked when it was published.
            catalog = self._gateway.catalog
            key = config_key((canonical_namespace(request.tenant), group, data_id))
            version = catalog.served(key, connection.client_ip, tag or connection.labels.get(VIPSERVER_TAG) or "")
            if type(version) is Config:
                if not tag or tag.isspace():
                    return _found(version, version.type, _key_member(version.encrypted_data_key))
            elif version is not None:
                assert isinstance(version, GrayConfig)
                return _found_gray(version, catalog.configs.get(key))
        if refusal := self._checks.config(request.tenant, data_id, group):
            return refused_reply(refusal, _QUERY_MEMBERS)
        if data_id is None or group is None:
            message = b'"invalid %b : null"' % (b"dataId" if data_id is None else b"group")
            return _FAILED % (500, message + b',"lastModified":0,"beta":false')
        # An explicit tag without a gray version never falls back to the formal one.
        return _NOT_FOUND % (_FORMAL if is_blank(tag) else b',"tag":' + _json(tag) + _FORMAL)

    def batch_listen(self, connection: Connection, request: ConfigBatchListenRequest, headers: Headers) -> bytes:
        """Adds or removes listeners; answers with the configs of which the client would be served another md5."""
        contexts = request.config_listen_contexts or []
        catalog = self._gateway.catalog
        listen = request.listen is not False
        connection_id, client_ip = connection.connection_id, connection.client_ip
        tag = headers.get(VIPSERVER_TAG) or connection.labels.get(VIPSERVER_TAG) or ""
        listenings = []
        for context in contexts:
            data_id, group, tenant = context.data_id, context.group, context.tenant
            key = ConfigKey(canonical_namespace(tenant), group or "", data_id or "")
            if key not in catalog.configs and (refusal := self._checks.config(tenant, data_id, group)):
                return refused_reply(refusal, _LISTEN_MEMBERS)
            if data_id is None or group is None:
                raise NacosError(SERVER, f"invalid {'dataId' if data_id is None else 'group'} : null")
            listenings.append(Listening(key, context.md5 or "", tenant))
        refuse_tag(tag)
        changed = []
        for listening in listenings:
            if not listen:
                self._listeners.unlisten(connection_id, listening.key, listening.tenant)
                continue
            self._listeners.listen(connection_id, client_ip, tag, listening)
            if catalog.served_md5(listening.key, client_ip, tag) != listening.md5:
                changed.append(_context(listening))
        return b'{"resultCode":200,"errorCode":0,"changedConfigs":[%b],"success":true}' % b",".join(changed)

    # --- writes ------------------------------------------------------------------------------------------------------

    def publish(self, connection: Connection, request: ConfigPublishRequest, headers: Headers) -> Reply:
        """Answered when it is on disk; every refusal is a ConfigPublishResponse."""
        known = is_known(self._gateway.catalog, request.tenant, request.group, request.data_id)
        if not known and (refusal := self._checks.config(request.tenant, request.data_id, request.group)):
            return refused_reply(refusal)
        addition = (request.addition_map or {}).get
        form = ConfigForm(
            data_id=request.data_id,
            group=request.group,
            tenant=request.tenant,
            content=request.content,
            src_ip=connection.client_ip,
            src_user=addition("src_user"),
            tag=addition("tag"),
            app_name=addition("appName"),
            config_tags=addition("config_tags"),
            desc=addition("desc"),
            use=addition("use"),
            effect=addition("effect"),
            schema=addition("schema"),
            type=addition("type"),
            encrypted_data_key=addition("encryptedDataKey"),
            beta_ips=addition("betaIps"),
            cas_md5=request.cas_md5,
        )
        try:
            if not known:
                refuse_names(form.data_id, form.group)
            refuse_content(form.content, self._limits)
        except NacosError as error:
            return _failed(error.code, error)
        try:
            command = publish_command(form, self._gateway.clock.wall_ms(), self._limits)
        except NacosError as error:
            # Java: an IllegalArgumentException, or a NacosApiException that loses its code.
            return _failed(500, error)
        return self._propose(command, _publish_refused)

    def remove(self, connection: Connection, request: ConfigRemoveRequest, headers: Headers) -> Reply:
        """What does not exist is removed with success."""
        data_id, group, tag = request.data_id, request.group, request.tag
        if refusal := self._checks.config(request.tenant, data_id, group):
            return refused_reply(refusal)
        try:
            refuse_tenant(request.tenant)
            refuse_names(data_id, group)
            refuse_tag(tag)
        except NacosError as error:
            return _failed(0, error)
        assert data_id is not None
        assert group is not None
        command = remove_command(
            self._gateway.catalog,
            ConfigKey(canonical_namespace(request.tenant), group, data_id),
            tag,
            now_ms=self._gateway.clock.wall_ms(),
            src_ip=connection.client_ip,
            src_user=None,
        )
        return _SUCCESS if command is None else self._propose(command, _remove_refused)

    def _propose(self, command: DurableCommand, refused: Callable[[NacosError], bytes]) -> Reply:
        try:
            return Later(self._gateway.propose(command), _SUCCESS, refused)
        except NacosError as error:
            return refused(error)


def _publish_refused(error: NacosError) -> bytes:
    return _failed(500 if error.kind in (CONFIG_CONFLICT, CONFIG_GRAY_MAX) else error.code, error)


def _remove_refused(error: NacosError) -> bytes:
    return _failed(0, error)


def _found(version: Config | GrayConfig, config_type: str, encrypted_data_key: bytes, end: bytes = _FORMAL) -> bytes:
    content = _json(version.content.decode())
    return _FOUND + content + _found_end(encrypted_data_key, config_type, version.md5, version.modified_ms, end)


@lru_cache(maxsize=1024)
def _found_end(encrypted_data_key: bytes, config_type: str, md5: str, modified_ms: int, end: bytes) -> bytes:
    return _FOUND_END % (encrypted_data_key, config_type.encode(), md5.encode(), modified_ms, end)


def _found_gray(gray: GrayConfig, formal: Config | None) -> bytes:
    """A gray version has the type of the formal one, and a key only when one was published with it."""
    key = _key_member(gray.encrypted_data_key) if gray.encrypted_data_key else b""
    tag = b',"tag":' + _json(url_encoded(gray.rule.expression)) + _FORMAL
    end = b',"beta":true' if gray.rule.type == BETA else tag
    return _found(gray, DEFAULT_TYPE if formal is None else formal.type, key, end)


def _key_member(encrypted_data_key: str) -> bytes:
    return b',"encryptedDataKey":' + _json(encrypted_data_key) if encrypted_data_key else b',"encryptedDataKey":""'


def _failed(code: int, error: NacosError) -> bytes:
    return _FAILED % (code, _json(error.detail))


def _context(listening: Listening) -> bytes:
    key, tenant = listening.key, listening.tenant
    echoed = b"" if tenant is None else b',"tenant":' + _json(tenant)
    return b'{"group":' + _json(key.group) + b',"dataId":' + _json(key.data_id) + echoed + b"}"
