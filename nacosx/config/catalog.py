"""The state of configuration management and the only place that changes it."""

from __future__ import annotations

from sys import intern

import msgspec

from nacosx.config.commands import DurableCommand, PublishConfig, PublishGray, RemoveConfig, RemoveGray
from nacosx.config.events import ConfigChanged, ConfigWritten, Event, GrayWritten, HistoryRecorded
from nacosx.config.gray import serve
from nacosx.config.model import NO_DETAILS, Config, ConfigDetails, ConfigKey, GrayConfig, Versions, versions
from nacosx.errors import CONFIG_CONFLICT, CONFIG_GRAY_MAX, NacosError


class CatalogSnapshot(msgspec.Struct, frozen=True, array_like=True):
    config_id: int
    history_id: int
    configs: list[tuple[ConfigKey, Config]]
    grays: list[tuple[ConfigKey, list[GrayConfig]]]


NOT_SENT = (None,) * 6  # of the details a command may carry: nothing is to be changed or overwritten

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CatalogSnapshot).decode


class Catalog:
    """Every config and gray version, in memory.

    invariant: `counts[namespace]` is the number of formal configs in it, without zeroes
    invariant: a key of `grays` has at least one version, larger priority first
    """

    __slots__ = ("_config_id", "_history_id", "configs", "counts", "grays")

    def __init__(self) -> None:
        self.configs: dict[ConfigKey, Config] = {}
        self.grays: dict[ConfigKey, tuple[GrayConfig, ...]] = {}
        self.counts: dict[str, int] = {}
        self._config_id = 0
        self._history_id = 0

    # --- views -------------------------------------------------------------------------------------------------------

    def versions(self, key: ConfigKey) -> Versions:
        return Versions(self.configs.get(key), self.grays.get(key, ()))

    def served(self, key: ConfigKey, client_ip: str, tag: str = "") -> Config | GrayConfig | None:
        """What this client reads; `tag` is its Vipserver-Tag, "" for none."""
        if self.grays:
            grays = self.grays.get(key)
            if grays is not None:
                return serve(self.configs.get(key), grays, client_ip, tag)
        return self.configs.get(key)

    def served_md5(self, key: ConfigKey, client_ip: str, tag: str = "") -> str:
        """The md5 of what this client reads, "" for nothing."""
        version = self.served(key, client_ip, tag)
        return "" if version is None else version.md5

    def gray(self, key: ConfigKey, name: str) -> GrayConfig | None:
        return next((gray for gray in self.grays.get(key, ()) if gray.name == name), None)

    def written(self, command: DurableCommand) -> object:
        """What the state holds where a command has written, right after it was applied: what members of a group compare."""
        return self.versions(command.key), self._config_id, self._history_id

    # --- changes -----------------------------------------------------------------------------------------------------

    def apply(self, command: DurableCommand) -> list[Event]:
        """Raises NacosError when refused; then nothing has changed."""
        match command:
            case PublishConfig():
                return self._publish(command)
            case RemoveConfig():
                return self._remove(command)
            case PublishGray():
                return self._publish_gray(command)
            case RemoveGray():
                return self._remove_gray(command)

    def _publish(self, command: PublishConfig) -> list[Event]:
        key = command.key
        old = self.configs.get(key)
        # Nacos: `AND (md5=? OR md5 IS NULL OR md5='')`; our md5 is never empty.
        if old is not None and command.cas_md5 and command.cas_md5 != old.md5:
            raise NacosError(CONFIG_CONFLICT, "Cas publish fail, server md5 may have changed.")
        if old is None:
            key = ConfigKey(intern(key.namespace), intern(key.group), key.data_id)
            self.counts[key.namespace] = self.counts.get(key.namespace, 0) + 1
            self._config_id += 1
            id_, created_ms, details = self._config_id, command.now_ms, NO_DETAILS
        else:
            id_, created_ms, details = old.id, old.created_ms, old.details
        new = Config(
            id_,
            command.content,
            command.md5,
            intern(command.type),
            command.encrypted_data_key,
            created_ms,
            command.now_ms,
            None if command.src_user is None else intern(command.src_user),
            intern(command.src_ip),
            _details(command, details),
        )
        self.configs[key] = new
        events: list[Event] = [
            ConfigWritten(key, id_, new, bool(new.details.tags or details.tags)),
            self._history(key, command, "I", new) if old is None else self._history(key, command, "U", old),
        ]
        if old is None or old.md5 != new.md5:
            grays = self.grays.get(key, ())
            events.append(ConfigChanged(key, versions((old, grays)), versions((new, grays))))
        return events

    def _remove(self, command: RemoveConfig) -> list[Event]:
        key = command.key
        before = self.versions(key)
        old = before.formal
        if old is None:
            return []
        del self.configs[key]
        left = self.counts[key.namespace] - 1
        if left:
            self.counts[key.namespace] = left
        else:
            del self.counts[key.namespace]
        return [
            ConfigWritten(key, old.id, None, bool(old.details.tags)),
            self._history(key, command, "D", old),
            ConfigChanged(key, before, Versions(None, before.grays)),
        ]

    def _publish_gray(self, command: PublishGray) -> list[Event]:
        key = command.key
        before = self.versions(key)
        old = self.gray(key, command.name)
        if old is None and len(before.grays) >= command.gray_max:
            raise NacosError(CONFIG_GRAY_MAX, f"gray config version is over max count :{command.gray_max}")
        if old is not None and command.cas_md5 and command.cas_md5 != old.md5:
            raise NacosError(CONFIG_CONFLICT, "Cas publish gray config fail, server md5 may have changed.")
        if old is None:
            self._config_id += 1
        new = GrayConfig(
            id=self._config_id if old is None else old.id,
            name=command.name,
            rule=command.rule,
            content=command.content,
            md5=command.md5,
            encrypted_data_key=command.encrypted_data_key,
            app_name=command.app_name,
            created_ms=command.now_ms if old is None else old.created_ms,
            modified_ms=command.now_ms,
            src_user=command.src_user,
            src_ip=intern(command.src_ip),
        )
        others = [gray for gray in before.grays if gray.name != new.name]
        after = Versions(before.formal, tuple(sorted([*others, new], key=lambda gray: -gray.rule.priority)))
        self.grays[key] = after.grays
        events: list[Event] = [
            GrayWritten(key, new.id, new),
            self._history(key, command, "I", new) if old is None else self._history(key, command, "U", old),
        ]
        if old is None or old.md5 != new.md5 or old.rule != new.rule:
            events.append(ConfigChanged(key, before, after))
        return events

    def _remove_gray(self, command: RemoveGray) -> list[Event]:
        key = command.key
        before = self.versions(key)
        old = self.gray(key, command.name)
        if old is None:
            return []
        after = Versions(before.formal, tuple(gray for gray in before.grays if gray is not old))
        if after.grays:
            self.grays[key] = after.grays
        else:
            del self.grays[key]
        return [
            GrayWritten(key, old.id, None),
            self._history(key, command, "D", old),
            ConfigChanged(key, before, after),
        ]

    def _history(
        self, key: ConfigKey, command: DurableCommand, op_type: str, version: Config | GrayConfig
    ) -> HistoryRecorded:
        self._history_id += 1
        return HistoryRecorded(
            self._history_id, key, op_type, version, command.src_user, command.src_ip, command.now_ms
        )

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        return _encode(
            CatalogSnapshot(
                config_id=self._config_id,
                history_id=self._history_id,
                configs=list(self.configs.items()),
                grays=[(key, list(grays)) for key, grays in self.grays.items()],
            )
        )

    def restore(self, data: bytes) -> None:
        """Replaces everything. Raises msgspec.DecodeError when the snapshot is not one of ours."""
        snapshot = _decode(data)
        self.configs = {_shared_key(key): _shared(config) for key, config in snapshot.configs}
        self.grays = {_shared_key(key): tuple(grays) for key, grays in snapshot.grays}
        self._config_id = snapshot.config_id
        self._history_id = snapshot.history_id
        self.counts = {}
        for key in self.configs:
            self.counts[key.namespace] = self.counts.get(key.namespace, 0) + 1

    def rows(self) -> list[Event]:
        """The whole state as rows, for a projection that has lost its own. History before it is gone."""
        rows: list[Event] = [
            ConfigWritten(key, config.id, config, bool(config.details.tags)) for key, config in self.configs.items()
        ]
        rows.extend(GrayWritten(key, gray.id, gray) for key, grays in self.grays.items() for gray in grays)
        return rows


def _details(command: PublishConfig, old: ConfigDetails) -> ConfigDetails:
    """Nacos: appName and config_tags stay when the request leaves them out; everything else is overwritten."""
    texts = command.app_name, command.desc, command.use, command.effect, command.schema, command.tags
    if old is NO_DETAILS and texts == NOT_SENT:
        return NO_DETAILS
    details = ConfigDetails(
        app_name=old.app_name if command.app_name is None else command.app_name,
        desc=command.desc,
        use=command.use,
        effect=command.effect,
        schema=command.schema,
        tags=old.tags if command.tags is None else command.tags,
    )
    return NO_DETAILS if details == NO_DETAILS else details


def _shared_key(key: ConfigKey) -> ConfigKey:
    return ConfigKey(intern(key.namespace), intern(key.group), key.data_id)


def _shared(config: Config) -> Config:
    return msgspec.structs.replace(
        config,
        type=intern(config.type),
        src_user=None if config.src_user is None else intern(config.src_user),
        src_ip=intern(config.src_ip),
        details=NO_DETAILS if config.details == NO_DETAILS else config.details,
    )
