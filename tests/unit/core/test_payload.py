"""The gRPC envelope: read as protobuf reads it, whatever the bytes are, and written byte for byte as protobuf writes it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nacosx._core.payload import decode as decode_lazily
from nacosx._core.payload import head
from tests.models import payload as slow

FRAME_BYTES = 5

texts = st.text(max_size=300)
envelopes = st.builds(
    slow.encode, texts, st.binary(max_size=600), texts, st.dictionaries(texts, texts, max_size=5)
)  # fmt: skip


def decode(message: bytes) -> tuple[str, str, dict[str, str], bytes]:
    type_name, client_ip, headers, body = decode_lazily(message)
    return type_name, client_ip, headers.all(), body


def decoded_or_refused(message: bytes) -> object:
    try:
        return decode(message)
    except ValueError:
        return None


def slowly_decoded_or_refused(message: bytes) -> object:
    try:
        return slow.decode(message)
    except ValueError:
        return None


@given(texts, texts, st.dictionaries(texts, texts, max_size=20), st.binary(max_size=2000))
def test_what_protobuf_writes_is_read(type_name: str, client_ip: str, headers: dict[str, str], body: bytes) -> None:
    """Type, client ip, headers and body come out as they went in."""
    assert decode(slow.encode(type_name, body, client_ip, headers)) == (type_name, client_ip, headers, body)


@given(envelopes, envelopes)
def test_members_given_twice_are_merged(first: bytes, second: bytes) -> None:
    """Two envelopes in a row are one: the last scalar wins, headers are united."""
    assert decode(first + second) == slow.decode(first + second)


# Members of every wire type and number; with luck a known number with the wrong type, an over-long varint, an open group.
fields = st.builds(
    lambda number, wire_type, content: bytes([number << 3 | wire_type]) + content,
    st.integers(0, 15),
    st.integers(0, 7),
    st.binary(max_size=12),
)


@given(st.lists(fields | envelopes | st.binary(max_size=20), max_size=6).map(b"".join))
@example(b"\x1a\x80\x80\x80\x80\x10")  # a length of 2^32
@example(b"\x12\x04\x3a\x02\x0a\x00")  # a header without a value
@example(b"\x12\x03\x1a\x01\xff")  # a type that is not UTF-8
@example(b"\x1b\x1c")  # an empty group in place of the body
@example(b"\x1b\x14")  # a group that another one ends
@example(b"\x80\x80\x80\x80\x80\x80\x00")  # a tag that is too long
@example(b"\x08" + b"\xff" * 9 + b"\x01")  # the longest varint
@example(b"\x08" + b"\xff" * 9 + b"\x7f")  # bits that no integer has
@example(b"\x08" + b"\xff" * 10 + b"\x01")  # a varint that is too long
@example(b"\x02\x00")  # the number 0
@example(b"\x0b" * 90 + b"\x0c" * 90)
@example(b"\x0b" * 101 + b"\x0c" * 101)
@example(b"\x0b" * 100_000)
def test_any_bytes_are_read_or_refused_as_by_protobuf(message: bytes) -> None:
    """Well-formed or not, both readers say the same."""
    assert decoded_or_refused(message) == slowly_decoded_or_refused(message)


@given(envelopes, st.data())
def test_a_cut_envelope_is_read_or_refused_as_by_protobuf(message: bytes, data: st.DataObject) -> None:
    """A message that ends too early is mostly refused, and never read beyond its end."""
    cut = message[: data.draw(st.integers(0, len(message)))]
    assert decoded_or_refused(cut) == slowly_decoded_or_refused(cut)


@given(texts, st.binary(max_size=2000), texts, st.integers(0, 2000))
def test_a_head_makes_what_protobuf_makes(type_name: str, body: bytes, client_ip: str, lead_size: int) -> None:
    """Head and rest of the body are a gRPC frame around the envelope."""
    lead, rest = body[:lead_size], body[lead_size:]
    message = head(type_name, len(body), client_ip, lead) + rest
    expected = slow.encode(type_name, body, client_ip)
    assert message[:FRAME_BYTES] == b"\0" + len(expected).to_bytes(4, "big")
    assert slow.decode(message[FRAME_BYTES:]) == slow.decode(expected)
    if type_name and body:
        assert message[FRAME_BYTES:] == expected


def test_a_body_that_does_not_fit_is_refused() -> None:
    """A frame tells its length in 32 bits, and protobuf in 31."""
    with pytest.raises(ValueError, match="does not fit"):
        head("T", 0x7FFFFF00)
    with pytest.raises(ValueError, match="does not fit"):
        head("T", 2, "", b"abc")
    with pytest.raises(ValueError, match="does not fit"):
        head("T", -1)


def test_a_name_that_is_no_text_is_refused() -> None:
    """A lone surrogate has no UTF-8."""
    with pytest.raises(ValueError, match="surrogates"):
        head("\ud800", 0)
