"""The bytes of a log entry, guarded by a CRC32C (Castagnoli, as in iSCSI, RFC 3720 §12.1).

::

    crc32c u32 │ data size u32 │ term u64 │ index u64 │ kind u8 │ data          little endian, no padding
               └──────────────── what the checksum covers ─────────────┘

The checksum is that of the processor (SSE 4.2, ARMv8 CRC) where there is one, else of a table, eight bytes a step.

What SOFAJRaft calls LogEntry: its type is `kind`, its LogId is `id`. A group writes three kinds, and the data of a
configuration entry is a `Configuration`::

    peers u16 │ learners u16 │ old peers u16 │ old learners u16 │ for each of them, in this order: size u8 │ UTF-8
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memcpy

DATA_BYTES_MAX = 16 << 20  # limit: of one entry

# Kinds are the business of whoever writes the log, from 1 to KIND_MAX. These are those of a group (SOFAJRaft: EntryType).
KIND_MAX = 254
DATA = ENTRY_DATA
NO_OP = ENTRY_NO_OP  # what a leader begins its term with
CONFIGURATION = ENTRY_CONFIGURATION

MEMBERS_MAX = 1024  # limit: of each of the four lists of a configuration
MEMBER_BYTES_MAX = 255  # limit: of the id of a member

cdef enum:
    DATA_MAX = 16 << 20

cdef extern from *:
    """
    #include <stdint.h>
    #include <stddef.h>
    #include <string.h>

    static uint32_t crc32c_tables[8][256];

    static void crc32c_prepare(void) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t crc = byte;
            for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
            crc32c_tables[0][byte] = crc;
        }
        for (int table = 1; table < 8; table++)
            for (int byte = 0; byte < 256; byte++) {
                uint32_t crc = crc32c_tables[table - 1][byte];
                crc32c_tables[table][byte] = (crc >> 8) ^ crc32c_tables[0][crc & 0xff];
            }
    }

    static uint32_t crc32c_by_table(uint32_t crc, const uint8_t *data, size_t size) {
        crc = ~crc;
        for (; size >= 8; data += 8, size -= 8) {
            uint32_t low = crc ^ ((uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16
                                  | (uint32_t)data[3] << 24);
            crc = crc32c_tables[7][low & 0xff] ^ crc32c_tables[6][low >> 8 & 0xff]
                ^ crc32c_tables[5][low >> 16 & 0xff] ^ crc32c_tables[4][low >> 24]
                ^ crc32c_tables[3][data[4]] ^ crc32c_tables[2][data[5]]
                ^ crc32c_tables[1][data[6]] ^ crc32c_tables[0][data[7]];
        }
        while (size--) crc = (crc >> 8) ^ crc32c_tables[0][(crc ^ *data++) & 0xff];
        return ~crc;
    }

    #if defined(__x86_64__)
    #include <nmmintrin.h>
    __attribute__((target("sse4.2")))
    static uint32_t crc32c_by_processor(uint32_t crc, const uint8_t *data, size_t size) {
        uint64_t wide = (uint32_t)~crc, word;
        for (; size >= 8; data += 8, size -= 8) { memcpy(&word, data, 8); wide = _mm_crc32_u64(wide, word); }
        crc = (uint32_t)wide;
        while (size--) crc = _mm_crc32_u8(crc, *data++);
        return ~crc;
    }
    static int crc32c_in_processor(void) { __builtin_cpu_init(); return __builtin_cpu_supports("sse4.2") != 0; }
    #elif defined(__aarch64__) && defined(__linux__)
    #include <arm_acle.h>
    #include <sys/auxv.h>
    __attribute__((target("+crc")))
    static uint32_t crc32c_by_processor(uint32_t crc, const uint8_t *data, size_t size) {
        uint64_t word;
        crc = ~crc;
        for (; size >= 8; data += 8, size -= 8) { memcpy(&word, data, 8); crc = __crc32cd(crc, word); }
        while (size--) crc = __crc32cb(crc, *data++);
        return ~crc;
    }
    static int crc32c_in_processor(void) { return (getauxval(AT_HWCAP) & (1 << 7)) != 0; }  /* HWCAP_CRC32 */
    #else
    #define crc32c_by_processor crc32c_by_table
    static int crc32c_in_processor(void) { return 0; }
    #endif

    static uint32_t (*crc32c_chosen)(uint32_t, const uint8_t *, size_t);

    static int crc32c_choose(void) {
        int in_processor = crc32c_in_processor();
        crc32c_prepare();
        crc32c_chosen = in_processor ? crc32c_by_processor : crc32c_by_table;
        return in_processor;
    }
    """
    uint32_t crc32c_by_table(uint32_t crc, const uint8_t* data, size_t size) noexcept nogil
    uint32_t crc32c_chosen(uint32_t crc, const uint8_t* data, size_t size) noexcept nogil
    int crc32c_choose() noexcept

CRC32C_IN_PROCESSOR = crc32c_choose() != 0


class CorruptEntryError(ValueError):
    """The bytes are not an entry, or not the one that was written."""


@cython.final
@cython.freelist(64)
cdef class Entry:
    """One record of a log."""

    def __cinit__(self, uint64_t index, uint64_t term, uint8_t kind, bytes data not None):
        self.index = index
        self.term = term
        self.kind = kind
        self.data = data

    @property
    def id(self):
        """(term, index): of two logs, the one whose last entry has the larger id is the more up to date (Raft §5.4.1)."""
        return self.term, self.index

    @property
    def configuration(self):
        """Of a configuration entry its members, else None. CorruptEntryError when the data are not that."""
        return Configuration.decode(self.data) if self.kind == ENTRY_CONFIGURATION else None

    def __eq__(self, other):
        if not isinstance(other, Entry):
            return NotImplemented
        cdef Entry entry = other
        return (
            self.index == entry.index
            and self.term == entry.term
            and self.kind == entry.kind
            and self.data == entry.data
        )

    def __hash__(self):
        return hash((self.index, self.term, self.kind, self.data))

    def __repr__(self):
        shown = self.data if len(self.data) <= 32 else self.data[:32] + b"..."
        return f"Entry(index={self.index}, term={self.term}, kind={self.kind}, data={shown!r})"


@cython.final
cdef class Configuration:
    """Who is in a group, by id. While a change is under way (Raft §6, joint consensus) also who was in it before.

    ValueError: an id is empty, too long or there twice, or there are too many.
    """

    def __cinit__(self, peers, learners=(), old_peers=(), old_learners=()):
        self.peers, self.learners = members_of(peers, learners)
        self.old_peers, self.old_learners = members_of(old_peers, old_learners)

    def encode(self):
        """The data of a configuration entry."""
        lists = (self.peers, self.learners, self.old_peers, self.old_learners)
        encoded = bytearray()
        for members in lists:
            encoded += len(members).to_bytes(2, "little")
        for members in lists:
            for member in members:
                name = member.encode()
                encoded.append(len(name))
                encoded += name
        return bytes(encoded)

    @staticmethod
    def decode(bytes data not None):
        """CorruptEntryError when `data`, which may be anything, is not exactly what `encode` writes."""
        cdef size_t size = len(data)
        cdef size_t position = 8
        cdef size_t end
        if size < position:
            raise CorruptEntryError("the configuration ends before its counts")
        lists = []
        for number in range(4):
            members = []
            for _ in range(int.from_bytes(data[2 * number : 2 * number + 2], "little")):
                end = position + 1 + data[position] if position < size else size + 1
                if end > size:
                    raise CorruptEntryError("the configuration ends before its last member")
                members.append(data[position + 1 : end])
                position = end
            lists.append(members)
        if position != size:
            raise CorruptEntryError("bytes follow the last member of the configuration")
        try:
            return Configuration(*[[member.decode() for member in members] for members in lists])
        except ValueError as error:  # of the text, or of the configuration
            raise CorruptEntryError(str(error)) from error

    def __eq__(self, other):
        if not isinstance(other, Configuration):
            return NotImplemented
        return lists_of(self) == lists_of(other)

    def __hash__(self):
        return hash(lists_of(self))

    def __repr__(self):
        return (
            f"Configuration(peers={self.peers}, learners={self.learners}, "
            f"old_peers={self.old_peers}, old_learners={self.old_learners})"
        )


cdef tuple lists_of(Configuration configuration):
    return configuration.peers, configuration.learners, configuration.old_peers, configuration.old_learners


cdef tuple members_of(peers, learners):
    """Both as tuples, once every member of them is known to be a name, and nobody to be there twice."""
    cdef tuple both = (tuple(peers), tuple(learners))
    seen = set()
    for members in both:
        if len(members) > MEMBERS_MAX:
            raise ValueError(f"a configuration has at most {MEMBERS_MAX} peers and as many learners")
        for member in members:
            if not isinstance(member, str) or not 0 < len(member.encode()) <= MEMBER_BYTES_MAX:
                raise ValueError(f"the id of a member is text of 1 to {MEMBER_BYTES_MAX} bytes, not {member!r}")
            if member in seen:
                raise ValueError(f"{member!r} is twice in one configuration")
            seen.add(member)
    return both


cdef Entry checked(item):
    """It is an entry that can be encoded; TypeError, ValueError."""
    if not isinstance(item, Entry):
        raise TypeError(f"an entry is wanted, not {item!r}")
    cdef Entry entry = <Entry>item
    if <size_t>len(entry.data) > DATA_MAX:
        raise ValueError(f"an entry holds at most {DATA_MAX} bytes, not {len(entry.data)}")
    if entry.kind == 0 or entry.kind > 254:
        raise ValueError(f"the kind of an entry is from 1 to {KIND_MAX}, not {entry.kind}")
    return entry


def encode(Entry entry not None):
    """The bytes of an entry. ValueError when its kind or size is out of range."""
    cdef size_t size = len(checked(entry).data)
    cdef bytearray encoded = bytearray(ENTRY_HEADER + size)
    entry_write(<uint8_t*><char*>encoded, entry.kind, entry.term, entry.index, <const uint8_t*><char*>entry.data, size)
    return bytes(encoded)


def decode(const uint8_t[::1] buffer not None, size_t offset=0):
    """(entry, offset after it). CorruptEntryError when the bytes at `offset` are not one whole, intact entry."""
    cdef size_t size = buffer.shape[0]
    cdef EntryView view
    cdef EntryFault fault = ENTRY_SHORT
    if offset < size:
        fault = entry_read(&buffer[offset], size - offset, &view)
    if fault != ENTRY_OK:
        raise CorruptEntryError(f"at byte {offset} of {size}: {FAULTS[<int>fault]}")
    return entry_of(&view), offset + view.size


def encode_batch(entries not None):
    """The bytes of entries, one after the other. ValueError as of `encode`."""
    cdef list batch = list(entries)
    cdef Entry entry
    cdef size_t size = 0
    for item in batch:
        entry = checked(item)
        size += ENTRY_HEADER + <size_t>len(entry.data)
    cdef bytes encoded = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>size)
    cdef uint8_t* into = <uint8_t*><char*>encoded
    for item in batch:
        entry = <Entry>item
        size = len(entry.data)
        entry_write(into, entry.kind, entry.term, entry.index, <const uint8_t*><char*>entry.data, size)
        into += ENTRY_HEADER + size
    return encoded


def decode_batch(const uint8_t[::1] buffer not None):
    """The entries that `encode_batch` made the bytes of. CorruptEntryError when the bytes, which may be anything, are not that:
    every entry is whole and intact, and nothing follows the last. An index that does not follow the one before is the
    business of the log."""
    cdef size_t size = buffer.shape[0]
    cdef size_t offset = 0
    cdef list entries = []
    cdef EntryView view
    cdef EntryFault fault
    while offset < size:
        fault = entry_read(&buffer[offset], size - offset, &view)
        if fault != ENTRY_OK:
            raise CorruptEntryError(f"at byte {offset} of {size}: {FAULTS[<int>fault]}")
        entries.append(entry_of(&view))
        offset += view.size
    return entries


def crc32c(const uint8_t[::1] data not None, uint32_t crc=0):
    """The checksum of `data`, continuing `crc`."""
    return crc32c_chosen(crc, &data[0], data.shape[0]) if data.shape[0] else crc


def crc32c_table(const uint8_t[::1] data not None, uint32_t crc=0):
    """The same by table, whatever the processor can."""
    return crc32c_by_table(crc, &data[0], data.shape[0]) if data.shape[0] else crc


FAULTS = (
    "intact",
    "the entry ends before its length says",
    f"the entry claims more than {DATA_BYTES_MAX} bytes",
    "the checksum of the entry does not match",
)


cdef uint32_t crc32c_extend(uint32_t crc, const uint8_t* data, size_t size) noexcept nogil:
    return crc32c_chosen(crc, data, size)


cdef void entry_write(
    uint8_t* into, uint8_t kind, uint64_t term, uint64_t index, const uint8_t* data, size_t data_size
) noexcept nogil:
    """Writes ENTRY_HEADER + data_size bytes. The caller has checked `data_size`."""
    cdef uint32_t size = <uint32_t>data_size
    memcpy(into + 4, &size, 4)
    memcpy(into + 8, &term, 8)
    memcpy(into + 16, &index, 8)
    into[24] = kind
    if data_size:  # an entry may be empty, and memcpy may not be given NULL
        memcpy(into + ENTRY_HEADER, data, data_size)
    cdef uint32_t crc = crc32c_chosen(0, into + 4, ENTRY_HEADER - 4 + data_size)
    memcpy(into, &crc, 4)


cdef EntryFault entry_read(const uint8_t* buffer, size_t size, EntryView* view) noexcept nogil:
    """Reads the entry at the beginning of `size` bytes, which may be anything."""
    cdef uint32_t crc, data_size
    if size < ENTRY_HEADER:
        return ENTRY_SHORT
    memcpy(&crc, buffer, 4)
    memcpy(&data_size, buffer + 4, 4)
    if data_size > DATA_MAX:
        return ENTRY_TOO_LARGE
    if data_size > size - ENTRY_HEADER:
        return ENTRY_SHORT
    if crc != crc32c_chosen(0, buffer + 4, ENTRY_HEADER - 4 + data_size):
        return ENTRY_CHECKSUM
    memcpy(&view.term, buffer + 8, 8)
    memcpy(&view.index, buffer + 16, 8)
    view.kind = buffer[24]
    view.data = buffer + ENTRY_HEADER
    view.data_size = data_size
    view.size = ENTRY_HEADER + data_size
    return ENTRY_OK


cdef Entry entry_of(const EntryView* view):
    return Entry(view.index, view.term, view.kind, (<const char*>view.data)[: view.data_size])
