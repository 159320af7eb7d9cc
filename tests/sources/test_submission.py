"""Bodies become fields, or are refused for one stated reason; the same for forms and JSON."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from relay.sources.body import MAX_DEPTH, MAX_NODES, BadBody, Limits, Submission, is_key, media_type, parse
from tests.sources.growing import MOST, TIMES, seconds, yardstick

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=frontier"
LIMITS = Limits()
CAP = LIMITS.body


def status_of(raw: bytes, content_type: str, limits: Limits = LIMITS, **more: Any) -> int:
    """The status a body is refused with; 200 if it is not."""
    try:
        parse(raw, content_type, limits, **more)
    except BadBody as refused:
        return refused.status
    return 200


def part(name: str = "email", value: bytes | str = b"jane@example.com", **more: Any) -> bytes:
    """One part of a multipart body."""
    disposition = f'form-data; name="{name}"' + more.get("disposition", "")
    head = f"Content-Disposition: {disposition}\r\n{more.get('headers', '')}\r\n".encode()
    return b"--frontier\r\n" + head + (value.encode() if isinstance(value, str) else value) + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--frontier--\r\n"


# --- types of content ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        (FORM, FORM),
        (JSON, JSON),
        (MULTIPART, "multipart/form-data"),
        ("Application/JSON", JSON),
        (" application/json ; charset=utf-8 ", JSON),
        ('application/json; charset="UTF-8"', JSON),
        ("application/json; charset=utf8", JSON),
        ("application/json;charset=us-ascii", JSON),
        (f"{FORM}; charset=UTF-8", FORM),
        (f"{JSON}; profile=x", JSON),
        ("application/problem+json", JSON),
        ("Application/vnd.sender.v2+JSON; charset=utf-8", JSON),
    ],
)
def test_three_types_are_taken_in_utf8(content_type: str, kind: str) -> None:
    assert media_type(content_type) == kind


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        ";",
        "text/plain",
        "text/html",
        "application/xml",
        "application/octet-stream",
        "application/jsonp",
        "application/+json",
        "text/x+json",
        "multipart/mixed; boundary=frontier",
        "application/json; charset=utf-7",
        "application/json; charset=utf-16",
        "application/json; charset*=utf-8''utf-16",
        f"{FORM}; charset=iso-8859-1",
        "application/json, text/plain",
        "\xff",
    ],
    ids=ascii,
)
def test_other_types_and_charsets_are_refused(content_type: str) -> None:
    with pytest.raises(BadBody) as refused:
        media_type(content_type)
    assert refused.value.status == 415


# --- JSON -----------------------------------------------------------------------------------------------


def nested(levels: int, kind: str = "object") -> bytes:
    """A JSON object so many levels deep, counting itself."""
    inner = levels - 1
    if kind == "array":
        return b'{"a":' + b"[" * inner + b"]" * inner + b"}"
    return b'{"a":' * inner + b"{}" + b"}" * inner


REFUSED_JSON: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 400),
    "blanks": (b"  \n", 400),
    "null": (b"null", 400),
    "list": (b"[]", 400),
    "text": (b'"x"', 400),
    "number": (b"1", 400),
    "true": (b"true", 400),
    "cut": (b'{"email": "jane@exam', 400),
    "two documents": (b'{"a": 1}{"b": 2}', 400),
    "padding and a second document": (b'{"a": 1}' + b" " * 1000 + b"{}", 400),
    "trailing comma": (b'{"a": 1,}', 400),
    "single quotes": (b"{'a': 1}", 400),
    "comment": (b'{"a": 1} // x', 400),
    "control character": (b'{"a": "\x01"}', 400),
    "NUL byte": (b'{"a": "\x00"}', 400),
    "form": (b"email=jane@example.com", 400),
    "two BOMs": (b'\xef\xbb\xbf\xef\xbb\xbf{"a": 1}', 400),
    "BOM alone": (b"\xef\xbb\xbf", 400),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), 400),
    "UTF-16 without BOM": ('{"a": 1}'.encode("utf-16-le"), 400),
    "UTF-32": ('{"a": 1}'.encode("utf-32"), 400),
    "Latin-1": (b'{"a": "\xfc"}', 400),
    "overlong UTF-8": (b'{"a": "\xc0\x80"}', 400),
    "surrogate in UTF-8": (b'{"a": "\xed\xa0\x80"}', 400),
    "NaN": (b'{"a": NaN}', 400),
    "Infinity": (b'{"a": Infinity}', 400),
    "-Infinity": (b'{"a": [-Infinity]}', 400),
    "1e999": (b'{"a": 1e999}', 400),
    "-1e999": (b'{"a": -1e999}', 400),
    "integer of 4,301 digits": (b'{"a": ' + b"1" * 4301 + b"}", 400),
    "lone surrogate": (b'{"a": "\\ud800"}', 400),
    "second half first": (b'{"a": "\\udc00\\ud800"}', 400),
    "lone surrogate in a key": (b'{"\\ud800": 1}', 400),
    "lone surrogate, deep": (b'{"a": [{"b": "x\\udfff"}]}', 400),
    "escaped NUL": (b'{"a": "jane\\u0000"}', 400),
    "escaped NUL in a key": (b'{"a\\u0000": 1}', 400),
    "escaped NUL after a backslash": (b'{"a": "\\\\\\u0000"}', 400),
    "duplicate key": (b'{"email": "a@example.com", "email": "b@example.com"}', 400),
    "duplicate key, equal values": (b'{"email": "a", "email": "a"}', 400),
    "duplicate key, spelled apart": (b'{"email": "a", "\\u0065mail": "b"}', 400),
    "duplicate key, deep": (b'{"a": [{"b": 1, "b": 2}]}', 400),
    "33 levels of objects": (nested(33), 400),
    "33 levels of arrays": (nested(33, "array"), 400),
    "500 levels": (nested(500), 400),
    "1,000 levels": (nested(1000, "array"), 400),
    "100,000 levels": (nested(100_000, "array"), 400),
    "100,000 levels, unclosed": (b'{"a":' + b"[" * 100_000, 400),
    "201 keys": (json.dumps({str(n): n for n in range(201)}).encode(), 413),
    "201 keys, deep": (json.dumps({"a": [{str(n): n for n in range(201)}]}).encode(), 413),
    "20,000 keys": (json.dumps({str(n): n for n in range(20_000)}).encode(), 413),
    "5,001 elements": (json.dumps({"a": list(range(MAX_NODES))}).encode(), 413),
    "field of 16 KiB and a byte": (json.dumps({"a": "x" * (16 * 1024 + 1)}).encode(), 413),
    "field of 16 KiB of two bytes each": (json.dumps({"a": "ü" * (8 * 1024 + 1)}).encode(), 413),
}


@pytest.mark.parametrize(("raw", "status"), REFUSED_JSON.values(), ids=REFUSED_JSON.keys())
def test_json_that_is_refused(raw: bytes, status: int) -> None:
    assert status_of(raw, JSON) == status


TAKEN_JSON: dict[str, tuple[bytes, dict[str, Any]]] = {
    "empty object": (b"{}", {}),
    "32 levels": (nested(32), json.loads(nested(32))),
    "32 levels of arrays": (nested(32, "array"), json.loads(nested(32, "array"))),
    "64 bits and more": (b'{"id": 17430755068336100383}', {"id": 17430755068336100383}),
    "4,300 digits": (b'{"id": ' + b"1" * 4300 + b"}", {"id": int("1" * 4300)}),
    "surrogate pair": (b'{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
    "backslash u0000, spelled out": (b'{"a": "\\\\u0000"}', {"a": "\\u0000"}),
    "noncharacters": ('{"a": "\uffff\ufdd0"}'.encode(), {"a": "\uffff\ufdd0"}),
    "200 keys": (json.dumps({str(n): n for n in range(200)}).encode(), {str(n): n for n in range(200)}),
    "field of 16 KiB": (json.dumps({"a": "x" * 16384}).encode(), {"a": "x" * 16384}),
    "small float": (b'{"a": 1e-999}', {"a": 0.0}),
    "hostile keys": (b'{"__class__": 1, "id": 2, "lists": [3]}', {"__class__": 1, "id": 2, "lists": [3]}),
}


@pytest.mark.parametrize(("raw", "fields"), TAKEN_JSON.values(), ids=TAKEN_JSON.keys())
def test_json_that_is_taken(raw: bytes, fields: dict[str, Any]) -> None:
    assert parse(raw, JSON, LIMITS) == fields


# --- urlencoded forms -----------------------------------------------------------------------------------

REFUSED_FORMS: dict[str, tuple[bytes, int]] = {
    "NUL": (b"email=%00", 400),
    "raw NUL": (b"email=\x00", 400),
    "NUL in a name": (b"em%00ail=x", 400),
    "invalid UTF-8": (b"email=%FF", 400),
    "invalid UTF-8 in a name": (b"%FF=x", 400),
    "raw invalid UTF-8": (b"email=\xff", 400),
    "cut UTF-8": (b"email=%C3", 400),
    "overlong UTF-8": (b"email=%C0%80", 400),
    "surrogate": (b"email=%ED%A0%80", 400),
    "cut escape": (b"email=jane%4", 400),
    "lone percent": (b"email=100%", 400),
    "no hexadecimal escape": (b"email=%zz", 400),
    "201 fields": (b"&".join(b"%d=x" % n for n in range(201)), 413),
    "201 fields of one name": (b"&".join([b"a=x"] * 201), 413),
    "100,000 fields": (b"&".join([b"a="] * 100_000), 413),
    "field too long": (b"email=" + b"x" * 16385, 413),
    "field too long when decoded": (b"email=" + b"%C3%BC" * 8193, 413),
    "name too long": (b"x" * 16385 + b"=1", 413),
}


@pytest.mark.parametrize(("raw", "status"), REFUSED_FORMS.values(), ids=REFUSED_FORMS.keys())
def test_forms_that_are_refused(raw: bytes, status: int) -> None:
    assert status_of(raw, FORM) == status


TAKEN_FORMS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "empty": (b"", {}),
    "plain": (b"email=jane%40example.com&name=Jane+Doe", {"email": "jane@example.com", "name": "Jane Doe"}),
    "empty values stay": (b"email=&phone=", {"email": "", "phone": ""}),
    "name without a value": (b"email", {"email": ""}),
    "raw UTF-8": ("name=Jörg".encode(), {"name": "Jörg"}),
    "twice": (b"email=a&email=b", {"email": ["a", "b"]}),
    "three times": (b"email=a&email=b&email=a", {"email": ["a", "b", "a"]}),
    "case matters": (b"email=a&Email=b", {"email": "a", "Email": "b"}),
    "semicolons do not separate": (b"email=a;name=b", {"email": "a;name=b"}),
    "ampersands alone": (b"&&", {}),
    "field of 16 KiB": (b"email=" + b"x" * 16384, {"email": "x" * 16384}),
    "brackets": (b"data[merges][EMAIL]=a", {"data[merges][EMAIL]": "a", "data": {"merges": {"EMAIL": "a"}}}),
    "brackets, escaped": (b"data%5BEMAIL%5D=a", {"data[EMAIL]": "a", "data": {"EMAIL": "a"}}),
    "list": (b"lists[]=1&lists[]=2", {"lists[]": ["1", "2"], "lists": ["1", "2"]}),
    "list of one": (b"lists[]=1", {"lists[]": "1", "lists": ["1"]}),
    "list, deep": (b"a[b][]=1", {"a[b][]": "1", "a": {"b": ["1"]}}),
    "several branches": (b"a[b]=1&a[c]=2", {"a[b]": "1", "a[c]": "2", "a": {"b": "1", "c": "2"}}),
    "a literal key wins": (b"data=x&data[EMAIL]=a", {"data": "x", "data[EMAIL]": "a"}),
    "leaf and branch": (b"a[b]=1&a[b][c]=2", {"a[b]": "1", "a[b][c]": "2", "a": {"b": "1"}}),
    "branch and leaf": (b"a[b][c]=2&a[b]=1", {"a[b][c]": "2", "a[b]": "1", "a": {"b": {"c": "2"}}}),
    "unfinished brackets": (b"a[b=1&c]=2&[d]=3", {"a[b": "1", "c]": "2", "[d]": "3"}),
    "injection is text": (b"name='--{{7*7}}%25s", {"name": "'--{{7*7}}%s"}),
}


@pytest.mark.parametrize(("raw", "fields"), TAKEN_FORMS.values(), ids=TAKEN_FORMS.keys())
def test_forms_that_are_taken(raw: bytes, fields: dict[str, Any]) -> None:
    assert parse(raw, FORM, LIMITS) == fields


def test_brackets_deeper_than_json_may_be_are_a_literal_key() -> None:
    name = "a" + "[b]" * MAX_DEPTH
    assert parse(f"{name}=1".encode(), FORM, LIMITS) == {name: "1"}


# --- multipart ------------------------------------------------------------------------------------------

REFUSED_MULTIPART: dict[str, tuple[bytes, str, int]] = {
    "no boundary": (multipart(part()), "multipart/form-data", 400),
    "empty boundary": (multipart(part()), "multipart/form-data; boundary=", 400),
    "long boundary": (multipart(part()), "multipart/form-data; boundary=" + "x" * 201, 400),
    "wrong boundary": (multipart(part()), "multipart/form-data; boundary=other", 400),
    "empty": (b"", MULTIPART, 400),
    "no final boundary": (part(), MULTIPART, 400),
    "cut in a value": (part()[:-10], MULTIPART, 400),
    "cut in a header": (part()[:30], MULTIPART, 400),
    "cut in the boundary": (part() + b"--fron", MULTIPART, 400),
    "no name": (multipart(b"--frontier\r\nContent-Disposition: form-data\r\n\r\nx\r\n"), MULTIPART, 400),
    "empty name": (multipart(part("")), MULTIPART, 400),
    "no disposition": (multipart(b"--frontier\r\nX-A: b\r\n\r\nx\r\n"), MULTIPART, 400),
    "invalid UTF-8": (multipart(part(value=b"\xff")), MULTIPART, 400),
    "invalid UTF-8 in a name": (
        multipart(b'--frontier\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n'),
        MULTIPART,
        400,
    ),
    "NUL": (multipart(part(value=b"a\x00b")), MULTIPART, 400),
    "another charset": (
        multipart(part(headers="Content-Type: text/plain; charset=iso-8859-1\r\n")),
        MULTIPART,
        415,
    ),
    "base64": (multipart(part(headers="Content-Transfer-Encoding: base64\r\n")), MULTIPART, 415),
    "quoted-printable": (
        multipart(part(headers="Content-Transfer-Encoding: quoted-printable\r\n")),
        MULTIPART,
        415,
    ),
    "201 parts": (multipart(*[part(str(n)) for n in range(201)]), MULTIPART, 413),
    "1,001 parts": (multipart(*[part(str(n), "x") for n in range(1001)]), MULTIPART, 413),
    "501 kB field": (multipart(part(value="x" * 501_000)), MULTIPART, 413),
    "60 kB header": (multipart(part(headers=f"X-A: {'a' * 60_000}\r\n")), MULTIPART, 413),
}


@pytest.mark.parametrize(
    ("raw", "content_type", "status"), REFUSED_MULTIPART.values(), ids=REFUSED_MULTIPART.keys()
)
def test_multipart_that_is_refused(raw: bytes, content_type: str, status: int) -> None:
    """Never taken for a form without fields."""
    assert status_of(raw, content_type) == status


def test_multipart_that_is_taken() -> None:
    raw = multipart(
        part(),
        part("name", "Jane\r\nDoe ö"),
        part("cv", "", disposition='; filename=""', headers="Content-Type: application/octet-stream\r\n"),
        part("tag", "1"),
        part("tag", "2"),
        part("typed", "x", headers="Content-Type: text/plain; charset=utf-8\r\n"),
        part("a[b]", "1"),
    )
    assert parse(b"preamble\r\n" + raw + b"epilogue", MULTIPART, LIMITS) == {
        "email": "jane@example.com",
        "name": "Jane\r\nDoe ö",
        "tag": ["1", "2"],
        "typed": "x",
        "a[b]": "1",
        "a": {"b": "1"},
    }


def test_an_empty_multipart_form_has_no_fields() -> None:
    assert parse(b"--frontier--\r\n", MULTIPART, LIMITS) == {}


# --- JSON inside a form -----------------------------------------------------------------------------------


def test_json_inside_form_fields_is_parsed_where_it_is_named() -> None:
    raw = b"rawRequest=%7B%22email%22%3A%22a%22%7D&other=%7B%7D&empty="
    fields = parse(raw, FORM, LIMITS, ("rawRequest", "empty", "absent"))
    assert fields == {"rawRequest": {"email": "a"}, "other": "{}", "empty": ""}


@pytest.mark.parametrize("inner", [b"{", b"NaN", b'{"a":1,"a":2}', b'{"a":"\\ud800"}', nested(33), b"x"])
def test_json_inside_form_fields_is_as_strict(inner: bytes) -> None:
    raw = b"j=" + inner.replace(b"&", b"%26").replace(b"%", b"%25")
    assert status_of(raw, FORM, json_fields=("j",)) == 400


@pytest.mark.parametrize("inner", [b"1", b"null", b"[]", b'"x"'])
def test_json_inside_form_fields_may_be_any_value(inner: bytes) -> None:
    assert parse(b"j=" + inner, FORM, LIMITS, ("j",)) == {"j": json.loads(inner)}


# --- limits ---------------------------------------------------------------------------------------------


def test_limits_are_configured() -> None:
    small = Limits(body=100, fields=2, field=4)
    assert status_of(b"a=1&b=2", FORM, small) == 200
    assert status_of(b"a=1&b=2&c=3", FORM, small) == 413
    assert status_of(b"a=12345", FORM, small) == 413
    assert status_of(b'{"a": {"b": 1, "c": 2}}', JSON, small) == 200
    assert status_of(b'{"a": {"b": 1, "c": 2, "d": 3}}', JSON, small) == 413
    assert status_of(multipart(part("a", "1"), part("b", "2"), part("c", "3")), MULTIPART, small) == 413


def test_a_reason_repeats_nothing_that_was_sent() -> None:
    for table, content_type in ((REFUSED_JSON, JSON), (REFUSED_FORMS, FORM)):
        for raw, _ in table.values():
            with pytest.raises(BadBody) as refused:
                parse(raw, content_type, LIMITS)
            assert "jane" not in str(refused.value)
            assert len(str(refused.value)) < 200


FLOODS: dict[str, tuple[Callable[[int], bytes], str]] = {
    "depth": (lambda n: b'{"a":' + b"[" * (n - 10), JSON),
    "objects": (lambda n: b'{"a":[' + b"{}," * (n // 3 - 10) + b"{}]}", JSON),
    "escapes": (lambda n: b'{"a":"' + b"\\u0041" * (n // 6 - 10) + b'"}', JSON),
    "percents": (lambda n: b"a=" + b"%41" * (n // 3 - 10), FORM),
    "brackets": (lambda n: b"a" + b"[b]" * (n // 3 - 10) + b"=1", FORM),
    "nothing": (lambda n: b"&" * n, FORM),
    "frontiers": (lambda n: b"--frontier\r\n" * (n // 12), MULTIPART),
    "half frontiers": (lambda n: b"--frontie" * (n // 9), MULTIPART),
    "half frontiers in a part": (
        lambda n: multipart(part(value=b"\r\n--frontie" * (n // 11 - 20))),
        MULTIPART,
    ),
    "folded headers": (
        lambda n: multipart(part(headers="X: " + "\r\n " * (n // 3 - 50) + "\r\n")),
        MULTIPART,
    ),
}


@pytest.mark.parametrize(("flood", "content_type"), FLOODS.values(), ids=FLOODS)
def test_hostile_bodies_of_the_largest_size_cost_no_more_than_their_length(
    flood: Callable[[int], bytes], content_type: str
) -> None:
    small, large = flood(CAP // TIMES), flood(CAP)
    assert CAP - 400 < len(large) <= CAP, "larger ones are refused unread"
    took = [seconds(lambda raw: status_of(raw, content_type), raw) for raw in (small, large)]
    assert took[1] <= MOST * max(took[0], yardstick(small))


# --- keys -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("a", True),
        ("evt_1", True),
        ("~" * 255, True),
        ("!", True),
        ("", False),
        ("x" * 256, False),
        ("two words", False),
        ("tab\t", False),
        ("line\n", False),
        ("é", False),
        ("\x7f", False),
    ],
    ids=ascii,
)
def test_a_key_is_visible_ascii(text: str, usable: bool) -> None:
    assert is_key(text) is usable


# --- whatever comes -------------------------------------------------------------------------------------

ANYTHING = st.one_of(
    st.binary(max_size=300),
    st.text(alphabet='{}[]":,\\u0d8fe1.-NaIty &=%+\x00', max_size=80).map(str.encode),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=20,
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=300)
@given(ANYTHING, st.sampled_from([FORM, JSON, MULTIPART]))
@example(b"--frontier\r\n\r\n\r\n--frontier--", MULTIPART)
@example(b"a[]=1&a[][b]=2&a[b]=3", FORM)
def test_a_body_is_parsed_or_refused_and_what_is_parsed_can_be_stored(raw: bytes, content_type: str) -> None:
    """Nothing but BadBody is raised, and what comes out is text that every store takes."""
    try:
        fields = parse(raw, content_type, LIMITS)
    except BadBody as refused:
        assert refused.status in (400, 413, 415)
        return
    assert isinstance(fields, dict)
    text = json.dumps(fields, ensure_ascii=False, allow_nan=False)
    assert "\\u0000" not in text.replace("\\\\", "")
    text.encode("utf-8")


def test_what_a_person_typed_is_in_no_representation() -> None:
    sent = Submission({"email": "jane@example.com"}, b"email=jane", FORM, 0.0)
    assert "jane" not in repr(sent)
