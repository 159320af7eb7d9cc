"""Bodies that hold too little, or do not end where they should."""

import json
import re
import socket
import time
from typing import Any

import pytest

from tests.kit import client
from tests.kit.client import NoAnswer, Raw, encoded, head, multipart
from tests.kit.relay import RelayProcess
from tests.kit.upstream import ScriptedUpstream
from tests.web.sent import CAP, FORM, JSON, KINDS, MULTIPART, body_of, forwarded, person, post, refused
from tests.web.sent import SOURCES as SOURCES

pytestmark = pytest.mark.usefixtures("no_faults")

# --- too little ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("content_type", [None, FORM, MULTIPART])
def test_no_fields_are_refused_by_naming_what_is_missing(
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
def test_one_contact_is_enough(
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
def test_blank_contacts_are_none(relay: RelayProcess, kind: str, fields: dict[str, str]) -> None:
    assert refused(post(relay, *body_of(kind, fields)), 422)["errors"]


# --- bodies that do not end where they should -------------------------------------------------


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("content_type", [FORM, JSON, MULTIPART])
@pytest.mark.parametrize("end", ["half-close", "reset"])
def test_a_body_cut_off_in_flight_is_not_taken(relay: RelayProcess, content_type: str, end: str) -> None:
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
def test_a_body_cut_at_a_field_boundary_is_not_taken(relay: RelayProcess) -> None:
    """What arrived is a whole form by itself."""
    part = encoded({"email": person()})
    headers = {"Content-Type": FORM, "Content-Length": str(len(part) + 1)}
    with Raw(relay.port) as raw:
        raw.send(head("POST", "/submit/newsletter", headers) + part).half_close()
        assert answered_or_closed(raw) in (400, None)


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    ("content_type", "whole"),
    [(FORM, b"first_name=Zo\xc3\xab&email=ada@example.community"), (JSON, b'{"email": "a@example.com"}}}}')],
    ids=["form", "JSON"],
)
def test_a_body_longer_than_announced_is_not_taken(
    relay: RelayProcess, content_type: str, whole: bytes
) -> None:
    """Its sender counted letters for bytes; what is announced may be a whole sign-up of somebody else."""
    headers = {"Content-Type": content_type, "Content-Length": str(len(whole) - 3)}
    with Raw(relay.port) as raw:
        raw.send(head("POST", "/submit/newsletter", headers) + whole)
        assert answered_or_closed(raw) == 400
        assert raw.read_all(1.5) == b""


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (("POST", "/submit/nowhere"), 404),
        (("PUT", "/submit/newsletter"), 405),
        (("POST", "/submit/newsletter", {"Content-Type": "image/png"}), 415),
        (("POST", "/submit/hook"), 401),
        (("GET", "/healthz"), 200),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else " ".join(value[:2]),
)
def test_what_else_is_wrong_with_a_request_goes_before_the_length_of_its_body(
    relay: RelayProcess, start: tuple[Any, ...], status: int
) -> None:
    method, path, *more = start
    headers = {"Content-Type": JSON, "Content-Length": "2", **(more[0] if more else {})}
    with Raw(relay.port) as raw:
        raw.send(head(method, path, headers) + b"{}}")
        assert answered_or_closed(raw) == status
        assert raw.read_all(1.5) == b"", "what stood behind the body was taken for a request"


@pytest.mark.parametrize("end", ["cut", "longer"])
@pytest.mark.parametrize("body", [b"", b'{"expect": {"state": "invalid", "fence": 0}}'], ids=["none", "all"])
def test_no_act_is_done_by_a_body_of_another_length(relay: RelayProcess, body: bytes, end: str) -> None:
    """Without its ``expect``, or with half of it, another act would be done than was meant."""
    receipt = post(relay, json.dumps({"name": person()}).encode(), JSON, "hook").receipt
    announced = len(body) + 5 if end == "cut" else max(0, len(body) - 1)
    headers = {"Authorization": f"Bearer {relay.admin_token}", "Content-Type": JSON}
    start = head("POST", f"/api/submissions/{receipt}/discard", headers | {"Content-Length": str(announced)})
    with Raw(relay.port) as raw:
        raw.send(start + body + (b"" if end == "cut" else b"}" * (not body)))
        if end == "cut":
            raw.half_close()
        assert answered_or_closed(raw) == 400
    assert relay.state(str(receipt)) == "invalid"


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r\n\r\n"])
def test_empty_lines_after_a_body_do_no_harm(relay: RelayProcess, end: bytes) -> None:
    """Old browsers add one that they do not count."""
    whole = encoded({"email": person()})
    headers = {"Content-Type": FORM, "Content-Length": str(len(whole))}
    with Raw(relay.port) as raw:
        raw.send(head("POST", "/submit/newsletter", headers) + whole + end)
        assert answered_or_closed(raw) == 201


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
def test_a_chunked_body_over_the_cap_is_refused_not_cut(
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


def test_a_body_of_exactly_the_cap_is_taken(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    body = form_of(CAP, email)
    assert len(body) == CAP
    assert forwarded(post(relay, body), upstream) == {"email": email}


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("announced", [CAP + 1, 10**12])
def test_a_body_over_the_cap_is_refused_at_once_and_unread(relay: RelayProcess, announced: int) -> None:
    with Raw(relay.port) as raw:
        headers = {"Content-Type": FORM, "Content-Length": str(announced)}
        raw.send(head("POST", "/submit/newsletter", headers))
        answer = raw.read(5)
        assert answer.status == 413 and answer.header("Connection") == "close"
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
def test_unfinished_and_malformed_chunks_are_refused(relay: RelayProcess, body: bytes) -> None:
    with Raw(relay.port) as raw:
        headers = {"Content-Type": FORM, "Transfer-Encoding": "chunked"}
        raw.send(head("POST", "/submit/newsletter", headers) + body).half_close()
        assert answered_or_closed(raw) in (400, None)


def test_a_finished_chunked_body_is_taken(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    body = encoded({"email": email})
    with Raw(relay.port) as raw:
        headers = {"Content-Type": FORM, "Transfer-Encoding": "chunked", "Accept": JSON}
        raw.send(head("POST", "/submit/newsletter", headers))
        raw.chunk(body[:7]).chunk(body[7:]).last_chunk()
        assert forwarded(raw.read(), upstream) == {"email": email}


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
