"""Bodies as frameworks, browsers and machines really write them: lists, files, character sets, gzip."""

import gzip
import json
import urllib.parse
import zlib
from typing import Any

import pytest

from relay.sources.body import BadBody, Limits, parse, read
from relay.sources.coding import unpack

LIMITS = Limits()
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=frontier"


def part(name: str, content: bytes, more: str = "", head: str = "") -> bytes:
    disposition = f'--frontier\r\nContent-Disposition: form-data; name="{name}"{more}\r\n{head}\r\n'
    return disposition.encode() + content + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--frontier--\r\n"


def status_of(raw: bytes, content_type: str, **more: Any) -> int:
    with pytest.raises(BadBody) as refused:
        read(raw, content_type, LIMITS, **more)
    return refused.value.status


# --- lists in forms -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "listed"),
    [
        ("a[]=x", ["x"]),
        ("a[]=x&a[]=y", ["x", "y"]),
        ("a[0]=x&a[1]=y", ["x", "y"]),
        ("a[1]=y&a[0]=x", ["x", "y"]),
        ("a[0]=x&a[2]=z", ["x", "z"]),
        ("a[10]=z&a[9]=y", ["y", "z"]),
        ("a[0]=x&a[]=y", ["x", "y"]),
        ("a=&a[]=x", ["x"]),
        ("a[]=x&a=", ["x"]),
        ("a=&a[]=x&a[]=y", ["x", "y"]),
        ("a=w&a[]=x", ["w", "x"]),
        ("a=&a=&a[0]=x", ["x"]),
        ("a[]=", [""]),
        ("a[0][email]=x&a[1][email]=y", [{"email": "x"}, {"email": "y"}]),
    ],
)
def test_names_with_numbers_or_nothing_in_brackets_are_lists(raw: str, listed: list[Any]) -> None:
    assert parse(raw.encode(), FORM, LIMITS)["a"] == listed
    parts = [part(name, value.encode()) for name, value in urllib.parse.parse_qsl(raw, True)]
    assert parse(multipart(*parts), MULTIPART, LIMITS)["a"] == listed


def test_names_in_brackets_stay_names_where_one_is_no_number() -> None:
    assert parse(b"a[0]=x&a[b]=y", FORM, LIMITS)["a"] == {"0": "x", "b": "y"}
    assert parse(b"a[20261]=x", FORM, LIMITS)["a"] == {"20261": "x"}


def test_what_was_posted_literally_can_still_be_named() -> None:
    assert parse(b"a[0]=x&a[1]=y", FORM, LIMITS) == {"a": ["x", "y"], "a[0]": "x", "a[1]": "y"}


# --- files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filename", ["cv.pdf", "ümlaut.txt", ""])
def test_a_file_is_cut_out_and_its_field_named(filename: str) -> None:
    head = "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n"
    file = part("cv", b"%PDF \xff\x00 secret", f'; filename="{filename}"', head)
    body = read(multipart(file, part("email", b"ada@example.com"), file), MULTIPART, LIMITS)
    assert body.fields == {"email": "ada@example.com"}
    assert body.ignored_files == ("cv",)
    assert b"secret" not in body.raw and b"cv" not in body.raw
    assert parse(body.raw, MULTIPART, LIMITS) == body.fields


def test_a_file_without_content_is_one_and_an_empty_input_is_none() -> None:
    named, empty = part("a", b"", '; filename="x"'), part("b", b"", '; filename=""')
    raw = multipart(named, empty)
    assert read(raw, MULTIPART, LIMITS).ignored_files == ("a",)
    assert read(multipart(empty), MULTIPART, LIMITS).raw == multipart(empty)


def test_what_is_left_of_a_form_with_files_reads_the_same() -> None:
    texts = [
        part("a%22b", b"1"),
        part("tag", b"x"),
        part("tag", b"y\r\nz"),
        part("n\u00e4me", "é".encode()),
        part("a[]", b"2"),
    ]
    whole = read(multipart(*texts, part("f", b"x", '; filename="f"')), MULTIPART, LIMITS)
    assert parse(whole.raw, MULTIPART, LIMITS) == whole.fields == parse(multipart(*texts), MULTIPART, LIMITS)


def test_files_count_as_fields() -> None:
    assert status_of(multipart(*[part("f", b"x", '; filename="f"')] * 201), MULTIPART) == 413


def test_a_large_head_is_refused_before_it_is_read() -> None:
    for head in ("X-A: " + "a" * 9000, "\r\n".join(f"X-{n}: a" for n in range(2000))):
        assert status_of(multipart(part("a", b"x", head=head + "\r\n")), MULTIPART) == 413
        assert status_of(part("a", b"x", head=head)[:-20], MULTIPART) == 413


def test_heads_are_bounded_together() -> None:
    """A part's name of a hundred bytes, and what some programs say beside it, are usual."""
    said = "Content-Type: text/plain\r\n"
    usual = [part(f"{number}".rjust(80, "a"), b"x", head=said) for number in range(200)]
    assert len(parse(multipart(*usual), MULTIPART, LIMITS)) == 200
    large = [part(f"{number}".rjust(1000, "a"), b"x") for number in range(200)]
    assert status_of(multipart(*large), MULTIPART) == 413
    assert len(parse(multipart(*large), MULTIPART, Limits(fields=1500))) == 200
    in_pieces = part("--frontier".join(["a" * 3000] * 20), b"x")
    assert status_of(multipart(in_pieces), MULTIPART) == 413


