"""Urlencoded forms against their slow twin."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nacosx._core.form import CHARSETS, PARAMETERS_MAX, parse_form
from tests.models import form as slow

texts = st.lists(
    st.sampled_from(
        [b"a", b"b=", b"=", b"&", b"&&", b"+", b"%", b"%4", b"%41", b"%e4%b8%ad", b"%zz", b"%00", b"\xff", b"%ff"]
    )
    | st.binary(max_size=3),
    max_size=30,
).map(b"".join)


@given(texts, texts)
def test_forms_are_read_as_the_slow_twin_reads_them(query: bytes, body: bytes) -> None:
    if "encoding" not in (form := slow.parse(query, body)):
        assert parse_form(query, body) == form


@given(texts, texts, st.sampled_from(sorted(CHARSETS)))
def test_any_charset_does_no_harm(query: bytes, body: bytes, charset: str) -> None:
    form = parse_form(query, body, charset)
    assert parse_form(b"encoding=" + charset.encode() + b"&" + query, body).keys() >= {"encoding"}
    assert all(isinstance(value, str) for value in form.values())


def test_the_first_value_of_a_name_wins_and_the_query_comes_first() -> None:
    assert parse_form(b"a=1&a=2", b"a=3&b=4&b=5") == {"a": "1", "b": "4"}


def test_names_without_values_and_values_without_names() -> None:
    assert parse_form(b"a&b=&=c&&d=e=f", b"") == {"a": "", "b": "", "d": "e=f"}


def test_only_an_ampersand_separates_pairs() -> None:
    assert parse_form(b"a=1;b=2", b"") == {"a": "1;b=2"}


def test_a_pair_with_a_broken_escape_is_dropped_and_bad_bytes_are_marked() -> None:
    assert parse_form(b"a=%4&b=%zz&c=%ff&%=1&d=%E4%B8%AD+%2B", b"") == {"c": "�", "d": "中 +"}


def test_long_values_are_decoded_as_short_ones() -> None:
    assert parse_form(b"a=" + b"%41+" * 1_000_000, b"") == {"a": "A " * 1_000_000}


def test_parameters_beyond_the_limit_are_ignored() -> None:
    form = parse_form(b"&".join(b"a%d=1" % number for number in range(PARAMETERS_MAX - 1)), b"x=1&y=2")
    assert len(form) == PARAMETERS_MAX
    assert "x" in form
    assert "y" not in form


def test_the_parameter_encoding_names_the_charset_of_all_values() -> None:
    gbk = b"%D6%D0"
    assert parse_form(b"a=" + gbk + b"&encoding=GBK", b"b=" + gbk)["b"] == "中"
    assert parse_form(b"a=" + gbk + b"&encoding=GBK", b"")["a"] == "中"


def test_what_is_no_charset_is_not_heeded() -> None:
    for name in ("nonsense", "idna", "unicode_escape", "rot13", "base64", "utf-7", "\0", "x" * 10_000):
        assert parse_form(b"a=%E4%B8%AD", b"", name) == {"a": "中"}
        assert parse_form(b"a=%E4%B8%AD&encoding=" + name.encode().replace(b"\0", b"%00"), b"")["a"] == "中"
