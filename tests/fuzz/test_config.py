"""Whatever a client sends, the desks of configuration and console answer or refuse in words; listeners and rows stay whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nacosx._core.http1 import Request, Response
from nacosx.api.checks import Checks
from nacosx.errors import NacosError
from tests.config_house import FORM, ConfigHouse

# One house for many examples: what one leaves behind the next one meets.
FUZZ = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

TEXTS = st.text(max_size=12) | st.sampled_from(
    ["", " ", "d", "G", "public", "null", "ns1", "0", "1", "-1", "true", "all", "accurate", "blur", "ids", "1,2,x", "*",
     "[*?]", "beta", "tag_t", "t", "9" * 30, "a" * 300, "\r\nX: y", "%", "%zz", "\x02", "\x01", "d\x02G\x02m\x01"]
)  # fmt: skip
PARAMETERS = st.sampled_from(
    ["dataId", "group", "tenant", "namespaceId", "namespace", "content", "tag", "appName", "src_user", "config_tags",
     "desc", "use", "effect", "type", "types", "schema", "encryptedDataKey", "show", "search", "beta", "delType", "ids",
     "pageNo", "pageSize", "nid", "id", "ip", "all", "sampleTime", "Listening-Configs", "customNamespaceId",
     "namespaceName", "namespaceDesc", "namespaceShowName", "checkNamespaceIdExist", "username"]
)  # fmt: skip
FORMS = st.dictionaries(PARAMETERS, TEXTS, max_size=8)
HEADERS = st.dictionaries(
    st.sampled_from(["betaIps", "casMd5", "Vipserver-Tag", "X-Forwarded-For", "X-Real-IP", "Client-Version",
                     "Long-Pulling-Timeout", "Long-Pulling-Timeout-No-Hangup"]),
    st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=12) | st.sampled_from(["true", "1"]),
    max_size=4,
)  # fmt: skip


@pytest.fixture(scope="module", params=[True, False], ids=["checked", "unchecked"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfigHouse]:
    directory: Path = tmp_path_factory.mktemp("house")
    house = ConfigHouse(directory, checks=Checks(enabled=request.param))
    yield house
    house.close()


async def answered(house: ConfigHouse, request: Request) -> Response:
    """What would hang (a poll) or wait for the thread of the rows is let go: its client hangs up."""
    answer = house.answer(request)
    if isinstance(answer, Response):
        return answer
    try:
        answer.send(None)
    except StopIteration as stopped:
        return cast(Response, stopped.value)
    answer.close()
    return Response()


@FUZZ
@given(data=st.data(), query=FORMS, form=FORMS, headers=HEADERS)
def test_every_http_request_is_answered_or_refused(
    house: ConfigHouse, data: st.DataObject, query: dict[str, str], form: dict[str, str], headers: dict[str, str]
) -> None:
    path = data.draw(st.sampled_from(sorted(house.routes)))
    method = data.draw(st.sampled_from(sorted(house.routes[path])))
    request = house.request(method, path, query, form=form, headers=headers)
    response = house.runner.run(answered(house, request))
    assert response.status in (200, 400, 403, 404, 500)
    assert response.render(b"") != b""
    assert house.polls.count == 0


@FUZZ
@given(raw=st.binary(max_size=60), query=st.binary(max_size=40))
def test_every_body_of_a_poll_is_answered_or_refused(house: ConfigHouse, raw: bytes, query: bytes) -> None:
    target = f"/nacos/v1/cs/configs/listener?{query.hex()}"
    headers = [FORM, ("Long-Pulling-Timeout", "30000")]
    request = Request("POST", target, headers=headers, body=b"Listening-Configs=" + raw)
    response = house.runner.run(answered(house, request))
    assert response.status in (200, 400, 500)
    assert house.polls.count == 0


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2))
NAMES = {"dataId": TEXTS | st.none(), "group": TEXTS | st.none(), "tenant": TEXTS | st.none()}
ADDITIONS = st.sampled_from(
    [
        "tag",
        "appName",
        "type",
        "src_user",
        "encryptedDataKey",
        "config_tags",
        "desc",
        "use",
        "effect",
        "schema",
        "betaIps",
    ]
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        **NAMES,
        "tag": TEXTS,
        "content": TEXTS,
        "casMd5": TEXTS,
        "additionMap": st.dictionaries(ADDITIONS, TEXTS | st.none(), max_size=4) | VALUES,
        "listen": st.booleans() | VALUES,
        "configListenContexts": st.lists(
            st.fixed_dictionaries({}, optional={**NAMES, "md5": TEXTS | st.none()}) | VALUES, max_size=3
        ),
    },
)


@FUZZ
@given(data=st.data(), body=BODIES, tag=TEXTS)
def test_every_rpc_is_answered_or_refused_and_listeners_can_be_released(
    house: ConfigHouse, data: st.DataObject, body: dict[str, Any], tag: str
) -> None:
    type_name = data.draw(st.sampled_from(sorted(house.rpcs)))
    try:
        reply = house.call(type_name, body, house.connection(), {"Vipserver-Tag": tag})
    except (NacosError, msgspec.ValidationError):
        pass  # the wire words both
    else:
        assert isinstance(msgspec.json.decode(reply)["success"], bool)
    house.listeners.release("c1")
    assert house.listeners.count == 0


def test_what_the_others_left_behind_survives_a_restart_and_is_found(house: ConfigHouse) -> None:
    """Runs last: the state of hundreds of examples goes through a snapshot and through the rows."""
    catalog = house.catalog
    state = catalog.snapshot()
    catalog.restore(state)
    assert catalog.snapshot() == state
    for namespace in {key.namespace for key in catalog.configs}:
        rows = house.json("GET", "/v1/cs/history/configs", {"tenant": namespace}) if namespace.isalnum() else []
        assert len(rows) in (0, catalog.counts[namespace])
    house.runner.run(house.rows.sync(house._index))
    assert house.rows.applied_index == house._index
