"""The parameter checker says what the Java server says (contract/semantics.md §1, golden/2.5.1/151–157)."""

from __future__ import annotations

import pytest

from nacosx.api import checks
from nacosx.api.checks import Checks, refused_reply

WRONG_PORT = "Param 'port' is illegal, the value should be between 0 and 65535."


def illegal(name: str) -> str:
    return f"Param '{name}' is illegal, illegal characters should not appear in the param."


def too_long(name: str, length_max: int) -> str:
    return f"Param '{name}' is illegal, the param length should not exceed {length_max}."


@pytest.mark.parametrize(
    ("namespace", "group", "name", "clusters", "refusal"),
    [
        ("public", "DEFAULT_GROUP", "service", "", ""),
        ("", "", "", "", ""),
        (None, None, None, None, ""),
        ("  ", "  ", " ", " ", ""),
        ("name_space-1", "G:a.b-c_d", "com.example/Thing$Inner:1.0:", "c-1_a,c2", ""),
        ("a b", "g", "s", "", illegal("namespaceId/tenant")),
        ("中", "g", "s", "", illegal("namespaceId/tenant")),
        ("n" * 64, "g" * 128, "s" * 512, "c" * 64, ""),
        ("n" * 65, "g", "s", "", too_long("namespaceId/tenant", 64)),
        ("n", "g" * 129, "s", "", too_long("group", 128)),
        ("n", "g g", "s", "", illegal("group")),
        ("n", "g\n", "s", "", illegal("group")),
        ("n", "g", "s" * 513, "", too_long("serviceName", 512)),
        ("n", "g", "bad service", "", illegal("serviceName")),
        ("n", "g", "@s", "", illegal("serviceName")),
        ("n", "g", "a@b", "", ""),
        ("n", "g", "a@@b", "", illegal("serviceName")),
        ("n", "g", "s中", "", illegal("serviceName")),
        ("n", "g", "s", "bad cluster!", illegal("cluster")),
        ("n", "g", "s", "good,bad!", illegal("cluster")),
        ("n", "g", "s", "c" * 65, too_long("cluster", 64)),
    ],
)
def test_names_of_services_have_lengths_and_characters(
    namespace: str, group: str, name: str, clusters: str, refusal: str
) -> None:
    assert Checks().service(namespace, group, name, clusters) == refusal


@pytest.mark.parametrize(
    ("port", "refusal"),
    [
        (0, ""),
        (65_535, ""),
        (65_536, WRONG_PORT),
        (-1, WRONG_PORT),
        ("8080", ""),
        ("", ""),
        (None, ""),
        ("abc", WRONG_PORT),
        ("99999", WRONG_PORT),
        ("１２", WRONG_PORT),
        ("1" * 5000, WRONG_PORT),
    ],
)
def test_a_port_is_a_number_within_its_range(port: int | str | None, refusal: str) -> None:
    assert Checks().instance("10.0.0.1", port, "", None) == refusal


def test_an_address_may_be_a_host_name_but_has_no_blanks() -> None:
    assert Checks().instance("my-host.example", 1, "DEFAULT", {}) == ""
    assert Checks().instance("not an ip", 1, "DEFAULT", {}) == illegal("ip")
    assert Checks().instance("1" * 129, 1, "DEFAULT", {}) == too_long("ip", 128)


def test_metadata_counts_keys_and_values_together() -> None:
    assert Checks().metadata({"k": "v" * 1023}) == ""
    assert Checks().metadata({"k": "v" * 1024}) == too_long("Metadata", 1024)
    assert Checks(metadata_length_max=4).metadata({"ab": "cd", "e": None}) == too_long("Metadata", 4)


def test_names_of_configs_have_lengths_and_characters() -> None:
    assert Checks().config("t", "com.example:a-b_c.yaml", "G") == ""
    assert Checks().config("t", "bad id", "G") == illegal("dataId")
    assert Checks().config("t", "d" * 257, "G") == too_long("dataId", 256)
    assert checks.check_namespace_show_name("a#b") == illegal("namespaceShowName")


def test_switched_off_everything_passes() -> None:
    off = Checks(enabled=False)
    assert off.service("a b", "g g", "@", "!") == ""
    assert off.instance("not an ip", -1, "!", {"k": "v" * 2000}) == ""
    assert off.config("a b", "a b", "a b") == ""


def test_over_grpc_the_refusal_is_the_handlers_own_reply() -> None:
    assert refused_reply(illegal("ip")) == (
        b'{"resultCode":500,"errorCode":400,"message":"Param check invalid:Param \'ip\' is illegal, illegal characters'
        b' should not appear in the param.","success":false}'
    )
