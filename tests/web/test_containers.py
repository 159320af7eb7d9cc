"""Multipart, files, compression and other shapes of a body."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.kit.client import encoded, multipart
from tests.kit.relay import RelayProcess
from tests.kit.upstream import ScriptedUpstream
from tests.web.sent import CAP, FORM, JSON, KINDS, MULTIPART, body_of, forwarded, person, post, refused
from tests.web.sent import SOURCES as SOURCES

pytestmark = pytest.mark.usefixtures("no_faults")

# --- containers -----------------------------------------------------------------------------

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
def test_multipart_that_is_none_is_never_an_empty_form(
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
        (many_files(201), MULTIPART, (413,)),
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
        "201 files",
        "501 kB",
        "17 kB",
        "form field",
        "JSON text",
        "part header",
        "part name",
    ],
)
def test_what_is_too_much_is_refused(
    relay: RelayProcess, body: bytes, content_type: str, statuses: tuple[int, ...]
) -> None:
    before = relay.rss()
    refused(post(relay, body, content_type), *statuses)
    assert relay.rss() - before < 20_000_000


@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_fields_of_the_longest_kind_are_not_too_much(relay: RelayProcess, kind: str) -> None:
    fields = {"email": person()} | {f"f{n}": "x" * 800 for n in range(199)}
    assert post(relay, *body_of(kind, fields)).status == 201
    assert post(relay, *body_of(kind, {"email": person(), "long": "x" * 16_384})).status == 201


def with_file(filename: str, content: bytes) -> bytes:
    part = (
        f'--kit-boundary\r\nContent-Disposition: form-data; name="cv"; filename="{filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return part.encode() + content + b"\r\n" + multipart({"email": person()})[0]


@pytest.mark.parametrize(("filename", "content"), [("cv.pdf", b"%PDF"), ("empty.txt", b""), ("", b"bytes")])
def test_a_file_is_left_out_and_named(
    relay: RelayProcess, upstream: ScriptedUpstream, filename: str, content: bytes
) -> None:
    answer = post(relay, with_file(filename, content), MULTIPART)
    assert list(forwarded(answer, upstream)) == ["email"]
    assert answer.json["ignored_files"] == ["cv"]


def test_an_empty_file_input_is_no_file(relay: RelayProcess) -> None:
    assert post(relay, with_file("", b""), MULTIPART).status == 201


FLOODS: dict[str, tuple[Callable[[int], bytes], str]] = {
    "names": (lambda n: b"a&" * n, FORM),
    "pairs": (lambda n: b"a=1&" * (n // 2) + b"email=ada@example.com", FORM),
    "brackets": (lambda n: b"a[b][c]=1&" * (n // 4), FORM),
    "keys": (lambda n: json.dumps({f"k{one}": 0 for one in range(n // 6)}).encode(), JSON),
    "objects": (lambda n: json.dumps({"x": [{str(one): 0} for one in range(n // 7)]}).encode(), JSON),
    "lists": (lambda n: json.dumps({"x": [[]] * (n // 2)}).encode(), JSON),
}


def labour_for(relay: RelayProcess, body: bytes, content_type: str) -> int:
    before = relay.labour()
    refused(post(relay, body, content_type), 400, 413, 422)
    return relay.labour() - before


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(("flood", "content_type"), FLOODS.values(), ids=FLOODS)
def test_a_flood_of_fields_costs_no_more_than_its_length(
    relay: RelayProcess, flood: Callable[[int], bytes], content_type: str
) -> None:
    spent = {}
    for size in (25_000, 100_000):
        body = flood(size)
        assert len(body) <= CAP
        spent[size] = min(labour_for(relay, body, content_type) for _ in range(7))
    assert spent[100_000] < 8 * spent[25_000], "sixteen times, if it were the square"


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "GZIP", "identity, gzip", "x"])
def test_compressed_bodies_are_refused_unread(relay: RelayProcess, coding: str) -> None:
    import gzip

    for body in (gzip.compress(b"email=ada@example.com"), gzip.compress(b"\0" * 10_000_000)):
        refused(post(relay, body, FORM, Content_Encoding=coding), 415)


def test_identity_is_no_compression(relay: RelayProcess) -> None:
    assert post(relay, encoded({"email": person()}), Content_Encoding="identity").status == 201


# --- other shapes -----------------------------------------------------------------------------


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("source", ["newsletter", "hook"])
@pytest.mark.parametrize(
    "body",
    [b"null", b"[]", b'"x"', b"1", b"true", b"", b" ", b"{", b"{}x", b"\xef\xbb\xbf", b"{'a': 1}", b"[[{}]]"],
)
def test_json_that_is_no_object_is_refused(relay: RelayProcess, body: bytes, source: str) -> None:
    refused(post(relay, body, JSON, source), 400)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("value", [["a@example.com", 1], {"a": "b"}, 5, True, False, [[]], {}, 1.5, [{}]])
def test_an_e_mail_that_is_no_text_is_refused_by_name(relay: RelayProcess, value: Any) -> None:
    body = json.dumps({"email": value, "first_name": "Ada"}).encode()
    problem = refused(post(relay, body, JSON), 422)
    assert list(problem["errors"]) == ["email"]


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], True, [{}]])
def test_a_name_that_is_no_text_is_refused_by_name(relay: RelayProcess, value: Any) -> None:
    body = json.dumps({"email": "ada@example.com", "first_name": value}).encode()
    problem = refused(post(relay, body, JSON), 422)
    assert list(problem["errors"]) == ["first_name"]
