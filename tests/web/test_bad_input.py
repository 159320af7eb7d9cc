"""Groups A and B (36, 37) of the catalogue of faults: what people, programs and attackers put into a body.

Everything goes over real sockets into a real server. A name's number is the catalogue's. What is taken
must reach upstream in the documented form; what is refused must leave neither a row nor a call.
"""

import http.client
import json
import os
import re
import socket
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st

from tests.conftest import SEED
from tests.kit import client
from tests.kit.client import Answer, NoAnswer, Raw, encoded, head, multipart, request
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=kit-boundary"
CAP = 256 * 1024
WIDE = {"limits": "500/second; 100000/minute"}
NO_LIMITS = {"client_limits": "none", "source_limits": "none", "recipient_limits": "none"}
# Both sources wait for upstream's verdict, so that an answer names the profile that was made.
FORM_SOURCE = NEWSLETTER | NO_LIMITS | {"wait": 10, "reply": ["id"]}
HOOK_SOURCE = HOOK | {"region": "DE", "wait": 10}
LONG_SOURCE = FORM_SOURCE | {"max_field": "128KiB"}
SOURCES = {"newsletter": FORM_SOURCE, "hook": HOOK_SOURCE, "long": LONG_SOURCE}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    with RelayProcess(config(upstream.url, SOURCES, **WIDE)) as process:
        yield process


@pytest.fixture
def unharmed(relay: RelayProcess, upstream: ScriptedUpstream) -> Iterator[None]:
    """Nothing that the test does may store anything, reach upstream, or be logged as a fault."""
    relay.wait_drained()
    before, calls = newest(relay), len(upstream.arrivals)
    yield
    assert newest(relay) == before, "something was stored"
    assert len(upstream.arrivals) == calls, "something was sent"


@pytest.fixture(autouse=True)
def no_faults(relay: RelayProcess) -> Iterator[None]:
    """Input alone never makes the program stumble."""
    seen = len(relay.output())
    yield
    new = relay.output()[seen:]
    assert "Traceback" not in new and "request.fault" not in new, new[-2000:]


def newest(relay: RelayProcess) -> str | None:
    rows = relay.api("GET", "/api/submissions?limit=1").json["submissions"]
    return rows[0]["receipt"] if rows else None


def person(tag: str = "") -> str:
    """An address nobody used before."""
    return f"ada-{tag}{uuid.uuid4().hex[:12]}@example.com"


def post(
    relay: RelayProcess,
    body: bytes,
    content_type: str | None = FORM,
    source: str = "newsletter",
    query: str = "",
    **headers: str,
) -> Answer:
    sent = {"Accept": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    if content_type is not None:
        sent["Content-Type"] = content_type
    if source == "hook":
        sent.setdefault("Authorization", f"Bearer {relay.hook_secret}")
    return request(relay.port, "POST", f"/submit/{source}{query}", body, sent)


def forwarded(answer: Answer, upstream: ScriptedUpstream) -> dict[str, Any]:
    """The profile that upstream was asked to create for this answer."""
    assert answer.status == 201, (answer.status, answer.text)
    made = answer.json["profile"]["id"]
    (call,) = [arrival for arrival in upstream.arrivals if arrival.profile_id == made]
    return dict(call.json)


def refused(answer: Answer, *statuses: int) -> dict[str, Any]:
    """The problem document of a refusal, which must be well-formed and short."""
    assert answer.status in statuses, (answer.status, answer.text[:500])
    assert answer.header("Content-Type") == "application/problem+json"
    assert answer.json["status"] == answer.status
    assert len(answer.body) < 4096
    return dict(answer.json)


def body_of(kind: str, fields: dict[str, Any]) -> tuple[bytes, str]:
    """The same fields as a body of this kind, and its content type."""
    if kind == "json":
        return json.dumps(fields).encode(), JSON
    if kind == "multipart":
        return multipart(fields)[0], MULTIPART
    return encoded(fields), FORM


KINDS = ["urlencoded", "multipart", "json"]

# --- 1, 2: too little ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("content_type", [None, FORM, MULTIPART])
def test_1_no_fields_are_refused_by_naming_what_is_missing(
    relay: RelayProcess, content_type: str | None
) -> None:
    body = b"--kit-boundary--\r\n" if content_type == MULTIPART else b""
    problem = refused(post(relay, body, content_type), 422)
    said = json.dumps(problem["errors"]).lower()
    assert "e-mail" in said and "phone" in said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fields", "profile"),
    [
        ({"email": "{person}"}, {"email": "{person}"}),
        ({"phone": "030 1234567"}, {"mobile_phone_number": "+49301234567"}),
        ({"email": "{person}", "phone": ""}, {"email": "{person}"}),
        ({"email": " ", "phone": "030 1234568"}, {"mobile_phone_number": "+49301234568"}),
    ],
    ids=["e-mail only", "phone only", "phone empty", "e-mail blank"],
)
def test_2_one_contact_is_enough(
    relay: RelayProcess,
    upstream: ScriptedUpstream,
    kind: str,
    fields: dict[str, str],
    profile: dict[str, str],
) -> None:
    someone = person()
    sent = {name: text.replace("{person}", someone) for name, text in fields.items()}
    sent["first_name"] = kind  # else the phone-only one would repeat itself
    answer = post(relay, *body_of(kind, sent))
    expected = {name: text.replace("{person}", someone) for name, text in profile.items()}
    assert forwarded(answer, upstream) == expected | {"full_name": kind}


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fields",
    [
        {"email": "", "phone": ""},
        {"email": "  ", "phone": "\t \r\n"},
        {"email": "\u00a0", "first_name": "Ada"},
    ],
    ids=["blank", "whitespace", "no-break space"],
)
def test_2_blank_contacts_are_none(relay: RelayProcess, kind: str, fields: dict[str, str]) -> None:
    assert refused(post(relay, *body_of(kind, fields)), 422)["errors"]


