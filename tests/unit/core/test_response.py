"""Answers as bytes."""

from __future__ import annotations

from nacosx._core.http1 import Response

DATE = b"Date: now\r\n"
FILTER_LINES = (
    b"Vary: Origin\r\nVary: Access-Control-Request-Method\r\nVary: Access-Control-Request-Headers\r\n"
    b"Content-Security-Policy: script-src 'self'\r\n"
)


def test_an_answer_has_the_lines_of_the_java_server() -> None:
    assert Response(b'{"a":1}').render(DATE) == (
        b"HTTP/1.1 200 \r\n"
        + FILTER_LINES
        + b'Content-Type: application/json\r\nContent-Length: 7\r\nDate: now\r\n\r\n{"a":1}'
    )


def test_a_bare_answer_without_type_has_none_of_them() -> None:
    response = Response(b"", 404, "", (("Pragma", "no-cache"),), True)
    assert response.render(DATE) == b"HTTP/1.1 404 \r\nPragma: no-cache\r\nContent-Length: 0\r\nDate: now\r\n\r\n"


def test_the_answer_to_head_has_the_length_but_not_the_body() -> None:
    rendered = Response(b"x" * 12345, bare=True).render(DATE, True)
    assert rendered == b"HTTP/1.1 200 \r\nContent-Type: application/json\r\nContent-Length: 12345\r\nDate: now\r\n\r\n"


def test_extra_lines_stand_among_the_headers() -> None:
    assert b"\r\nA: b\r\nContent-Type" in Response(b"").render(DATE, False, b"A: b\r\n")


def test_no_value_can_end_its_line() -> None:
    headers = (("A", "b\r\nSet-Cookie: c"), ("Ü", "é\x7f"), ("D", "中\n"))
    rendered = Response(b"", headers=headers, content_type="text/x\r\nE: f").render(DATE)
    assert b"A: b  Set-Cookie: c\r\n" in rendered
    assert "Ü: é \r\n".encode("latin-1") in rendered
    assert b"D: ? \r\n" in rendered
    assert b"Content-Type: text/x  E: f\r\n" in rendered


def test_a_response_can_be_sent_many_times() -> None:
    response = Response(b"ok", 200, "text/plain")
    assert response.render(DATE) == response.render(DATE)
    assert (response.body, response.status, response.content_type, response.headers, response.bare) == (
        b"ok",
        200,
        "text/plain",
        (),
        False,
    )


def test_many_content_types_are_rendered_too() -> None:
    for number in range(200):
        assert b"Content-Type: type/%d\r\n" % number in Response(b"", content_type=f"type/{number}").render(DATE)
