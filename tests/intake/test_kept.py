"""What a machine has proven is kept even where nobody can read it, and is never called ignored."""

import base64
import gzip
import hashlib
import hmac
import json
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.client import Answer, multipart, request
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
ACCEPT = HOOK | {"on_failure": "accept", "wait": 10}
SIGNED = {"scheme": "hmac-sha256", "header": "X-Signature", "encoding": "hex", "signed": "{body}"}
SOURCES: dict[str, Any] = {
    "newsletter": NEWSLETTER | {"wait": 10, "reply": ["id"]},
    "quiet": NEWSLETTER,
    "report": HOOK | {"wait": 10},
    "accept": ACCEPT,
    "small": ACCEPT | {"max_body": "2KiB", "max_fields": 5},
    "exact": ACCEPT | {"success_status": 200},
    "signed": ACCEPT | {"verify": SIGNED},
    "events": ACCEPT | {"shape": "event", "only": "event == 'signup'"},
    "narrow": ACCEPT | {"only": "event == 'signup'"},
    "listed": ACCEPT | {"shape": "[event][?contains(['a', 'b'], @)] | [0]", "only": "event == 'a'"},
    "reported": HOOK | {"shape": "event", "only": "event == 'signup'", "test": "is_test"},
    "topics": ACCEPT | {"only_header": {"name": "X-Topic", "values": ["created"]}},
    "open": ACCEPT | {"verify": "none", "shape": "event", "client_limits": "1000/second"},
}
del SOURCES["open"]["secret"]


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    with RelayProcess(config(upstream.url, SOURCES, limits="500/second; 100000/minute")) as process:
        yield process


def person() -> str:
    return f"ada-{uuid.uuid4().hex[:12]}@example.com"


def post(
    relay: RelayProcess, source: str, body: bytes, content_type: str | None = JSON, **headers: str
) -> Answer:
    sent = {"Authorization": f"Bearer {relay.hook_secret}"}
    sent |= {name.replace("_", "-"): text for name, text in headers.items()}
    if content_type is not None:
        sent["Content-Type"] = content_type
    return request(relay.port, "POST", f"/submit/{source}", body, sent)


def kept(relay: RelayProcess, answer: Answer, reason: str, status: int = 202) -> dict[str, Any]:
    assert answer.status == status, answer.text
    assert answer.json == {"receipt": answer.receipt, "state": "kept"}
    row = relay.submission(answer.receipt or "")
    assert (row["state"], row["reason"]) == ("invalid", reason)
    assert relay.get(f"/receipts/{answer.receipt}").json["state"] == "kept"
    return row


UNREADABLE: dict[str, tuple[bytes, str | None, dict[str, str]]] = {
    "broken JSON": (b'{"email": "ada@', JSON, {}),
    "nothing": (b"", JSON, {}),
    "NaN": (b'{"email": "ada@example.com", "score": NaN}', JSON, {}),
    "a key twice": (b'{"email": "a@example.com", "email": "b@example.com"}', JSON, {}),
    "a list of two": (b'[{"email": "a@example.com"}, {"email": "b@example.com"}]', JSON, {}),
    "a list of none": (b"[]", JSON, {}),
    "text": (b'"ada@example.com"', JSON, {}),
    "too deep": (b'{"a":' * 40 + b"1" + b"}" * 40, JSON, {}),
    "UTF-16": ('{"email": "ada@example.com"}'.encode("utf-16"), "application/json; charset=utf-16", {}),
    "bytes that are no text": (b"\xff\xfe\x00\x01", JSON, {}),
    "NUL": (b'{"email": "\\u0000"}', JSON, {}),
    "XML": (b"<email>ada@example.com</email>", "application/xml", {}),
    "plain text": (b"email: ada@example.com", "text/plain", {}),
    "no type": (b'{"email": "ada@example.com"}', None, {}),
    "a form of bad escapes": (b"email=ada%zz", FORM, {}),
    "a form in another charset": (b"email=ada@example.com&name=%FF", FORM, {}),
    "multipart without its end": (b"--x\r\n", "multipart/form-data; boundary=x", {}),
    "gzip that is none": (b'{"email": "bea@example.com"}', JSON, {"Content-Encoding": "gzip"}),
    "gzip cut short": (gzip.compress(b'{"a": 1}')[:-3], JSON, {"Content-Encoding": "gzip"}),
    "deflate": (zlib.compress(b'{"a": 1}'), JSON, {"Content-Encoding": "deflate"}),
    "brotli": (b"\x0b\x02\x80", JSON, {"Content-Encoding": "br"}),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_proven_and_unreadable_is_kept(relay: RelayProcess, name: str) -> None:
    body, content_type, headers = UNREADABLE[name]
    first = post(relay, "accept", body, content_type, **headers)
    kept(relay, first, "unreadable")
    again = post(relay, "accept", body, content_type, **headers)
    assert again.json == {"receipt": first.receipt, "state": "kept", "repeat": True} and again.status == 200


@pytest.mark.parametrize("name", UNREADABLE)
def test_unproven_or_reporting_nothing_unreadable_is_kept(relay: RelayProcess, name: str) -> None:
    body, content_type, headers = UNREADABLE[name]
    before = len(relay.rows(False))
    assert post(relay, "accept", body, content_type, Authorization="Bearer wrong", **headers).status == 401
    for source in ("report", "open", "newsletter"):
        refused = post(relay, source, body, content_type, **headers)
        assert refused.status in (400, 415) and "receipt" not in refused.json, source
    assert len(relay.rows(False)) == before


def test_what_is_kept_answers_the_status_its_sender_needs(relay: RelayProcess) -> None:
    kept(relay, post(relay, "exact", b"{"), "unreadable", 200)
    answer = post(relay, "exact", b'{"email": "nonsense"}')
    assert (answer.status, answer.json["state"]) == (200, "kept")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"x" * 2049, {}, 413),
        (json.dumps({f"k{n}": 1 for n in range(6)}).encode(), {}, 413),
        (gzip.compress(b"x" * 2049), {"Content-Encoding": "gzip"}, 413),
        (gzip.compress(b"\0" * 1_500_000), {"Content-Encoding": "gzip"}, 413),
    ],
    ids=["long", "many keys", "long when unpacked", "a bomb"],
)
def test_what_is_too_large_is_never_kept(
    relay: RelayProcess, body: bytes, headers: dict[str, str], status: int
) -> None:
    before = len(relay.rows(False))
    assert post(relay, "small", body, **headers).status == status
    assert len(relay.rows(False)) == before


