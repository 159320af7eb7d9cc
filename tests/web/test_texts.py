"""JSON and text that are more, or less, than they seem."""

import json

import pytest

from tests.kit.client import encoded, multipart
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream
from tests.web.sent import CAP, FORM, JSON, KINDS, MULTIPART, WIDE, body_of, forwarded, person, post, refused
from tests.web.sent import SOURCES as SOURCES

pytestmark = pytest.mark.usefixtures("no_faults")

# --- JSON that is more than it seems ------------------------------------------------------------


def nested(depth: int, kind: str) -> bytes:
    """A JSON object whose `depth` levels count the object itself."""
    opening, closing = {
        "arrays": ("[", "]"),
        "objects": ('{"a":', "}"),
        "mixed": ('[{"a":', "}]"),
    }[kind]
    levels = depth - 1 if kind != "mixed" else (depth - 1) // 2
    return f'{{"email": "ada@example.com", "x": {opening * levels}1{closing * levels}}}'.encode()


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("kind", ["arrays", "objects", "mixed"])
@pytest.mark.parametrize("depth", [500, 1000, 10_000, 100_000])
def test_deep_json_is_refused(relay: RelayProcess, kind: str, depth: int) -> None:
    body = nested(depth, kind)
    before = relay.rss()
    refused(post(relay, body, JSON), 400 if len(body) <= CAP else 413)
    assert relay.get("/healthz").status == 200
    assert relay.rss() - before < 50_000_000


@pytest.mark.parametrize("kind", ["arrays", "objects"])
def test_thirty_two_levels_are_not_too_deep(relay: RelayProcess, kind: str) -> None:
    assert post(relay, nested(32, kind), JSON).status in (200, 201)
    refused(post(relay, nested(33, kind), JSON), 400)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("place", ["email", "first_name", "unmapped"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 4301])
def test_numbers_that_are_none_are_refused(relay: RelayProcess, number: str, place: str) -> None:
    body = f'{{"phone": "0301234567", "{place}": {number}}}'.encode()
    refused(post(relay, body, JSON), 400)


@pytest.mark.parametrize(
    ("number", "text"),
    [(str(2**63), str(2**63)), ("-1", "-1"), ("1.5", "1.5"), ("1e3", "1000"), ("0.1e1", "1")],
)
def test_numbers_become_text(relay: RelayProcess, upstream: ScriptedUpstream, number: str, text: str) -> None:
    email = person()
    body = f'{{"email": "{email}", "first_name": {number}}}'.encode()
    assert forwarded(post(relay, body, JSON), upstream) == {"email": email, "full_name": text}


@pytest.mark.usefixtures("unharmed")
def test_a_number_too_long_for_a_name_is_refused(relay: RelayProcess) -> None:
    body = b'{"email": "ada@example.com", "first_name": ' + b"1" * 4300 + b"}"
    assert "first_name" in refused(post(relay, body, JSON), 422)["errors"]


# --- text that is none -----------------------------------------------------------------------

FIELDS = ["email", "phone", "first_name", "unmapped"]
NUL_OR_SURROGATE = {
    "NUL": ("%00", "\\u0000"),
    "high surrogate": ("%ED%A0%80", "\\ud800"),
    "low surrogate": ("%ED%BF%BF", "\\udfff"),
    "wrong order": ("%ED%B8%80%ED%A0%BD", "\\ude00\\ud83d"),
}


def spoilt(field: str, form_text: str, json_text: str) -> list[tuple[bytes, str]]:
    """A form and a JSON body that are fine but for one field."""
    plain = {"email": "ada@example.com", "phone": "0301234567"}
    plain.pop(field, None)
    form = encoded(plain) + f"&{field}=a{form_text}b".encode()
    text = json.dumps(plain)[:-1] + f', "{field}": "a{json_text}b"}}'
    return [(form, FORM), (text.encode(), JSON)]


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("spoiling", NUL_OR_SURROGATE.values(), ids=NUL_OR_SURROGATE.keys())
def test_nul_and_lone_surrogates_are_refused(
    relay: RelayProcess, field: str, spoiling: tuple[str, str]
) -> None:
    for body, content_type in spoilt(field, *spoiling):
        refused(post(relay, body, content_type), 400)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("body", [b'{"a\\u0000": 1, "email": "a@example.com"}', b'{"\\ud800": 1}'])
def test_keys_are_text_too(relay: RelayProcess, body: bytes) -> None:
    refused(post(relay, body, JSON), 400)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["\ufeffAda", "Ada\ufffe", "\U0001ffff Ada", "\ufdd0", "e\u0301", "𝒜𝒹𝒶 😀"])
def test_odd_but_valid_characters_survive_or_are_cleaned(
    relay: RelayProcess, upstream: ScriptedUpstream, kind: str, text: str
) -> None:
    email = person()
    answer = post(relay, *body_of(kind, {"email": email, "first_name": text}))
    name = text.replace("\ufeff", "").replace("e\u0301", "é")
    assert forwarded(answer, upstream) == {"email": email, "full_name": name}


