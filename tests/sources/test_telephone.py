"""Telephone numbers: what is read, what is refused, and that no guess makes one."""

import random
import re
from typing import Any

import phonenumbers
import pytest

from relay.sources.body import Limits, parse
from relay.sources.mapping import Mapping
from relay.sources.numbering import NoNumber
from relay.sources.paths import Path
from relay.sources.rules import Rule
from relay.sources.telephone import holds_none, read, region_of

READ: list[tuple[str, str | None, str | None]] = [
    # a note behind a number
    ("030 1234567 (home)", "DE", "+49301234567"),
    ("0171 234567 privat", "DE", "+49171234567"),
    ("06 123456 casa", "IT", "+3906123456"),
    ("030 1234567 (ab 18 Uhr)", "DE", "+49301234567"),
    ("030 1234567 ext. 12", "DE", "+49301234567"),
    ("030 1234567 #12", "DE", "+49301234567"),
    ("030 1234567 oder 0171 2345678", "DE", None),
    ("030 1234567 or +43 664 1234567", "DE", None),
    ("0664 1234567 AT", "DE", None),
    ("030 123 home", "DE", None),
    # a note with digits of its own
    ("0170 1234567 (9-17)", "DE", "+491701234567"),
    ("0664 1234567 (8h-17h)", "AT", "+436641234567"),
    ("0170 1234567 (2. Stock)", "DE", "+491701234567"),
    ("030 123456 (9 bis 12)", "DE", "+4930123456"),
    ("0170 1234567 [privat 2]", "DE", "+491701234567"),
    ("0170 1234567 (2)", "DE", None),
    ("0170 1234567 2", "DE", None),
    ("0170 1234567 - 2", "DE", None),
    ("0170 1234567 : 1", "DE", None),
    ("0170 1234567 9-17 Uhr", "DE", None),
    ("021 123 456 9-5", "NZ", None),
    ("021 123 456 9am", "NZ", None),
    ("01 5123456 12 Uhr", "AT", None),
    ("+43 1 5123456 3. Stock", None, None),
    ("06 1234567 2 piano", "IT", None),
    ("030 123456 2. OG", "DE", None),
    ("030 123456 3rd floor", "DE", None),
    ("030 12 34 56 78 privat", "DE", "+493012345678"),
    ("030 1234 5678", "DE", "+493012345678"),
    ("0711 12345 67", "DE", "+497111234567"),
    ("030 123456-12", "DE", "+493012345612"),
    ("1) 0170 1234567", "DE", "+491701234567"),
    ("(1) 0170 1234567", "DE", "+491701234567"),
    ("2. +49 170 1234567", None, "+491701234567"),
    ("(1) 202 555 0123", "US", "+12025550123"),
    # a slip inside it is no note behind it
    ("0170 12345b7", "DE", None),
    ("030 123456S78", "DE", None),
    ("0170 12345*67", "DE", None),
    ("1.7012345e9", "DE", None),
    ("0170 1234567x2", "DE", "+491701234567"),
    ("0170 1234567#2", "DE", "+491701234567"),
    ("0170 1234567ab 9 Uhr", "DE", "+491701234567"),
    # the name of a country behind it
    ("079 123 45 67 Schweiz", "DE", None),
    ("079 123 45 67 ch", "DE", None),
    ("0664 1234567 (Österreich)", "DE", None),
    ("55 1234 5678 México", "US", None),
    ("0664 1234567 Austria", "AT", "+436641234567"),
    ("+43 664 1234567 Austria", "DE", "+436641234567"),
    ("0170 1234567 zuhause", "DE", "+491701234567"),
    # the country's code behind a zero
    ("049 170 1234567", "DE", None),
    ("0151 23456789", "US", None),  # a mobile in Germany, and not Austin's 512 345 6789
    ("0176 23456789", "CA", None),
    ("01 512 345 6789", "US", None),
    ("1 512 345 6789", "US", "+15123456789"),
    ("001 512 345 6789", "US", "+15123456789"),
    ("0971501234567", "AE", "+971501234567"),
    ("041791234567", "CH", "+41791234567"),
    ("0491 701234", "DE", "+49491701234"),
    # pictures, and dashes of other keyboards
    ("🇩🇪 +49 170 1234567", "US", "+491701234567"),
    ("🇨🇭 079 123 45 67", "DE", None),
    ("📞 0170 1234567 ✅", "DE", "+491701234567"),
    ("+49 170 1234567!", "US", "+491701234567"),
    ("090ー1234ー5678", "JP", "+819012345678"),
    ("+52 1 55 1234 5678", None, "+525512345678"),
    # what is none
    ("2025-01-01", "DE", None),
    ("2026-11-26 21:27", "DE", None),
    ("01.02.1990", "DE", None),
    ("1/2/1990", "US", None),
    ("10115", "DE", None),
    ("12:30", "DE", None),
    ("0170", "DE", None),
    # words before it
    ("Tel. 030 1234567", "DE", "+49301234567"),
    ("Mobil: 0171 234567", "DE", "+49171234567"),
    ("Austria 0664 1234567", "DE", None),
    ("Austria +43 664 1234567", "DE", "+436641234567"),
    # letters on the keypad
    ("1-800-FLOWERS", "US", "+18003569377"),
    ("1800 GOT JUNK", "US", "+18004685865"),
    ("030 12 home", "DE", None),
    ("FLOWERS", "US", None),
    ("4.9301234567E+10", "DE", None),
    # two of them
    ("030 12345 / 67890", "DE", None),
    ("030 1234567/8", "DE", None),
    ("030 1234567, 030 7654321", "DE", None),
    ("030 1234567; 0171 234567", "DE", None),
    ("030 12345 030 67890", "DE", None),
    ("202 555 0123 | 202 555 0124", "US", None),
    ("030/1234567", "DE", "+49301234567"),
    ("0171 / 2345678", "DE", "+491712345678"),
    ("033203/123456", "DE", "+4933203123456"),
    ("02/1234567", "BE", "+3221234567"),
    # the region's own calling code
    ("49 170 1234567", "DE", "+491701234567"),
    ("4917012345678", "DE", "+4917012345678"),
    ("447700900123", "GB", "+447700900123"),
    ("1 202 555 0123", "US", "+12025550123"),
    ("33 6 12 34 56 78", "FR", "+33612345678"),
    ("39 06 12345678", "IT", "+390612345678"),
    ("7 912 345 67 89", "RU", "+79123456789"),
    ("49 170 12345", "DE", None),
    # it stands there twice: a widget put it before a number that was typed with it
    ("+49 49015123456789", "US", "+4915123456789"),
    ("0091 919876543210", None, "+919876543210"),
    ("+31 31612345678", None, "+31612345678"),
    ("+33 33612345678", "FR", "+33612345678"),
    ("+65 6591234567", None, "+6591234567"),
    ("4343664 1234567", "AT", "+436641234567"),
    ("+49 4915123456789", "US", None),  # or somebody's in Leer, whose 0491 it begins with
    ("494915123456789", "DE", None),
    # or it begins a number with a digit too many, or too few: without it that is somebody else's
    ("+7 777 584 14755", "KZ", None),
    ("+39 393 833 84480", "IT", None),
    ("+66 66 237 09136", None, None),
    ("+46 468 143 7247", "SE", None),
    ("+27 27 841 804", None, None),
    ("+7 79123456789", "RU", "+79123456789"),
    ("+39 393938338448", "IT", "+393938338448"),
    ("+91 9198765432", None, "+919198765432"),
    ("+39 393 201 2345", None, "+393932012345"),
    ("+49 491 12345", None, "+4949112345"),
    ("+49 4941 123456", None, "+494941123456"),
    ("+43 4352 12345", None, "+43435212345"),
    # national numbers that only begin like it
    ("9198765432", "IN", "+919198765432"),
    ("701 234 5678", "KZ", "+77012345678"),
    ("48 123 45 67", "PL", "+48481234567"),
    ("392 123 4567", "IT", "+393921234567"),
    # prefixes
    ("0044 7700 900123", "US", "+447700900123"),
    ("0044 7700 900123", "DE", "+447700900123"),
    ("0044 7700 900123", None, "+447700900123"),
    ("011 44 7700 900123", "US", "+447700900123"),
    ("011 44 7700 900123", None, None),
    ("+0044 7700 900123", None, "+447700900123"),
    ("004 90012 900123", "US", None),
    ("+49 0030 123456", "DE", None),
    ("01 31 00 060", "US", None),
    ("+39 0612345678", "DE", "+390612345678"),
    ("(+44) 7700 900123", "US", "+447700900123"),
    ("+44 +44 7700 900123", None, "+447700900123"),
    ("+44 0044 7700 900123", "US", "+447700900123"),
    ("+49 +44 7700 900123", "US", "+447700900123"),
    ("+44 (0)7700 900123", None, "+447700900123"),
    ("+1 200 555 0123", None, "+12005550123"),
    ("+12005550123", None, "+12005550123"),
    # no country
    ("202 555 0123", None, None),
    ("12025550123", None, None),
    ("49301234567", None, None),
    (" 49301234567", None, None),
    # half of a number
    ("+49 170 123____", "DE", None),
    ("(202) 555-01__", "US", None),
]


