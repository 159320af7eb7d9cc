"""Everything of one contact is found and erased."""

import re
from dataclasses import dataclass

_BEFORE = r"(?:(?<![\w.!#$%&'*+/=?^`{|}~-])|(?<=\\[nrt])|(?<=\\u[0-9a-f]{4}))"


_AFTER = r"(?![\w-]|\.\w)"
"""Around an e-mail address that stands in a body, so that ann@… is not found in joann@…."""


NO_CONTACT = "must be an e-mail address or a phone number of at least six digits"


def is_contact(text: str) -> bool:
    """Whether a text is enough of a contact to look for it in bodies."""
    return "@" in text.strip(" @") or ("@" not in text and len(significant_digits(text)) >= 6)


def significant_digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text).lstrip("0")


@dataclass(frozen=True)
class Erased:
    """What was deleted; ``in_flight`` were being sent; ``profile_ids`` are upstream's to delete."""

    count: int
    in_flight: int
    profile_ids: tuple[str, ...]
