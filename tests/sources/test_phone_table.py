"""The numbers of twenty countries, written in every way people write them: right, refused, never another."""

import random
import re
from collections.abc import Callable, Iterator

import phonenumbers
import pytest
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from relay.sources.mapping import Mapping
from relay.sources.numbering import NoNumber
from relay.sources.paths import Path
from relay.sources.rules import Rule
from relay.sources.telephone import INVISIBLE_PLUS, read

REGIONS = (
    *("DE", "AT", "CH", "FR", "GB", "IE", "IT", "ES", "NL", "PL", "SE", "NO"),
    *("US", "MX", "BR", "IN", "JP", "AU", "ZA", "RU"),
)
KINDS = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE)


class Written:
    """One number as its owner might write it; everything comes from the library's own example."""

    def __init__(self, region: str, number: PhoneNumber) -> None:
        self.region = region
        self.code = str(number.country_code)
        self.e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        self.abroad = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
        self.home = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        self.digits = re.sub(r"\D", "", self.home)
        self.significant = phonenumbers.national_significant_number(number)

    def __repr__(self) -> str:
        return f"{self.region} {self.e164}"


def numbers() -> Iterator[Written]:
    for region in REGIONS:
        for kind in KINDS:
            yield Written(region, phonenumbers.example_number_for_type(region, kind))


NUMBERS = list(numbers())
AT_HOME: dict[str, Callable[[Written], str]] = {
    "as at home": lambda n: n.home,
    "digits": lambda n: n.digits,
    "dots": lambda n: re.sub("[ -]+", ".", n.home),
    "dashes": lambda n: re.sub(" +", "-", n.home),
    "a slash": lambda n: n.digits[:4] + "/" + n.digits[4:],
    "brackets": lambda n: f"({n.digits[:3]}) {n.digits[3:]}",
    "hard blanks": lambda n: n.home.replace(" ", "\u00a0"),
    "full width": lambda n: n.digits.translate({ord("0") + d: 0xFF10 + d for d in range(10)}),
    "marks of direction": lambda n: f"\u202a{n.home}\u202c",
    "a word before": lambda n: f"Tel.: {n.home}",
    "its own code, no plus": lambda n: n.code + n.significant,
    "its own code, spaced": lambda n: f"{n.code} {n.home}",
    "a lost plus": lambda n: f"{INVISIBLE_PLUS}{n.code} {n.significant}",
    "a leading blank": lambda n: f" {n.home}",
}
ANYWHERE: dict[str, Callable[[Written], str]] = {
    "plus": lambda n: n.e164,
    "as from abroad": lambda n: n.abroad,
    "dots after a plus": lambda n: re.sub("[ -]+", ".", n.abroad),
    "00": lambda n: f"00{n.code}{n.significant}",
    "00, spaced": lambda n: f"00 {n.code} {n.home}",
    "plus and 00": lambda n: f"+00{n.code}{n.significant}",
    "the code in brackets": lambda n: f"(+{n.code}) {n.significant}",
    "a zero in brackets": lambda n: f"+{n.code} (0){n.significant.removeprefix('0')}",
    "tel:": lambda n: f"tel:{n.e164}",
    "a note": lambda n: f"{n.abroad} (office)",
}


def read_or_refuse(text: str, region: str | None) -> str | None:
    try:
        return read(text, region)
    except NoNumber:
        return None


@pytest.mark.parametrize("style", AT_HOME)
def test_a_number_is_read_where_it_is_from(style: str) -> None:
    for number in NUMBERS:
        assert read_or_refuse(AT_HOME[style](number), number.region) == number.e164, (number, style)


@pytest.mark.parametrize("style", AT_HOME)
def test_and_nowhere_where_no_country_is_known(style: str) -> None:
    for number in NUMBERS:
        expected = number.e164 if style == "a lost plus" else None
        assert read_or_refuse(AT_HOME[style](number), None) == expected, (number, style)


@pytest.mark.parametrize("style", ANYWHERE)
def test_a_number_with_its_country_is_the_same_everywhere(style: str) -> None:
    for number in NUMBERS:
        for region in (None, *REGIONS):
            found = read_or_refuse(ANYWHERE[style](number), region)
            if found is None:  # Brazil dials a carrier behind 00, and Italy keeps a zero: either may be meant
                assert style in ("00", "00, spaced", "a zero in brackets"), (number, region, style)
            else:
                assert found == number.e164, (number, region, style)


@pytest.mark.parametrize("style", ["its own code, no plus", "its own code, spaced"])
def test_a_number_from_abroad_without_its_plus_is_never_made_one_of_here(style: str) -> None:
    """But where it is written, digit by digit, as a number of here is: nobody could tell."""
    taken = 0
    for number in NUMBERS:
        text = AT_HOME[style](number)
        digits = re.sub(r"\D", "", text)
        for region in REGIONS:
            found = read_or_refuse(text, region)
            if found in (None, number.e164):
                continue
            own = phonenumbers.parse(found)
            at_home = phonenumbers.format_number(own, PhoneNumberFormat.NATIONAL)
            is_mobile = phonenumbers.number_type(own) == PhoneNumberType.MOBILE
            assert phonenumbers.is_valid_number(own), (number, region, found)
            assert is_mobile or re.sub(r"\D", "", at_home) == digits, (number, region, found)
            taken += 1
    assert taken < len(NUMBERS) * len(REGIONS) / 20