@pytest.mark.parametrize(("typed", "region", "sent"), READ, ids=ascii)
def test_a_number_is_read_as_it_was_meant_or_not_at_all(
    typed: str, region: str | None, sent: str | None
) -> None:
    if sent is None:
        with pytest.raises(NoNumber):
            read(typed, region)
    else:
        assert read(typed, region) == sent


@pytest.mark.parametrize(
    "typed",
    [
        *("", " ", "+", "-", "+1", "+39", "+ 49", "0049", "49", "+1684", "DE", "Germany (+49)"),
        *("(___) ___-____", "+___________", "+1 (___) ___-____", "+7 (___) ___-__-__", "(xxx) xxx-xxxx"),
        *("n/a", "N/A", "null", "NULL", "undefined", "None", "unknown", "0", "000", "\u200b", "+\u2060"),
    ],
    ids=ascii,
)
def test_what_holds_no_number_is_seen(typed: str) -> None:
    assert holds_none(typed)
    with pytest.raises(NoNumber):
        read(typed, "DE")


@pytest.mark.parametrize("typed", ["soon", "+4930", "110", "12", "030 1234567", "+1 202 555 0123", "x1"])
def test_what_holds_a_number_or_something_else_is_no_blank(typed: str) -> None:
    assert not holds_none(typed)


