"""Nobody is let in, or trusted with a message, before it has shown that it knows the secret of the cluster."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import capnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nacosx.raft.messages import TimeoutNow
from nacosx.wire.peers_messages import SCHEMA
from nacosx.wire.peers_proof import CLIENT, NONCE_BYTES, SERVER, Greeting, RefusedError, check, proof, verify
from nacosx.wire.peers_stream import BEFORE_ADMISSION_BYTES_MAX
from nacosx.wire.peers_tls import contexts
from tests.unit.wire.peers_house import SECRET, Member, eventually, met, run

GREETINGS = st.builds(
    Greeting,
    st.integers(0, 3),
    st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES),
    st.text(max_size=4),
    st.text(max_size=4),
)
NONCE = bytes(NONCE_BYTES)


@given(GREETINGS, GREETINGS, GREETINGS, GREETINGS, st.binary(max_size=3), st.binary(max_size=3))
def test_a_proof_is_good_for_one_secret_one_role_and_one_pair_of_greetings(
    client: Greeting, server: Greeting, client2: Greeting, server2: Greeting, secret: bytes, secret2: bytes
) -> None:
    given_proof = proof(secret, CLIENT, client, server)
    verify(given_proof, secret, CLIENT, client, server)
    with pytest.raises(RefusedError):
        verify(given_proof, secret, SERVER, client, server)
    if (client, server, secret) != (client2, server2, secret2):
        with pytest.raises(RefusedError):
            verify(given_proof, secret2, CLIENT, client2, server2)
    with pytest.raises(RefusedError):
        verify(given_proof[:-1], secret, CLIENT, client, server)


@pytest.mark.parametrize(
    "greeting",
    [
        Greeting(2, NONCE, "a", "h:1"),
        Greeting(1, b"", "a", "h:1"),
        Greeting(1, NONCE, "", "h:1"),
        Greeting(1, NONCE, "a", ""),
        Greeting(1, NONCE, "a" * 256, "h:1"),
    ],
)
def test_a_greeting_must_make_sense(greeting: Greeting) -> None:
    with pytest.raises(RefusedError):
        check(greeting, 1)


def test_another_secret_is_refused_by_both_sides() -> None:
    async def story() -> None:
        a, stranger = Member("a"), Member("b", secret=b"a guess")
        await a.start(stranger.address)
        await stranger.start(a.address)
        for member, other in ((a, stranger), (stranger, a)):
            await eventually(lambda link=member.peers._links[other.address]: link._attempts > 2)
        assert not a.peers.connected("b")
        assert not stranger.peers.connected("a")
        assert a.book.addresses == {"a": a.address}
        a.peers.send("b", "g", TimeoutNow(1))
        assert a.peers.unreachable == 1
        await stranger.stop()
        await a.stop()

    run(story)


async def dial(address: str) -> Any:
    host, _, port = address.partition(":")
    stream = await capnp.AsyncIoStream.create_connection(host, int(port))
    client = capnp.TwoPartyClient(stream)
    return client, client.bootstrap()


def greet(**changes: Any) -> dict[str, Any]:
    return {"version": 1, "nonce": NONCE, "member": "m", "address": "127.0.0.1:1"} | changes


def story_at_the_door(visit: Callable[[Member, Any], Coroutine[Any, Any, None]]) -> None:
    async def story() -> None:
        a = Member("a")
        await a.start()
        client, bootstrap = await dial(a.address)
        await visit(a, bootstrap)
        client.close()
        await a.stop()

    run(story)


def test_a_stranger_may_not_call_the_node() -> None:
    """The bootstrap capability is the door, whatever it is taken for."""

    async def visit(a: Member, bootstrap: Any) -> None:
        node = bootstrap.cast_as(SCHEMA.Node)
        with pytest.raises(capnp.KjException):
            await node.deliver([{"group": "g", "timeoutNow": None}])
        with pytest.raises(capnp.KjException):
            await node.standing("g")
        assert a.service.received == []

    story_at_the_door(visit)


def test_a_stranger_may_not_enter_without_greeting() -> None:
    async def visit(_: Member, bootstrap: Any) -> None:
        assert (await bootstrap.cast_as(SCHEMA.Door).enter(b"x")).refused == "say hello first"

    story_at_the_door(visit)


def test_a_stranger_has_one_guess() -> None:
    async def visit(_: Member, bootstrap: Any) -> None:
        door = bootstrap.cast_as(SCHEMA.Door)
        welcome = await door.hello(greet())
        assert welcome.which() == "greeted"
        assert (await door.hello(greet())).refused == "one greeting is enough"
        assert "secret" in (await door.enter(bytes(32))).refused
        assert (await door.enter(bytes(32))).refused == "say hello first"

    story_at_the_door(visit)


def test_the_proof_of_the_server_sent_back_opens_nothing() -> None:
    async def visit(_: Member, bootstrap: Any) -> None:
        door = bootstrap.cast_as(SCHEMA.Door)
        welcome = await door.hello(greet())
        assert "secret" in (await door.enter(bytes(welcome.greeted.proof))).refused

    story_at_the_door(visit)


def test_another_version_is_told_so() -> None:
    async def visit(_: Member, bootstrap: Any) -> None:
        refused = (await bootstrap.cast_as(SCHEMA.Door).hello(greet(version=2))).refused
        assert refused == "version 2 of the protocol is spoken there, version 1 here"

    story_at_the_door(visit)


def test_whoever_claims_to_be_this_member_is_refused_even_with_the_secret() -> None:
    async def visit(a: Member, bootstrap: Any) -> None:
        door = bootstrap.cast_as(SCHEMA.Door)
        welcome = await door.hello(greet(member="a"))
        server = Greeting(
            1, welcome.greeted.greeting.nonce, welcome.greeted.greeting.member, welcome.greeted.greeting.address
        )
        answer = await door.enter(proof(SECRET, CLIENT, Greeting(**greet(member="a")), server))
        assert answer.refused == "this member has the id a itself"

    story_at_the_door(visit)


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, bytes(BEFORE_ADMISSION_BYTES_MAX + 1)])
def test_noise_ends_the_connection_and_nothing_else(noise: bytes) -> None:
    async def story() -> None:
        a, b = Member("a"), Member("b")
        await a.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", a.port)
        writer.write(noise)
        if noise.startswith(b"GET"):  # the beginning of a message that never ends
            writer.close()
        else:
            await reader.read()  # to the end: a word of farewell at most
        writer.close()
        await b.start(a.address)
        await met(a, b)
        await b.stop()
        await a.stop()

    run(story)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=member", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", folder / "key.pem", "-out", folder / "certificate.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


def tls(folder: Path) -> dict[str, ssl.SSLContext]:
    client, server = contexts(
        certificate=str(folder / "certificate.pem"),
        key=str(folder / "key.pem"),
        password="",
        trusted=str(folder / "certificate.pem"),
        mutual=True,
    )
    return {"tls": client, "server_tls": server}


def test_with_tls_members_need_a_certificate_too(certificates: Path) -> None:
    async def story() -> None:
        a, b = Member("a", **tls(certificates)), Member("b", **tls(certificates))
        naked = Member("c")
        await a.start(b.address)
        await b.start(a.address)
        await naked.start(a.address)
        await met(a, b)
        a.peers.send("b", "g", TimeoutNow(1))
        await eventually(lambda: b.service.received == [("a", "g", TimeoutNow(1))])
        await eventually(lambda: naked.peers._links[a.address]._attempts > 1)
        assert not naked.peers.connected("a")
        for member in (naked, b, a):
            await member.stop()

    run(story)


def test_with_tls_a_trusted_certificate_is_wanted_from_the_caller(certificates: Path) -> None:
    """One that trusts the others and has no certificate of its own does not come in."""

    async def story() -> None:
        options = tls(certificates)
        a = Member("a", **options)
        bare = ssl.create_default_context(cafile=str(certificates / "certificate.pem"))
        bare.check_hostname = False
        b = Member("b", tls=bare)
        await a.start()
        await b.start(a.address)
        await eventually(lambda: b.peers._links[a.address]._attempts > 1)
        assert not b.peers.connected("a")
        await b.stop()
        await a.stop()

    run(story)


def test_a_member_that_sends_damaged_entries_is_cut_off_and_nothing_of_it_is_taken() -> None:
    async def visit(a: Member, bootstrap: Any) -> None:
        door = bootstrap.cast_as(SCHEMA.Door)
        greeted = (await door.hello(greet())).greeted
        server = Greeting(1, greeted.greeting.nonce, greeted.greeting.member, greeted.greeting.address)
        node = (await door.enter(proof(SECRET, CLIENT, Greeting(**greet()), server))).node
        await eventually(lambda: "m" in a.peers._guests)
        damaged = {"group": "g", "term": 1, "appendEntries": {"sequence": 1, "entries": bytes(40)}}
        with pytest.raises(capnp.KjException):
            await node.deliver([damaged])
        await eventually(lambda: "m" not in a.peers._guests)
        assert a.service.received == []

    story_at_the_door(visit)