@pytest.mark.parametrize(
    "beside", ["+{code}", "00{code}", "{code}", "{region}", "Somewhere (+{code})", "{region} +{code}"]
)
def test_the_country_beside_a_number_is_its_country(beside: str) -> None:
    mapping = Mapping(
        {"mobile_phone_number": Rule("phone", joined=(Path("phone"),))},
        region="US",
        region_from=Path("dial"),
    )
    for number in NUMBERS:
        dial = beside.format(code=number.code, region=number.region)
        significant: list[object] = [number.significant, number.home, number.digits, number.e164]
        significant += [f"00{number.code}{number.significant}", number.code + number.significant]
        if not number.significant.startswith("0"):
            significant.append(int(number.significant))
        for phone in significant:
            mapped = mapping.apply({"phone": phone, "dial": dial})
            assert mapped.profile == {"mobile_phone_number": number.e164}, (number, phone, dial)


def test_a_number_in_json_is_read_as_its_digits_are() -> None:
    """Its zero is gone then, and it is dropped where the rest may be somebody else's."""
    refused = []
    for number in NUMBERS:
        mapping = Mapping(
            {"mobile_phone_number": Rule("phone", joined=(Path("phone"),))}, region=number.region
        )
        for digits in (number.digits, number.code + number.significant):
            found = mapping.apply({"phone": int(digits)}).profile.get("mobile_phone_number")
            assert found in (None, number.e164), (number, digits)
            refused += [] if found else [number]
    assert [number.region for number in refused] == ["IT"], "whose zero belongs to the number"


@pytest.mark.parametrize("region", ["US", "DE", "IN", "FR", "IT", "ES", "PL", "AU"])
def test_nobody_is_refused_for_writing_as_one_does_at_home(region: str) -> None:
    """Random valid numbers, of whatever kind: in the way of the country, and as from abroad."""
    chance = random.Random(f"numbers of {region}")
    lengths = {len(number.significant) for number in NUMBERS if number.region == region}
    tried = 0
    while tried < 150:
        digits = str(chance.randint(1, 9)) + "".join(chance.choices("0123456789", k=max(lengths) - 1))
        number = phonenumbers.parse(digits, region)
        kind = phonenumbers.number_type(number)
        if kind in (PhoneNumberType.UNKNOWN, PhoneNumberType.VOICEMAIL):
            continue
        if digits.startswith(str(number.country_code)):  # then it is the country's code
            continue
        tried += 1
        wanted = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        home = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
        for text in (home, re.sub(r"\D", "", home), wanted):
            assert read_or_refuse(text, region) in (wanted,), (text, wanted)


@pytest.mark.parametrize(
    "note",
    [
        " (2)",
        " [1]",
        " 2",
        " - 2",
        " : 1",
        " 2nd",
        " 9am",
        " 9-17",
        " (9-5)",
        " 2. OG",
        " 3rd floor",
        " 12 Uhr",
    ],
)
def test_the_digits_of_a_note_are_never_the_numbers(note: str) -> None:
    for number in NUMBERS:
        for text in (number.home, number.abroad, number.e164, number.digits):
            assert read_or_refuse(text + note, number.region) in (None, number.e164), (number, text + note)


def test_a_country_that_nobody_chose_makes_no_number() -> None:
    """A widget shows one before anybody has touched it."""
    mapping = Mapping(
        {"mobile_phone_number": Rule("phone", joined=(Path("phone"),))}, region_from=Path("dial")
    )
    for number in NUMBERS:
        for shown in ("DE", "FR", "GB", "US"):
            mapped = mapping.apply({"phone": number.code + number.significant, "dial": shown})
            found = mapped.profile.get("mobile_phone_number")
            if found not in (None, number.e164):
                own = phonenumbers.parse(found)
                at_home = re.sub(r"\D", "", phonenumbers.format_number(own, PhoneNumberFormat.NATIONAL))
                is_mobile = phonenumbers.number_type(own) == PhoneNumberType.MOBILE
                assert is_mobile or at_home == number.code + number.significant, (number, shown, found)


@pytest.mark.parametrize("between", [" / ", ", ", "; ", " | ", " oder ", " or ", " "])
def test_two_numbers_are_refused(between: str) -> None:
    for number in NUMBERS:
        for other in (number.home, number.e164):
            for one in (number.home, number.abroad):
                text = f"{one}{between}{other}"
                assert read_or_refuse(text, number.region) is None, (number, text)


@pytest.mark.parametrize("note", [" (home)", " privat", " ab 18 Uhr", " casa", " ext. 12", ";ext=12", " x12"])
def test_a_note_behind_a_number_is_left_out(note: str) -> None:
    for number in NUMBERS:
        for text in (number.home, number.abroad):
            found = read_or_refuse(text + note, number.region)
            assert found == number.e164, (number, text + note)
