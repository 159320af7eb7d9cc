"""E-mail addresses and phone numbers: normalise, check, mask, and see a slip."""

import difflib
import re
from pathlib import Path

import email_validator

from relay.sources import telephone
from relay.sources.numbering import NoNumber
from relay.sources.text import normal, unescaped, visible

_LONGEST = 500  # of what is typed around an address, and 254 characters of it
_FULL_WIDTH = "".join(map(chr, range(0xFF01, 0xFF5F)))
_TYPOGRAPHIC = "’‘‚‛" + "“”„‟«»‹›" + "‐‑‒–" + "。｡"
_ASCII = "''''" + '"' * 8 + "----" + ".."
_PLAIN = str.maketrans(_TYPOGRAPHIC + _FULL_WIDTH, _ASCII + "".join(map(chr, range(0x21, 0x7F))))
_LINK = re.compile(r"mailto:/*([^?]*)(?:\?.*)?", re.IGNORECASE)
_NAMED = re.compile(r"([^<>]*)<([^<>]*)>")
_QUOTES = '" \t'
_STOPS = ",;:)>"
"""Of the list or the text that an address stood in; none ends a domain."""
_COMMENT = re.compile(r"\s\([^()@]*\)")
_MASKED = re.compile(r"\*\*|[•●…∗⁎]")
"""Where somebody hid a part of an address: ``j***@example.com``, as this relay's own hints do."""
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_LONGEST_LOCAL = 64
_SHORTEST_SLIP = 6  # shorter domains have too many neighbours


class NotAContact(ValueError):
    """The text is no usable e-mail address or phone number."""


def _listed(name: str) -> tuple[str, ...]:
    lines = (Path(__file__).parent / name).read_text(encoding="ascii").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


_COMMON_DOMAINS = _listed("common_domains.txt")
_DOTTED_DOMAINS = frozenset(_listed("dotted_domains.txt"))


def email(text: str) -> str:
    """Return the normal form of an e-mail address.

    What keyboards, address books and word processors put into and around one goes; the domain is in
    lower case and, where it is international, in its ASCII form, which every mail system takes; the
    local part as written, in Unicode NFC. Syntax only, no DNS. Raises NotAContact.
    """
    address = _address(text)
    local, _, domain = address.rpartition("@")
    if _MASKED.search(local) or _ENCODED.search(local):  # encoded twice, and only once undone
        raise _no_address()
    checked = address
    if domain.lower() in _DOTTED_DOMAINS and len(local) <= _LONGEST_LOCAL:
        checked = re.sub(r"\.+", ".", local).removesuffix(".") + "@" + domain
    try:
        found = email_validator.validate_email(checked, check_deliverability=False, strict=True)
    except email_validator.EmailNotValidError:
        raise _no_address() from None
    return f"{found.local_part if checked == address else local}@{found.ascii_domain}"


def plain(text: str) -> str:
    """Return text with the signs of an address as ASCII has them, and nothing that is invisible."""
    return text if text.isascii() else visible(text).translate(_PLAIN)


def _address(text: str) -> str:
    """Return the address in what was typed or copied. Raises NotAContact."""
    text = visible(text).strip()
    if len(text) > _LONGEST:
        raise _no_address()
    text = normal(unescaped(text).translate(_PLAIN)).strip(_QUOTES)
    if text[:1] == text[-1:] == "'":
        text = text[1:-1]
    named = _NAMED.fullmatch(text)
    if named:
        name, text = named[1].strip(_QUOTES + "'"), named[2].strip()
        if "@" in name and name.lower() != text.lower():  # two addresses
            raise _no_address()
    text = _COMMENT.sub("", text)
    link = _LINK.fullmatch(text)
    return (link[1] if link else text).strip().rstrip(_STOPS)


def _no_address() -> NotAContact:
    return NotAContact("Enter a valid e-mail address, like name@example.com.")


def suggestion(address: str) -> str | None:
    """Return the address that was probably meant, where the domain is one slip from a very common one."""
    local, _, domain = address.rpartition("@")
    domain = domain.lower()
    if not local or domain in _COMMON_DOMAINS or not _SHORTEST_SLIP <= len(domain) <= 64:
        return None
    near = difflib.get_close_matches(domain, _COMMON_DOMAINS, n=5, cutoff=0.8)
    meant = next((one for one in near if _is_one_slip(domain, one)), None)
    return f"{local}@{meant}" if meant else None


def _is_one_slip(typed: str, meant: str) -> bool:
    """Whether one letter is missing, too many, another, or two neighbours have changed places."""
    while typed and meant and typed[0] == meant[0]:
        typed, meant = typed[1:], meant[1:]
    while typed and meant and typed[-1] == meant[-1]:
        typed, meant = typed[:-1], meant[:-1]
    return max(len(typed), len(meant)) == 1 or (len(typed) == 2 and typed == meant[::-1])


def phone(text: str, region: str | None = None) -> str:
    """Return a phone number in E.164 (``+4930123456``).

    ``region`` (ISO 3166, ``DE``) is assumed for numbers without a country code. Raises NotAContact.
    """
    try:
        return telephone.read(text, region)
    except NoNumber:
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