# --- 3 to 6: bodies that do not end where they should -------------------------------------------------


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("content_type", [FORM, JSON, MULTIPART])
@pytest.mark.parametrize("end", ["half-close", "reset"])
def test_3_a_body_cut_off_in_flight_is_not_taken(relay: RelayProcess, content_type: str, end: str) -> None:
    part = {
        FORM: b"first_name=Ada&email=ada@example.co",
        JSON: b'{"first_name": "Ada", "email": "ada@example.co',
        MULTIPART: multipart({"email": "ada@example.com"})[0][:-30],
    }[content_type]
    headers = {"Content-Type": content_type, "Content-Length": str(len(part) + 20)}
    with Raw(relay.port) as raw:
        raw.send(head("POST", "/submit/newsletter", headers) + part)
        if end == "reset":
            raw.reset()
            time.sleep(0.3)
            return
        raw.half_close()
        assert answered_or_closed(raw) in (400, None)


def answered_or_closed(raw: Raw, deadline: float = 10.0) -> int | None:
    """The status of the next answer; None when the server just hung up."""
    try:
        return raw.read(deadline).status
    except NoAnswer as why:
        assert "deadline" not in str(why), "neither answered nor closed"
        return None


@pytest.mark.usefixtures("unharmed")
def test_3_a_body_cut_at_a_field_boundary_is_not_taken(relay: RelayProcess) -> None:
    """What arrived is a whole form by itself."""
    part = encoded({"email": person()})
    headers = {"Content-Type": FORM, "Content-Length": str(len(part) + 1)}
    with Raw(relay.port) as raw:
        raw.send(head("POST", "/submit/newsletter", headers) + part).half_close()
        assert answered_or_closed(raw) in (400, None)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    ("content_type", "whole"),
    [
        (FORM, b"first_name=" + b"x" * (CAP - 26) + b"&email=ada@example.com"),
        (JSON, b'{"first_name": "' + b"x" * (CAP - 40) + b'", "email": "ada@example.com"}'),
        (JSON, b'{"email": "ada@example.com"}' + b" " * CAP + b'{"email": "eve@example.com"}'),
    ],
    ids=["form", "JSON", "two documents"],
)
def test_4_a_chunked_body_over_the_cap_is_refused_not_cut(
    relay: RelayProcess, content_type: str, whole: bytes
) -> None:
    assert len(whole) > CAP - 100
    whole += b" " * (CAP + 1 - len(whole)) if len(whole) <= CAP else b""
    with Raw(relay.port) as raw:
        headers = {"Content-Type": content_type, "Transfer-Encoding": "chunked"}
        raw.send(head("POST", "/submit/newsletter", headers))
        try:
            for start in range(0, len(whole), 65536):
                raw.chunk(whole[start : start + 65536])
            raw.last_chunk()
        except OSError:  # refused before all of it was sent
            pass
        assert answered_or_closed(raw) in (400, 411, 413, None)


def form_of(size: int, email: str) -> bytes:
    """A form of exactly this many bytes with many fields, none too long."""
    body = encoded({"email": email})
    number = 0
    while len(body) < size:
        room = size - len(body)
        number += 1
        name = b"&f%03d=" % number
        body += name + b"x" * min(16_000, room - len(name)) if room > len(name) else b"&" * room
    return body


def test_5_a_body_of_exactly_the_cap_is_taken(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    body = form_of(CAP, email)
    assert len(body) == CAP
    assert forwarded(post(relay, body), upstream) == {"email": email}


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("announced", [CAP + 1, 10**12])
def test_5_a_body_over_the_cap_is_refused_at_once_and_unread(relay: RelayProcess, announced: int) -> None:
    with Raw(relay.port) as raw:
        began = time.monotonic()
        headers = {"Content-Type": FORM, "Content-Length": str(announced)}
        raw.send(head("POST", "/submit/newsletter", headers))
        answer = raw.read(5)
        seconds = time.monotonic() - began
        assert answer.status == 413 and answer.header("Connection") == "close"
        assert seconds < 0.1
        assert raw.closed(5)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    "body",
    [
        b"20\r\nemail=ada@example.com\r\n",
        b"15\r\nemail=ada@example.com\r\n",
        b"15\r\nemail=ada@example.com\r\n0\r\n",
        b"15\r\nemail=ada@example.comXX0\r\n\r\n",
        b"zz\r\nemail=ada@example.com\r\n0\r\n\r\n",
        b"-15\r\nemail=ada@example.com\r\n0\r\n\r\n",
    ],
    ids=["chunk too short", "no terminator", "half a terminator", "no line end", "no size", "negative size"],
)
def test_6_unfinished_and_malformed_chunks_are_refused(relay: RelayProcess, body: bytes) -> None:
    with Raw(relay.port) as raw:
        headers = {"Content-Type": FORM, "Transfer-Encoding": "chunked"}
        raw.send(head("POST", "/submit/newsletter", headers) + body).half_close()
        assert answered_or_closed(raw) in (400, None)


