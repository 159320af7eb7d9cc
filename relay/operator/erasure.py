"""Everything of one contact is found and erased."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from relay.vault import KeyMissing, Vault

_BEFORE = r"(?:(?<![\w.!#$%&'*+/=?^`{|}~-])|(?<=\\[nrt])|(?<=\\u[0-9a-f]{4}))"
_AFTER = r"(?![\w-]|\.\w)"
"""Around an e-mail address that stands in a body, so that ann@… is not found in joann@…."""

NO_CONTACT = "must be an e-mail address or a phone number of at least six digits"


@dataclass(frozen=True)
class Erased:
    """What was deleted; ``in_flight`` were being sent; ``profile_ids`` are upstream's to delete."""

    count: int
    in_flight: int
    profile_ids: tuple[str, ...]


def is_contact(text: str) -> bool:
    """Whether a text is enough of a contact to look for it in bodies."""
    return "@" in text.strip(" @") or ("@" not in text and len(significant_digits(text)) >= 6)


def significant_digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text).lstrip("0")


def that_mention(rows: Iterator[dict[str, Any]], text: str, vault: Vault) -> Iterator[dict[str, Any]]:
    """Yield the rows whose body, mapped or not, holds a contact somewhere."""
    return (row for row in rows if _mentions(row, text, vault))


def _mentions(row: dict[str, Any], text: str, vault: Vault) -> bool:
    """Whether a payload that could not be mapped holds a contact somewhere, however it is written."""
    if row["payload"] is None:
        return False
    try:
        payload = vault.open(row["payload"], row["receipt"])
    except (KeyMissing, ValueError):
        return False
    body = payload.get("body", b"").replace(b"\0", b"").decode("utf-8", "replace").casefold()
    if "@" not in text:
        return significant_digits(text) in re.sub(r"[^0-9]", "", unquote_plus(body))
    whole = rf"{_BEFORE}{re.escape(text.strip().casefold())}{_AFTER}"
    return any(re.search(whole, one) for one in (body, unquote_plus(body)))
