"""What digits mean: the number of one country, where it is certain whose."""

import re

import phonenumbers
from phonenumbers import CountryCodeSource, PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult

_MOST_DIGITS = 15  # of E.164, with the country code
_FEW_DIGITS = 7
_MEXICAN_MOBILE = re.compile(r"521([0-9]{10})")
"""As mobiles in Mexico were dialled from abroad until 2020; their numbers are the same without the 1."""
_VANITY = re.compile(r"[\d\s().+-]*\d[\s().-]*[A-Za-z]{3,}(?:[\s-][A-Za-z]+)*")
_VANITY_KINDS = {
    PhoneNumberType.TOLL_FREE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.UAN,
}
_NOBODYS_KINDS = {PhoneNumberType.UNKNOWN, PhoneNumberType.VOICEMAIL}
_NORTH_AMERICA = 1


class NoNumber(ValueError):
    """The text is no telephone number, or it is not certain whose."""


def international(digits: str, without_zero: str | None = None) -> PhoneNumber:
    """Return a number that begins with its country's code. Raises NoNumber.

    ``without_zero``: it without the zero that was written in brackets, as it is dialled from abroad.
    """
    if mexican := _MEXICAN_MOBILE.fullmatch(digits):
        digits = "52" + mexican[1]
    if without_zero is None:
        return _possible(_from_abroad(digits))
    return _the_valid_one(_parsed("+" + without_zero), _try_parsed("+" + digits))


def _from_abroad(digits: str) -> PhoneNumber:
    """Return what digits with a country's code are. Where it stands there twice, put there by a widget and
    typed again, that is no number of the country's, and without the first one it is. Raises NoNumber.

    Behind +49 a mobile's 49 151 may as well be Leer's area code, 491, and behind +7 a 7 775 one's 777 with a
    digit too many: then nobody can tell.
    """
    number = _parsed("+" + digits)
    code = str(number.country_code)
    rest = _valid(digits.removeprefix(code)) if digits.startswith(2 * code) else None
    if rest is None:
        return number
    kind = phonenumbers.number_type(number)
    if kind == PhoneNumberType.UNKNOWN:
        if any(map(_valid, (digits[:-1], digits + "0"))):
            raise NoNumber
        return rest
    if kind != PhoneNumberType.MOBILE and phonenumbers.number_type(rest) == PhoneNumberType.MOBILE:
        raise NoNumber
    return number


def in_region(digits: str, region: str, *, may_be_foreign: bool = False) -> PhoneNumber:
    """Return what digits mean where they were typed: a national number, or one dialled from there.

    ``may_be_foreign``: the caller looks whether they are as well a number from abroad.
    Raises NoNumber.
    """
    own = _parsed(digits, region)
    code = str(phonenumbers.country_code_for_region(region))
    if own.country_code_source == CountryCodeSource.FROM_NUMBER_WITH_IDD:
        return _dialled_abroad(digits, own, code)
    if digits.startswith("00"):
        return _certain(own, _parsed("+" + digits[2:]))
    if digits.startswith("0" + code):
        return _with_a_zero_before_its_code(digits, own)
    if digits.startswith(code):
        national = own
        if own.country_code_source == CountryCodeSource.FROM_NUMBER_WITHOUT_PLUS_SIGN:
            national = _parsed(f"+{code}{digits}")
        return _certain(national, _from_abroad(digits))
    if not may_be_foreign and _may_be_foreign(digits, own):
        raise NoNumber
    return _possible(own)


def _with_a_zero_before_its_code(digits: str, national: PhoneNumber) -> PhoneNumber:
    """Return what ``049 170 …`` is: a national number, or one whose second zero was forgotten.

    No number of North America begins with a zero, and ``0151 …`` is a mobile in Germany. Raises NoNumber.
    """
    if national.country_code == _NORTH_AMERICA:
        raise NoNumber
    abroad = _valid(digits[1:])
    if abroad is None:
        return _possible(national)
    return _the_valid_one(national, abroad)


def _dialled_abroad(digits: str, dialled: PhoneNumber, code: str) -> PhoneNumber:
    """Return a number behind the prefix for calls abroad; other prefixes than 00 also begin numbers."""
    if digits.startswith("00"):  # also what others dial, and a carrier's number may follow it
        return _the_valid_one(dialled, _try_parsed("+" + digits[2:]))
    if _may_be_foreign(digits, dialled):
        raise NoNumber
    return _certain(_parsed(f"+{code}{digits}"), dialled)


