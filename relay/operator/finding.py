"""A person is found: by a contact, under whatever it may be stored, or by an id."""

import re
from typing import Any

from relay.config.settings import Settings
from relay.intake.content import contact_hash
from relay.operator import erasure
from relay.operator.errors import Nonsense
from relay.sources import contact
from relay.vault import Vault

CONTACT = "contact"
IDS = ("receipt", "profile_id", "trace_id")
WAYS = (CONTACT, *IDS)
_ID = re.compile(r"[\w:.-]{4,200}", re.ASCII)


def meant(text: str, by: str | None) -> dict[str, Any]:
    """Return which part of a filter finds a text. Raises Nonsense where nothing could."""
    text = text.strip()
    ways = WAYS if by is None else (by,)
    found: dict[str, Any] = {}
    if CONTACT in ways and erasure.is_contact(text):
        found[CONTACT] = text
    if _ID.fullmatch(text):
        found["named"] = {name: text for name in IDS if name in ways}
    if not any(found.values()):
        told = erasure.NO_CONTACT if by == CONTACT else "is no id that anything here could have"
        either = f"{erasure.NO_CONTACT}, or a receipt, profile id or trace id"
        raise Nonsense(f"{by} {told}" if by else f"what is looked for {either}")
    return found


def hashes(text: str, settings: Settings, vault: Vault) -> tuple[bytes, ...]:
    """Return the hashes of a contact: as e-mail, and as a phone of any source's region."""
    found = {text.strip()}
    for check in (contact.email, contact.phone):
        try:
            found.add(check(text))
        except contact.NotAContact:
            continue
    for region in {source.region for source in settings.sources.values() if source.region}:
        try:
            found.add(contact.phone(text, region))
        except contact.NotAContact:
            continue
    return tuple(h for one in found if (h := contact_hash(vault, one)))
