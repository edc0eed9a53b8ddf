"""The codec of log entries against its slow twin, and against bytes that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nacosx._core.entry import (
    CONFIGURATION,
    DATA,
    DATA_BYTES_MAX,
    KIND_MAX,
    MEMBER_BYTES_MAX,
    MEMBERS_MAX,
    NO_OP,
    Configuration,
    CorruptEntryError,
    Entry,
    crc32c,
    crc32c_table,
    decode,
    decode_batch,
    encode,
    encode_batch,
)
from tests.models.wal import SlowEntry, slow_configuration, slow_crc32c, slow_decode, slow_encode

UINT64 = st.integers(0, 2**64 - 1)
ENTRIES = st.builds(SlowEntry, UINT64, UINT64, st.integers(1, KIND_MAX), st.binary(max_size=100))


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        # RFC 3720 B.4
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_the_checksum_is_the_crc32c_of_the_rfc(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc32c_table(data) == slow_crc32c(data) == crc


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_processor_table_and_twin_sum_alike_in_one_piece_or_two(first: bytes, second: bytes) -> None:
    whole = slow_crc32c(first + second)
    assert crc32c(first + second) == crc32c_table(first + second) == whole
    assert crc32c(second, crc32c(first)) == crc32c_table(second, crc32c_table(first)) == whole


@given(ENTRIES)
def test_an_entry_is_the_bytes_of_its_twin(slow: SlowEntry) -> None:
    entry = Entry(*slow)
    encoded = encode(entry)
    assert encoded == slow_encode(slow)
    assert decode(encoded) == (entry, len(encoded))
    assert slow_decode(encoded) == (slow, len(encoded))


@given(ENTRIES, st.binary(max_size=20), st.binary(max_size=20))
def test_an_entry_is_read_from_the_middle_of_a_buffer(slow: SlowEntry, before: bytes, after: bytes) -> None:
    encoded = encode(Entry(*slow))
    assert decode(before + encoded + after, len(before)) == (Entry(*slow), len(before) + len(encoded))


@given(ENTRIES, st.data())
def test_a_flipped_bit_is_always_noticed(slow: SlowEntry, data: st.DataObject) -> None:
    encoded = bytearray(encode(Entry(*slow)))
    bit = data.draw(st.integers(0, len(encoded) * 8 - 1))
    encoded[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CorruptEntryError):
        decode(encoded)


@given(ENTRIES, st.data())
def test_a_cut_entry_is_always_noticed(slow: SlowEntry, data: st.DataObject) -> None:
    encoded = encode(Entry(*slow))
    with pytest.raises(CorruptEntryError, match="ends before"):
        decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(st.binary(max_size=200), st.integers(0, 250))
def test_any_bytes_are_an_entry_or_refused(data: bytes, offset: int) -> None:
    """No bytes crash the decoder; those that pass are exactly what encode writes."""
    try:
        entry, end = decode(data, offset)
    except CorruptEntryError:
        return
    assert encode(entry) == data[offset:end]


def test_a_length_beyond_the_limit_is_refused_before_it_is_believed() -> None:
    encoded = bytearray(encode(Entry(1, 1, 1, b"")))
    encoded[4:8] = (DATA_BYTES_MAX + 1).to_bytes(4, "little")
    with pytest.raises(CorruptEntryError, match="claims more than 16777216 bytes"):
        decode(encoded)


def test_the_largest_entry_passes_and_a_larger_one_does_not() -> None:
    largest = Entry(1, 1, 1, bytes(DATA_BYTES_MAX))
    assert decode(encode(largest))[0] == largest
    with pytest.raises(ValueError, match="at most 16777216 bytes"):
        encode(Entry(1, 1, 1, bytes(DATA_BYTES_MAX + 1)))


@pytest.mark.parametrize("kind", [0, KIND_MAX + 1])
def test_kinds_outside_the_range_are_refused(kind: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 254"):
        encode(Entry(1, 1, kind, b""))


def test_entries_are_values_with_equality_hash_and_a_short_repr() -> None:
    entry = Entry(7, 2, 1, b"x" * 40)
    assert entry == Entry(7, 2, 1, b"x" * 40)
    assert hash(entry) == hash(Entry(7, 2, 1, b"x" * 40))
    assert entry != Entry(8, 2, 1, b"x" * 40)
    assert entry != "entry"
    assert repr(entry) == f"Entry(index=7, term=2, kind=1, data={b'x' * 32 + b'...'!r})"


MEMBERS = st.lists(st.text(min_size=1, max_size=60), unique=True, max_size=8)


@st.composite
def configurations(draw: st.DrawFn) -> list[list[str]]:
    """Peers, learners, old peers, old learners."""
    lists = []
    for members in (draw(MEMBERS), draw(MEMBERS)):
        cut = draw(st.integers(0, len(members)))
        lists += [members[:cut], members[cut:]]
    return lists


@given(configurations())
def test_a_configuration_is_the_bytes_of_its_twin_and_comes_back(lists: list[list[str]]) -> None:
    configuration = Configuration(*lists)
    data = configuration.encode()
    assert data == slow_configuration(lists)
    assert Configuration.decode(data) == configuration == Entry(1, 1, CONFIGURATION, data).configuration
    assert hash(Configuration.decode(data)) == hash(configuration)
    assert [
        *(configuration.peers, configuration.learners, configuration.old_peers, configuration.old_learners)
    ] == list(map(tuple, lists))


@given(st.one_of(st.binary(max_size=60), configurations().map(slow_configuration)), st.data())
def test_any_bytes_are_a_configuration_or_refused(data: bytes, draw: st.DataObject) -> None:
    """Counts that claim more than there is, text that is none, members twice, bytes behind: never a crash, never a guess."""
    position = draw.draw(st.integers(0, len(data)))
    damaged = data[:position] + draw.draw(st.binary(max_size=3)) + data[position + draw.draw(st.integers(0, 3)) :]
    try:
        configuration = Configuration.decode(damaged)
    except CorruptEntryError:
        return
    assert configuration.encode() == damaged


@pytest.mark.parametrize(
    ("peers", "learners", "reason"),
    [
        (["a", "a"], [], "'a' is twice"),
        (["a"], ["a"], "'a' is twice"),
        ([""], [], "text of 1 to 255 bytes"),
        (["x" * (MEMBER_BYTES_MAX + 1)], [], "text of 1 to 255 bytes"),
        ([7], [], "text of 1 to 255 bytes, not 7"),
        (map(str, range(MEMBERS_MAX + 1)), [], "at most 1024 peers"),
    ],
)
def test_what_is_no_configuration_is_refused(peers: list[str], learners: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Configuration(peers, learners)


def test_a_whole_joint_configuration_of_the_largest_size_passes() -> None:
    """More members than a group ever has: the data of its entry stay far below what one holds."""
    lists = [
        [f"{number}-{member}".ljust(MEMBER_BYTES_MAX, "x") for member in range(MEMBERS_MAX)] for number in range(4)
    ]
    data = Configuration(*lists).encode()
    assert len(data) == 8 + 4 * MEMBERS_MAX * (1 + MEMBER_BYTES_MAX) < DATA_BYTES_MAX
    assert Configuration.decode(data) == Configuration(*lists)


def test_only_configuration_entries_have_a_configuration_and_ids_order_logs_as_raft_does() -> None:
    assert Entry(1, 1, DATA, b"").configuration is None
    assert Entry(1, 1, NO_OP, b"").configuration is None
    with pytest.raises(CorruptEntryError, match="ends before its counts"):
        _ = Entry(1, 1, CONFIGURATION, b"").configuration
    assert Entry(7, 2, DATA, b"").id == (2, 7)
    assert Entry(3, 3, DATA, b"").id > Entry(9, 2, DATA, b"").id > Entry(8, 2, DATA, b"").id
    assert repr(Configuration(["a"], ["b"])) == (
        "Configuration(peers=('a',), learners=('b',), old_peers=(), old_learners=())"
    )


@given(st.lists(ENTRIES, max_size=8))
def test_a_batch_is_its_entries_one_after_the_other(slow: list[SlowEntry]) -> None:
    entries = [Entry(*entry) for entry in slow]
    encoded = encode_batch(entries)
    assert encoded == b"".join(map(slow_encode, slow))
    assert encode_batch(tuple(entries)) == encoded
    assert decode_batch(encoded) == entries
    assert decode_batch(memoryview(encoded)) == entries


@given(st.lists(ENTRIES, min_size=1, max_size=4), st.data())
def test_a_batch_with_a_bit_turned_or_its_end_missing_is_refused_as_a_whole(
    slow: list[SlowEntry], data: st.DataObject
) -> None:
    encoded = encode_batch([Entry(*entry) for entry in slow])
    bit = data.draw(st.integers(0, 8 * len(encoded) - 1))
    turned = bytearray(encoded)
    turned[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CorruptEntryError):
        decode_batch(turned)
    whole = 0
    ends = {0} | {whole := whole + len(slow_encode(entry)) for entry in slow}
    end = data.draw(st.integers(0, len(encoded)).filter(lambda end: end not in ends))
    with pytest.raises(CorruptEntryError, match="ends before"):
        decode_batch(encoded[:end])


@given(st.binary(max_size=200))
def test_a_batch_of_any_bytes_is_read_or_refused(data: bytes) -> None:
    try:
        entries = decode_batch(data)
    except CorruptEntryError:
        return
    assert encode_batch(entries) == data


def test_a_batch_holds_entries_only_and_each_within_its_limits() -> None:
    with pytest.raises(ValueError, match="kind"):
        encode_batch([Entry(1, 1, DATA, b""), Entry(2, 1, 0, b"")])
    with pytest.raises(ValueError, match="at most"):
        encode_batch([Entry(1, 1, DATA, bytes(DATA_BYTES_MAX + 1))])
    for nonsense in (None, b"x", object()):
        with pytest.raises(TypeError):
            encode_batch([nonsense])
