"""E-mail addresses and phone numbers: a documented verdict for each kind of input."""

import time

import pytest

from relay.sources import contact, telephone
from relay.sources.contact import NotAContact

EMAILS = {
    "plain": ("jane@example.com", "jane@example.com"),
    "blanks around": (" \t jane@example.com\n ", "jane@example.com"),
    "upper case: only the domain is case-blind": ("Jane@EXAMPLE.Com", "Jane@example.com"),
    "plus tag stays": ("jane+news@example.com", "jane+news@example.com"),
    "dots stay": ("j.a.n.e@example.com", "j.a.n.e@example.com"),
    "apostrophe": ("o'brien@example.com", "o'brien@example.com"),
    "IDN domain becomes ASCII": ("jane@bücher.de", "jane@xn--bcher-kva.de"),
    "IDN domain already ASCII": ("jane@xn--bcher-kva.de", "jane@xn--bcher-kva.de"),
    "full-width domain": ("jane@ｅｘａｍｐｌｅ.com", "jane@example.com"),
    "international local part": ("müller@example.com", "müller@example.com"),
    "decomposed local part becomes composed": ("mu\u0308ller@example.com", "m\u00fcller@example.com"),
    "full-width local part is left alone": ("ｊane@example.com", "ｊane@example.com"),
    "homoglyph is another person": ("j\u0430ne@example.com", "j\u0430ne@example.com"),
    "all international": ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
    "64-character local part": ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
    "quoted local part": ('"jane doe"@example.com', None),
    "IP literal": ("jane@[127.0.0.1]", None),
    "no dot": ("jane@localhost", None),
    "reserved name": ("jane@example.test", None),
    "two @": ("jane@doe@example.com", None),
    "no @": ("jane.example.com", None),
    "only @": ("@", None),
    "empty": ("", None),
    "no domain": ("jane@", None),
    "no local part": ("@example.com", None),
    "newline inside": ("jane@example.com\nBcc: joe@example.com", None),
    "carriage return inside": ("jane\r@example.com", None),
    "NUL": ("ja\x00ne@example.com", None),
    "comma list": ("jane@example.com,joe@example.com", None),
    "semicolon list": ("jane@example.com;joe@example.com", None),
    "bidi override": ("jane\u202e@example.com", None),
    "zero-width space": ("jane\u200b@example.com", None),
    "display name": ("Jane <jane@example.com>", None),
    "link": ("mailto:jane@example.com", None),
    "65-character local part": ("a" * 65 + "@example.com", None),
    "255 characters": ("a" * 62 + "@" + ("b" * 60 + ".") * 3 + "example.com", None),
    "trailing dot": ("jane@example.com.", None),
    "two dots": ("jane@example..com", None),
    "leading dot": (".jane@example.com", None),
    "leading hyphen in the domain": ("jane@-example.com", None),
    "underscore in the domain": ("jane@exam_ple.com", None),
    "blank inside": ("jane doe@example.com", None),
    "markup": ("<script>@example.com", None),
    "lone surrogate": ("jane\ud800@example.com", None),
}

