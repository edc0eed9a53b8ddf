"""Where every setting comes from: defaults < conf/application.properties < environment < command-line flags.

Keys are those of the Java server (contract/semantics.md §9, §11); an environment variable is either nacos-docker's name
(§12) or the key in Spring's relaxed spelling (`nacos.config.retention.days` → `NACOS_CONFIG_RETENTION_DAYS`).
`${NAME:default}` in a value is replaced by the environment or another key: the image's application.properties relies on
that.

Every key that is set but not supported gives one warning; a key whose value asks for what nacosx does anyway is silent;
and a value that promises protection nacosx cannot give yet (authentication) is refused: an open server must not look
closed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

PEER_PORT_OFFSET = 1000  # contract/semantics.md §4: main port - 1000 is Raft's


class SettingsError(Exception):
    """The settings are bad, or ask for what cannot be given; the message is for the person who starts us."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the server can be told. Units are in the names; defaults are those of Nacos 2.5.1."""

    home: Path
    host: str = "0.0.0.0"  # as the Java server: all interfaces
    port: int = 8848  # 0: a free pair (p, p + 1000)
    grpc_port: int | None = None  # None: port + grpc_port_offset
    grpc_port_offset: int = 1000
    context_path: str = "/nacos"
    ip: str | None = None  # what others know this server by; None: the host, or the address of the default route
    standalone: bool = False  # whatever cluster.conf says
    member_list: str = ""  # instead of cluster.conf
    members: tuple[str, ...] = ()  # of the cluster, host:main port, this server among them; fewer than two: stand-alone
    server_identity_key: str = ""  # with its value the secret that the members of a cluster share
    server_identity_value: str = ""
    peer_tls: bool = False
    peer_tls_mutual: bool = False  # who calls shows a certificate, too
    peer_tls_certificate: str = ""  # PEM files
    peer_tls_key: str = ""
    peer_tls_key_password: str = ""
    peer_tls_trusted: str = ""
    election_timeout_ms: int = 1_000  # SOFAJRaft's default; the Java server sets 5 s, for the pauses of its collector
    function_mode: str | None = None

    param_check_enabled: bool = True
    http_header_bytes_max: int = 524_288
    grpc_message_bytes_max: int = 10_485_760
    grpc_keepalive_ms: int = 7_200_000
    grpc_keepalive_timeout_ms: int = 20_000
    grpc_keepalive_permit_ms: int = 300_000

    expire_instance: bool = True
    push_delay_ms: int = 500
    push_timeout_ms: int = 5_000
    push_retry_delay_ms: int = 1_000
    client_expired_ms: int = 180_000
    empty_service_interval_ms: int = 60_000
    empty_service_expired_ms: int = 60_000
    expired_metadata_interval_ms: int = 5_000
    expired_metadata_ms: int = 60_000
    instance_metadata_chars_max: int = 1_024
    snowflake_worker_id: int = -1

    config_chars_max: int = 10_485_760
    config_push_timeout_ms: int = 3_000
    config_push_retries_max: int = 50
    config_retention_days: int = 30
    config_gray_versions_max: int = 10

    # shown by /v1/console/server/state; quotas are not enforced, as with Java's default isCapacityLimitCheck=false
    notify_connect_timeout_ms: int = 100
    notify_socket_timeout_ms: int = 200
    health_check: bool = True
    health_check_failures_max: int = 12
    manage_capacity: bool = True
    cluster_quota: int = 100_000
    group_quota: int = 200
    config_bytes_default_max: int = 102_400
    aggregated_configs_max: int = 10_000
    aggregated_bytes_max: int = 1_024

    @property
    def peer_port(self) -> int:
        """Where the other members of the cluster call: as the Java server's JRaft."""
        return self.port - PEER_PORT_OFFSET

    @property
    def peer_addresses(self) -> tuple[str, ...]:
        """Of `members`."""
        split = [member.rpartition(":") for member in self.members]
        return tuple(f"{host}:{int(port) - PEER_PORT_OFFSET}" for host, _, port in split)

    @property
    def peer_secret(self) -> bytes:
        return f"{self.server_identity_key}\n{self.server_identity_value}".encode()

    @property
    def data_directory(self) -> Path:
        """Ours alone, so that a Java server's data in the same home stays untouched."""
        return self.home / "data" / "nacosx"


def _integer(text: str) -> int:
    return int(text.strip())


def _port(text: str) -> int:
    port = int(text.strip())
    if not 0 <= port <= 65535:
        raise ValueError(text)
    return port


