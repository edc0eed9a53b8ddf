"""Drives nacos-sdk-python 0.1.x and 1.x (threads, HTTP). See tests/interop/__init__.py for the protocol."""

from __future__ import annotations

import inspect
import multiprocessing
import os
import threading
from importlib.metadata import version
from typing import Any

import nacos
from lines import Lines
from nacos.listener import SubscribeListener

BEAT_S = 1
POLL_S = 1


def seen(instance: dict[str, Any]) -> dict[str, Any]:
    kept = ("ip", "port", "weight", "enabled", "healthy", "ephemeral", "metadata")
    return {**{name: instance[name] for name in kept}, "cluster": instance["clusterName"]}


class Client:
    """Versions before 0.1.15 leave the beating to the caller: then a thread here does it, as their README shows."""

    def __init__(self, name: str, lines: Lines) -> None:
        self.name = name
        self.lines = lines
        self.beats: dict[tuple[str, str, str, int], threading.Event] = {}
        self.listeners: dict[tuple[str, str], Any] = {}

    def open(self, server: str, namespace: str, folder: str) -> None:
        options = {"logDir": os.path.join(folder, "logs")}
        self.sdk = nacos.NacosClient(server, namespace=namespace, **options)
        self.sdk.set_options(
            default_timeout=5,
            snapshot_base=os.path.join(folder, "snapshot"),
            failover_base=os.path.join(folder, "failover"),
        )
        self.beats_itself = "heartbeat_interval" in inspect.signature(self.sdk.add_naming_instance).parameters

    def close(self) -> None:
        for stopped in self.beats.values():
            stopped.set()
        for task in getattr(self.sdk, "heartbeats", {}).values():
            task.stop()
        self.sdk.stop_subscribe()
        for (data_id, group), listener in self.listeners.items():
            self.sdk.remove_config_watcher(data_id, group, listener)

    def register(self, service: str, group: str, instance: dict[str, Any]) -> bool:
        beats = {"heartbeat_interval": BEAT_S} if self.beats_itself else {}
        done = self.sdk.add_naming_instance(
            service,
            instance["ip"],
            instance["port"],
            instance["cluster"],
            instance["weight"],
            instance["metadata"],
            instance["enabled"],
            instance["healthy"],
            instance["ephemeral"],
            group,
            **beats,
        )
        if instance["ephemeral"] and not self.beats_itself:
            self._stop_beating(service, group, instance)
            stopped = self.beats[service, group, instance["ip"], instance["port"]] = threading.Event()
            threading.Thread(target=self._beat, args=(service, group, instance, stopped), daemon=True).start()
        return done

    def _stop_beating(self, service: str, group: str, instance: dict[str, Any]) -> None:
        """No beat is under way afterwards. The SDK says good-bye first and stops its beats then: one that the server reads
        in between brings the instance back, and as it stops nothing it replaces, so does one of an earlier registration."""
        stopped = self.beats.pop((service, group, instance["ip"], instance["port"]), None)
        if stopped:
            stopped.set()
        for thread in threading.enumerate():
            beat = getattr(thread, "beat_info", None)
            if beat is not None and (beat.ip, beat.port) == (instance["ip"], instance["port"]):
                thread.stop()
                thread.join()

    def _beat(self, service: str, group: str, instance: dict[str, Any], stopped: threading.Event) -> None:
        while not stopped.wait(BEAT_S):
            try:
                self.sdk.send_heartbeat(
                    service,
                    instance["ip"],
                    instance["port"],
                    instance["cluster"],
                    instance["weight"],
                    instance["metadata"],
                    group_name=group,
                )
            except Exception as error:  # the server is away: the next beat tries again
                print(f"beat: {error}")

    def deregister(self, service: str, group: str, instance: dict[str, Any]) -> bool:
        self._stop_beating(service, group, instance)
        return self.sdk.remove_naming_instance(
            service, instance["ip"], instance["port"], instance["cluster"], instance["ephemeral"], group
        )

    def select(self, service: str, group: str, clusters: list[str], healthy: bool) -> list[dict[str, Any]]:
        answer = self.sdk.list_naming_instance(service, ",".join(clusters), None, group, healthy)
        return [seen(instance) for instance in answer["hosts"]]

    def subscribe(self, service: str, group: str, clusters: list[str]) -> None:
        def changed(*event: Any) -> None:
            instances = self.select(service, group, clusters, False)
            self.lines.event(self.name, "service", service=service, group=group, instances=instances)

        listener = SubscribeListener(fn=changed, listener_name=f"{group}@@{service}")
        self.sdk.subscribe(listener, POLL_S, service, ",".join(clusters), None, group)

    def unsubscribe(self, service: str, group: str, clusters: list[str]) -> None:
        self.sdk.unsubscribe(service)

    def publish(self, data_id: str, group: str, content: str) -> bool:
        return self.sdk.publish_config(data_id, group, content)

    def get(self, data_id: str, group: str) -> str | None:
        return self.sdk.get_config(data_id, group, no_snapshot=True)

    def remove(self, data_id: str, group: str) -> bool:
        return self.sdk.remove_config(data_id, group)

    def listen(self, data_id: str, group: str) -> None:
        def changed(event: dict[str, Any]) -> None:
            self.lines.event(self.name, "config", data_id=data_id, group=group, content=event["content"])

        self.listeners[data_id, group] = changed
        self.sdk.add_config_watcher(data_id, group, changed)

    def unlisten(self, data_id: str, group: str) -> None:
        self.sdk.remove_config_watcher(data_id, group, self.listeners.pop((data_id, group)))


def main() -> None:
    lines = Lines()
    lines.hello("nacos-sdk-python", version("nacos-sdk-python"))
    clients: dict[str, Client] = {}
    while (command := lines.read()) is not None:
        number, name, verb = command.pop("id"), command.pop("client"), command.pop("do")
        try:
            if verb == "open":
                clients[name] = Client(name, lines)
            lines.answer(number, getattr(clients[name], verb)(**command))
        except Exception as error:
            lines.refuse(number, error)
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(0)  # the SDK's threads do not end by themselves


if __name__ == "__main__":
    main()
