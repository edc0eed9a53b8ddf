"""JSON bodies are read as leniently as the Java server's Jackson reads them, and no body makes the reader fail otherwise."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nacosx.api.jackson import reader


class Inner(msgspec.Struct, rename="camel"):
    port: int = 8848
    weight: float = 1.0
    healthy: bool = True
    metadata: dict[str, str] = {}


class Outer(msgspec.Struct, rename="camel"):
    service_name: str = "none"
    clusters: str | None = None
    instance: Inner | None = None
    instances: list[Inner] = []
    table: dict[str, bool] | None = None


read = reader(Outer)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", Outer()),
        (b'{"unknown":{"a":[1]},"serviceName":"s"}', Outer(service_name="s")),
        (b'{"serviceName":null,"instances":null,"instance":null,"clusters":null,"table":null}', Outer()),
        (b'{"serviceName":12}', Outer(service_name="12")),
        (b'{"serviceName":true,"clusters":1.5}', Outer(service_name="true", clusters="1.5")),
        (b'{"instance":{"port":"80","weight":"0.5","healthy":"false"}}', Outer(instance=Inner(80, 0.5, False))),
        (b'{"instance":{"port":80.9,"weight":2,"healthy":0}}', Outer(instance=Inner(80, 2.0, False))),
        (b'{"instance":{"port":" 80 ","weight":"","healthy":2}}', Outer(instance=Inner(80, 1.0, True))),
        (b'{"instance":{"port":null,"weight":null,"healthy":null}}', Outer(instance=Inner())),
        (
            b'{"instance":{"metadata":{"a":1,"b":null,"c":false}}}',
            Outer(instance=Inner(metadata={"a": "1", "c": "false"})),
        ),
        (b'{"instances":[{"port":"1"},null,{"port":2.0}]}', Outer(instances=[Inner(1), Inner(2)])),
        (b'{"table":{"a":"true","b":1,"c":null}}', Outer(table={"a": True, "b": True})),
    ],
)
def test_what_jackson_takes_is_taken(body: bytes, expected: Outer) -> None:
    """Unknown members, null, scalars written as other scalars."""
    assert read(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"{} {}",
        b'{"serviceName":{}}',
        b'{"serviceName":"\xff"}',
        b'{"instance":[]}',
        b'{"instance":{"port":"many"}}',
        b'{"instance":{"port":true}}',
        b'{"instance":{"weight":1e999}}',
        b'{"instances":{}}',
        b'{"table":{"a":"perhaps"}}',
        b"[" * 100_000,
        b'{"unknown":' + b"[" * 100_000,
        b'{"serviceName":1,"unknown":' + b'{"a":' * 900 + b"1" + b"}" * 901,
    ],
)
def test_what_jackson_refuses_is_a_value_error(body: bytes) -> None:
    """Also a body that is nested as deep as it is long."""
    try:
        read(body)
    except ValueError:
        return
    assert body.startswith(b'{"serviceName":1')  # deep, but unknown: it may be skipped


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
names = st.sampled_from(
    ["serviceName", "clusters", "instance", "instances", "table", "port", "weight", "healthy", "metadata"]
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4))


@given(st.dictionaries(names, values))
def test_any_object_is_read_or_refused(members: dict[str, object]) -> None:
    """Every shape of JSON in every place."""
    try:
        outer = read(msgspec.json.encode(members))
    except ValueError:
        return
    assert isinstance(outer, Outer)
    assert isinstance(outer.service_name, str)
    assert outer.instance is None or isinstance(outer.instance.port, int)


@given(st.binary(max_size=50))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Nothing but ValueError."""
    try:
        read(body)
    except ValueError:
        return