PHONES = {
    "international": ("+49 30 1234567", None, "+49301234567"),
    "blanks around": ("  +49301234567\n", None, "+49301234567"),
    "00 without a region": ("0049 30 1234567", None, "+49301234567"),
    "00 where it is dialled": ("0049 30 1234567", "DE", "+49301234567"),
    "011 where it is dialled": ("011 49 30 1234567", "US", "+49301234567"),
    "00 where it is not dialled": ("0049 30 1234567", "US", "+49301234567"),
    "national": ("030 1234567", "DE", "+49301234567"),
    "national without a region": ("030 1234567", None, None),
    "another country's": ("+44 7911 123456", "DE", "+447911123456"),
    "punctuation": ("+49 (30) 123-45.67", None, "+49301234567"),
    "slash": ("030/1234567", "DE", "+49301234567"),
    "trunk zero in brackets": ("+49 (0)30 1234567", None, "+49301234567"),
    "vanity letters": ("1-800-FLOWERS", "US", "+18003569377"),
    "only possible, not assigned": ("+1 555 123 4567", None, "+15551234567"),
    "Arabic digits": ("٠٣٠١٢٣٤٥٦٧", "DE", "+49301234567"),
    "full-width digits": ("＋４９３０１２３４５６７", None, "+49301234567"),
    "extension is dropped": ("+49 30 1234567 ext. 5", None, "+49301234567"),
    "link": ("tel:+49-30-1234567", None, "+49301234567"),
    "direction marks, as phones' address books copy them": (
        "\u202a+49 30 1234567\u202c",
        None,
        "+49301234567",
    ),
    "isolates and a byte order mark": ("\ufeff\u2068+49 30 1234567\u2069", None, "+49301234567"),
    "letters": ("none", "DE", None),
    "empty": ("", "DE", None),
    "plus alone": ("+", None, None),
    "17 digits that the library thinks possible": ("8.151799495875117e-249", "JP", None),
    "17 digits and a country code": ("+8151799495875117249", None, None),
    "40 digits": ("1" * 40, "US", None),
    "40 digits after a plus": ("+" + "1" * 40, None, None),
    "1,000 digits": ("+" + "1" * 1000, None, None),
    "too short": ("+4930", None, None),
    "emergency number": ("110", "DE", None),
    "no area code where one is needed": ("253 0000", "US", None),
    "no such country": ("+999 123456", None, None),
    "two numbers": ("+49 30 1234567, +49 30 7654321", None, None),
    "newline inside": ("+49 30\n1234567", None, None),
    "NUL": ("+49301234567\x00", None, None),
    "markup": ("+49 30 1234567<script>", None, None),
    "SQL": ("+49 30 1234567'--", None, None),
    "lone surrogate": ("+49301234567\ud800", None, None),
}


@pytest.mark.parametrize(("typed", "sent"), EMAILS.values(), ids=EMAILS.keys())
def test_an_email_has_one_normal_form_or_none(typed: str, sent: str | None) -> None:
    """Catalogue 20."""
    if sent is None:
        with pytest.raises(NotAContact):
            contact.email(typed)
    else:
        assert contact.email(typed) == sent


@pytest.mark.parametrize(("typed", "sent"), EMAILS.values(), ids=EMAILS.keys())
def test_normalising_an_email_again_changes_nothing(typed: str, sent: str | None) -> None:
    assert sent is None or contact.email(sent) == sent


@pytest.mark.parametrize(("typed", "region", "sent"), PHONES.values(), ids=PHONES.keys())
def test_a_phone_becomes_e164_or_is_refused(typed: str, region: str | None, sent: str | None) -> None:
    """Catalogue 21."""
    if sent is None:
        with pytest.raises(NotAContact):
            contact.phone(typed, region)
    else:
        assert contact.phone(typed, region) == sent
        assert contact.phone(sent, region) == sent


@pytest.mark.parametrize("check", [contact.email, contact.phone, lambda text: contact.phone(text, "DE")])
@pytest.mark.parametrize(
    "typed", ["secret.person", "+49secret", "secret@localhost", "0" * 50 + "secret", "secret\n@x"]
)
def test_what_is_wrong_is_said_without_the_value(check, typed: str) -> None:
    with pytest.raises(NotAContact) as refused:
        check(typed)
    assert "secret" not in str(refused.value)
    assert str(refused.value).startswith("Enter a valid") or "country code" in str(refused.value)


@pytest.mark.parametrize(
    "typed",
    [
        "a@" + "a-" * 50_000,
        "(" * 100_000,
        "/../" * 25_000,
        "a@" + "a." * 50_000,
        "+" * 100_000,
        "٣" * 100_000,
    ],
    ids=["hyphens", "brackets", "slashes", "dots", "pluses", "digits"],
)
def test_hostile_text_is_refused_at_once(typed: str) -> None:
    """Catalogue 36."""
    started = time.thread_time()
    for check in (contact.email, contact.phone, lambda text: contact.phone(text, "US")):
        with pytest.raises(NotAContact):
            check(typed)
    assert time.thread_time() - started < 0.15


@pytest.mark.parametrize(
    ("code", "known"),
    [("DE", True), ("US", True), ("GB", True), ("de", False), ("UK", False), ("", False), ("001", False)],
)
def test_a_region_is_a_country_with_a_numbering_plan(code: str, known: bool) -> None:
    assert telephone.is_region(code) is known


@pytest.mark.parametrize(
    ("clear", "hint"),
    [
        ("jane@example.com", "j***@example.com"),
        ("j@example.com", "j***@example.com"),
        ("+49301234567", "+49***67"),
    ],
)
def test_a_mask_can_be_recognised_and_not_used(clear: str, hint: str) -> None:
    assert contact.mask(clear) == hint