def test_6_a_finished_chunked_body_is_taken(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    body = encoded({"email": email})
    with Raw(relay.port) as raw:
        headers = {"Content-Type": FORM, "Transfer-Encoding": "chunked", "Accept": JSON}
        raw.send(head("POST", "/submit/newsletter", headers))
        raw.chunk(body[:7]).chunk(body[7:]).last_chunk()
        assert forwarded(raw.read(), upstream) == {"email": email}


# --- 7, 8: JSON that is more than it seems ------------------------------------------------------------


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
def test_7_deep_json_is_refused(relay: RelayProcess, kind: str, depth: int) -> None:
    body = nested(depth, kind)
    before = relay.rss()
    refused(post(relay, body, JSON), 400 if len(body) <= CAP else 413)
    assert relay.get("/healthz").status == 200
    assert relay.rss() - before < 50_000_000


@pytest.mark.parametrize("kind", ["arrays", "objects"])
def test_7_thirty_two_levels_are_not_too_deep(relay: RelayProcess, kind: str) -> None:
    assert post(relay, nested(32, kind), JSON).status in (200, 201)
    refused(post(relay, nested(33, kind), JSON), 400)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("place", ["email", "first_name", "unmapped"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 4301])
def test_8_numbers_that_are_none_are_refused(relay: RelayProcess, number: str, place: str) -> None:
    body = f'{{"phone": "0301234567", "{place}": {number}}}'.encode()
    refused(post(relay, body, JSON), 400)


@pytest.mark.parametrize(
    ("number", "text"),
    [(str(2**63), str(2**63)), ("-1", "-1"), ("1.5", "1.5"), ("1e3", "1000"), ("0.1e1", "1")],
)
def test_8_numbers_become_text(
    relay: RelayProcess, upstream: ScriptedUpstream, number: str, text: str
) -> None:
    email = person()
    body = f'{{"email": "{email}", "first_name": {number}}}'.encode()
    assert forwarded(post(relay, body, JSON), upstream) == {"email": email, "full_name": text}


@pytest.mark.usefixtures("unharmed")
def test_8_a_number_too_long_for_a_name_is_refused(relay: RelayProcess) -> None:
    body = b'{"email": "ada@example.com", "first_name": ' + b"1" * 4300 + b"}"
    assert "first_name" in refused(post(relay, body, JSON), 422)["errors"]


# --- 9 to 11: text that is none -----------------------------------------------------------------------

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
def test_9_nul_and_lone_surrogates_are_refused(
    relay: RelayProcess, field: str, spoiling: tuple[str, str]
) -> None:
    for body, content_type in spoilt(field, *spoiling):
        refused(post(relay, body, content_type), 400)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("body", [b'{"a\\u0000": 1, "email": "a@example.com"}', b'{"\\ud800": 1}'])
def test_9_keys_are_text_too(relay: RelayProcess, body: bytes) -> None:
    refused(post(relay, body, JSON), 400)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["\ufeffAda", "Ada\ufffe", "\U0001ffff Ada", "\ufdd0", "e\u0301", "𝒜𝒹𝒶 😀"])
def test_9_odd_but_valid_characters_survive_or_are_cleaned(
    relay: RelayProcess, upstream: ScriptedUpstream, kind: str, text: str
) -> None:
    email = person()
    answer = post(relay, *body_of(kind, {"email": email, "first_name": text}))
    name = text.replace("\ufeff", "").replace("e\u0301", "é")
    assert forwarded(answer, upstream) == {"email": email, "full_name": name}


def test_9_both_stores_answer_the_same(
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
def test_10_what_is_not_utf_8_is_refused(relay: RelayProcess, bad: bytes) -> None:
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
def test_10_bad_escapes_are_refused(relay: RelayProcess, body: bytes) -> None:
    refused(post(relay, body), 400)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-32"])
def test_11_json_is_utf_8_and_nothing_else(relay: RelayProcess, charset: str) -> None:
    body = '{"email": "ada@example.com"}'.encode(charset)
    refused(post(relay, body, JSON), 400)
    refused(post(relay, body, f"{JSON}; charset={charset}"), 415)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("content_type", [FORM, JSON, MULTIPART])
@pytest.mark.parametrize("charset", ["utf-7", "iso-8859-1", "bogus", '"utf-16"'])
def test_11_other_charsets_are_refused(relay: RelayProcess, content_type: str, charset: str) -> None:
    refused(post(relay, b"", f"{content_type}; charset={charset}"), 415)


def test_11_a_named_utf_8_is_fine(relay: RelayProcess) -> None:
    for kind, charset in (("json", "UTF-8"), ("urlencoded", "utf8"), ("multipart", '"utf-8"')):
        body, content_type = body_of(kind, {"email": person()})
        assert post(relay, body, f"{content_type}; charset={charset}").status == 201


# --- 12: which of several -----------------------------------------------------------------------------


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"email=a@example.com&email=b@example.com", FORM, 422),
        (b"email=a@example.com&email=", FORM, 422),
        (b'{"email": "a@example.com", "email": "b@example.com"}', JSON, 400),
        (b'{"email": "a@example.com", "\\u0065mail": "b@example.com"}', JSON, 400),
        (b'{"email": "a@example.com", "x": {"y": 1, "y": 1}}', JSON, 400),
        (b'{"email": ["a@example.com", "b@example.com"]}', JSON, 422),
        (multipart([("email", "a@example.com"), ("email", "b@example.com")])[0], MULTIPART, 422),
        (b"Email=a@example.com&EMAIL=b@example.com&phone=nonsense", FORM, 422),
    ],
)
def test_12_a_field_given_twice_is_nobodys_guess(
    relay: RelayProcess, body: bytes, content_type: str, status: int
) -> None:
    refused(post(relay, body, content_type), status)


@pytest.mark.parametrize("kind", ["urlencoded", "json"])
def test_12_the_query_string_adds_no_fields(
    relay: RelayProcess, upstream: ScriptedUpstream, kind: str
) -> None:
    email = person()
    body, content_type = body_of(kind, {"email": email})
    answer = post(relay, body, content_type, query="?email=eve@example.com&first_name=Eve&phone=0301234567")
    assert forwarded(answer, upstream) == {"email": email}


