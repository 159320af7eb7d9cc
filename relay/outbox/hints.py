"""A contact's hint: enough to know a person by, in a column of its own that lists may read."""

from collections.abc import Mapping
from typing import Any

from relay.sources import contact
from relay.sources.mapping import CONTACTS
from relay.vault import CannotOpen, Vault


def sealed_hint(payload: Mapping[str, Any], receipt: str, vault: Vault) -> bytes | None:
    """Return the hint of a payload's contact, sealed for its row; None if it has no contact."""
    profile = payload.get("profile") or {}
    known = next((profile[name] for name in CONTACTS if profile.get(name)), None)
    return vault.seal(contact.mask(known), _place(receipt)) if known else None


def opened_hint(row: Mapping[str, Any], vault: Vault) -> str | None:
    """Return the hint of a row, None if it has none or it cannot be read."""
    if row["contact_hint"] is None:
        return None
    try:
        return str(vault.open(row["contact_hint"], _place(row["receipt"])))
    except CannotOpen:
        return None


def resealed(box: bytes | None, receipt: str, vault: Vault) -> bytes | None:
    """Return a hint, sealed with the newest key. Raises CannotOpen."""
    return vault.reseal(box, _place(receipt))


def _place(receipt: str) -> str:
    return f"{receipt} hint"
