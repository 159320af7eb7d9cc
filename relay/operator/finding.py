"""A person is found: by a contact, under whatever it may be stored, or by an id."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
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


@dataclass(frozen=True)
class Sought:
    """By what somebody is found: keyed hashes of a contact, and ids that something here has."""

    hashes: tuple[bytes, ...]
    named: Mapping[str, str]


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
    """Return the hashes of a contact: as e-mail, and as a phone of any source's region.

    Raises Nonsense for a number that nobody can read while relay.toml, which names the regions, is broken.
    """
    found = readings(text, settings)
    if not (found or settings.has_file):
        raise Nonsense("a number is only found with its country code, like +49 …, while relay.toml is broken")
    return tuple(h for one in {text.strip(), *found} if (h := contact_hash(vault, one)))


def readings(text: str, settings: Settings) -> frozenset[str]:
    """Return what a contact can be: an e-mail address, and the phone in E.164 of any source's region."""
    found: set[str] = set()
    regions = {source.region for source in settings.sources.values() if source.region}
    ways: list[Callable[[str], str]] = [contact.email, contact.phone]
    ways += [partial(contact.phone, region=region) for region in regions]
    for way in ways:
        with suppress(contact.NotAContact):
            found.add(way(text))
    return frozenset(found)
