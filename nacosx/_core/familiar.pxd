cdef str familiar(const char *text, Py_ssize_t size)