def test_12_the_same_value_twice_is_that_value(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    answer = post(relay, encoded([("email", email), ("email", email)]))
    assert forwarded(answer, upstream) == {"email": email}


def test_12_names_are_compared_exactly(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    fields = {"email": email, "Email": "eve@example.com", "EMAIL": "x", "email ": "y", "email.": "z"}
    for kind in KINDS:
        answer = post(relay, *body_of(kind, fields | {"first_name": kind}))
        assert forwarded(answer, upstream) == {"email": email, "full_name": kind}


# --- 13 to 17: containers -----------------------------------------------------------------------------

PARTS = multipart({"email": "ada@example.com", "first_name": "Ada"})[0]


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (PARTS, "multipart/form-data"),
        (PARTS, "multipart/form-data; boundary="),
        (PARTS, "multipart/form-data; boundary=" + "b" * 300),
        (PARTS, "multipart/form-data; boundary=another"),
        (b"", MULTIPART),
        (b"\r\n", MULTIPART),
        (PARTS[:-1], MULTIPART.replace("kit-boundary", "kit-boundaryX")),
        (PARTS[:-22], MULTIPART),
        (PARTS[: len(PARTS) // 2], MULTIPART),
        (PARTS.replace(b"Content-Disposition", b"X-Disposition"), MULTIPART),
        (PARTS.replace(b'; name="email"', b""), MULTIPART),
        (encoded({"email": "ada@example.com"}), MULTIPART),
    ],
    ids=[
        "no boundary",
        "empty boundary",
        "endless boundary",
        "wrong boundary",
        "empty",
        "a line",
        "longer boundary",
        "no end",
        "half",
        "no disposition",
        "no name",
        "a form",
    ],
)
def test_13_multipart_that_is_none_is_never_an_empty_form(
    relay: RelayProcess, body: bytes, content_type: str
) -> None:
    refused(post(relay, body, content_type), 400)


def many_files(count: int) -> bytes:
    part = '--kit-boundary\r\nContent-Disposition: form-data; name="f{0}"; filename="{0}.txt"\r\n\r\nx\r\n'
    return "".join(part.format(n) for n in range(count)).encode() + b"--kit-boundary--\r\n"


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    ("body", "content_type", "statuses"),
    [
        (multipart({f"f{n}": "x" for n in range(1001)})[0], MULTIPART, (413,)),
        (multipart({f"f{n}": "x" for n in range(201)})[0], MULTIPART, (413,)),
        (many_files(200), MULTIPART, (413, 415)),
        (multipart({"first_name": "x" * 501_000})[0], MULTIPART, (413,)),
        (multipart({"first_name": "x" * 17_000})[0], MULTIPART, (413,)),
        (b"first_name=" + b"x" * 16_385, FORM, (413,)),
        (b'{"first_name": "' + b"x" * 16_385 + b'"}', JSON, (413,)),
        (PARTS.replace(b"\r\n\r\n", b"\r\nX-Pad: " + b"y" * 60_000 + b"\r\n\r\n", 1), MULTIPART, (413,)),
        (PARTS.replace(b"email", b"e" * 60_000), MULTIPART, (413,)),
    ],
    ids=[
        "1,001 parts",
        "201 parts",
        "200 files",
        "501 kB",
        "17 kB",
        "form field",
        "JSON text",
        "part header",
        "part name",
    ],
)
def test_14_what_is_too_much_is_refused(
    relay: RelayProcess, body: bytes, content_type: str, statuses: tuple[int, ...]
) -> None:
    before = relay.rss()
    refused(post(relay, body, content_type), *statuses)
    assert relay.rss() - before < 20_000_000


@pytest.mark.parametrize("kind", KINDS)
def test_14_two_hundred_fields_of_the_longest_kind_are_not_too_much(relay: RelayProcess, kind: str) -> None:
    fields = {"email": person()} | {f"f{n}": "x" * 800 for n in range(199)}
    assert post(relay, *body_of(kind, fields)).status == 201
    assert post(relay, *body_of(kind, {"email": person(), "long": "x" * 16_384})).status == 201


def with_file(filename: str, content: bytes) -> bytes:
    part = (
        f'--kit-boundary\r\nContent-Disposition: form-data; name="cv"; filename="{filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return part.encode() + content + b"\r\n" + multipart({"email": person()})[0]


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(("filename", "content"), [("cv.pdf", b"%PDF"), ("empty.txt", b""), ("", b"bytes")])
def test_15_a_file_is_refused_loudly(relay: RelayProcess, filename: str, content: bytes) -> None:
    refused(post(relay, with_file(filename, content), MULTIPART), 415)


def test_15_an_empty_file_input_is_no_file(relay: RelayProcess) -> None:
    assert post(relay, with_file("", b""), MULTIPART).status == 201


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"a&" * 100_000, FORM),
        (b"a=1&" * 60_000 + b"email=ada@example.com", FORM),
        (b"a[b][c]=1&" * 25_000, FORM),
        (json.dumps({f"k{n}": 0 for n in range(18_000)}).encode(), JSON),
        (json.dumps({"x": [{str(n): 0} for n in range(19_000)]}).encode(), JSON),
        (json.dumps({"x": [[]] * 60_000}).encode(), JSON),
    ],
    ids=["names", "pairs", "brackets", "keys", "objects", "lists"],
)
def test_16_a_flood_of_fields_costs_little(relay: RelayProcess, body: bytes, content_type: str) -> None:
    assert len(body) <= CAP
    took = []
    for _ in range(3):  # the best of three: other tests may be using the machine
        began = time.monotonic()
        refused(post(relay, body, content_type), 400, 413, 422)
        took.append(time.monotonic() - began)
    assert min(took) < 0.2, took


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "GZIP", "identity, gzip", "x"])
def test_17_compressed_bodies_are_refused_unread(relay: RelayProcess, coding: str) -> None:
    import gzip

    for body in (gzip.compress(b"email=ada@example.com"), gzip.compress(b"\0" * 10_000_000)):
        refused(post(relay, body, FORM, Content_Encoding=coding), 415)


