"""`multipart/form-data` bodies (RFC 7578), by python-multipart, which is imported when the first one arrives.

As in the servlet API, a part with a file name is a file and no parameter.
"""

from __future__ import annotations

from nacosx._core.http1 import Request

PARTS_MAX = 1_000
PART_HEADER_BYTES_MAX = 8 * 1024


class MultipartError(Exception):
    """The body is no multipart body, or has too many parts."""


class FieldReader:
    """Gathers the fields; its methods are the callbacks of `MultipartParser`."""

    __slots__ = ("_data", "_disposition", "_header_field", "_header_value", "_parts", "fields", "finished")

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.finished = False
        self._parts = 0
        self._data = bytearray()
        self._header_field = bytearray()
        self._header_value = bytearray()
        self._disposition = b""

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise MultipartError(f"more than {PARTS_MAX} parts")
        self._data.clear()
        self._disposition = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._append(self._header_field, data[start:end])

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._append(self._header_value, data[start:end])

    def _append(self, text: bytearray, data: bytes) -> None:
        text += data
        if len(text) > PART_HEADER_BYTES_MAX:
            raise MultipartError("the header of a part is too long")

    def on_header_end(self) -> None:
        if self._header_field.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_field.clear()
        self._header_value.clear()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]

    def on_part_end(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._disposition)
        if b"name" in options and b"filename" not in options:
            name = options[b"name"].decode("utf-8", "replace")
            self.fields.setdefault(name, self._data.decode("utf-8", "replace"))

    def on_end(self) -> None:
        self.finished = True


def read_fields(request: Request) -> dict[str, str]:
    """The fields of a multipart body; the first value of a name wins. Raises MultipartError."""
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    _, options = parse_options_header(request.header("content-type"))
    boundary = options.get(b"boundary")
    if not boundary:
        raise MultipartError("the request was rejected because no multipart boundary was found")
    reader = FieldReader()
    callbacks = {
        name: getattr(reader, name)
        for name in (
            "on_part_begin",
            "on_header_field",
            "on_header_value",
            "on_header_end",
            "on_part_data",
            "on_part_end",
            "on_end",
        )
    }
    try:
        parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]  # its TypedDict wants literal keys
        parser.write(request.body)
        parser.finalize()
    except FormParserError as error:
        raise MultipartError(str(error)) from error
    if not reader.finished:
        raise MultipartError("Stream ended unexpectedly")
    return reader.fields
