"""Addresses, numbers and names in every shape people give them."""

import json
import uuid
from typing import Any

import pytest

from tests.kit.relay import RelayProcess
from tests.kit.upstream import ScriptedUpstream
from tests.web.sent import JSON, KINDS, body_of, forwarded, person, post, refused
from tests.web.sent import SOURCES as SOURCES

pytestmark = pytest.mark.usefixtures("no_faults")

# --- contacts and names ---------------------------------------------------------------------

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
    "bidi override": ("ada{0}\u202emoc@example.com", "ada{0}moc@example.com"),
    "zero-width space": ("ada{0}\u200b@example.com", "ada{0}@example.com"),
    "display name": ("Ada <ada{0}@example.com>", "ada{0}@example.com"),
    "mailto": ("mailto:ada{0}@example.com", "ada{0}@example.com"),
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
def test_e_mail_addresses_have_one_normal_form(
    relay: RelayProcess, upstream: ScriptedUpstream, text: str, normal: str | None, kind: str
) -> None:
    new = uuid.uuid4().hex[:10]
    answer = post(relay, *body_of(kind, {"email": text.replace("{0}", new)}))
    if normal is None:
        assert list(refused(answer, 422)["errors"]) == ["email"]
    else:
        assert forwarded(answer, upstream) == {"email": normal.replace("{0}", new)}


def test_a_homoglyph_is_another_address_and_stays_one(
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
    "punctuation": ("(0171) 12-3/45.67", "+491711234567"),
    "a number and another end": ("(030) 123-45/67", None),
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
def test_phone_numbers_become_e164_or_are_refused(
    relay: RelayProcess, upstream: ScriptedUpstream, text: str, normal: str | None, kind: str
) -> None:
    answer = post(relay, *body_of(kind, {"phone": text, "first_name": person()}))
    if normal is None:
        assert list(refused(answer, 422)["errors"]) == ["phone"]
    else:
        assert forwarded(answer, upstream)["mobile_phone_number"] == normal


def test_an_extension_is_dropped_or_refused_never_dialled(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    answer = post(relay, *body_of("json", {"phone": "+49 30 1234567 ext. 89", "first_name": person()}))
    if answer.status != 422:
        assert forwarded(answer, upstream)["mobile_phone_number"] == "+49301234567"


@pytest.mark.parametrize("bad", ["12", "call me", {"a": "call me"}])
def test_beside_a_good_e_mail_a_bad_phone_is_named_or_dropped(
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
def test_names_are_cleaned_and_arrive_whole(
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
def test_endless_names_are_refused_by_name(relay: RelayProcess, text: str) -> None:
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
def test_only_mapped_fields_are_forwarded(relay: RelayProcess, upstream: ScriptedUpstream, kind: str) -> None:
    email = person()
    extra = HOSTILE if kind == "json" else dict.fromkeys(HOSTILE, "x")
    answer = post(relay, *body_of(kind, extra | {"email": email}))
    assert forwarded(answer, upstream) == {"email": email}
    (call,) = [a for a in upstream.arrivals if a.profile_id == answer.json["profile"]["id"]]
    assert call.headers["authorization"] == f"Bearer {relay.token}"