def test_17_identity_is_no_compression(relay: RelayProcess) -> None:
    assert post(relay, encoded({"email": person()}), Content_Encoding="identity").status == 201


# --- 18, 19: other shapes -----------------------------------------------------------------------------


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("source", ["newsletter", "hook"])
@pytest.mark.parametrize(
    "body",
    [b"null", b"[]", b'"x"', b"1", b"true", b"", b" ", b"{", b"{}x", b"\xef\xbb\xbf{}", b"{'a': 1}", b"[{}]"],
)
def test_18_json_that_is_no_object_is_refused(relay: RelayProcess, body: bytes, source: str) -> None:
    refused(post(relay, body, JSON, source), 400)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("value", [["a@example.com", 1], {"a": "b"}, 5, True, False, [[]], {}, 1.5, [{}]])
def test_19_an_e_mail_that_is_no_text_is_refused_by_name(relay: RelayProcess, value: Any) -> None:
    body = json.dumps({"email": value, "first_name": "Ada"}).encode()
    problem = refused(post(relay, body, JSON), 422)
    assert list(problem["errors"]) == ["email"]


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], True, [{}]])
def test_19_a_name_that_is_no_text_is_refused_by_name(relay: RelayProcess, value: Any) -> None:
    body = json.dumps({"email": "ada@example.com", "first_name": value}).encode()
    problem = refused(post(relay, body, JSON), 422)
    assert list(problem["errors"]) == ["first_name"]


# --- 20 to 22: contacts and names ---------------------------------------------------------------------

# {0} is a part that makes the address new. None: refused.
EMAILS = {
    "plain": ("ada{0}@example.com", "ada{0}@example.com"),
    "spaces around": ("  ada{0}@example.com \t", "ada{0}@example.com"),
    "a line's end": ("ada{0}@example.com\r\n", "ada{0}@example.com"),
    "upper case": ("Ada.L{0}@EXAMPLE.Com", "Ada.L{0}@example.com"),
    "plus tag": ("ada+news{0}@example.com", "ada+news{0}@example.com"),
    "apostrophe": ("o'neil{0}@example.com", "o'neil{0}@example.com"),
    "subdomains": ("ada{0}@a.b.c.example.com", "ada{0}@a.b.c.example.com"),
    "IDN domain": ("ada{0}@bücher.example.com", "ada{0}@xn--bcher-kva.example.com"),
    "IDN in ASCII": ("ada{0}@xn--bcher-kva.example.com", "ada{0}@xn--bcher-kva.example.com"),
    "full-width domain": ("ada{0}@ｅｘａｍｐｌｅ.com", "ada{0}@example.com"),
    "umlaut before the @": ("jürgen{0}@example.com", "jürgen{0}@example.com"),
    "decomposed umlaut": ("ju\u0308rgen{0}@example.com", "jürgen{0}@example.com"),
    "quoted local part": ('"ada {0}"@example.com', None),
    "IP literal": ("ada{0}@[127.0.0.1]", None),
    "IPv6 literal": ("ada{0}@[IPv6:::1]", None),
    "no dot": ("ada{0}@localhost", None),
    "no @": ("ada{0}.example.com", None),
    "two @": ("ada{0}@eve@example.com", None),
    "nothing before @": ("@example.com", None),
    "nothing after @": ("ada{0}@", None),
    "newline inside": ("ada{0}\n@example.com", None),
    "second header": ("ada{0}@example.com\nBcc: eve@example.com", None),
    "comma list": ("ada{0}@example.com,eve@example.com", None),
    "semicolon list": ("ada{0}@example.com; eve@example.com", None),
    "bidi override": ("ada{0}\u202emoc@example.com", None),
    "zero-width space": ("ada{0}\u200b@example.com", None),
    "display name": ("Ada <ada{0}@example.com>", None),
    "mailto": ("mailto:ada{0}@example.com", None),
    "65 before the @": ("a" * 65 + "@example.com", None),
    "255 characters": ("ada{0}@" + "a." * 118 + "example.com", None),
    "trailing dot": ("ada{0}@example.com.", None),
    "leading dot": (".ada{0}@example.com", None),
    "two dots": ("ada..{0}@example.com", None),
    "space inside": ("ada {0}@example.com", None),
    "underscore in domain": ("ada{0}@ex_ample.com", None),
    "hyphen at label's end": ("ada{0}@example-.com", None),
    "percent": ("ada{0}%40example.com", None),
}


@pytest.mark.parametrize("kind", ["urlencoded", "json"])
@pytest.mark.parametrize(("text", "normal"), EMAILS.values(), ids=EMAILS.keys())
def test_20_e_mail_addresses_have_one_normal_form(
    relay: RelayProcess, upstream: ScriptedUpstream, text: str, normal: str | None, kind: str
) -> None:
    new = uuid.uuid4().hex[:10]
    answer = post(relay, *body_of(kind, {"email": text.replace("{0}", new)}))
    if normal is None:
        assert list(refused(answer, 422)["errors"]) == ["email"]
    else:
        assert forwarded(answer, upstream) == {"email": normal.replace("{0}", new)}