@pytest.mark.parametrize(
    ("written", "region"),
    [
        *(("+49", "DE"), ("0049", "DE"), ("49", "DE"), ("DE", "DE"), ("de", "DE"), ("Germany (+49)", "DE")),
        *(("+1", "US"), ("+1 684", "AS"), ("1684", "AS"), ("UK", "GB"), ("GB", "GB"), ("(+44)", "GB")),
        *(("Northern Ireland", "GB"), ("United Kingdom", "GB"), ("Austria 2", None), ("me at home", None)),
        *(
            ("", None),
            ("Germany", "DE"),
            ("österreich ", "AT"),
            ("United States", "US"),
            ("Ghana", "GH"),
            ("Côte d'Ivoire", "CI"),
            ("Bosnia & Herzegovina", "BA"),
            ("Georgia", "GE"),
            ("Ruritania", None),
            ("+49 30", None),
            ("999", None),
            ("030", None),
            ("XX", None),
        ),
        ("+" + "4" * 1000, None),
    ],
)
def test_a_country_code_or_a_dial_code_names_a_country(written: str, region: str | None) -> None:
    assert region_of(written) == region


# --- whose number it is ---------------------------------------------------------------------------------


def national_numbers(seed: int, count: int) -> list[tuple[str, str]]:
    """Random digits that are valid numbers of some country, each with the country, as typed there."""
    chance = random.Random(seed)
    regions = sorted(phonenumbers.SUPPORTED_REGIONS)
    found: list[tuple[str, str]] = []
    while len(found) < count:
        region = chance.choice(regions)
        kind = chance.choice([phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE])
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None:
            continue
        digits = phonenumbers.national_significant_number(example)
        changed = digits[:-4] + "".join(chance.choice("0123456789") for _ in range(4))
        number = phonenumbers.parse(f"+{example.country_code}{changed}")
        if phonenumbers.is_valid_number(number):
            style = phonenumbers.PhoneNumberFormat.NATIONAL
            typed = chance.choice([changed, phonenumbers.format_number(number, style)])
            found.append((region, typed))
    return found


def sent_of(value: Any, region: str | None) -> str | None:
    mapping = Mapping({"mobile_phone_number": Rule("phone", joined=(Path("phone"),))}, region=region)
    return mapping.apply({"phone": value}).profile.get("mobile_phone_number")


def test_without_a_country_no_number_of_any_country_comes_out(seed: int) -> None:
    for _, typed in national_numbers(seed, 600):
        digits = "".join(filter(str.isdecimal, typed))
        for value in (typed, " " + typed, digits, int(digits), float(int(digits)), [typed]):
            assert digits.startswith("00") or sent_of(value, None) is None, value