# --- character sets -------------------------------------------------------------------------------------

NAMES = {
    "windows-1252": "Zoë Straße",
    "ISO-8859-1": "Zoë „Straße“",
    "iso-8859-2": "Łukasz Ščerba",
    "windows-1251": "Жанна Ёлкина",
    "koi8-r": "Жанна Ёлкина",
    "Shift_JIS": "山田太郎",
    "EUC-JP": "山田太郎",
    "iso-2022-jp": "山田太郎",
    "gb2312": "王秀英",
    "GBK": "王秀英",
    "Big5": "王秀英",
    "EUC-KR": "김영희",
    "windows-1254": "Gülşah Işık",
}
PYTHONS = {"ISO-8859-1": "cp1252", "gb2312": "gb18030"}


@pytest.mark.parametrize("charset", NAMES)
def test_a_forms_charset_is_believed(charset: str) -> None:
    name = NAMES[charset].encode(PYTHONS.get(charset, charset))
    escaped = b"_charset_=%b&name=%b" % (charset.encode(), urllib.parse.quote_from_bytes(name).encode())
    assert parse(escaped, FORM, LIMITS)["name"] == NAMES[charset]
    parts = multipart(part("name", name), part("_charset_", charset.encode()))
    assert parse(parts, MULTIPART, LIMITS)["name"] == NAMES[charset]


def test_a_charset_is_not_asked_where_the_body_is_utf_8() -> None:
    assert parse("_charset_=windows-1252&name=Zoë".encode(), FORM, LIMITS)["name"] == "Zoë"


@pytest.mark.parametrize(
    "said", ["", "utf-8", "utf-16", "utf-7", "rot13", "idna", "punycode", "zip", "x" * 99]
)
def test_other_charsets_are_not_believed(said: str) -> None:
    assert status_of(b"_charset_=%b&name=%%FF" % said.encode(), FORM) == 400
    assert status_of(b"name=%FF", FORM) == 400


# --- JSON -------------------------------------------------------------------------------------------------


def test_a_byte_order_mark_before_json_is_passed_over() -> None:
    assert parse(b'\xef\xbb\xbf{"a": 1}', JSON, LIMITS) == {"a": 1}


def test_an_object_that_is_called_a_form_is_read_where_that_is_asked_for() -> None:
    """As curl -d, Apps Script and PHP send it where nobody names a Content-Type."""
    raw = b' {"email": "ada+b@example.com", "phone": "+4915112345678", "name": "Ada & Bea 100%"}\n'
    fields = {"email": "ada+b@example.com", "phone": "+4915112345678", "name": "Ada & Bea 100%"}
    assert read(raw, FORM, LIMITS, lenient=True).fields == fields
    assert status_of(raw, FORM) == 400
    for form in (b"%7B=%7D", b"a={b}", b"{a}=b"):
        assert read(form, FORM, LIMITS, lenient=True) == read(form, FORM, LIMITS)


def test_an_object_alone_in_a_list_is_unwrapped_where_that_is_asked_for() -> None:
    raw = json.dumps([{"email": "ada@example.com"}]).encode()
    assert read(raw, JSON, LIMITS, lenient=True).fields == {"email": "ada@example.com"}
    assert status_of(raw, JSON) == 400
    for other in (b"[]", b"[{}, {}]", b"[[{}]]", b"[1]"):
        assert status_of(other, JSON, lenient=True) == 400


def test_a_key_is_no_longer_than_a_field() -> None:
    assert status_of(json.dumps({"k" * 16385: 1}).encode(), JSON) == 413
    assert status_of(json.dumps({"a": [{"k" * 16385: 1}]}).encode(), JSON) == 413


# --- compressed bodies --------------------------------------------------------------------------------------


def test_gzip_is_unpacked() -> None:
    text = b'{"email": "ada@example.com"}'
    assert unpack(gzip.compress(text), "gzip", 1000) == text
    assert unpack(gzip.compress(text), "x-gzip", len(text)) == text
    assert unpack(text, "identity", 1000) == unpack(text, "", 1000) == text


@pytest.mark.parametrize(
    ("raw", "coding", "status"),
    [
        (gzip.compress(b"x" * 1001), "gzip", 413),
        (gzip.compress(b"x") * 2, "gzip", 400),
        (b"", "gzip", 400),
        (gzip.compress(b"\0" * 50_000_000), "gzip", 413),
        (gzip.compress(b"x" * 1000)[:-1], "gzip", 400),
        (gzip.compress(b"x") + b"more", "gzip", 400),
        (b"plain", "gzip", 400),
        (zlib.compress(b"x"), "gzip", 400),
        (gzip.compress(b"x"), "br", 415),
        (gzip.compress(b"x"), "gzip, gzip", 415),
    ],
    ids=["long", "two", "empty", "bomb", "cut", "more behind", "plain", "zlib", "brotli", "twice"],
)
def test_what_cannot_be_unpacked_is_refused(raw: bytes, coding: str, status: int) -> None:
    with pytest.raises(BadBody) as refused:
        unpack(raw, coding, 1000)
    assert refused.value.status == status
