"""Consent: only what says yes is one, and the proof says what this form asked for."""

from typing import Any

import pytest

from relay.sources.consent import Box
from relay.sources.fields import NEEDED
from relay.sources.mapping import NO_CONSENT, NO_CONTACT, Mapping
from relay.sources.paths import Path
from relay.sources.rules import Rule

JANE = {"email": "jane@example.com", "phone": "+49301234567", "first_name": "Jane"}
RULES = {
    "email": Rule("email", joined=(Path("email"),)),
    "mobile_phone_number": Rule("phone", joined=(Path("phone"),)),
    "full_name": Rule("text", joined=(Path("first_name"),)),
}
BOTH = {"email": Box("news_mail"), "mobile_phone_number": Box("news_sms")}
ONE = dict.fromkeys(BOTH, Box("news"))


def form(consent: dict[str, Box], **more: Any) -> Mapping:
    return Mapping(RULES, consent=consent, **more)


YES: list[Any] = [
    *("on", "1", "true", "yes", "y", "ja", "oui", "si", "s\u00ed", "si\u0301", "agree", "agreed", "accept"),
    *("accepted", "checked", "subscribe", "subscribed", "opt-in", "ON", " Yes ", "\u200bja", "news", "NEWS"),
    *(
        True,
        1,
        1.0,
        ["1"],
        ["0", "1"],
        ["", "on"],
        ["false", "true"],
        ["off", "on"],
        [False, True],
        ["on", "1"],
    ),
]
NO: list[Any] = [
    *(
        "",
        " ",
        "0",
        "false",
        "FALSE",
        "no",
        "off",
        " off ",
        "null",
        "undefined",
        "nein",
        "non",
        "n",
        "declined",
    ),
    *("I agree", "yes please", "not yes", "2", "-1", "opt-out", "unsubscribe", "news_mail", "y" * 5000),
    *(
        False,
        0,
        0.0,
        2,
        None,
        [],
        {},
        {"a": 1},
        {"news": "on"},
        ["0", ""],
        ["no", "on"],
        ["yes", "nein"],
        [{}],
    ),
    *(["on", "I do not"], ["1", {"a": 1}], float("1e300"), "on\u0301"),
]


@pytest.mark.parametrize("value", YES, ids=lambda value: ascii(value)[:40])
def test_a_box_is_ticked_if_it_says_so(value: Any) -> None:
    mapped = form(ONE).apply({**JANE, "news": value})
    assert mapped.ok
    assert mapped.consent == {key: {"box": "news", "ticked": True} for key in BOTH}
    assert mapped.unclear == ()


@pytest.mark.parametrize("value", NO, ids=lambda value: ascii(value)[:40])
def test_everything_else_is_no(value: Any) -> None:
    mapped = form(ONE).apply({**JANE, "news": value})
    assert mapped.errors == {"news": [NO_CONSENT]}
    assert mapped.consent == {key: {"box": "news", "ticked": False} for key in BOTH}


@pytest.mark.parametrize(
    ("value", "ticked"),
    [("I agree", True), ("  i  AGREE", True), (["0", "I agree"], True), ("on", True), ("I disagree", False)],
)
def test_a_box_may_have_words_of_its_own(value: Any, ticked: bool) -> None:
    box = Box("news", ("I agree", "Jawohl"))
    assert form(dict.fromkeys(BOTH, box)).apply({**JANE, "news": value}).ok is ticked


@pytest.mark.parametrize(
    ("field", "body", "ticked"),
    [
        ("consent.mail", {"consent": {"mail": "mail"}}, True),
        ("consent.mail", {"consent": {"mail": "consent"}}, False),
        ("consent[mail]", {"consent[mail]": "mail"}, True),
        ("news[]", {"news[]": "news"}, True),
        ("answers.no", {"answers": {"no": "no"}}, False),
        ("news[0]", {"news": ["0"]}, False),
    ],
)
def test_the_name_of_a_box_says_yes_but_for_a_no(field: str, body: dict[str, Any], ticked: bool) -> None:
    assert form(dict.fromkeys(BOTH, Box(field))).apply({**JANE, **body}).ok is ticked


@pytest.mark.parametrize(
    ("value", "unclear"),
    [("I agree", True), ("perhaps", True), ({"a": 1}, True), (7, True), (["1", "perhaps"], True)]
    + [(quiet, False) for quiet in ("on", "nein", "", None, "declined", "null", 0, False, ["0", "1"])],
)
def test_a_value_of_unknown_meaning_is_noticed_by_its_field(value: Any, unclear: bool) -> None:
    assert form(ONE).apply({**JANE, "news": value}).unclear == (("news",) if unclear else ())


def test_a_contact_without_its_tick_is_not_sent() -> None:
    mapped = form(BOTH).apply({**JANE, "news_mail": "on"})
    assert mapped.profile == {"email": "jane@example.com", "full_name": "Jane"}
    assert mapped.dropped == ()
    assert mapped.consent == {
        "email": {"box": "news_mail", "ticked": True},
        "mobile_phone_number": {"box": "news_sms", "ticked": False},
    }


def test_a_form_proves_nothing_about_a_contact_it_did_not_ask_for() -> None:
    without_phone = {"email": "jane@example.com", "news": "on"}
    assert form(ONE).apply(without_phone).consent == {"email": {"box": "news", "ticked": True}}
    empty_phone = {**without_phone, "phone": ""}
    assert set(form(ONE).apply(empty_phone).consent or ()) == set(BOTH)
    unmapped = Mapping({"email": RULES["email"]}, consent=ONE)
    assert unmapped.apply({**JANE, "news": "on"}).consent == {"email": {"box": "news", "ticked": True}}


def test_a_bad_contact_without_its_tick_is_no_error() -> None:
    assert form(BOTH).apply({**JANE, "phone": "soon", "news_mail": "on"}).ok


def test_who_ticked_nothing_is_asked_to() -> None:
    assert form(BOTH).apply(JANE).errors == {"news_mail": [NO_CONSENT]}
    assert form(BOTH).apply({"phone": "+49301234567"}).errors == {"news_sms": [NO_CONSENT]}


def test_who_gave_no_contact_is_asked_for_one_and_not_for_a_tick() -> None:
    assert form(BOTH).apply({"first_name": "Jane"}).errors == {"email": [NO_CONTACT]}
    assert form(BOTH).apply({"news_sms": "on"}).errors == {"email": [NO_CONTACT]}
    assert form(BOTH).apply({"phone": "n/a"}).errors == {"email": [NO_CONTACT]}


def test_consent_may_be_anywhere_a_path_leads() -> None:
    assert form({"email": Box("consent.mail")}).apply({**JANE, "consent": {"mail": True}}).ok


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"email": "jane@example.com"}, {"news_mail": [NO_CONSENT]}),
        ({"email": "jane@example.com", "phone": "030 123456", "news_sms": "on"}, {"news_mail": [NO_CONSENT]}),
        ({"email": "", "phone": "030 123456", "news_sms": "on"}, {"email": [NEEDED]}),
        ({"email": "jane@example.com", "phone": "12345", "news_sms": "on"}, ["news_mail", "phone"]),
    ],
)
def test_of_a_needed_contact_that_was_typed_the_box_is_missing(body: dict[str, Any], errors: Any) -> None:
    rules = RULES | {"email": Rule("email", joined=(Path("email"),), required=True)}
    found = Mapping(rules, consent=BOTH, region="DE").apply(body).errors
    assert (found if isinstance(errors, dict) else sorted(found)) == errors
