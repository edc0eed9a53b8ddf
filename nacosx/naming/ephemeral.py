"""The ephemeral part of the registry as commands: what brings it back after the durable part was replaced."""

from __future__ import annotations

from nacosx.naming.client import is_connection, is_ephemeral
from nacosx.naming.commands import ConnectClient, EphemeralCommand, RegisterBatch, RegisterInstance, Subscribe
from nacosx.naming.model import Instance
from nacosx.naming.registry import Registry


def ephemeral_commands(registry: Registry) -> list[EphemeralCommand]:
    """Connections, what ephemeral clients publish, and who subscribes; in the order in which the registry knows them."""
    commands: list[EphemeralCommand] = []
    for client_id, client in registry.clients.items():
        now_ms = client.updated_ms
        if is_connection(client_id):
            commands.append(ConnectClient(client_id, now_ms))
        if is_ephemeral(client_id):
            for key in client.published:
                publication = registry.services[key].publishers[client_id]
                if isinstance(publication, Instance):
                    commands.append(RegisterInstance(client_id, key, publication, now_ms))
                else:
                    commands.append(RegisterBatch(client_id, key, publication, now_ms))
        commands.extend(
            Subscribe(client_id, key, registry.subscribers[key][client_id], now_ms) for key in client.subscribed
        )
    return commands
