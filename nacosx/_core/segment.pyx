"""The bytes of a log segment: how it is created, what a frame is, and what is believed after a crash.

::

    segment   header block (4096) │ frame │ frame │ … │ zeros up to the preallocated size
    header    magic 8 │ version u32 │ crc32c u32 │ sequence u64 │ first index u64 │ salt u64 │ previous end u64
    frame     magic u32 │ crc32c u32 │ payload size u32 │ entry count u32 │ offset u64 │ entries │ trailer 1

Little endian. A frame is what one write brought, and the next frame is written only when the one before is on disk. So

* a frame proves that everything before it in its segment was acknowledged: damage before a frame is corruption;
* only the last frame of the newest segment may be torn, and then nobody was told that it is stored: it is cut.

A torn frame is told from a damaged one by its sectors: one that was never written reads as zeros (the space is allocated,
and zeroed when cut), while each sector that was written holds something else: frames begin and end with a byte that is
not zero, and data does not hold whole sectors of zeros.

The header of a segment says where the valid part of the one before ends, so what a failed write left behind there is of
no account. The checksum of a frame header covers its own offset and begins with the salt of the segment: neither
an older life of the file nor a copy of a log inside an entry can pass for a frame.
"""

cimport cython
from libc.errno cimport errno
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memmove, memset
from posix.stat cimport fstat, struct_stat
from posix.unistd cimport close

from nacosx._core.disk cimport (
    disk_allocate,
    disk_create,
    disk_data,
    disk_open,
    disk_read,
    disk_rename,
    disk_sync,
    disk_sync_directory,
    disk_truncate,
    disk_unlink,
    disk_write,
    iovec,
)
from nacosx._core.entry cimport ENTRY_OK, EntryFault, EntryView, crc32c_extend, entry_read

import os

from nacosx._core.entry import FAULTS as ENTRY_FAULTS

cdef enum:
    SECTOR = 512
    HEADER_SIZE = 48
    VERSION = 1
    FRAME_MAGIC = 0x4d52464e  # NFRM

cdef const char* MAGIC = b"NACOSXWL"


class CorruptLogError(Exception):
    """The log is damaged where entries were acknowledged. Nothing has been changed on disk.

    `path` and `offset` say where.
    """

    def __init__(self, path, offset, reason):
        super().__init__(f"{path}, byte {offset}: {reason}")
        self.path = path
        self.offset = offset


# --- runs --------------------------------------------------------------------------------------------------------------


cdef bint runs_reserve(Runs* runs, size_t more) noexcept nogil:
    """Makes room; False when there is no memory."""
    if runs.count + more <= runs.room:
        return True
    cdef size_t room = max(runs.room * 2, runs.count + more, <size_t>64)
    cdef Run* items = <Run*>realloc(runs.items, room * sizeof(Run))
    if items == NULL:
        return False
    runs.items = items
    runs.room = room
    return True


cdef void runs_truncate(Runs* runs, uint64_t last_index) noexcept nogil:
    """Forgets the entries above."""
    cdef Run* run
    while runs.count:
        run = &runs.items[runs.count - 1]
        if run.first_index <= last_index:
            run.count = min(run.count, last_index - run.first_index + 1)
            return
        runs.count -= 1


cdef void runs_forget(Runs* runs, uint64_t sequence) noexcept nogil:
    """Forgets the entries that lie in segments before this one."""
    cdef size_t gone = 0
    while gone < runs.count and runs.items[gone].sequence < sequence:
        gone += 1
    runs.count -= gone
    memmove(runs.items, runs.items + gone, runs.count * sizeof(Run))


cdef void runs_add(Runs* runs, Run run) noexcept nogil:
    """Adds at the end what follows there, or, with `count` 0, only forgets the entries from `first_index` on."""
    cdef Run* last
    runs_truncate(runs, run.first_index - 1)
    if run.count == 0:
        return
    last = &runs.items[runs.count - 1] if runs.count else NULL
    if (
        last != NULL and last.first_index + last.count == run.first_index and last.offset + last.size == run.offset
        and last.sequence == run.sequence and last.term == run.term and last.kind == run.kind
    ):
        last.count += run.count
        last.size += run.size
    else:
        runs.items[runs.count] = run
        runs.count += 1


