"""What upstream's answers mean: every row of the table of outcomes."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from relay import outcome
from relay.outcome import (
    MAX_WAIT_SECONDS,
    Answer,
    Delivered,
    Forbidden,
    Later,
    Misconfigured,
    NoAnswer,
    Outcome,
    Refused,
    Unclear,
    Wait,
)

NOW = 1_789_999_990.0
"""10 seconds after a full minute, so that 50 are left of it."""
DATE = datetime.fromtimestamp(NOW, UTC)
ID = "17430755068336100383"


def read(status: int, headers: dict[str, str] | None = None, body: Any = b"") -> Outcome:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return outcome.read(Answer(status, headers or {}, raw), NOW)


def http_date(seconds: float) -> str:
    return format_datetime(DATE + timedelta(seconds=seconds), usegmt=True)


# --- statuses ----------------------------------------------------------------------

ROWS: list[tuple[type[Outcome], str, list[int]]] = [
    (Delivered, "delivered", [200, 201, 202, 204, 206, 299]),
    (Refused, "refused", [400, 409, 413, 415, 422]),
    (Misconfigured, "misconfigured", [401, 404, 405, 300, 301, 302, 303, 304, 307, 308, 399]),
    (Forbidden, "later", [403]),
    (Wait, "wait", [429]),
    (Later, "later", [503]),
    (
        Unclear,
        "unclear",
        [100, 199, 402, 406, 408, 410, 418, 421, 426, 428, 431, 451, 499, 500, 501, 502, 504, 520, 599, 999],
    ),
]


@pytest.mark.parametrize(
    ("kind", "word", "status"),
    [(kind, word, status) for kind, word, statuses in ROWS for status in statuses],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_each_status_has_one_meaning(kind: type[Outcome], word: str, status: int) -> None:
    found = read(status)
    assert (type(found), found.word, found.status) == (kind, word, status)


def test_an_error_of_upstreams_own_was_answered() -> None:
    assert read(500) == Unclear(500, answered=True, why="500")


@pytest.mark.parametrize("status", [401, 302])
def test_what_is_misconfigured_names_the_status(status: int) -> None:
    assert read(status) == Misconfigured(status, str(status))


# --- silence -----------------------------------------------------------------------


@pytest.mark.parametrize("why", ["refused", "dns", "timeout", "not connected", "tls"])
def test_what_was_never_written_is_tried_later(why: str) -> None:
    assert outcome.read(NoAnswer(why, may_have_arrived=False), NOW) == Later(None, None, why)


@pytest.mark.parametrize("why", ["timeout", "reset", "crash", "tls", "not connected"])
def test_what_was_written_and_not_answered_is_unclear(why: str) -> None:
    found = outcome.read(NoAnswer(why, may_have_arrived=True), NOW)
    assert found == Unclear(None, answered=False, why=why)


def test_a_bad_certificate_is_a_matter_of_configuration() -> None:
    found = outcome.read(NoAnswer("certificate", may_have_arrived=False), NOW)
    assert found == Misconfigured(None, "certificate")


# --- 201 ---------------------------------------------------------------------------------

BODIES: dict[str, tuple[bytes, str | None]] = {
    "20 digits as text": (b'{"id": "17430755068336100383"}', ID),
    "20 digits as a number": (b'{"id": 17430755068336100383}', ID),
    "empty": (b"", None),
    "no JSON": (b"<html>created</html>", None),
    "cut": (b'{"id": "174307550683', None),
    "not UTF-8": (b'{"id": "\xff"}', None),
    "a list": (b'[{"id": "1"}]', None),
    "null": (b"null", None),
    "no id": (b'{"status": "1"}', None),
    "id is null": (b'{"id": null}', None),
    "id is true": (b'{"id": true}', None),
    "id is a float": (b'{"id": 1.5}', None),
    "id is a list": (b'{"id": ["1"]}', None),
    "id is empty": (b'{"id": ""}', None),
    "id with a path": (b'{"id": "../lists/1"}', None),
    "id with a newline": (b'{"id": "1\\n"}', None),
    "id of 65 characters": (b'{"id": "' + b"1" * 65 + b'"}', None),
    "id of 5,000 digits": (b'{"id": ' + b"1" * 5000 + b"}", None),
    "nested 100,000 deep": (b"[" * 100_000, None),
}


@pytest.mark.parametrize(("body", "profile_id"), BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("status", [201, 200])
def test_a_2xx_is_delivered_whatever_its_body(status: int, body: bytes, profile_id: str | None) -> None:
    found = read(status, body=body)
    assert isinstance(found, Delivered)
    assert found.profile_id == profile_id


def test_what_upstream_knows_of_a_person_is_in_no_representation() -> None:
    found = read(201, body={"id": ID, "email": "jane@example.com"})
    assert "jane" not in repr(found)
    assert "jane" not in repr(Answer(201, {}, b"jane"))


# --- 429 ----------------------------------------------------------------------------------

REST_OF_MINUTE = 50.0
WAITS: dict[str, tuple[dict[str, str], float]] = {
    "seconds": ({"retry-after": "7"}, 7),
    "seconds with blanks": ({"retry-after": " 7 "}, 7),
    "absent": ({}, REST_OF_MINUTE),
    "empty": ({"retry-after": ""}, REST_OF_MINUTE),
    "0": ({"retry-after": "0"}, REST_OF_MINUTE),
    "a word": ({"retry-after": "abc"}, REST_OF_MINUTE),
    "a fraction": ({"retry-after": "1.5"}, REST_OF_MINUTE),
    "other negative numbers": ({"retry-after": "-5"}, REST_OF_MINUTE),
    "full-width digits": ({"retry-after": "７"}, REST_OF_MINUTE),
    "ten to the ninth": ({"retry-after": "1000000000"}, MAX_WAIT_SECONDS),
    "fifty digits": ({"retry-after": "9" * 50}, MAX_WAIT_SECONDS),
    "six hours": ({"retry-after": "21600"}, 21600),
    "six hours and a second": ({"retry-after": "21601"}, 21600),
    "two headers: the longer": ({"retry-after": "7, 30"}, 30),
    "two headers, one nonsense": ({"retry-after": "soon, 30"}, 30),
    "a date": ({"retry-after": http_date(90), "date": http_date(0)}, 90),
    "a date, upstream an hour fast": ({"retry-after": http_date(3690), "date": http_date(3600)}, 90),
    "a date, upstream an hour slow": ({"retry-after": http_date(-3510), "date": http_date(-3600)}, 90),
    "a date without a Date": ({"retry-after": http_date(90)}, 90),
    "a date with a broken Date": ({"retry-after": http_date(90), "date": "today"}, 90),
    "a date in the past": ({"retry-after": http_date(-90), "date": http_date(0)}, REST_OF_MINUTE),
    "a date in the year 9999": (
        {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT", "date": http_date(0)},
        MAX_WAIT_SECONDS,
    ),
    "a date without a zone": (
        {"retry-after": http_date(90).replace("GMT", "-0000"), "date": http_date(0)},
        90,
    ),
    "a broken date": ({"retry-after": "Wed, 99 Foo 2026 07:28:00 GMT", "date": http_date(0)}, REST_OF_MINUTE),
    "limit headers say nothing here": (
        {"x-ratelimit-limit": "10", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"},
        REST_OF_MINUTE,
    ),
}


@pytest.mark.parametrize(("headers", "seconds"), WAITS.values(), ids=WAITS.keys())
def test_a_429_says_how_long_to_wait(headers: dict[str, str], seconds: float) -> None:
    found = read(429, headers)
    assert isinstance(found, Wait)
    assert (found.seconds, found.parallel) == (seconds, False)


@pytest.mark.parametrize("text", ["-1", " -1 ", "-1, 30", "30, -1"])
def test_minus_one_means_too_many_parallel_calls(text: str) -> None:
    found = read(429, {"retry-after": text})
    assert isinstance(found, Wait)
    assert found.parallel


@pytest.mark.parametrize("second", [0.0, 59.0, 59.999])
def test_the_rest_of_the_minute_is_never_nothing(second: float) -> None:
    start = NOW - 10
    found = outcome.read(Answer(429), start + second)
    assert isinstance(found, Wait)
    assert found.seconds == pytest.approx(max(1.0, 60 - second))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120),
        ({}, None),
        ({"retry-after": "abc"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1000000000"}, MAX_WAIT_SECONDS),
        ({"retry-after": http_date(90), "date": http_date(0)}, 90),
    ],
)
def test_a_503_may_say_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    assert read(503, headers) == Later(503, seconds, "503")


# --- trace ids --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503, 302])
def test_an_error_keeps_its_trace_id(status: int) -> None:
    assert read(status, body={"code": status, "trace_id": "9f1c-42"}).trace_id == "9f1c-42"


@pytest.mark.parametrize(
    "body",
    [
        {"trace_id": "jane@example.com"},
        {"trace_id": "4915112345678"},
        {"trace_id": "030-1234567"},
        {"trace_id": "<script>alert(1)</script>"},
        {"trace_id": "two words"},
        {"trace_id": "x" * 65},
        {"trace_id": 42},
        {"trace_id": "line\nbreak"},
        {"trace_id": ""},
        ["trace_id"],
        b"\xff\xfe",
    ],
)
def test_a_trace_id_that_is_none_is_left_out(body: Any) -> None:
    """Upstream may echo what it was sent."""
    assert read(400, body=body).trace_id is None


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"1e999"])
def test_a_number_that_json_has_not_is_none(number: bytes) -> None:
    """It may be shown to a caller, whose answer must be JSON."""
    found = read(201, body=b'{"id": "7", "cost": %s, "score": 1.5}' % number)
    assert isinstance(found, Delivered)
    assert found.profile == {"id": "7", "cost": None, "score": 1.5}


def test_a_success_has_no_trace_id() -> None:
    assert read(201, body={"trace_id": "9f1c-42"}).trace_id is None


# --- looks -----------------------------------------------------------------------------


def test_a_look_says_whether_upstream_answers_and_when_a_503_asks_to_come_back() -> None:
    def look(status: int, headers: dict[str, str]) -> outcome.Seen | outcome.Wait:
        return outcome.read_look(Answer(status, headers), NOW)

    assert look(503, {"retry-after": "120"}) == outcome.Seen(False, 503, 120)
    assert look(503, {}) == outcome.Seen(False, 503)
    assert look(502, {"retry-after": "120"}) == outcome.Seen(False, 502)
    assert look(405, {"retry-after": "120"}) == outcome.Seen(True, 405)
    assert look(429, {"retry-after": "7"}) == Wait(429, 7)


# --- what remains of the quota ---------------------------------------------------------


@pytest.mark.parametrize(
    ("remaining", "reset", "seconds"),
    [
        ("0", "12", 12.0),
        (" 0 ", " 12 ", 12.0),
        ("0", "600", 60.0),
        ("0", "0", None),
        ("1", "12", None),
        ("-1", "12", None),
        ("", "12", None),
        ("0", "", None),
        ("0", "soon", None),
        ("0", "-5", None),
        ("0", "1e9", None),
        ("0", "1790000000", None),
    ],
)
def test_an_answer_says_when_nothing_remains(remaining: str, reset: str, seconds: float | None) -> None:
    found = read(201, {"x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset})
    assert found.exhausted_for == seconds


def test_without_limit_headers_nothing_is_known_to_be_exhausted() -> None:
    assert read(201).exhausted_for is None
    assert outcome.read(NoAnswer("reset", may_have_arrived=True), NOW).exhausted_for is None