def test_20_a_homoglyph_is_another_address_and_stays_one(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    local = f"p{uuid.uuid4().hex[:8]}"
    latin = post(relay, *body_of("json", {"email": f"{local}a@example.com"}))
    cyrillic = post(relay, *body_of("json", {"email": f"{local}а@example.com"}))
    assert forwarded(latin, upstream)["email"] == f"{local}a@example.com"
    if cyrillic.status == 422:
        return
    assert forwarded(cyrillic, upstream)["email"] == f"{local}а@example.com"


PHONES = {
    "national": ("030 1234567", "+49301234567"),
    "punctuation": ("(030) 123-45/67", "+49301234567"),
    "international": ("+49 30 1234567", "+49301234567"),
    "00": ("0049 30 1234567", "+49301234567"),
    "another country": ("+1 415 555 2671", "+14155552671"),
    "blanks around": ("  +4930 1234567 ", "+49301234567"),
    "no-break spaces": ("+49\u00a030\u00a01234567", "+49301234567"),
    "full-width plus": ("＋49301234567", "+49301234567"),
    "Arabic digits": ("+٤٩٣٠١٢٣٤٥٦٧", "+49301234567"),
    "directed": ("\u202a+49301234567\u202c", "+49301234567"),
    "letters": ("call me", None),
    "an address": ("ada@example.com", None),
    "40 digits": ("1" * 40, None),
    "too short": ("12", None),
    "two plus": ("++49301234567", "+49301234567"),
    "unknown country": ("+999 123456789", None),
    "two numbers": ("+49301234567, +49301234568", None),
    "markup": ("<b>+49301234567</b>", None),
    "100 kB of brackets": ("(" * 10_000, None),
}


@pytest.mark.parametrize("kind", ["urlencoded", "json"])
@pytest.mark.parametrize(("text", "normal"), PHONES.values(), ids=PHONES.keys())
def test_21_phone_numbers_become_e164_or_are_refused(
    relay: RelayProcess, upstream: ScriptedUpstream, text: str, normal: str | None, kind: str
) -> None:
    answer = post(relay, *body_of(kind, {"phone": text, "first_name": person()}))
    if normal is None:
        assert list(refused(answer, 422)["errors"]) == ["phone"]
    else:
        assert forwarded(answer, upstream)["mobile_phone_number"] == normal


def test_21_an_extension_is_dropped_or_refused_never_dialled(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    answer = post(relay, *body_of("json", {"phone": "+49 30 1234567 ext. 89", "first_name": person()}))
    if answer.status != 422:
        assert forwarded(answer, upstream)["mobile_phone_number"] == "+49301234567"


@pytest.mark.parametrize("bad", ["12", "call me", {"a": 1}])
def test_21_beside_a_good_e_mail_a_bad_phone_is_named_or_dropped(
    relay: RelayProcess, upstream: ScriptedUpstream, bad: Any
) -> None:
    email = person()
    body = json.dumps({"email": email, "phone": bad}).encode()
    assert list(refused(post(relay, body, JSON), 422)["errors"]) == ["phone"]
    answer = post(relay, body, JSON, "hook")
    assert answer.json["dropped"] == ["mobile_phone_number"]
    assert forwarded(answer, upstream) == {"email": email}


NAMES = {
    "line ends": ("Ada\r\nBcc: eve@example.com", "Ada Bcc: eve@example.com"),
    "script": ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    "emoji": ("Ada 👩‍🚀", "Ada 👩‍🚀"),
    "quotes": ('Ada "The" O\'Neil \\', 'Ada "The" O\'Neil \\'),
    "escape codes": ("\x1b[31mAda\x07", "[31mAda"),
    "direction": ("\u202eadA\u2066", "adA"),
    "spaces": ("  Ada \t  Lovelace ", "Ada Lovelace"),
    "JSON": ('", "email": "eve@example.com', '", "email": "eve@example.com'),
    "right to left": ("עדה לאבלייס", "עדה לאבלייס"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("text", "name"), NAMES.values(), ids=NAMES.keys())
def test_22_names_are_cleaned_and_arrive_whole(
    relay: RelayProcess, upstream: ScriptedUpstream, text: str, name: str, kind: str
) -> None:
    if kind == "multipart" and '"' in text:
        text = name = text.replace('"', "")
    email = person()
    got = forwarded(post(relay, *body_of(kind, {"email": email, "first_name": text})), upstream)
    assert " ".join(got["full_name"].split()) == got["full_name"]
    assert got == {"email": email, "full_name": name}


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("text", ["x" * 10_000, "e" + "\u0301" * 5_000, "👩‍" * 300])
def test_22_endless_names_are_refused_by_name(relay: RelayProcess, text: str) -> None:
    problem = refused(post(relay, *body_of("json", {"email": person(), "first_name": text})), 422)
    assert list(problem["errors"]) == ["first_name"]


HOSTILE = {
    "id": "1",
    "company_id": "1",
    "__class__": "x",
    "__proto__": {"email": "eve@example.com"},
    "constructor": {"prototype": {}},
    "lists": ["1"],
    "custom_properties": {"admin": True},
    "status": "1",
    "Authorization": "Bearer x",
    "full_name": "Eve",
    "mobile_phone_number": "+49301234567",
    "_links": {},
    "state": "delivered",
    "receipt": "0" * 32,
    "$where": "1",
}


@pytest.mark.parametrize("kind", KINDS)
def test_23_only_mapped_fields_are_forwarded(
    relay: RelayProcess, upstream: ScriptedUpstream, kind: str
) -> None:
    email = person()
    extra = HOSTILE if kind == "json" else dict.fromkeys(HOSTILE, "x")
    answer = post(relay, *body_of(kind, extra | {"email": email}))
    assert forwarded(answer, upstream) == {"email": email}
    (call,) = [a for a in upstream.arrivals if a.profile_id == answer.json["profile"]["id"]]
    assert call.headers["authorization"] == f"Bearer {relay.token}"


# --- 24: anything -------------------------------------------------------------------------------------

_words = st.sampled_from(
    [
        "email",
        "phone",
        "first_name",
        "last_name",
        "email[]",
        "a[b][c]",
        "a[",
        "]",
        "",
        "é",
        "x" * 300,
        "\u2028",
    ]
)
_texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["ada@example.com", "+49301234567", "%00", "%", "NaN", "\x00", "😀", "a@b", "()" * 50, "null"]
    ),
)
_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_words | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
_json_bodies = st.one_of(
    st.dictionaries(_words, _json_values, max_size=6).map(
        lambda v: json.dumps(v).encode("utf-8", "surrogatepass")
    ),
    _json_values.map(lambda v: json.dumps(v, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.binary(max_size=80),
    st.text(alphabet='{}[]",:\\u0d8ntrue1e+-. ', max_size=60).map(str.encode),
)
_pairs = st.lists(st.tuples(_words, _texts), max_size=6)
_form_bodies = st.one_of(
    _pairs.map(lambda pairs: urllib.parse.urlencode(pairs, errors="surrogatepass").encode()),
    st.binary(max_size=80),
    st.text(alphabet="ab=&%;+[]0f@.\x00", max_size=60).map(str.encode),
)
_part_heads = st.sampled_from(
    [
        'Content-Disposition: form-data; name="email"',
        'Content-Disposition: form-data; name="a"; filename=""',
        'Content-Disposition: form-data; name="a"; filename="x.txt"',
        "Content-Disposition: form-data; name*=utf-8''%ff%00",
        "Content-Disposition: form-data; name*0=a; name*1=b",
        "Content-Disposition: attachment",
        'content-disposition: form-data; name="email"\r\nContent-Type: text/plain; charset=utf-16',
        'Content-Disposition: form-data; name="a"\r\n folded: yes',
        "Content-Disposition",
        ": x",
        "",
    ]
)
_multipart_bodies = st.one_of(
    st.tuples(
        st.lists(st.tuples(_part_heads, _texts), max_size=4), st.sampled_from(["--", "", "--\r\n", "x"])
    ).map(
        lambda made: (
            "".join(f"--b\r\n{top}\r\n\r\n{text}\r\n" for top, text in made[0]) + f"--b{made[1]}"
        ).encode("utf-8", "surrogatepass")
    ),
    st.text(alphabet='-b\r\n:;="namefilContt ', max_size=80).map(str.encode),
    st.binary(max_size=80),
)
_types = st.one_of(
    st.sampled_from(
        [
            "application/json; charset=",
            "multipart/form-data; boundary*=utf-8''b",
            'multipart/form-data; boundary="b',
            "multipart/form-data; boundary=\xff",
            "application/x-www-form-urlencoded; charset*=utf-8''utf-8",
            "application/x-www-form-urlencoded;;;=",
            "APPLICATION/JSON",
            "application/json, text/html",
            "text/plain",
            "/",
            ";",
        ]
    ),
    st.text(alphabet="abjson/;=\"'*-_ %\xe9", min_size=1, max_size=30).filter(lambda t: t == t.strip()),
)
FUZZED: dict[str, Any] = {
    "json": st.tuples(st.just(JSON), _json_bodies),
    "urlencoded": st.tuples(st.just(FORM), _form_bodies),
    "multipart": st.tuples(st.just("multipart/form-data; boundary=b"), _multipart_bodies),
    "anything": st.tuples(_types, st.one_of(_json_bodies, _form_bodies, _multipart_bodies)),
}


class KeptAlive:
    """One connection for many requests, opened again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self.link = http.client.HTTPConnection(client.HOST, port, timeout=10)

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        for attempt in (1, 2):
            try:
                self.link.request("POST", path, body, headers)
                answer = self.link.getresponse()
                answer.read()
                return answer.status
            except (http.client.HTTPException, OSError):
                self.link.close()
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")


def fuzz(relay: RelayProcess, kind: str, count: int) -> None:
    """Throw `count` bodies of a kind at both sources: no answer may blame the server."""
    link = KeptAlive(relay.port)
    proof = {"Authorization": f"Bearer {relay.hook_secret}"}

    @hypothesis_seed(SEED)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(FUZZED[kind], st.booleans())
    def throw(made: tuple[str, bytes], to_hook: bool) -> None:
        content_type, body = made
        path = "/submit/hook" if to_hook else "/submit/fuzzed"
        status = link.post(path, body, {"Content-Type": content_type} | (proof if to_hook else {}))
        assert status < 500, (status, content_type, body)

    try:
        throw()
    finally:
        link.link.close()


@pytest.fixture(scope="module")
def fuzzed(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    quick = {
        "newsletter": FORM_SOURCE,
        "fuzzed": FORM_SOURCE | {"wait": 0},
        "hook": HOOK_SOURCE | {"wait": 0},
    }
    with RelayProcess(config(upstream.url, quick, **WIDE)) as process:
        yield process
        assert "request.fault" not in process.output()
        assert "Traceback" not in process.output()


@pytest.mark.parametrize("kind", FUZZED)
def test_24_no_body_makes_the_relay_stumble(fuzzed: RelayProcess, kind: str, seed: int) -> None:
    fuzz(fuzzed, kind, int(os.environ.get("TEST_FUZZ", "300")))


@pytest.mark.slow
@pytest.mark.parametrize("kind", FUZZED)
def test_24_not_one_of_twenty_thousand_bodies_makes_the_relay_stumble(
    fuzzed: RelayProcess, kind: str, seed: int
) -> None:
    fuzz(fuzzed, kind, 20_000)


# --- 25: other methods and types ----------------------------------------------------------------------


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("source", ["newsletter", "hook"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "FOO"])
def test_25_other_methods_are_refused(relay: RelayProcess, method: str, source: str) -> None:
    with Raw(relay.port) as raw:
        raw.send(head(method, f"/submit/{source}", {"Content-Length": "0"}))
        answer = raw.read(method=method)
    assert answer.status == 405
    allowed = {name.strip() for name in (answer.header("Allow") or "").split(",")}
    assert allowed == {"POST", "OPTIONS"}


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("method", ["POST", "PUT", "TRACE", "FOO"])
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/receipts/" + "0" * 32, "/forms/newsletter"])
def test_25_what_can_only_be_read_is_not_written(relay: RelayProcess, method: str, path: str) -> None:
    with Raw(relay.port) as raw:
        answer = raw.send(head(method, path, {"Content-Length": "0"})).read()
    assert answer.status == 405 and "GET" in (answer.header("Allow") or "")


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/html",
        "application/xml",
        "application/octet-stream",
        "application/jsonp",
        "application/json-seq",
        "multipart/mixed; boundary=kit-boundary",
        "image/png",
        "x",
        "",
        None,
    ],
)
def test_25_other_types_are_refused(relay: RelayProcess, content_type: str | None) -> None:
    refused(post(relay, b"email=ada@example.com", content_type), 415)


def test_25_a_types_case_and_blanks_do_not_matter(relay: RelayProcess) -> None:
    body = json.dumps({"email": person()}).encode()
    assert post(relay, body, "Application/JSON ;charset=UTF-8").status == 201


# --- 36, 37: what costs much --------------------------------------------------------------------------

LABOUR = {
    "labels": "a@" + "a-" * 50_000,
    "one label": "a@" + "a" * 100_000 + ".example.com",
    "dots": "a@" + "a." * 50_000 + "com",
    "local dots": "a." * 50_000 + "@example.com",
    "ats": "@" * 80_000,
    "quotes": '"' * 80_000 + "@example.com",
    "international": "a@" + "ü" * 40_000 + ".com",
    "punycode": "a@xn--" + "a" * 100_000 + ".com",
    "brackets": "(" * 80_000,
    "digits": "+49" + "1" * 100_000,
    "spaced digits": "+4 9 " * 20_000,
    "paths": "/../" * 25_000,
    "blanks": " " * 100_000,
    "line ends": "\r\n" * 40_000,
    "marks": "e" + "\u0301" * 40_000,
    "joined": "\u200d" * 25_000,
    "many words": "a b " * 25_000,
}


@pytest.mark.parametrize("name", LABOUR)
@pytest.mark.parametrize("source", ["newsletter", "long"])
def test_36_no_text_makes_the_relay_toil(relay: RelayProcess, source: str, name: str) -> None:
    """As every field of a form; the second source lets texts of this length through to what reads them."""
    for field in ("email", "phone", "first_name", "relay_ts"):
        fields = {"email": person(), "first_name": "Ada"} | {field: LABOUR[name]}
        took = []
        for _ in range(5):  # the best of five: other tests may be using the machine
            began = time.monotonic()
            answer = request(
                relay.port,
                "POST",
                f"/submit/{source}",
                encoded(fields),
                {"Content-Type": FORM, "Accept": JSON},
            )
            took.append(time.monotonic() - began)
            allowed = (413,) if source == "newsletter" else (201, 202, 422)
            assert answer.status in allowed, (field, answer.status, answer.text[:300])
            if min(took) < 0.05:
                break
        assert min(took) < 0.05, (field, took)


def test_37_fifty_of_the_largest_bodies_at_once_are_taken(relay: RelayProcess) -> None:
    worker = relay.worker_pids()
    bodies = [largest(person()) for _ in range(50)]
    most = [relay.rss()]
    with ThreadPoolExecutor(50) as crowd:
        waiting = [crowd.submit(post, relay, body, JSON, "hook") for body in bodies]
        while not all(one.done() for one in waiting):
            most.append(relay.rss())
            time.sleep(0.02)
    assert {one.result().status for one in waiting} <= {201, 202}
    assert max(most) < 300_000_000, max(most)
    assert relay.worker_pids() == worker


def largest(email: str) -> bytes:
    """JSON of exactly as many bytes as may be, in as many keys."""
    fields = {"email": email} | {f"f{n}": "x" * 1300 for n in range(198)}
    room = CAP - len(json.dumps(fields | {"rest": ""}))
    body = json.dumps(fields | {"rest": "x" * room}).encode()
    assert len(body) == CAP
    return body


# --- and the way there --------------------------------------------------------------------------------


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    "start",
    [
        b"GARBAGE\r\n\r\n",
        b"POST /submit/newsletter HTTP/9.9\r\nHost: x\r\n\r\n",
        b"POST /submit/newsletter\r\n\r\n",
        b"POST " + b"/" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /submit/newsletter HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 70_000 + b"\r\n\r\n",
        b"POST /submit/newsletter HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\nContent-Length: 0\r\n\r\n",
        b"POST /submit/newsletter HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /submit/newsletter HTTP/1.1\r\nHost: x\r\nContent-Length: 1e1\r\n\r\nemail=a@bc",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
    ],
    ids=[
        "garbage",
        "version",
        "no version",
        "long line",
        "long header",
        "name",
        "negative",
        "float",
        "TLS",
        "NULs",
    ],
)
def test_what_is_not_http_is_refused(relay: RelayProcess, start: bytes) -> None:
    with Raw(relay.port) as raw:
        try:
            raw.send(start).half_close()
        except OSError:  # hung up on in the middle of it
            return
        seen = raw.read_all(10)
    statuses = re.findall(rb"^HTTP/1\.[01] (\d{3})", seen, re.MULTILINE)
    assert all(400 <= int(status) < 500 for status in statuses), seen[:200]


def test_after_all_that_a_plain_sign_up_still_works(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    assert forwarded(post(relay, encoded({"email": email})), upstream) == {"email": email}
    with socket.create_connection((client.HOST, relay.port), 5) as sock:
        sock.sendall(head("GET", "/healthz"))
        assert b" 200 " in sock.recv(4096)