def _boolean(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in ("true", "false"):
        raise ValueError(text)
    return lowered == "true"


def _text(text: str) -> str:
    return text.strip()


def _path(text: str) -> str:
    path = "/" + text.strip().strip("/")
    return "" if path == "/" else path


class Supported(NamedTuple):
    member: str
    parse: Callable[[str], Any]


SUPPORTED: dict[str, Supported] = {
    "server.port": Supported("port", _port),
    "nacos.server.main.port": Supported("port", _port),
    "server.address": Supported("host", _text),
    "server.servlet.contextpath": Supported("context_path", _path),
    "server.servlet.context-path": Supported("context_path", _path),
    "nacos.server.contextpath": Supported("context_path", _path),
    "nacos.server.grpc.port.offset": Supported("grpc_port_offset", _integer),
    "nacos.standalone": Supported("standalone", _boolean),
    "nacos.member.list": Supported("member_list", _text),
    "nacos.inetutils.ip-address": Supported("ip", _text),
    "nacos.core.auth.server.identity.key": Supported("server_identity_key", _text),
    "nacos.core.auth.server.identity.value": Supported("server_identity_value", _text),
    "nacos.remote.peer.rpc.tls.enabletls": Supported("peer_tls", _boolean),
    "nacos.remote.peer.rpc.tls.mutualauthenable": Supported("peer_tls_mutual", _boolean),
    "nacos.remote.peer.rpc.tls.certchainfile": Supported("peer_tls_certificate", _text),
    "nacos.remote.peer.rpc.tls.certprivatekey": Supported("peer_tls_key", _text),
    "nacos.remote.peer.rpc.tls.certprivatekeypassword": Supported("peer_tls_key_password", _text),
    "nacos.remote.peer.rpc.tls.trustcollectioncertfile": Supported("peer_tls_trusted", _text),
    "nacos.core.protocol.raft.data.election_timeout_ms": Supported("election_timeout_ms", _integer),
    "nacos.functionmode": Supported("function_mode", _text),
    "nacos.core.param.check.enabled": Supported("param_check_enabled", _boolean),
    "server.max-http-header-size": Supported("http_header_bytes_max", _integer),
    "nacos.remote.server.grpc.sdk.max-inbound-message-size": Supported("grpc_message_bytes_max", _integer),
    "nacos.remote.server.grpc.sdk.keep-alive-time": Supported("grpc_keepalive_ms", _integer),
    "nacos.remote.server.grpc.sdk.keep-alive-timeout": Supported("grpc_keepalive_timeout_ms", _integer),
    "nacos.remote.server.grpc.sdk.permit-keep-alive-time": Supported("grpc_keepalive_permit_ms", _integer),
    "nacos.naming.expireinstance": Supported("expire_instance", _boolean),
    "nacos.naming.push.pushtaskdelay": Supported("push_delay_ms", _integer),
    "nacos.naming.push.pushtasktimeout": Supported("push_timeout_ms", _integer),
    "nacos.naming.push.pushtaskretrydelay": Supported("push_retry_delay_ms", _integer),
    "nacos.naming.client.expired.time": Supported("client_expired_ms", _integer),
    "nacos.naming.clean.empty-service.interval": Supported("empty_service_interval_ms", _integer),
    "nacos.naming.clean.empty-service.expired-time": Supported("empty_service_expired_ms", _integer),
    "nacos.naming.clean.expired-metadata.interval": Supported("expired_metadata_interval_ms", _integer),
    "nacos.naming.clean.expired-metadata.expired-time": Supported("expired_metadata_ms", _integer),
    "nacos.naming.service.metadata.length": Supported("instance_metadata_chars_max", _integer),
    "nacos.core.snowflake.worker-id": Supported("snowflake_worker_id", _integer),
    "maxcontent": Supported("config_chars_max", _integer),
    "nacos.config.push.timeout": Supported("config_push_timeout_ms", _integer),
    "nacos.config.push.maxretrytime": Supported("config_push_retries_max", _integer),
    "nacos.config.retention.days": Supported("config_retention_days", _integer),
    "nacos.config.gray.version.max.count": Supported("config_gray_versions_max", _integer),
    "notifyconnecttimeout": Supported("notify_connect_timeout_ms", _integer),
    "notifysockettimeout": Supported("notify_socket_timeout_ms", _integer),
    "ishealthcheck": Supported("health_check", _boolean),
    "maxhealthcheckfailcount": Supported("health_check_failures_max", _integer),
    "ismanagecapacity": Supported("manage_capacity", _boolean),
    "defaultclusterquota": Supported("cluster_quota", _integer),
    "defaultgroupquota": Supported("group_quota", _integer),
    "defaultmaxsize": Supported("config_bytes_default_max", _integer),
    "defaultmaxaggrcount": Supported("aggregated_configs_max", _integer),
    "defaultmaxaggrsize": Supported("aggregated_bytes_max", _integer),
}

# Keys whose listed values ask for what nacosx does anyway; any other value is warned of.
SILENT: dict[str, tuple[str, ...]] = {
    "nacos.core.auth.enabled": ("false",),
    "nacos.core.auth.system.type": ("", "nacos"),
    "nacos.core.auth.caching.enabled": ("true", "false"),
    "nacos.core.auth.enable.useragentauthwhite": ("false",),
    "nacos.core.auth.plugin.nacos.token.secret.key": ("",),
    "nacos.core.auth.plugin.nacos.token.cache.enable": ("false",),
    "spring.datasource.platform": ("",),
    "spring.sql.init.platform": ("", "derby"),
    "nacos.istio.mcp.server.enabled": ("false",),
    "nacos.k8s.sync.enabled": ("false",),
    "nacos.prometheus.metrics.enabled": ("false",),
    "nacos.config.derby.ops.enabled": ("false",),
    "iscapacitylimitcheck": ("false",),
    "management.metrics.export.elastic.enabled": ("false",),
    "management.metrics.export.influx.enabled": ("false",),
}

# What would leave the server more open than its owner believes.
REFUSED: dict[str, tuple[str, ...]] = {
    "nacos.core.auth.enabled": ("true",),
    "nacos.remote.server.rpc.tls.enabletls": ("true",),
    "server.ssl.enabled": ("true",),
}

# nacos-docker's environment names (contract/semantics.md §12) → keys.
DOCKER: dict[str, str] = {
    "NACOS_APPLICATION_PORT": "server.port",
    "SERVER_SERVLET_CONTEXTPATH": "server.servlet.contextpath",
    "FUNCTION_MODE": "nacos.functionmode",
    "NACOS_AUTH_ENABLE": "nacos.core.auth.enabled",
    "NACOS_AUTH_SYSTEM_TYPE": "nacos.core.auth.system.type",
    "NACOS_AUTH_CACHE_ENABLE": "nacos.core.auth.caching.enabled",
    "NACOS_AUTH_USER_AGENT_AUTH_WHITE_ENABLE": "nacos.core.auth.enable.useragentauthwhite",
    "NACOS_AUTH_TOKEN": "nacos.core.auth.plugin.nacos.token.secret.key",
    "NACOS_AUTH_TOKEN_EXPIRE_SECONDS": "nacos.core.auth.plugin.nacos.token.expire.seconds",
    "NACOS_AUTH_IDENTITY_KEY": "nacos.core.auth.server.identity.key",
    "NACOS_AUTH_IDENTITY_VALUE": "nacos.core.auth.server.identity.value",
    "NACOS_CORE_PARAM_CHECK_ENABLED": "nacos.core.param.check.enabled",
    "SPRING_DATASOURCE_PLATFORM": "spring.sql.init.platform",
    "MYSQL_SERVICE_HOST": "db.url.0",
    "NACOS_SERVERS": "nacos.member.list",
    "MEMBER_LIST": "nacos.member.list",
    "NACOS_SERVER_IP": "nacos.inetutils.ip-address",
    "EMBEDDED_STORAGE": "embeddedstorage",
    "NACOS_SECURITY_IGNORE_URLS": "nacos.security.ignore.urls",
    "NACOS_CONSOLE_PORT": "nacos.console.port",
    "NACOS_CONSOLE_CONTEXTPATH": "nacos.console.contextpath",
    "NACOS_CONSOLE_UI_ENABLED": "nacos.console.ui.enabled",
    "NACOS_DEPLOYMENT_TYPE": "nacos.deployment.type",
}

MEMBERS_MAX = 128  # limit: of a cluster

_PLACEHOLDER = re.compile(r"\$\{([^${}:]+)(?::([^${}]*))?\}")
_PLACEHOLDER_DEPTH_MAX = 16


def load(
    *, home: Path, environment: Mapping[str, str], flags: Mapping[str, Any] | None = None
) -> tuple[Settings, list[str]]:
    """Reads all sources. Returns the settings and the warnings, one for each unsupported key; raises SettingsError."""
    given: dict[str, tuple[str, str]] = {}  # normalised key → (key as written, value)
    properties = _properties(home / "conf" / "application.properties")
    for key, value in properties.items():
        given[_normal(key)] = (key, _expand(value, properties, environment))
    for name, key in _environment_keys(environment).items():
        given[key] = (name, environment[name])

    members: dict[str, Any] = {}
    warnings: list[str] = []
    for key, (written, value) in given.items():
        supported = SUPPORTED.get(key)
        if supported is not None:
            members[supported.member] = _parse(supported, written, value)
        elif value.strip().lower() in REFUSED.get(key, ()):
            raise SettingsError(f"{written}={value} is not supported yet, and the server would run open without it")
        elif value.strip().lower() not in SILENT.get(key, ()):
            warnings.append(f"setting {written} is not supported and was ignored")
    members.update({name: value for name, value in (flags or {}).items() if value is not None})
    settings = Settings(home=home, **members)
    return msgspec.structs.replace(settings, members=_members(settings)), warnings


def _members(settings: Settings) -> tuple[str, ...]:
    """Who is in the cluster: conf/cluster.conf, else nacos.member.list; nobody with nacos.standalone=true, or without others.

    contract/semantics.md §5: one host or host:port a line, lists with commas, comments after #; without a port the main one.
    """
    if settings.standalone:
        return ()
    path = settings.home / "conf" / "cluster.conf"
    try:
        text = path.read_text("utf-8") if path.exists() else settings.member_list
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read {path}: {error}") from error
    words = re.split(r"[,\s]+", re.sub(r"#.*", "", text))
    members = tuple(dict.fromkeys(_member(word, settings.port) for word in words if word))
    if len(members) < 2:
        return ()
    if len(members) > MEMBERS_MAX:
        raise SettingsError(f"a cluster has at most {MEMBERS_MAX} members, not {len(members)}")
    if settings.port <= PEER_PORT_OFFSET:
        raise SettingsError(
            f"a member of a cluster needs a main port above {PEER_PORT_OFFSET}: Raft's is so much lower"
        )
    if settings.peer_tls and not (
        settings.peer_tls_certificate and settings.peer_tls_key and settings.peer_tls_trusted
    ):
        raise SettingsError(
            "nacos.remote.peer.rpc.tls.enableTls needs certChainFile, certPrivateKey and trustCollectionCertFile"
        )
    return members


def _member(word: str, port: int) -> str:
    """host:port; an IPv6 address stands in brackets when a port follows."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::(\d{1,5}))?", word)
    if found is not None:
        host, given_port = found[1], int(found[2] or port)
    elif word.count(":") > 1 and set(word) <= set("0123456789abcdefABCDEF:."):
        host, given_port = f"[{word}]", port
    else:
        raise SettingsError(f"{word!r} is not an address of a member: host or host:port is")
    if not PEER_PORT_OFFSET < given_port <= 65535:
        raise SettingsError(f"{word!r}: the port of a member is above {PEER_PORT_OFFSET}")
    return f"{host}:{given_port}"


def _properties(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    import javaproperties  # only homes with a file pay for it

    try:
        with path.open("rb") as file:
            return dict(javaproperties.load(file))
    except (OSError, javaproperties.InvalidUEscapeError) as error:
        raise SettingsError(f"cannot read {path}: {error}") from error


def _normal(key: str) -> str:
    """Spring's relaxed lookup ignores case; dashes are kept because shipped keys spell them."""
    return key.strip().lower()


def _environment_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Environment name → key, for the names that mean one of ours. Docker's names win over relaxed spellings."""
    relaxed = {_relaxed(key): key for key in (*SUPPORTED, *SILENT, *REFUSED)}
    found = {name: relaxed[name] for name in environment if name in relaxed}
    found.update({name: DOCKER[name] for name in environment if name in DOCKER})
    return found


def _relaxed(key: str) -> str:
    return key.replace("-", "").replace(".", "_").upper()


def _expand(value: str, properties: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """Replaces `${NAME:default}`; the innermost first, so that defaults may hold placeholders. Unknown ones stay."""

    def replacement(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        if name in environment:
            return environment[name]
        if name in properties:
            return properties[name]
        return default if default is not None else match.group(0).replace("${", "$\0{")

    for _ in range(_PLACEHOLDER_DEPTH_MAX):
        expanded = _PLACEHOLDER.sub(replacement, value)
        if expanded == value:
            break
        value = expanded
    return value.replace("$\0{", "${")


def _parse(supported: Supported, written: str, value: str) -> Any:
    try:
        return supported.parse(value)
    except ValueError as error:
        raise SettingsError(f"setting {written} has a bad value: {value!r}") from error