def test_a_number_comes_out_in_its_region_or_not_at_all(seed: int) -> None:
    """Somebody else's country appears only where it was written: by 00, or by the prefix dialled there."""
    regions = sorted(phonenumbers.SUPPORTED_REGIONS)
    for place, (_, typed) in enumerate(national_numbers(seed, 1500)):
        region = regions[place % len(regions)]
        code = phonenumbers.country_code_for_region(region)
        digits = "".join(filter(str.isdecimal, typed))
        abroad = phonenumbers.PhoneMetadata.metadata_for_region(region).international_prefix
        if digits.startswith("00") or re.match(abroad, digits):
            continue
        for value in (typed, " " + typed, int(digits)):
            sent = sent_of(value, region)
            assert sent is None or phonenumbers.parse(sent).country_code == code, (value, region, sent)


def test_what_comes_out_is_the_same_when_it_is_read_again(seed: int) -> None:
    chance, regions = random.Random(seed), sorted(phonenumbers.SUPPORTED_REGIONS)
    changed = []
    for _ in range(2000):
        region, zeros = chance.choice(regions), "0" * chance.randrange(4)
        code = phonenumbers.country_code_for_region(region)
        rest = zeros + "".join(chance.choices("0123456789", k=chance.randrange(5, 12)))
        for typed in (f"+{code}{rest}", f"00{code}{rest}", rest):
            sent = sent_of(typed, region)
            if sent is not None and sent_of(sent, None) != sent:
                changed.append((region, typed, sent, sent_of(sent, None)))
    assert changed == []


def test_every_country_takes_its_own_numbers_as_they_are_typed_there() -> None:
    refused = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        if example is None:
            continue
        e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        for style in (
            phonenumbers.PhoneNumberFormat.NATIONAL,
            phonenumbers.PhoneNumberFormat.INTERNATIONAL,
            phonenumbers.PhoneNumberFormat.RFC3966,
        ):
            typed = phonenumbers.format_number(example, style)
            if sent_of(typed, region) != e164:
                refused.append((region, typed, sent_of(typed, region)))
        if sent_of(e164[1:], region) != e164:
            refused.append((region, e164[1:], sent_of(e164[1:], region)))
    assert refused == []


# --- a dial code in a field of its own --------------------------------------------------------------------

CODES = ["+49", "0049", "49", "DE", "de", "Germany (+49)", " +49 ", "(+49)", 49]
NUMBERS = ["170 1234567", "0170 1234567", "0049 170 1234567", "+49 170 1234567", "49 170 1234567", 1701234567]


@pytest.mark.parametrize("region", [None, "US", "DE"])
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("code", CODES)
def test_a_dial_code_beside_a_number_is_its_country(code: Any, number: Any, region: str | None) -> None:
    beside = Rule("phone", joined=(Path("phone"),), region_from=Path("dial"))
    joined = Rule("phone", joined=(Path("dial"), Path("phone")))
    body = {"dial": code, "phone": number}
    for rule in (beside, joined):
        mapped = Mapping({"mobile_phone_number": rule}, region=region).apply(body)
        assert mapped.profile == {"mobile_phone_number": "+491701234567"}
    whole = Mapping(
        {"mobile_phone_number": Rule("phone", joined=(Path("phone"),))},
        region=region,
        region_from=Path("dial"),
    )
    assert whole.apply(body).profile == {"mobile_phone_number": "+491701234567"}


@pytest.mark.parametrize("code", [*CODES, "", None])
@pytest.mark.parametrize("number", ["", None, "+49", "(___) ___-____", "n/a"])
def test_a_dial_code_alone_is_no_number(code: Any, number: Any) -> None:
    for rule in (
        Rule("phone", joined=(Path("phone"),), region_from=Path("dial")),
        Rule("phone", joined=(Path("dial"), Path("phone"))),
    ):
        rules = {"email": Rule("email", value="jane@example.com"), "mobile_phone_number": rule}
        mapped = Mapping(rules).apply({"dial": code, "phone": number})
        assert mapped.profile == {"email": "jane@example.com"}


