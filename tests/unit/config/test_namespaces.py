"""Namespaces: create, update, delete, list; the default one has no row and cannot be made or lost."""

from __future__ import annotations

import msgspec
import pytest

from nacosx.errors import NAMESPACE_ILLEGAL, NacosError
from nacosx.namespaces import CreateNamespace, DeleteNamespace, Namespace, Namespaces, UpdateNamespace


def test_a_namespace_is_created_changed_and_deleted() -> None:
    namespaces = Namespaces()
    namespaces.apply(CreateNamespace("ns1", "NS one", "first", 1))
    namespaces.apply(UpdateNamespace("ns1", "NS 1", None, 5))
    assert namespaces.get("ns1") == Namespace("ns1", "NS 1", None, 1, 5)
    namespaces.apply(DeleteNamespace("ns1"))
    assert not namespaces.exists("ns1")


def test_unknown_namespaces_are_neither_updated_nor_deleted_and_that_is_no_error() -> None:
    namespaces = Namespaces()
    namespaces.apply(UpdateNamespace("ns1", "x", None, 1))
    namespaces.apply(DeleteNamespace("ns1"))
    assert namespaces.ordered() == []


@pytest.mark.parametrize("namespace_id", ["ns1", "public", "PUBLIC", "null", ""])
def test_what_exists_already_or_means_the_default_one_is_not_created(namespace_id: str) -> None:
    namespaces = Namespaces()
    namespaces.apply(CreateNamespace("ns1", "x", None, 1))
    with pytest.raises(NacosError, match=f"the namespaceId is existed, namespaceId: {namespace_id}") as refusal:
        namespaces.apply(CreateNamespace(namespace_id, "y", None, 2))
    assert refusal.value.kind is NAMESPACE_ILLEGAL
    assert [namespace.name for namespace in namespaces.ordered()] == ["x"]


def test_namespaces_are_listed_by_id() -> None:
    namespaces = Namespaces()
    for namespace_id in ("ns2", "0d29", "ns1"):
        namespaces.apply(CreateNamespace(namespace_id, "x", None, 1))
    assert [namespace.id for namespace in namespaces.ordered()] == ["0d29", "ns1", "ns2"]


def test_a_snapshot_restores_all_and_a_damaged_one_is_refused() -> None:
    namespaces = Namespaces()
    namespaces.apply(CreateNamespace("ns1", "x", "d", 1))
    restored = Namespaces()
    restored.apply(CreateNamespace("gone", "x", None, 1))
    restored.restore(namespaces.snapshot())
    assert restored.ordered() == namespaces.ordered()
    with pytest.raises(msgspec.MsgspecError):
        restored.restore(b"\x91")
