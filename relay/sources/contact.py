"""E-mail addresses and phone numbers: normalise, check, mask."""

import email_validator

from relay.sources import telephone


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

    ``region`` (ISO 3166, ``DE``) is assumed for numbers without a country code. Raises NotAContact.
    """
    try:
        return telephone.read(text, region)
    except telephone.NoNumber:
        if region is None:
            wanted = "Enter a phone number with its country code, like +49 30 1234567."
        else:
            wanted = "Enter a valid phone number."
        raise NotAContact(wanted) from None


def mask(contact: str) -> str:
    """Return a hint an operator can recognise and nobody can use: ``j***@example.com``, ``+49***67``."""
    local, at, domain = contact.partition("@")
    if at:
        return f"{local[:1]}***@{domain}"
    return f"{contact[:3]}***{contact[-2:]}"