def _certain(national: PhoneNumber, abroad: PhoneNumber) -> PhoneNumber:
    """Return the one of two readings that is certain. Raises NoNumber if neither is.

    A valid international one is meant; a merely possible one only if it could be no national number.
    A national one is meant if it is valid, and the other is not even as long as such numbers are, or
    the country's numbers are written without a prefix, so that this is how they look.
    """
    if (
        formatted(national) == formatted(abroad)
        or phonenumbers.is_valid_number(abroad)
        or not _is_possible(national)
    ):
        return _possible(abroad)
    kind = phonenumbers.number_type(national)
    if kind == PhoneNumberType.UNKNOWN or (_has_prefix(national) and _is_as_long(abroad, kind)):
        raise NoNumber
    return national


def _the_valid_one(first: PhoneNumber, second: PhoneNumber | None) -> PhoneNumber:
    """Return what two readings agree on, or else the only valid one. Raises NoNumber."""
    if second is None or formatted(first) == formatted(second):
        return _possible(first)
    valid = [number for number in (first, second) if phonenumbers.is_valid_number(number)]
    if len(valid) != 1:
        raise NoNumber
    return valid[0]


def _may_be_foreign(digits: str, national: PhoneNumber) -> bool:
    """Whether digits may be a number from abroad whose plus was left out.

    No digit but a plus makes the difference. So a valid one from abroad is only not meant where the national
    one is valid and written as people there write it, or a mobile's, which many write without its zero.
    """
    if digits.startswith("0"):
        return False
    abroad = _valid(digits)
    if abroad is None or formatted(abroad) == formatted(national):
        return False
    kind = phonenumbers.number_type(national)
    written = phonenumbers.format_number(national, PhoneNumberFormat.NATIONAL)
    is_whole = digits == re.sub(r"\D", "", written) and kind not in _NOBODYS_KINDS
    return not (is_whole or kind == PhoneNumberType.MOBILE)


def _has_prefix(number: PhoneNumber) -> bool:
    region = phonenumbers.region_code_for_country_code(number.country_code or 0)
    return phonenumbers.ndd_prefix_for_region(region, False) is not None


def _is_as_long(number: PhoneNumber, kind: int) -> bool:
    reason = phonenumbers.is_possible_number_for_type_with_reason(number, kind)
    return bool(reason == ValidationResult.IS_POSSIBLE)


def with_or_without_plus(digits: str, region: str | None) -> PhoneNumber:
    """Return a number that perhaps lost its plus: the national one if that is valid, else with a plus."""
    if region is None:
        return international(digits)
    try:
        national = in_region(digits, region, may_be_foreign=True)
    except NoNumber:
        return international(digits)
    if phonenumbers.is_valid_number(national) and _may_be_foreign(digits, national):
        raise NoNumber
    abroad = _try_parsed("+" + digits)
    if phonenumbers.is_valid_number(national) or abroad is None or not _is_possible(abroad):
        return national
    if not phonenumbers.is_valid_number(abroad):
        raise NoNumber
    return abroad


def vanity(text: str, region: str | None) -> PhoneNumber:
    """Return a number whose last digits are written as letters, like 1-800-FLOWERS. Raises NoNumber."""
    if not _VANITY.fullmatch(text):
        raise NoNumber
    number = _parsed(phonenumbers.convert_alpha_characters_in_number(text), region)
    kind = phonenumbers.number_type(number)
    if kind not in _VANITY_KINDS and (
        number.country_code != _NORTH_AMERICA or kind == PhoneNumberType.UNKNOWN
    ):
        raise NoNumber
    return number


def _parsed(text: str, region: str | None = None) -> PhoneNumber:
    try:
        return phonenumbers.parse(text, region, keep_raw_input=True)
    except phonenumbers.NumberParseException:
        raise NoNumber from None


def _try_parsed(text: str) -> PhoneNumber | None:
    try:
        return _parsed(text)
    except NoNumber:
        return None


def _valid(digits: str) -> PhoneNumber | None:
    """Return the number that digits with a country's code are, None if its country gives none such out."""
    number = _try_parsed("+" + digits)
    return number if number is not None and phonenumbers.is_valid_number(number) else None


def _possible(number: PhoneNumber) -> PhoneNumber:
    if not _is_possible(number):
        raise NoNumber
    if len(str(number.national_number)) < _FEW_DIGITS and not phonenumbers.is_valid_number(number):
        raise NoNumber  # plans change, but not to so few: it is a post code, or the beginning of a number
    return number


def _is_possible(number: PhoneNumber) -> bool:
    reason = phonenumbers.is_possible_number_with_reason(number)
    return bool(reason == ValidationResult.IS_POSSIBLE) and len(formatted(number)) <= 1 + _MOST_DIGITS


def lasting(number: PhoneNumber) -> str:
    """Return a number in E.164. Raises NoNumber if whoever reads that would read another, or none: it has a
    digit too many, which is left out only where it is dialled at home, or is a part of one."""
    found = formatted(number)
    if formatted(international(found.removeprefix("+"))) != found:
        raise NoNumber
    return found


def formatted(number: PhoneNumber) -> str:
    found: str = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return found