# --- writing -----------------------------------------------------------------------------------------------------------


cdef uint32_t salted(uint64_t salt, const uint8_t* data, size_t size) noexcept nogil:
    return crc32c_extend(crc32c_extend(0, <const uint8_t*>&salt, 8), data, size)


cdef int segment_create(
    FaultTable* faults, const char* directory, const char* draft, const char* path, Segment* segment
) noexcept nogil:
    """Creates the file and opens it; 0 or an errno, and then there is no such file, unless `segment.lingers`.

    Written beside as `draft`, synced, renamed: a segment that can be seen is whole.
    """
    cdef uint8_t block[SEGMENT_HEADER]
    cdef int fd
    segment.lingers = False
    segment.torn = 0
    cdef int error = disk_create(faults, draft, &fd)
    if error:
        return error
    memset(block, 0, SEGMENT_HEADER)
    header_write(segment, block)
    # Preallocation makes fdatasync cheap and a full disk known early. Where it is refused (and may have taken what little
    # space there was) the file grows as it is written.
    segment.zeroed = SEGMENT_HEADER
    if disk_allocate(faults, fd, segment.capacity):
        disk_truncate(faults, fd, 0)
        segment.zeroed = NOT_ZEROED
    cdef iovec piece = iovec(&block[0], SEGMENT_HEADER)
    error = disk_write(faults, fd, &piece, 1, 0)
    if error == 0:
        error = disk_sync(faults, fd)
    if error == 0:
        error = disk_rename(faults, draft, path)
    if error:
        close(fd)
        disk_unlink(faults, draft)
        return error
    error = disk_sync_directory(faults, directory)
    if error:
        close(fd)
        segment.lingers = disk_unlink(faults, path) != 0
        return error
    segment.fd = fd
    segment.end = SEGMENT_HEADER
    segment.fenced = True
    return 0


cdef void header_write(const Segment* segment, uint8_t* block) noexcept nogil:
    cdef uint32_t version = VERSION
    memcpy(block, MAGIC, 8)
    memcpy(block + 8, &version, 4)
    memcpy(block + 16, &segment.sequence, 8)
    memcpy(block + 24, &segment.first_index, 8)
    memcpy(block + 32, &segment.salt, 8)
    memcpy(block + 40, &segment.previous_end, 8)
    cdef uint32_t crc = crc32c_extend(0, block, HEADER_SIZE)
    memcpy(block + 12, &crc, 4)


cdef void frame_begin(const Segment* segment, uint8_t* header, size_t payload_size, uint32_t count) noexcept nogil:
    """Writes the FRAME_HEADER bytes before a payload, for the end of the segment."""
    cdef uint32_t magic = FRAME_MAGIC
    cdef uint32_t size = <uint32_t>payload_size
    memcpy(header, &magic, 4)
    memcpy(header + 8, &size, 4)
    memcpy(header + 12, &count, 4)
    memcpy(header + 16, &segment.end, 8)
    cdef uint32_t crc = salted(segment.salt, header + 8, FRAME_HEADER - 8)
    memcpy(header + 4, &crc, 4)


# --- reading -----------------------------------------------------------------------------------------------------------


