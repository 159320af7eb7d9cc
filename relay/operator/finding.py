"""A person is found: what a contact may be stored under."""

from relay.config.settings import Settings
from relay.intake.content import contact_hash
from relay.sources import contact
from relay.vault import Vault


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
