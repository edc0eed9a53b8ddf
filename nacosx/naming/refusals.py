"""Why the registry refuses, in the words of Nacos 2.5.1 (golden/2.5.1/147, 185, 191, 193, 203, 204).

Texts that begin with `errCode:` are those of a NacosRuntimeException, blank at the end included.
"""

from __future__ import annotations

from nacosx.errors import (
    BAD_REQUEST,
    CLIENT_DISCONNECTED,
    INSTANCE,
    SERVICE_EXISTS,
    SERVICE_MISSING,
    SERVICE_NOT_EMPTY,
    NacosError,
)
from nacosx.naming.model import ServiceKey


def other_kind(key: ServiceKey, kind: str, what: str) -> NacosError:
    text = f"Current service {key.grouped_name} is {kind} service, can't {what} instance."
    return NacosError(BAD_REQUEST, f"errCode: {BAD_REQUEST.code}, errMsg: {text} ")


def disconnected(client_id: str) -> NacosError:
    text = f"Client [{client_id}] connection already disconnect, can't register ephemeral instance."
    return NacosError(CLIENT_DISCONNECTED, f"errCode: {CLIENT_DISCONNECTED.code}, errMsg: {text} ")


def service_exists(key: ServiceKey) -> NacosError:
    return NacosError(SERVICE_EXISTS, f"specified service {key.grouped_name} already exists!")


def service_missing(key: ServiceKey) -> NacosError:
    """To who would change or delete it."""
    return NacosError(SERVICE_MISSING, f"service {key.grouped_name} not found!")


def no_service(key: ServiceKey) -> NacosError:
    """To who asks for it, or describes a cluster of it."""
    text = f"service not found, namespace: {key.namespace}, serviceName: {key.grouped_name}"
    return NacosError(SERVICE_MISSING, text)


def no_service_of_instance(key: ServiceKey) -> NacosError:
    """To who describes an instance of it."""
    shown = (
        f"Service{{namespace='{key.namespace}', group='{key.group}', name='{key.name}', ephemeral=true, revision=0}}"
    )
    return NacosError(INSTANCE, f"service not found, namespace: {key.namespace}, service: {shown}")


def not_empty(key: ServiceKey) -> NacosError:
    return NacosError(
        SERVICE_NOT_EMPTY,
        f"Service {key.grouped_name} is not empty, can't be delete. Please unregister instance first",
    )
