"""JSON read as leniently as the Java server's Jackson reads it, at the speed of msgspec.

Unknown members are ignored; null and "" stand for the default of a number or boolean, null for that of anything else; numbers
and booleans may be written as strings, and the other way round; a fraction is cut from an integer. Well-formed bodies are
decoded in one pass; only what that refuses is looked at again.

Source: Jackson's defaults (ALLOW_COERCION_OF_SCALARS, ACCEPT_FLOAT_AS_INT) and FAIL_ON_UNKNOWN_PROPERTIES off in Nacos 2.5.1
`JacksonUtils`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

T = TypeVar("T")


class Absent(Enum):
    ABSENT = 0


ABSENT: Final = Absent.ABSENT  # in place of a member that takes its default


def reader(kind: type[T]) -> Callable[[bytes], T]:
    """A function that reads one JSON object as `kind`; it raises ValueError."""
    decode = msgspec.json.Decoder(kind, strict=False).decode
    shape: inspect.Type | None = None

    def read(body: bytes) -> T:
        nonlocal shape
        try:
            return decode(body)
        except msgspec.ValidationError:
            pass
        except RecursionError:
            raise ValueError("JSON is nested too deep") from None
        if shape is None:
            shape = inspect.type_info(kind)
        try:
            return msgspec.convert(_conformed(msgspec.json.decode(body), shape), kind, strict=False)
        except RecursionError:
            raise ValueError("JSON is nested too deep") from None

    return read


def _conformed(value: Any, shape: inspect.Type) -> Any:
    """The value as `msgspec.convert` takes it for this shape, or ABSENT. What cannot be made to fit is left as it is."""
    match shape:
        case inspect.UnionType(types=types):
            if value is None:
                return None
            others = [inner for inner in types if not isinstance(inner, inspect.NoneType)]
            return _conformed(value, others[0]) if len(others) == 1 else value
        case _ if value is None:
            return ABSENT
        case inspect.StructType(fields=fields) if isinstance(value, dict):
            members = {
                field.encode_name: _conformed(value[field.encode_name], field.type)
                for field in fields
                if field.encode_name in value
            }
            return {name: member for name, member in members.items() if member is not ABSENT}
        case inspect.DictType(value_type=inner) if isinstance(value, dict):
            members = {name: _conformed(member, inner) for name, member in value.items()}
            return {name: member for name, member in members.items() if member is not ABSENT}
        case inspect.ListType(item_type=inner) | inspect.VarTupleType(item_type=inner) if isinstance(value, list):
            return [item for item in (_conformed(item, inner) for item in value) if item is not ABSENT]
        case _:
            return _conformed_scalar(value, shape)


def _conformed_scalar(value: Any, shape: inspect.Type) -> Any:
    match shape:
        case inspect.StrType():
            if isinstance(value, bool):
                return "true" if value else "false"
            return str(value) if isinstance(value, int | float) else value
        case inspect.IntType() | inspect.FloatType() | inspect.BoolType() if isinstance(value, str):
            return value.strip() or ABSENT
        case inspect.IntType() if isinstance(value, float):
            return int(value)
        case inspect.BoolType() if isinstance(value, int):
            return value != 0
        case _:
            return value
