"""E-mail addresses and phone numbers: a documented verdict for each kind of input."""

from pathlib import Path

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
    "dots of a Japanese keyboard": ("jane。doe@example｡co。jp", "jane.doe@example.co.jp"),
    "full-width letters": ("ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ", "jane@example.com"),
    "full-width at sign": ("jane＠example.com", "jane@example.com"),
    "typographic apostrophe": ("o’brien@example.com", "o'brien@example.com"),
    "typographic quote": ("o‘brien@example.com", "o'brien@example.com"),
    "hyphen U+2010": ("anna\u2010lena@example.com", "anna-lena@example.com"),
    "hyphen that does not break": ("anna\u2011lena@my\u2011shop.com", "anna-lena@my-shop.com"),
    "dashes U+2012 and U+2013": ("anna\u2012lena@my\u2013shop.com", "anna-lena@my-shop.com"),
    "minus sign is no hyphen": ("anna\u2212lena@example.com", "anna\u2212lena@example.com"),
    "modifier letter is a letter": ("o\u02bcbrien@example.com", "o\u02bcbrien@example.com"),
    "ligature is a letter": ("\ufb01sh@example.com", "\ufb01sh@example.com"),
    "Greek letter that looks Latin": ("\u03bfscar@example.com", "\u03bfscar@example.com"),
    "byte order mark": ("\ufeffjane@example.com", "jane@example.com"),
    "word joiner and soft hyphen": ("jane\u2060@exam\u00adple.com", "jane@example.com"),
    "no-break blanks around": ("\u00a0jane@example.com\u202f", "jane@example.com"),
    "in angle brackets": ("<jane@example.com>", "jane@example.com"),
    "name in quotes": ('"Doe, Jane" <jane@example.com>', "jane@example.com"),
    "the address as its name": ("jane@example.com <Jane@example.com>", "Jane@example.com"),
    "another address as its name": ("joe@example.com <jane@example.com>", None),
    "two with names": ("Jane <jane@example.com>, Joe <joe@example.com>", None),
    "half a bracket": ("Jane <jane@example.com", None),
    "link in brackets": ("<mailto:jane@example.com>", "jane@example.com"),
    "link with a subject": ("MAILTO:jane@example.com?subject=Hi&cc=joe@example.com", "jane@example.com"),
    "link written like that of a page": ("mailto://jane@example.com", "jane@example.com"),
    "link to two": ("mailto:jane@example.com,joe@example.com", None),
    "a bracket that was copied too": ("jane@example.com)", "jane@example.com"),
    "a note in brackets": ("jane@example.com (private)", "jane@example.com"),
    "another address in brackets": ("jane@example.com (joe@example.com)", None),
    "a letter that nobody sees": ("\u3164jane@exa\u180emple.com", "jane@example.com"),
    "in quotes": ("“jane@example.com”", "jane@example.com"),
    "in single quotes of a word processor": ("‚jane@example.com‘", "jane@example.com"),
    "in angled quotes": ("«jane@example.com»", "jane@example.com"),
    "typographic quotes about the local part": ("“jane”@example.com", None),
    "a typographic quote inside": ("ja„ne@example.com", None),
    "angled quotes about an address": ("‹jane@example.com›", "jane@example.com"),
    "angled quotes about the local part": ("‹jane›@example.com", None),
    "dots side by side at a carrier that gave them out": ("a..b@docomo.ne.jp", "a..b@docomo.ne.jp"),
    "a dot at the end there": ("jane.@EZWEB.ne.jp", "jane.@ezweb.ne.jp"),
    "several of both": ("a...b..@ezweb.ne.jp", "a...b..@ezweb.ne.jp"),
    "a leading dot even there": (".jane@docomo.ne.jp", None),
    "only dots even there": ("...@docomo.ne.jp", None),
    "65 characters even there": ("a." * 32 + "a@docomo.ne.jp", None),
    "65 characters, dots and all": ("a" + "." * 63 + "b@docomo.ne.jp", None),
    "dots elsewhere": ("a..b@example.com", None),
    "a dot before the at sign elsewhere": ("jane.@example.com", None),
    "dots below such a carrier": ("a..b@mail.docomo.ne.jp", None),
    "homoglyph is another person": ("j\u0430ne@example.com", "j\u0430ne@example.com"),
    "all international": ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
    "64-character local part": ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
    "quoted local part": ('"jane doe"@example.com', None),
    "IP literal": ("jane@[127.0.0.1]", None),
    "no dot": ("jane@localhost", None),
    "reserved name": ("jane@example.test", None),
    "masked": ("j***@example.com", None),
    "masked but for its end": ("**ne@example.com", None),
    "masked with bullets": ("j•••@example.com", None),
    "masked in full width": ("j＊＊＊@example.com", None),
    "cut with an ellipsis": ("jan…@example.com", None),
    "one asterisk": ("jane*doe@example.com", "jane*doe@example.com"),
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
    "bidi override": ("jane\u202e@example.com", "jane@example.com"),
    "zero-width space": ("jane\u200b@example.com", "jane@example.com"),
    "display name": ("Jane <jane@example.com>", "jane@example.com"),
    "link": ("mailto:jane@example.com", "jane@example.com"),
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


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("jane@gmial.com", "jane@gmail.com"),
        ("jane@hotnail.com", "jane@hotmail.com"),
        ("jane@gmail.co", "jane@gmail.com"),
        ("jane@gmail.comm", "jane@gmail.com"),
        ("jane@gnail.com", "jane@gmail.com"),
        ("Jane.Doe@YAHO.com", "Jane.Doe@yahoo.com"),
        ("jane@outlok.com", "jane@outlook.com"),
        ("jane@iclould.com", "jane@icloud.com"),
        ("jane@t-onlin.de", "jane@t-online.de"),
        ("jane@gmail.com", None),
        ("jane@mail.com", None),
        ("jane@ymail.com", None),
        ("jane@gmx.at", None),
        ("jane@yahoo.fr", None),
        ("jane@example.com", None),
        ("jane@gmali.cmo", None),
        ("jane@my-gmail.com", None),
        ("jane@x.de", None),
        ("gmial.com", None),
        ("", None),
        ("jane@" + "g" * 1000, None),
    ],
)
def test_a_slip_in_a_common_domain_is_seen(typed: str, meant: str | None) -> None:
    assert contact.suggestion(typed) == meant


def test_nobody_is_asked_about_what_is_common_itself() -> None:
    listed = (Path(contact.__file__).parent / "common_domains.txt").read_text().splitlines()
    for domain in filter(lambda line: not line.startswith("#"), listed):
        assert contact.suggestion(f"jane@{domain}") is None