@pytest.mark.parametrize(
    ("parts", "region", "sent"),
    [
        ({"area": "202", "phone": "5550123"}, "US", "+12025550123"),
        ({"area": "202", "phone": "5550123"}, None, None),
        ({"area": "248", "phone": "4221234"}, None, None),
        ({"area": "212", "phone": "5550123"}, "US", "+12125550123"),
        ({"area_code": "248", "phone": "4221234"}, None, None),
        ({"area_code": "248", "phone": "4221234"}, "US", "+12484221234"),
        ({"country_code": "1", "area": "202", "phone": "555-0123"}, None, "+12025550123"),
        ({"country": "US", "area": "202", "phone": "555-0123"}, "DE", "+12025550123"),
        ({"country": "", "area": "202", "phone": "555-0123"}, None, None),
        ({"prefix": "0170", "phone": "1234567"}, "DE", "+491701234567"),
        ({"dial": "+39", "phone": "06 123456 casa"}, None, "+3906123456"),
        ({"dial": "+44", "phone": "7700 900123"}, "US", "+447700900123"),
        ({"dial": "44", "phone": "7700 900123"}, "US", "+447700900123"),
        ({"dial": "+49", "phone": "+43 664 1234567"}, None, "+436641234567"),
        ({"dial": "+49", "phone": "0043 664 1234567"}, None, "+436641234567"),
        ({"dial": {"x": 1}, "phone": "1234567"}, None, None),
    ],
)
def test_parts_of_a_number_are_joined_without_a_guess(
    parts: dict[str, Any], region: str | None, sent: str | None
) -> None:
    rule = Rule("phone", joined=tuple(map(Path, parts)))
    mapped = Mapping({"mobile_phone_number": rule}, region=region).apply(parts)
    assert mapped.profile.get("mobile_phone_number") == sent


@pytest.mark.parametrize("note", ["Georgia", "(Jordan)", "New Jersey"])
def test_a_note_that_may_be_a_persons_name_or_a_states_names_no_country(note: str) -> None:
    assert read(f"404 555 0123 {note}", "US") == "+14045550123"


def test_a_country_that_nobody_knows_is_not_replaced_by_another() -> None:
    rule = Rule("phone", joined=(Path("phone"),), region_from=Path("country"))
    mapping = Mapping({"mobile_phone_number": rule}, region="DE")
    assert mapping.apply({"country": "Atlantis", "phone": "0664 1234567"}).errors.keys() == {"phone"}
    assert mapping.apply({"country": {"x": 1}, "phone": "0664 1234567"}).errors.keys() == {"phone"}
    for nothing in (None, "", " ", "null", "N/A", "undefined"):
        assert mapping.apply({"country": nothing, "phone": "030 1234567"}).ok
    assert not mapping.apply({"country": "NO", "phone": "0151 12345678"}).ok, "Norway is a country"
    assert mapping.apply({"country": "Atlantis", "phone": "+436641234567"}).ok


# --- a plus that was not encoded ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "region", "sent"),
    [
        ("phone=+49301234567", None, "+49301234567"),
        ("phone=+49301234567", "US", "+49301234567"),
        ("phone=+49-30-1234567", None, "+49301234567"),
        ("phone=+49%2030%201234567", None, "+49301234567"),
        ("phone=+12025550123", "DE", "+12025550123"),
        ("phone=+2025550123", "US", "+12025550123"),
        ("phone=%2B49301234567", "US", "+49301234567"),
        ("phone=%2049301234567", None, None),
        ("phone=%2049301234567", "US", None),
        ("phone=+49+30+1234567", None, None),
        ("phone=+030+1234567", "DE", "+49301234567"),
        ("phone=+0301234567", "DE", "+49301234567"),
        ("phone=49301234567", None, None),
        ("phone=++", None, None),
    ],
)
def test_a_literal_plus_of_a_form_may_be_one(raw: str, region: str | None, sent: str | None) -> None:
    fields = parse(raw.encode(), "application/x-www-form-urlencoded", Limits())
    assert sent_of(fields["phone"], region) == sent


@pytest.mark.parametrize(
    ("raw", "text"), [("a=+5", "5"), ("a=+1+b", "1 b"), ("a=x+y", "x y"), ("a=b=+1", "b= 1")]
)
def test_other_fields_do_not_notice(raw: str, text: str) -> None:
    fields = parse(raw.encode(), "application/x-www-form-urlencoded", Limits())
    rules = {"email": Rule("email", value="jane@example.com"), "full_name": Rule("text", joined=(Path("a"),))}
    assert Mapping(rules).apply(fields).profile["full_name"] == text
