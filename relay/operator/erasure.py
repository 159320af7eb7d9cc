"""Everything of one contact is found and erased."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from relay.operator import numbers
from relay.operator.values import spellings, values_of
from relay.sources import contact
from relay.sources.body import JSON
from relay.sources.text import normal
from relay.vault import CannotOpen, Vault

_BEFORE = r"(?:(?<![\w.!#$%&'*+=?^`{|}~-])|(?<=[^\w.!#$%&+?^~-]['*={|`]))"
_AFTER = r"(?![\w-]|\.\w)"
"""Around an e-mail address in a text, so that ann@… is not found in joann@…; it may be in quotes."""
_QUERY = re.compile(r"(?:^|[?&])[\w.\[\]%-]{1,64}=")
"""The name before a value in a page's address; what stands behind it is no part of a mailbox."""
_SHORTEST = 5
"""Characters of the shortest contact."""

NO_CONTACT = "must be an e-mail address or a phone number of at least six digits"


@dataclass(frozen=True)
class Erased:
    """What was deleted; ``in_flight`` were being sent; ``profile_ids`` are upstream's to delete.

    Of ``untold`` upstream may have a profile, too, whose id nobody was told.
    """

    count: int
    in_flight: int
    profile_ids: tuple[str, ...]
    untold: int


def is_contact(text: str) -> bool:
    """Whether a text is enough of a contact to look for it in bodies."""
    return "@" in text.strip(" @") or ("@" not in text and len(numbers.significant_digits(text)) >= 6)


class Mentioned:
    """A contact that is looked for in bodies: an address within its bounds, or a number as a whole.

    ``readings``: what it can be, e-mail addresses and numbers in E.164.
    """

    def __init__(self, text: str, readings: Iterable[str]) -> None:
        self._number: numbers.Sought | None = None
        if "@" in text:
            written = {normal(one).strip().casefold() for one in (text, *readings)}
            either = "|".join(re.escape(one) for one in sorted(written))
            self._address = re.compile(f"{_BEFORE}(?:{either}){_AFTER}")
        else:
            self._number = numbers.sought(text, readings)

    def is_in(self, body: bytes, content_type: str) -> bool:
        """Whether a body holds it in any of its values, however they are escaped; unreadable ones too."""
        for value in values_of(body, content_type):
            if len(value.text) < _SHORTEST:
                continue
            written = spellings(value.text)
            if self._number is not None:
                if self._number.is_in(written[-1], value.codes):
                    return True
            elif any(self._is_addressed(one) for one in written):
                return True
        return False

    def _is_addressed(self, text: str) -> bool:
        text = contact.plain(text)
        if "@" not in text:
            return False
        text = " " + _QUERY.sub(" ", normal(text)).casefold()
        return self._address.search(text) is not None


def that_mention(
    rows: Iterator[dict[str, Any]], mentioned: Mentioned, vault: Vault
) -> Iterator[dict[str, Any]]:
    """Yield the rows of whom something is kept, mapped or not, that holds a contact somewhere."""
    return (row for row in rows if _mentions(row, mentioned, vault))


def _mentions(row: dict[str, Any], mentioned: Mentioned, vault: Vault) -> bool:
    """Whether a kept body holds a contact; nobody can look into what no key opens."""
    if row["payload"] is None:
        return False
    try:
        payload = vault.open(row["payload"], row["receipt"])
    except CannotOpen:
        return False
    if "body" not in payload:  # of what may be a bot's, only what would be sent is kept
        return mentioned.is_in(json.dumps(payload).encode(), JSON)
    return mentioned.is_in(payload["body"], payload.get("content_type") or "")
