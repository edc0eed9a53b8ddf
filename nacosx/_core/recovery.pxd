from libc.stdint cimport uint64_t

from nacosx._core.disk cimport FaultTable
from nacosx._core.flush cimport Log

cdef int make_directory(FaultTable* faults, str directory) except -1
cdef uint64_t recover(Log* log, str directory) except? 0