cdef Segment segment_open(FaultTable* faults, str path, uint64_t sequence, uint64_t first_index) except *:
    """Opens a segment whose name says these two, and checks its header."""
    cdef Segment segment
    cdef uint8_t block[HEADER_SIZE]
    cdef uint32_t version, crc
    check(disk_open(faults, os.fsencode(path), &segment.fd), path)
    try:
        if os.fstat(segment.fd).st_size < SEGMENT_HEADER:
            raise CorruptLogError(path, 0, "the file is shorter than the header of a segment")
        check(disk_read(faults, segment.fd, block, HEADER_SIZE, 0), path)
        memcpy(&version, block + 8, 4)
        memcpy(&crc, block + 12, 4)
        memset(block + 12, 0, 4)
        if memcmp(block, MAGIC, 8) != 0:
            raise CorruptLogError(path, 0, "this is not a segment of a log")
        if crc != crc32c_extend(0, block, HEADER_SIZE):
            raise CorruptLogError(path, 0, "the checksum of the header does not match")
        if version != VERSION:
            raise CorruptLogError(path, 8, f"written by a later version (format {version}, this one reads {VERSION})")
        memcpy(&segment.sequence, block + 16, 8)
        memcpy(&segment.first_index, block + 24, 8)
        memcpy(&segment.salt, block + 32, 8)
        memcpy(&segment.previous_end, block + 40, 8)
        if segment.sequence != sequence or segment.first_index != first_index:
            raise CorruptLogError(path, 16, "the file was renamed: its header tells another sequence or first index")
    except BaseException:
        close(segment.fd)
        raise
    segment.end = SEGMENT_HEADER
    segment.capacity = 0
    segment.zeroed = NOT_ZEROED
    segment.torn = 0
    segment.fenced = True
    segment.lingers = False
    return segment


cdef int check(int error, str path) except -1:
    if error:
        raise OSError(error, os.strerror(error), path)
    return 0


@cython.final
@cython.internal
cdef class Image:
    """What a segment holds up to `size`; the rest up to `file_size` is zeros. What was never written costs no memory."""

    cdef uint8_t* data
    cdef uint64_t size
    cdef uint64_t file_size

    def __dealloc__(self):
        free(self.data)


cdef Image image_of(FaultTable* faults, str path, int fd, uint64_t end):
    """Reads the parts of the file that hold data, up to `end`."""
    cdef struct_stat status
    cdef Image image = Image()
    if fstat(fd, &status) < 0:
        raise OSError(errno, os.strerror(errno), path)
    cdef uint64_t size = min(<uint64_t>status.st_size, end)
    image.file_size = status.st_size
    image.data = <uint8_t*>calloc(1, max(size, <uint64_t>1))
    if image.data == NULL:
        raise MemoryError
    cdef uint64_t begin = 0
    cdef uint64_t hole = 0
    while begin < size:
        check(disk_data(faults, fd, begin, &begin, &hole), path)
        if begin >= size:
            break
        hole = min(hole, size)
        check(disk_read(faults, fd, image.data + begin, hole - begin, begin), path)
        image.size = hole
        begin = hole
    return image


cdef struct Frame:
    uint64_t size  # of all of it
    uint64_t payload_size
    uint32_t count


cdef bint frame_read(const Segment* segment, const uint8_t* data, uint64_t offset, Frame* frame) noexcept nogil:
    """Reads a frame header, FRAME_HEADER bytes that may be anything. False when it is none."""
    cdef uint32_t magic, crc, size
    cdef uint64_t at
    memcpy(&magic, data, 4)
    memcpy(&at, data + 16, 8)
    if magic != FRAME_MAGIC or at != offset:
        return False
    memcpy(&crc, data + 4, 4)
    if crc != salted(segment.salt, data + 8, FRAME_HEADER - 8):
        return False
    memcpy(&size, data + 8, 4)
    memcpy(&frame.count, data + 12, 4)
    frame.payload_size = size
    frame.size = FRAME_HEADER + frame.payload_size + FRAME_TRAILER
    return True


cdef bint zeros(Image image, uint64_t begin, uint64_t end) noexcept:
    """Are these bytes zero? Those beyond the image are."""
    end = min(end, image.size)
    while begin < end and image.data[begin] == 0:
        begin += 1
    return begin >= end


