"""E-mail addresses and phone numbers: normalise, check, mask."""

import re

import email_validator
import phonenumbers

# Formatting that people type around digits, extensions and vanity letters; anything else is no number.
_PHONE_CHARACTERS = re.compile(r"[\w\s+().,;:/*#~=\-‐-―−（）．－／＋]+")
# Direction marks and invisible blanks: address books copy numbers with them.
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_MOST_DIGITS = 15  # of E.164, with the country code
_MAX_PHONE = 80


class NotAContact(ValueError):
    """The text is no usable e-mail address or phone number."""


def email(text: str) -> str:
    """Return the normal form of an e-mail address.

    Trimmed; the domain in lower case and, where it is international, in its ASCII form, which every
    mail system takes; the local part as written, in Unicode NFC. Syntax only, no DNS.
    Raises NotAContact.
    """
    try:
        checked = email_validator.validate_email(text.strip(), check_deliverability=False, strict=True)
    except email_validator.EmailNotValidError:
        raise NotAContact("Enter a valid e-mail address, like name@example.com.") from None
    return f"{checked.local_part}@{checked.ascii_domain}"


def phone(text: str, region: str | None = None) -> str:
    """Return a phone number in E.164 (``+4930123456``).

    ``region`` (ISO 3166, ``DE``) is assumed for numbers without a country code. A number is taken when
    it is *possible* for its country; numbering plans change more often than software.
    Raises NotAContact.
    """
    text = _INVISIBLE.sub("", text).strip()
    if len(text) > _MAX_PHONE or not _PHONE_CHARACTERS.fullmatch(text):
        raise _no_phone(region)
    if region is None and text.startswith("00"):
        text = "+" + text[2:]
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        raise _no_phone(region) from None
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise _no_phone(region)
    found: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if len(found) > 1 + _MOST_DIGITS:  # the library thinks longer ones possible in some countries
        raise _no_phone(region)
    return found


def _no_phone(region: str | None) -> NotAContact:
    if region is None:
        return NotAContact("Enter a phone number with its country code, like +49 30 1234567.")
    return NotAContact("Enter a valid phone number.")


def is_region(code: str) -> bool:
    """Whether ``code`` is a country whose numbering plan is known."""
    return code in phonenumbers.SUPPORTED_REGIONS


def mask(contact: str) -> str:
    """Return a hint an operator can recognise and nobody can use: ``j***@example.com``, ``+49***67``."""
    local, at, domain = contact.partition("@")
    if at:
        return f"{local[:1]}***@{domain}"
    return f"{contact[:3]}***{contact[-2:]}"
