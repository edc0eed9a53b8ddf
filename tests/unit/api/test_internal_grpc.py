"""The internal gRPC messages have the bytes of the Java server (golden/wire)."""

from __future__ import annotations

import pytest

from nacosx.api.grpc.internal import SETUP_ACK, read_push_response, read_setup, reset_members
from nacosx.api.grpc.rpc import error_body


def test_an_error_body_is_javas() -> None:
    """golden/wire/c2.5.1-s2.5.1.jsonl, ErrorResponse."""
    assert error_body(400, 400, "no") == b'{"resultCode":400,"errorCode":400,"message":"no","success":false}'


def test_the_setup_ack_is_javas() -> None:
    """golden/wire/c2.5.1-s2.5.1.types.md, SetupAckRequest."""
    assert SETUP_ACK == b'{"headers":{},"abilityTable":{"supportPersistentInstanceByGrpc":true},"module":"internal"}'


@pytest.mark.parametrize(
    ("connection_id", "server", "members"),
    [
        ("", "", b'"module":"internal"'),
        ("1_a_2", "", b'"connectionId":"1_a_2","module":"internal"'),
        ("", "nonsense", b'"module":"internal"'),
        (
            "1_a_2",
            "10.0.0.1:8848",
            b'"serverIp":"10.0.0.1","serverPort":"8848","connectionId":"1_a_2","module":"internal"',
        ),
        ("", "[::1]:8848", b'"serverIp":"[::1]","serverPort":"8848","module":"internal"'),
    ],
)
def test_a_reset_tells_where_to_go(connection_id: str, server: str, members: bytes) -> None:
    """golden/wire/reset-auth-c2.5.1-s2.5.1.jsonl: without a server, nothing but the module; the port is a string."""
    assert reset_members(connection_id, server) == members


def test_clients_before_2_3_have_no_ability_table() -> None:
    """They send another member, and get no SetupAckRequest."""
    setup = read_setup(
        b'{"clientVersion":"Nacos-Java-Client:v2.1.0","abilities":{"remoteAbility":{}},"labels":{"source":"sdk"}}'
    )
    assert (setup.client_version, setup.labels, setup.ability_table) == (
        "Nacos-Java-Client:v2.1.0",
        {"source": "sdk"},
        None,
    )
    assert read_setup(b'{"abilityTable":{}}').ability_table == {}


def test_an_answer_without_result_code_is_a_success() -> None:
    """The default of the Java class `Response`."""
    assert read_push_response(b'{"requestId":"7"}').result_code == 200
    assert read_push_response(b'{"requestId":7,"resultCode":"500"}').request_id == "7"
    assert read_push_response(b'{"requestId":null}').request_id == ""