def test_both_stores_answer_the_same(
    relay: RelayProcess, upstream: ScriptedUpstream, postgres_url: str
) -> None:
    tried = [case for spoiling in NUL_OR_SURROGATE.values() for case in spoilt("first_name", *spoiling)]
    for text in ("\ufeffAda", "Ada\ufffe", "\\u0000", "%00", "Ada\u0085x", "\ue000"):
        tried += [body_of(kind, {"email": person(), "first_name": text}) for kind in KINDS]
    with RelayProcess(config(upstream.url, SOURCES, **WIDE), database_url=postgres_url) as other:
        for body, content_type in tried:
            here, there = post(relay, body, content_type), post(other, body, content_type)
            assert here.status == there.status and here.status in (201, 400), (here.status, body)
            if here.status == 400:
                assert here.json == there.json
            else:
                assert forwarded(here, upstream) == forwarded(there, upstream)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("bad", [b"\xff", b"\xc0\xaf", b"\xe2\x82", b"\xf5\x80\x80\x80", b"\xe4"])
def test_what_is_not_utf_8_is_refused(relay: RelayProcess, bad: bytes) -> None:
    good = b"email=ada@example.com&first_name="
    escaped = b"".join(b"%%%02X" % byte for byte in bad)
    refused(post(relay, good + bad, FORM), 400)
    refused(post(relay, good + escaped, FORM), 400)
    refused(post(relay, good + b"x&" + escaped + b"=1", FORM), 400)
    refused(post(relay, b'{"email": "ada@example.com", "first_name": "%s"}' % bad, JSON), 400)
    body = multipart({"email": "ada@example.com", "first_name": "XYZ"})[0]
    refused(post(relay, body.replace(b"XYZ", bad), MULTIPART), 400)
    refused(post(relay, body.replace(b'name="first_name"', b'name="' + bad + b'"'), MULTIPART), 400)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("body", [b"email=a%", b"email=a%4", b"email=a%zz@example.com", b"%=1&email=a@b.com"])
def test_bad_escapes_are_refused(relay: RelayProcess, body: bytes) -> None:
    refused(post(relay, body), 400)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-32"])
def test_json_is_utf_8_and_nothing_else(relay: RelayProcess, charset: str) -> None:
    body = '{"email": "ada@example.com"}'.encode(charset)
    refused(post(relay, body, JSON), 400)
    refused(post(relay, body, f"{JSON}; charset={charset}"), 415)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("content_type", [FORM, JSON, MULTIPART])
@pytest.mark.parametrize("charset", ["utf-7", "iso-8859-1", "bogus", '"utf-16"'])
def test_other_charsets_are_refused(relay: RelayProcess, content_type: str, charset: str) -> None:
    refused(post(relay, b"", f"{content_type}; charset={charset}"), 415)


def test_a_named_utf_8_is_fine(relay: RelayProcess) -> None:
    for kind, charset in (("json", "UTF-8"), ("urlencoded", "utf8"), ("multipart", '"utf-8"')):
        body, content_type = body_of(kind, {"email": person()})
        assert post(relay, body, f"{content_type}; charset={charset}").status == 201


# --- which of several -----------------------------------------------------------------------------


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"email=a@example.com&email=b@example.com", FORM, 422),
        (b'{"email": "a@example.com", "email": "b@example.com"}', JSON, 400),
        (b'{"email": "a@example.com", "\\u0065mail": "b@example.com"}', JSON, 400),
        (b'{"email": "a@example.com", "x": {"y": 1, "y": 1}}', JSON, 400),
        (b'{"email": ["a@example.com", "b@example.com"]}', JSON, 422),
        (multipart([("email", "a@example.com"), ("email", "b@example.com")])[0], MULTIPART, 422),
        (b"Email=a@example.com&EMAIL=b@example.com&phone=nonsense", FORM, 422),
    ],
)
def test_a_field_given_twice_is_nobodys_guess(
    relay: RelayProcess, body: bytes, content_type: str, status: int
) -> None:
    refused(post(relay, body, content_type), status)


def test_of_a_field_given_twice_the_blank_one_loses(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    answer = post(relay, f"email={email}&email=".encode(), FORM)
    assert forwarded(answer, upstream) == {"email": email}


@pytest.mark.parametrize("kind", ["urlencoded", "json"])
def test_the_query_string_adds_no_fields(relay: RelayProcess, upstream: ScriptedUpstream, kind: str) -> None:
    email = person()
    body, content_type = body_of(kind, {"email": email})
    answer = post(relay, body, content_type, query="?email=eve@example.com&first_name=Eve&phone=0301234567")
    assert forwarded(answer, upstream) == {"email": email}


def test_the_same_value_twice_is_that_value(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    answer = post(relay, encoded([("email", email), ("email", email)]))
    assert forwarded(answer, upstream) == {"email": email}


def test_names_are_compared_exactly(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    fields = {"email": email, "Email": "eve@example.com", "EMAIL": "x", "email ": "y", "email.": "z"}
    for kind in KINDS:
        answer = post(relay, *body_of(kind, fields | {"first_name": kind}))
        assert forwarded(answer, upstream) == {"email": email, "full_name": kind}