cdef bint missing_sector(Image image, uint64_t begin, uint64_t end) noexcept:
    """Was some sector of this range never written?"""
    cdef uint64_t sector_end
    while begin < end:
        sector_end = min((begin // SECTOR + 1) * SECTOR, end)
        if zeros(image, begin, sector_end):
            return True
        begin = sector_end
    return False


cdef uint64_t later_frame(const Segment* segment, Image image, uint64_t offset) noexcept:
    """The offset of a frame that begins after `offset`, or 0."""
    cdef Frame frame
    while offset + FRAME_HEADER < image.size:
        offset += 1
        if image.data[offset] == (FRAME_MAGIC & 0xff) and frame_read(segment, image.data + offset, offset, &frame):
            return offset
    return 0


cdef uint64_t segment_recover(
    FaultTable* faults, str path, Segment* segment, uint64_t end, bint newest, uint64_t last_index, Runs* runs
) except? 0:
    """Reads the segment up to `end` and adds its entries to `runs`; returns the last index after it.

    In the newest segment `end` is not known: its valid part ends where a frame is not whole, and what follows must be a
    torn write. `segment.end` tells where. CorruptLogError otherwise.
    """
    cdef Image image = image_of(faults, path, segment.fd, end)
    cdef uint64_t offset = SEGMENT_HEADER
    cdef Frame frame = Frame(0, 0, 0)
    while True:
        if not newest and offset == end:
            break
        if offset + FRAME_HEADER > image.size or not frame_read(segment, image.data + offset, offset, &frame):
            frame.size = 0
            reason = "here a frame should begin"
        else:
            reason = damage_of(image, offset, &frame)
        if reason is not None:
            if not newest:
                raise CorruptLogError(path, offset, f"{reason}, and later segments follow")
            if not zeros(image, offset, image.size):
                refuse_unless_torn(path, segment, image, offset, frame.size, reason)
                segment.torn = image.size - offset
            break
        last_index = entries_of(path, image, segment.sequence, offset, &frame, last_index, runs)
        segment.fenced = frame.count == 0
        offset += frame.size
    segment.end = offset
    return last_index


cdef str damage_of(Image image, uint64_t offset, const Frame* frame):
    """What is wrong with a frame whose header is intact; None when nothing is."""
    cdef uint64_t position = offset + FRAME_HEADER
    cdef uint64_t end = position + frame.payload_size
    cdef EntryView view
    cdef EntryFault fault
    if offset + frame.size > image.size:
        return "the frame ends before its length says"
    for _ in range(frame.count):
        fault = entry_read(image.data + position, end - position, &view)
        if fault != ENTRY_OK:
            return f"{ENTRY_FAULTS[<int>fault]} (entry at byte {position})"
        position += view.size
    if position != end or image.data[end] != TRAILER:
        return "the frame does not end with its entries"
    return None


cdef int refuse_unless_torn(
    str path, const Segment* segment, Image image, uint64_t offset, uint64_t frame_size, str reason
) except -1:
    """Returns when what is at `offset` is the beginnings of a write, which was never acknowledged."""
    cdef uint64_t later = later_frame(segment, image, offset)
    if later:
        raise CorruptLogError(path, offset, f"{reason}, and acknowledged entries follow at byte {later}")
    cdef uint64_t end = offset + max(frame_size, <uint64_t>FRAME_HEADER)
    if end > image.file_size:
        return 0
    if not frame_size:
        # Without its header the frame has no length. What the header shares its sectors with is of the frame, or zero.
        end = ((end - 1) // SECTOR + 1) * SECTOR
    if not missing_sector(image, offset, end):
        raise CorruptLogError(
            path, offset, f"{reason}, and no part of it is missing, so this is not a write that a crash interrupted. "
            f"To give up the entries from here on, truncate the file to {offset} bytes"
        )
    return 0


cdef uint64_t entries_of(
    str path, Image image, uint64_t sequence, uint64_t offset, const Frame* frame, uint64_t last_index, Runs* runs
) except? 0:
    """Adds the entries of an intact frame to `runs`; returns the last index after it."""
    cdef uint64_t position = offset + FRAME_HEADER
    cdef EntryView view
    cdef bint truncation
    for _ in range(frame.count):
        entry_read(image.data + position, image.size - position, &view)
        truncation = view.kind == KIND_TRUNCATION
        if view.index > last_index if truncation else view.index != last_index + 1:
            raise CorruptLogError(path, position, f"entry {view.index} (kind {view.kind}) follows entry {last_index}")
        if not runs_reserve(runs, 1):
            raise MemoryError
        if truncation:
            runs_add(runs, Run(view.index + 1, 0, sequence, 0, 0, 0, 0))
        else:
            runs_add(runs, Run(view.index, 1, sequence, position, view.size, view.term, view.kind))
        last_index = view.index
        position += view.size
    return last_index
