"""The slow twin of `_core.payload`: the same two messages, read and written by Google's protobuf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError


def _describe() -> descriptor_pb2.FileDescriptorProto:
    """contract/grpc.md §1; there is no protobuf package."""
    file = descriptor_pb2.FileDescriptorProto(name="nacos_grpc_service_of_the_tests.proto", package="", syntax="proto3")
    file.dependency.append("google/protobuf/any.proto")
    field = descriptor_pb2.FieldDescriptorProto
    metadata = file.message_type.add(name="TestMetadata")
    metadata.field.add(name="type", number=3, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    metadata.field.add(name="clientIp", number=8, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    entry = metadata.nested_type.add(name="HeadersEntry")
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    entry.options.map_entry = True
    entry_name = ".TestMetadata.HeadersEntry"
    metadata.field.add(
        name="headers", number=7, type=field.TYPE_MESSAGE, label=field.LABEL_REPEATED, type_name=entry_name
    )
    payload = file.message_type.add(name="TestPayload")
    for name, number, type_name in (("metadata", 2, ".TestMetadata"), ("body", 3, ".google.protobuf.Any")):
        payload.field.add(
            name=name, number=number, type=field.TYPE_MESSAGE, label=field.LABEL_OPTIONAL, type_name=type_name
        )
    return file


_pool = descriptor_pool.DescriptorPool()
_pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
_pool.Add(_describe())
Payload: Any = message_factory.GetMessageClass(_pool.FindMessageTypeByName("TestPayload"))


def encode(type_name: str, body: bytes, client_ip: str = "", headers: Mapping[str, str] | None = None) -> bytes:
    payload = Payload()
    payload.metadata.type = type_name
    payload.metadata.clientIp = client_ip
    payload.metadata.headers.update(headers or {})
    payload.body.value = body
    return bytes(payload.SerializeToString(deterministic=True))


def decode(message: bytes) -> tuple[str, str, dict[str, str], bytes]:
    """ValueError when protobuf does not take it."""
    try:
        payload = Payload.FromString(message)
    except DecodeError as error:
        raise ValueError(str(error)) from None
    metadata = payload.metadata
    return metadata.type, metadata.clientIp, dict(metadata.headers), payload.body.value
