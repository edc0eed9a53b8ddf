"""Parameters of HTTP requests as the Java server reads them: required, optional, numbers, booleans, metadata.

Two readers exist in Java and word their refusals differently, so both exist here:

* the servlet reader (Nacos `WebUtils`): values are trimmed, blank counts as absent for `optional`; refusals are
  IllegalArgumentExceptions, a 400 with the bare text;
* Spring's `@RequestParam` (`bound_…`): an empty value is a value for text; a number that is none is a 500.

Source: Nacos 2.5.1 `WebUtils`, `ConvertUtils`, `UtilsAndCommons.parseMetadata`, `JacksonUtils`
(contract/http-v1-naming.md §0, golden 148–155, 187, 188).
"""

from __future__ import annotations

import re
from functools import lru_cache

from nacosx.api.jackson import reader
from nacosx.errors import BAD_REQUEST, PARAMETER_MISSING, SERVER, NacosError

Form = dict[str, str]

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
INT_DIGITS = 10  # shorter numbers are never too large
LOOSELY_TRUE = frozenset(("y", "yes", "on", "true", "t"))
SPRING_TRUE = frozenset(("true", "on", "yes", "1"))
SPRING_FALSE = frozenset(("false", "off", "no", "0"))

_read_map = reader(dict[str, str])
_is_int = re.compile(r"[+-]?[0-9]{1,10}").fullmatch
_is_double = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fFdD]?|NaN|Infinity)").fullmatch

# --- the servlet reader ----------------------------------------------------------------------------------------------


def required(form: Form, name: str) -> str:
    value = form.get(name)
    if not value:
        raise NacosError(PARAMETER_MISSING, f"Param '{name}' is required.")
    return value.strip()


def optional(form: Form, name: str, default: str = "") -> str:
    value = form.get(name)
    return default if value is None else value.strip() or default


def loosely_true(text: str) -> bool:
    """`ConvertUtils.toBoolean`: `1` is false."""
    return text.lower() in LOOSELY_TRUE


def is_true(text: str) -> bool:
    """`Boolean.parseBoolean`."""
    return text.lower() == "true"


def whole(text: str) -> int:
    """`Integer.parseInt`."""
    if text.isascii() and text.isdigit() and len(text) < INT_DIGITS:
        return int(text)
    if _is_int(text) is not None:
        number = int(text)
        if INT_MIN <= number <= INT_MAX:
            return number
    raise NacosError(BAD_REQUEST, f'For input string: "{text}"')


def whole_or_zero(text: str) -> int:
    """`NumberUtils.toInt`."""
    if _is_int(text) is not None:
        number = int(text)
        return number if INT_MIN <= number <= INT_MAX else 0
    return 0


@lru_cache(maxsize=1024)  # weights and thresholds are a few round numbers
def decimal(text: str) -> float:
    """`Double.parseDouble`."""
    if _is_double(text) is None:
        raise NacosError(BAD_REQUEST, f'For input string: "{text}"' if text else "empty String")
    return float(text.rstrip("fFdD") if text[-1] in "fFdD" else text)


def decimal_or_zero(text: str) -> float:
    """`NumberUtils.toFloat`."""
    return decimal(text) if _is_double(text) is not None else 0.0


# --- Spring's reader -------------------------------------------------------------------------------------------------


def bound(form: Form, name: str) -> str:
    value = form.get(name)
    if value is None:
        raise NacosError(PARAMETER_MISSING, f"Parameter '{name}' is missing")
    return value


def bound_or(form: Form, name: str, default: str) -> str:
    """Spring takes the default for an empty value too."""
    return form.get(name) or default


def bound_whole(form: Form, name: str) -> int:
    text = _bound_primitive(form, name, "int")
    if _is_int(text) is not None:
        number = int(text)
        if INT_MIN <= number <= INT_MAX:
            return number
    raise _not_converted(text, "int", "java.lang.NumberFormatException: ", f'For input string: "{text}"')


def bound_float(form: Form, name: str, default: float) -> float:
    text = (form.get(name) or "").strip()
    if not text:
        return default
    if _is_double(text) is None:
        raise _not_converted(text, "float", "java.lang.NumberFormatException: ", f'For input string: "{text}"')
    return decimal(text)


def bound_flag(form: Form, name: str) -> bool:
    """Absent is false."""
    text = form.get(name)
    if text is None:
        return False
    lowered = text.strip().lower()
    if lowered in SPRING_TRUE:
        return True
    if lowered in SPRING_FALSE:
        return False
    if not lowered:
        raise _no_primitive(name, "boolean")
    raise _not_converted(text, "boolean", "java.lang.IllegalArgumentException: ", f"Invalid boolean value [{text}]")


def _bound_primitive(form: Form, name: str, kind: str) -> str:
    text = form.get(name)
    if text is None or not text.strip():
        raise _no_primitive(name, kind)
    return text.strip()


def _no_primitive(name: str, kind: str) -> NacosError:
    return NacosError(
        SERVER,
        f"caused: Optional {kind} parameter '{name}' is present but cannot be translated into a null value due to being "
        "declared as a primitive type. Consider declaring it as object wrapper for the corresponding primitive type.;",
    )


def _not_converted(text: str, kind: str, thrown: str, cause: str) -> NacosError:
    return NacosError(
        SERVER,
        f"caused: Failed to convert value of type 'java.lang.String' to required type '{kind}'; nested exception is "
        f"{thrown}{cause};caused: {cause};",
    )


# --- metadata --------------------------------------------------------------------------------------------------------


def metadata(text: str | None) -> dict[str, str]:
    """A JSON object, or `k1=v1,k2=v2`. Raises NacosError(BAD_REQUEST)."""
    if text is None or not text or text.isspace():
        return {}
    try:
        return _read_map(text.encode())
    except ValueError:
        pass  # not JSON, so it is the other form
    pairs: dict[str, str] = {}
    for pair in _java_split(text, ","):
        halves = _java_split(pair, "=")
        if len(halves) != 2:
            raise NacosError(BAD_REQUEST, f"metadata format incorrect:{text}")
        pairs[halves[0]] = halves[1]
    return pairs


def _java_split(text: str, separator: str) -> list[str]:
    """`String.split`: empty parts at the end are dropped."""
    parts = text.split(separator)
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts
