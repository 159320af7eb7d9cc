"""Addresses: of the web, of mail, and of the server that mail is handed to."""

import email.utils
import re
from urllib.parse import parse_qsl, unquote, urlsplit

from relay.network import is_loopback
from relay.sources import contact

_HOST = re.compile(r"[^\s.]{1,63}(?:\.[^\s.]{1,63})*")


def is_url(text: str) -> bool:
    if not has_good_port(text) or not text.isprintable():  # of two lines urlsplit makes one
        return False
    parts = urlsplit(text)
    host = (parts.hostname or "").removesuffix(".")
    return parts.scheme in ("http", "https") and bool(":" in host or _HOST.fullmatch(host))


def plain_http_problem(text: str) -> str | None:
    """Return why an address is not one that secrets may be sent to."""
    if not is_url(text):
        return "must be an https address"
    parts = urlsplit(text)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        return "must be https; http is for a loopback host only"
    if parts.username or parts.password:
        return "must not hold a user name or password"
    if "#" in text:
        return "must not hold a #, as what stands after it is never sent"
    return None


def has_good_port(text: str) -> bool:
    try:
        return urlsplit(text).port != 0
    except ValueError:  # also of brackets that are no IPv6 address
        return False


_WHO = re.compile(r"\A(?:[^:/]*(?::[^@]*)?@)?")
"""User and password, where SQLAlchemy finds them."""


def database_url(text: str) -> str:
    """Return the address of a database. A password may hold what it likes but an @. Raises ValueError."""
    path = text.removeprefix("sqlite:///")
    if path not in ("", text) and ":memory:" not in path and "?" not in path:
        return text
    said = text.removeprefix("postgresql+psycopg://")
    host, _, query = _WHO.sub("", said, count=1).partition("?")
    servers = host.partition("/")[0]
    names = [one.partition("=")[0] for one in query.split("&")]
    # Else a part of the password is called the host, also in the log.
    if said != text and "@" in host + "".join(names):
        raise ValueError("holds more than one @; one that is of the password is written %40")
    if said != text and "," in servers and ":" in servers.rpartition(",")[0]:
        form = "postgresql+psycopg://user:password@/name?host=first:5432&host=second:5432"
        raise ValueError(f"names several servers, which stand behind the question mark: {form}")
    if said == text or not has_good_port(f"//{host}") or servers.endswith(":"):
        raise ValueError(
            "must be sqlite:///path/to/relay.db or postgresql+psycopg://user:password@host:port/name"
        )
    thresholds = [value for name, value in parse_qsl(query) if name == "prepare_threshold"]
    if len(thresholds) > 1 or not all(re.fullmatch(r"none|[0-9]{1,9}", one) for one in thresholds):
        raise ValueError("says prepare_threshold, which must be none or a number")
    return text


def mail_address(text: str) -> str:
    """Return ``name@example.com`` or ``Name <name@example.com>``. Raises ValueError."""
    if any(character in text for character in "\r\n,"):
        raise ValueError("must be one address, on one line")
    _, address = email.utils.parseaddr(text)
    try:
        contact.email(address)
    except contact.NotAContact:
        raise ValueError("must be an address like relay@example.com") from None
    return text


def mail_addresses(text: str) -> tuple[str, ...]:
    """Return addresses that are separated by commas. Raises ValueError."""
    return tuple(mail_address(part.strip()) for part in text.split(",") if part.strip())


def smtp_url(text: str) -> str:
    """Return the address of a mail server. Raises ValueError."""
    said = "must be smtp://user:password@host:587 or smtps://user:password@host:465"
    if not text:
        return text
    if not has_good_port(text):
        raise ValueError(said)
    parts = urlsplit(text)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError(said)
    if bool(parts.username) != bool(parts.password):
        raise ValueError(f"{said}: user and password, or neither")
    if not unquote(f"{parts.username}{parts.password}").isascii():
        raise ValueError(f"{said}: in letters, digits and signs of ASCII, as logging in takes no others")
    return text
