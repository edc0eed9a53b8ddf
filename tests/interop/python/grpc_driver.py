"""Drives nacos-sdk-python 2.x and 3.x (asyncio, gRPC). See tests/interop/__init__.py for the protocol."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.metadata import version
from typing import Any

from lines import Lines
from v2.nacos import (
    BatchRegisterInstanceParam,
    ClientConfigBuilder,
    ConfigParam,
    DeregisterInstanceParam,
    ListInstanceParam,
    NacosConfigService,
    NacosNamingService,
    RegisterInstanceParam,
    SubscribeServiceParam,
)


def published(instance: dict[str, Any], service: str, group: str) -> RegisterInstanceParam:
    return RegisterInstanceParam(
        service_name=service,
        group_name=group,
        ip=instance["ip"],
        port=instance["port"],
        weight=instance["weight"],
        enabled=instance["enabled"],
        healthy=instance["healthy"],
        ephemeral=instance["ephemeral"],
        cluster_name=instance["cluster"],
        metadata=instance["metadata"],
    )


def seen(instance: Any) -> dict[str, Any]:
    return {
        "ip": instance.ip,
        "port": instance.port,
        "weight": instance.weight,
        "enabled": instance.enabled,
        "healthy": instance.healthy,
        "ephemeral": instance.ephemeral,
        "cluster": instance.clusterName,
        "metadata": instance.metadata,
    }


class Client:
    """One naming and one config service. Listeners are kept: the SDK finds them again by identity."""

    def __init__(self, name: str, lines: Lines) -> None:
        self.name = name
        self.lines = lines
        self.subscriptions: dict[tuple[str, str], SubscribeServiceParam] = {}
        self.listeners: dict[tuple[str, str], Any] = {}

    async def open(self, server: str, namespace: str, folder: str) -> None:
        settings = (
            ClientConfigBuilder()
            .server_address(server)
            .namespace_id(namespace)
            .log_dir(os.path.join(folder, "logs"))
            .cache_dir(os.path.join(folder, "cache"))
            .load_cache_at_start(False)
            .build()
        )
        settings.update_cache_when_empty = True  # or the SDK keeps the last instance of a service for ever
        self.naming = await NacosNamingService.create_naming_service(settings)
        self.config = await NacosConfigService.create_config_service(settings)

    async def close(self) -> None:
        # The SDK takes five seconds for it; nobody needs to wait.
        self.closing = asyncio.gather(self.naming.shutdown(), self.config.shutdown(), return_exceptions=True)

    async def register(self, service: str, group: str, instance: dict[str, Any]) -> bool:
        return await self.naming.register_instance(published(instance, service, group))

    async def deregister(self, service: str, group: str, instance: dict[str, Any]) -> bool:
        return await self.naming.deregister_instance(
            DeregisterInstanceParam(
                service_name=service,
                group_name=group,
                ip=instance["ip"],
                port=instance["port"],
                cluster_name=instance["cluster"],
                ephemeral=instance["ephemeral"],
            )
        )

    async def batch(self, service: str, group: str, instances: list[dict[str, Any]]) -> bool:
        return await self.naming.batch_register_instances(self._several(service, group, instances))

    async def batch_remove(self, service: str, group: str, instances: list[dict[str, Any]]) -> bool:
        return await self.naming.batch_deregister_instances(self._several(service, group, instances))

    def _several(self, service: str, group: str, instances: list[dict[str, Any]]) -> BatchRegisterInstanceParam:
        several = [published(instance, service, group) for instance in instances]
        return BatchRegisterInstanceParam(service_name=service, group_name=group, instances=several)

    async def select(self, service: str, group: str, clusters: list[str], healthy: bool) -> list[dict[str, Any]]:
        # `healthy_only=False` would ask for the unhealthy ones; None asks for all.
        wanted = ListInstanceParam(
            service_name=service, group_name=group, clusters=clusters, subscribe=False, healthy_only=healthy or None
        )
        return [seen(instance) for instance in await self.naming.list_instances(wanted)]

    async def subscribe(self, service: str, group: str, clusters: list[str]) -> None:
        async def changed(instances: list[Any]) -> None:
            self.lines.event(
                self.name, "service", service=service, group=group, instances=[seen(one) for one in instances]
            )

        wanted = SubscribeServiceParam(
            service_name=service, group_name=group, clusters=clusters, subscribe_callback=changed
        )
        self.subscriptions[service, group] = wanted
        await self.naming.subscribe(wanted)

    async def unsubscribe(self, service: str, group: str, clusters: list[str]) -> None:
        await self.naming.unsubscribe(self.subscriptions.pop((service, group)))

    async def publish(self, data_id: str, group: str, content: str) -> bool:
        return await self.config.publish_config(ConfigParam(data_id=data_id, group=group, content=content))

    async def cas(self, data_id: str, group: str, content: str, md5: str) -> bool:
        return await self.config.publish_config(ConfigParam(data_id=data_id, group=group, content=content, cas_md5=md5))

    async def get(self, data_id: str, group: str) -> str | None:
        # The SDK says "" for a config that is not there.
        return await self.config.get_config(ConfigParam(data_id=data_id, group=group)) or None

    async def remove(self, data_id: str, group: str) -> bool:
        return await self.config.remove_config(ConfigParam(data_id=data_id, group=group))

    async def listen(self, data_id: str, group: str) -> None:
        async def changed(tenant: str, group: str, data_id: str, content: str) -> None:
            self.lines.event(self.name, "config", data_id=data_id, group=group, content=content)

        self.listeners[data_id, group] = changed
        await self.config.add_listener(data_id, group, changed)

    async def unlisten(self, data_id: str, group: str) -> None:
        await self.config.remove_listener(data_id, group, self.listeners.pop((data_id, group)))


async def main() -> None:
    lines = Lines()
    lines.hello("nacos-sdk-python", version("nacos-sdk-python"))
    loop = asyncio.get_running_loop()
    clients: dict[str, Client] = {}
    while (command := await loop.run_in_executor(None, lines.read)) is not None:
        number, name, verb = command.pop("id"), command.pop("client"), command.pop("do")
        try:
            if verb == "open":
                clients[name] = Client(name, lines)
            lines.answer(number, await getattr(clients[name], verb)(**command))
        except Exception as error:
            lines.refuse(number, error)
    sys.stdout.flush()
    os._exit(0)  # the SDK's threads and tasks do not end by themselves


if __name__ == "__main__":
    asyncio.run(main())
