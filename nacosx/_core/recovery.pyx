"""How a log is opened: its segments in order, what a crash has left over removed, a torn write cut off."""

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from nacosx._core.disk cimport FaultTable, disk_allocate, disk_sync, disk_sync_directory, disk_truncate, disk_unlink
from nacosx._core.flush cimport Log, newest, roll
from nacosx._core.segment cimport Segment, segment_open, segment_recover

import os
import re

from nacosx._core.segment import CorruptLogError


cdef int make_directory(FaultTable* faults, str directory) except -1:
    """So that it is still there after a power failure."""
    if os.path.isdir(directory):
        return 0
    os.makedirs(directory, exist_ok=True)
    cdef bytes parent = os.fsencode(os.path.dirname(os.path.abspath(directory)))
    cdef int error = disk_sync_directory(faults, parent)
    return check(error, directory)


cdef uint64_t recover(Log* log, str directory) except? 0:
    """Opens and reads every segment; returns the bytes of a torn write that were cut off."""
    cdef uint64_t last_index
    cdef Segment* segment
    cdef size_t position
    open_segments(log, directory)
    if log.segments_count == 0:
        begin(log, directory)
    last_index = log.segments[0].first_index - 1
    log.first_index = log.segments[0].first_index
    for position in range(log.segments_count):
        segment = &log.segments[position]
        path = path_of(directory, segment.sequence, segment.first_index)
        if segment.first_index != last_index + 1:
            raise CorruptLogError(path, 24, f"the segment begins with entry {segment.first_index} after entry {last_index}")
        if position + 1 < log.segments_count:
            last_index = segment_recover(
                log.faults, path, segment, log.segments[position + 1].previous_end, False, last_index, &log.runs
            )
        else:
            last_index = segment_recover(log.faults, path, segment, <uint64_t>-1, True, last_index, &log.runs)
    # A truncation in the oldest segment may reach below what the segment begins with.
    if log.runs.count:
        log.first_index = min(log.first_index, log.runs.items[0].first_index)
    else:
        log.first_index = last_index + 1
    log.last_index = log.durable_index = last_index
    settle(log, newest(log), directory)
    return newest(log).torn


cdef int begin(Log* log, str directory) except -1:
    return check(roll(log, 0, 1, 0), directory)


cdef int settle(Log* log, Segment* segment, str directory) except -1:
    """Cuts a torn write off the newest segment, and makes sure that what was read from it is on disk."""
    cdef int error = 0
    if segment.torn:
        error = disk_truncate(log.faults, segment.fd, segment.end)
    segment.capacity = max(log.segment_bytes, segment.end)
    if disk_allocate(log.faults, segment.fd, segment.capacity) == 0:
        segment.zeroed = segment.end
    error = error or disk_sync(log.faults, segment.fd)
    check(error, path_of(directory, segment.sequence, segment.first_index))
    return 0


cdef str path_of(str directory, uint64_t sequence, uint64_t first_index):
    return os.path.join(directory, f"{sequence:016x}-{first_index:016x}.wal")


cdef int open_segments(Log* log, str directory) except -1:
    """Opens what belongs to the log, in order, and removes what a crash has left over."""
    cdef Segment segment
    cdef size_t room
    names = []
    for name in os.listdir(directory):
        if name == "draft.tmp":
            remove(log, os.path.join(directory, name))
        elif found := re.fullmatch(r"([0-9a-f]{16})-([0-9a-f]{16})\.wal", name):
            names.append((int(found[1], 16), int(found[2], 16)))
    names.sort()
    room = max(2 * len(names), 16)
    free(log.segments)
    log.segments = <Segment*>malloc(room * sizeof(Segment))
    if log.segments == NULL:
        raise MemoryError
    log.segments_room = room
    # Backwards, for the log begins in the newest segment without predecessor: what a reset has forgotten before it may have
    # been deleted in part, and in any order.
    beginning = False
    while names and not beginning:
        sequence, first_index = names.pop()
        path = path_of(directory, sequence, first_index)
        if names and names[len(names) - 1][0] == sequence:
            raise CorruptLogError(path, 0, f"segment {sequence:016x} is there twice")
        segment = segment_open(log.faults, path, sequence, first_index)
        log.segments[log.segments_count] = segment
        log.segments_count += 1
        beginning = segment.previous_end == 0
        if names and not beginning and names[len(names) - 1][0] != sequence - 1:
            raise CorruptLogError(path, 0, f"the segment before it, {sequence - 1:016x}, is missing")
    for sequence, first_index in names:
        remove(log, path_of(directory, sequence, first_index))
    reverse(log)
    return 0


cdef void reverse(Log* log) noexcept:
    cdef size_t low = 0
    cdef size_t high = log.segments_count
    cdef Segment segment
    while low + 1 < high:
        high -= 1
        segment = log.segments[low]
        log.segments[low] = log.segments[high]
        log.segments[high] = segment
        low += 1


cdef int remove(Log* log, str path) except -1:
    return check(disk_unlink(log.faults, os.fsencode(path)), path)


cdef int check(int error, str path) except -1:
    if error:
        raise OSError(error, os.strerror(error), path)
    return 0
