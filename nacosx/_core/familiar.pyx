"""Short texts that come again and again: the names of parameters, the paths of requests.

A text that was met before is given out again instead of being made anew. That saves an allocation, and the hash and the
comparison of bytes in every dict it is looked up in: such a text has its hash already, and is the very one in the dict.
"""

from sys import intern

from cpython.list cimport PyList_GET_ITEM
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.string cimport memcmp

cdef extern from "Python.h":
    Py_ssize_t PyUnicode_GET_LENGTH(object text) noexcept
    void *PyUnicode_DATA(object text) noexcept

# limit: what is remembered. A slot is taken over by the next text that falls on it.
cdef enum:
    SLOTS = 512
    SIZE_MAX = 48

cdef list _slots = [""] * SLOTS  # ASCII only, so that the bytes of a text are its characters


cdef str familiar(const char *text, Py_ssize_t size):
    """The text of ASCII bytes. UnicodeDecodeError when they are not."""
    if size == 0 or size > SIZE_MAX:
        return PyUnicode_DecodeASCII(text, size, NULL)
    cdef unsigned int slot = size * 31 + text[0] * 5 + text[size >> 1] * 17 + text[size - 1]
    cdef str known = <str> PyList_GET_ITEM(_slots, slot % SLOTS)
    if PyUnicode_GET_LENGTH(known) == size and memcmp(PyUnicode_DATA(known), text, size) == 0:
        return known
    known = intern(PyUnicode_DecodeASCII(text, size, NULL))
    _slots[slot % SLOTS] = known
    return known