def test_the_bytes_are_kept_as_they_came(relay: RelayProcess) -> None:
    """Nothing is stored much larger than it was sent, and the same bytes can be mapped again."""
    size = sum(file.stat().st_size for file in Path(relay.folder).glob("relay.db*"))
    for n in range(8):
        answer = post(relay, "accept", b"%d" % n + b"\x01\x7f\xff" * 60_000)
        kept(relay, answer, "unreadable")
    grown = sum(file.stat().st_size for file in Path(relay.folder).glob("relay.db*")) - size
    assert grown < 8 * 180_000 * 2.5, grown  # once in the database, once in its log


# --- what can be read after all -------------------------------------------------------------------------


def arrived(upstream: ScriptedUpstream, address: str) -> dict[str, Any]:
    (call,) = [one.json for one in upstream.arrivals if one.json.get("email") == address]
    return dict(call)


def test_an_object_alone_in_a_list_is_taken(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    for source in ("accept", "report"):
        address = person()
        answer = post(relay, source, json.dumps([{"email": address}]).encode())
        assert answer.status == 201 and arrived(upstream, address) == {"email": address}
    assert relay.form({}, "newsletter").status == 422
    body = json.dumps([{"email": person()}]).encode()
    assert request(relay.port, "POST", "/submit/newsletter", body, {"Content-Type": JSON}).status == 400


def test_json_that_is_called_a_form_is_a_sign_up_of_a_machine_alone(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    body = b'{"email": "ursa@example.com"}'
    assert post(relay, "report", body, FORM).status == 201
    assert upstream.arrivals[-1].json == {"email": "ursa@example.com"}
    visitor = request(relay.port, "POST", "/submit/newsletter", body, {"Content-Type": FORM})
    assert visitor.json["state"] == "kept"


@pytest.mark.parametrize("content_type", ["application/json", "application/vnd.sender.v2+json"])
def test_a_byte_order_mark_and_kinds_of_json_are_json(
    relay: RelayProcess, upstream: ScriptedUpstream, content_type: str
) -> None:
    address = person()
    body = b"\xef\xbb\xbf" + json.dumps({"email": address}).encode()
    assert post(relay, "report", body, content_type).status == 201
    assert arrived(upstream, address) == {"email": address}


@pytest.mark.parametrize("source", ["accept", "report"])
def test_gzip_from_a_proven_sender_is_unpacked(
    relay: RelayProcess, upstream: ScriptedUpstream, source: str
) -> None:
    address = person()
    body = gzip.compress(json.dumps({"email": address}).encode())
    answer = post(relay, source, body, Content_Encoding="GZip")
    assert answer.status == 201 and arrived(upstream, address) == {"email": address}
    form = {"Content-Type": FORM, "Content-Encoding": "gzip"}
    packed = gzip.compress(b"email=ada@example.com")
    assert request(relay.port, "POST", "/submit/newsletter", packed, form).status == 415


def test_a_signature_may_cover_the_body_before_or_after_compression(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    for is_before in (True, False):
        address = person()
        text = json.dumps({"email": address}).encode()
        packed = gzip.compress(text)
        signed = text if is_before else packed
        proof = hmac.new(relay.hook_secret.encode(), signed, hashlib.sha256).hexdigest()
        headers = {"X-Signature": proof, "Content-Encoding": "gzip"}
        assert post(relay, "signed", packed, **headers).status == 201
        assert arrived(upstream, address) == {"email": address}
        assert post(relay, "signed", packed[:-1], **headers).status == 401


def test_a_form_says_what_it_is_written_in(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    address = person()
    body = f"email={address}&first_name=Zo%EB&_charset_=windows-1252".encode()
    assert request(relay.port, "POST", "/submit/newsletter", body, {"Content-Type": FORM}).status == 201
    assert arrived(upstream, address) == {"email": address, "full_name": "Zoë"}


# --- files ----------------------------------------------------------------------------------------------


def with_file(address: str, content: bytes = b"%PDF") -> bytes:
    part = b'--kit-boundary\r\nContent-Disposition: form-data; name="cv"; filename="cv.pdf"\r\n\r\n'
    return part + content + b"\r\n" + multipart({"email": address})[0]


@pytest.mark.parametrize("source", ["newsletter", "report", "quiet"])
def test_a_file_is_left_out_and_named_and_the_sign_up_is_taken(
    relay: RelayProcess, upstream: ScriptedUpstream, source: str
) -> None:
    address = person()
    answer = post(relay, source, with_file(address), "multipart/form-data; boundary=kit-boundary")
    assert answer.status == (202 if source == "quiet" else 201), answer.text
    assert answer.json["dropped"] == answer.json["ignored_files"] == ["cv"]
    relay.wait_state(answer.receipt or "", "delivered")
    assert arrived(upstream, address) == {"email": address}
    row = relay.submission(answer.receipt or "")
    assert row["contact_hint"] is None, "no payload is kept for a file"
    assert row["dropped"] == ["cv"]


def test_the_name_of_a_files_field_is_shown_only_if_it_is_no_persons(relay: RelayProcess) -> None:
    body = with_file(person()).replace(b'name="cv"', b'name="ada@example.com"')
    answer = post(relay, "report", body, "multipart/form-data; boundary=kit-boundary")
    assert answer.json["ignored_files"] == ["ada@example.com"], "its sender knows it"
    assert relay.submission(answer.receipt or "")["dropped"] == ["(unusual name)"]


def test_a_file_larger_than_a_body_may_be_is_refused(relay: RelayProcess) -> None:
    body = with_file(person(), b"x" * 300_000)
    assert post(relay, "report", body, "multipart/form-data; boundary=kit-boundary").status == 413


# --- shapes nobody expected -----------------------------------------------------------------------------


def test_an_event_without_its_name_is_kept_and_another_event_is_not(relay: RelayProcess) -> None:
    before = len(relay.rows(False))
    assert post(relay, "events", b'{"event": "deleted"}').json == {"state": "ignored"}
    assert len(relay.rows(False)) == before
    for unnamed in (None, "", " ", []):
        body = json.dumps({"event": unnamed, "email": person()}).encode()
        kept(relay, post(relay, "events", body), "unknown shape")
    body = json.dumps({"event_type_id": "signup", "email": person()}).encode()
    kept(relay, post(relay, "events", body), "unknown shape")


def test_a_shape_may_list_the_events_that_are_known(relay: RelayProcess) -> None:
    assert post(relay, "listed", b'{"event": "b"}').json == {"state": "ignored"}
    kept(relay, post(relay, "listed", b'{"event": "c"}'), "unknown shape")


def test_an_unknown_shape_is_reported_where_failures_are(relay: RelayProcess) -> None:
    answer = post(relay, "reported", json.dumps({"email": person()}).encode())
    assert answer.status == 422 and answer.json["receipt"]
    assert relay.submission(answer.receipt or "")["reason"] == "unknown shape"
    assert post(relay, "reported", b'{"is_test": true}').json == {"state": "ignored"}


def test_a_header_that_is_another_or_missing_leaves_a_message_out(relay: RelayProcess) -> None:
    body = json.dumps({"email": person()}).encode()
    before = len(relay.rows(False))
    assert post(relay, "topics", body, X_Topic="deleted").json == {"state": "ignored"}
    assert post(relay, "topics", body).json == {"state": "ignored"}
    assert len(relay.rows(False)) == before
    assert post(relay, "topics", body, Authorization="Bearer wrong").status == 401


def test_where_only_looks_and_finds_nothing_a_message_is_left_out_without_a_shape(
    relay: RelayProcess,
) -> None:
    other = json.dumps({"type": "signup", "email": person()}).encode()
    assert post(relay, "narrow", other).json == {"state": "ignored"}
    kept(relay, post(relay, "events", other), "unknown shape")


def test_who_proved_nothing_has_no_shape(relay: RelayProcess) -> None:
    answer = post(relay, "open", json.dumps({"email": person()}).encode())
    assert answer.status == 201 and answer.json["state"] == "delivered"


def test_an_unknown_shape_is_sent_once_the_configuration_knows_it() -> None:
    address, changed = person(), {"shape": "type", "only": "type == 'signup'"}
    with (
        ScriptedUpstream() as upstream,
        RelayProcess(config(upstream.url, {"events": SOURCES["events"]})) as relay,
    ):
        answer = post(relay, "events", json.dumps({"type": "signup", "email": address}).encode())
        kept(relay, answer, "unknown shape")
        refused = relay.api("POST", f"/api/submissions/{answer.receipt}/replay")
        assert refused.status in (409, 422) and relay.state(answer.receipt or "") == "invalid"
        relay.configure(config(upstream.url, {"events": ACCEPT | changed}))
        relay.hup()
        eventually(lambda: "config.reloaded" in relay.output(), 5, "the reload")
        assert relay.api("POST", f"/api/submissions/{answer.receipt}/replay").status == 200
        relay.wait_state(answer.receipt or "", "delivered")
        assert arrived(upstream, address) == {"email": address}


# --- handshakes -----------------------------------------------------------------------------------------


def test_a_signed_challenge_is_no_proof() -> None:
    """Whoever asks gets a challenge signed, so such a body proves nothing."""
    shaking = {"kind": "webhook", "secret": "env:HOOK_SECRET", "verify": SIGNED, "on_failure": "accept"}
    shaking |= {"handshake": {"kind": "hmac", "query": "challenge"}, "fields": {"email": "email"}}
    with (
        ScriptedUpstream() as upstream,
        RelayProcess(config(upstream.url, {"shaking": shaking})) as relay,
    ):
        for word in ("email", base64.urlsafe_b64encode(b"x" * 99).decode(), "a" * 200):
            shaken = relay.get(f"/submit/shaking?challenge={word}").json
            headers = {"X-Signature": shaken["challengeResponse"], "Content-Type": FORM}
            answer = request(relay.port, "POST", "/submit/shaking", word.encode(), headers)
            assert answer.status == 401
        for body in ("email=a%40example.com", '{"email":"a@example.com"}', "a" * 201, ""):
            assert relay.get(f"/submit/shaking?challenge={body.replace('%', '%25')}").status == 400
        assert relay.rows(False) == []


@pytest.mark.parametrize("on_failure", ["report", "accept"])
def test_the_log_says_of_what_is_kept_why_as_its_row_does(on_failure: str) -> None:
    sources = {
        "hook": HOOK | {"on_failure": on_failure},
        "newsletter": NEWSLETTER | {"honeypot": "relay_leave_empty"},
    }
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url, sources)) as relay:
        relay.hook({"email": "nobody"})
        relay.hook(b"{")
        relay.form({"email": "bot@example.com", "relay_leave_empty": "x"})
        said = {row["receipt"]: row["reason"] for row in relay.rows(history=False)}
        unreadable = ["unreadable"] if on_failure == "accept" else []
        assert sorted(said.values()) == ["honeypot", "unmappable: email", *unreadable]

        def logged() -> dict[str, str]:
            lines = [one.data or {} for one in relay.log_lines()]
            return {one["receipt"]: one["reason"] for one in lines if one.get("receipt") and "reason" in one}

        eventually(lambda: logged() == said, 5, "the same reasons in the log")


def test_what_a_sender_writes_where_a_name_belongs_stands_in_no_reason_and_no_log() -> None:
    guessed = HOOK | {"fields": {"email": {"first": [{"only": "email"}]}}}
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url, {"hook": guessed})) as relay:
        for key in ("ada@example.com", "Ada on +49 151 12345678", "Ask", "Which address, then?"):
            assert relay.hook({key: "ada..x@example.com"}).status == 422

        said = [row["reason"] for row in relay.rows(history=False)]

        assert sorted(said) == ["unmappable: (unusual name)"] * 3 + ["unmappable: Ask"]
        assert "ada@" not in relay.output() and "12345678" not in relay.output()
