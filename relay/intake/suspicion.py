"""What makes a submission suspect."""

import re
import time
from typing import Any

from relay.intake.limits import Doorkeeper
from relay.sources import stamp
from relay.sources.body import Submission
from relay.sources.mapping import CONTACTS, Mapped
from relay.sources.source import Source
from relay.vault import Vault

SOURCE_LIMIT = "source limit"
"""The reason of what is over its source's limits."""


def suspicion_of(
    source: Source, sent: Submission, mapped: Mapped, doorkeeper: Doorkeeper, vault: Vault
) -> str | None:
    """Return why a submission is held back, or None."""
    if source.honeypot and is_filled(sent.fields.get(source.honeypot)):
        return "honeypot"
    if source.is_form and (odd := _odd_time(source, sent, vault)):
        return odd
    if is_disposable(str(mapped.profile.get("email", "")), source.disposable):
        return "disposable address"
    if doorkeeper.retry_after(source.source_limits, "source", source.name):
        return SOURCE_LIMIT
    for name in CONTACTS if source.recipient_limits else ():
        contact = mapped.profile.get(name)
        key = vault.hash("recipient", mailbox(contact)).hex() if contact else ""
        if key and doorkeeper.retry_after(source.recipient_limits, "recipient", key):
            return "recipient limit"
    return None


def _odd_time(source: Source, sent: Submission, vault: Vault) -> str | None:
    """Return what is odd about when the form was handed out, if it says that at all."""
    shown = sent.fields.get(stamp.FIELD)
    return stamp.suspicion(vault.hash(stamp.KEY), source.name, shown, source.min_seconds, time.time())


def is_filled(value: Any) -> bool:
    """Whether a field that people never see came back with something in it."""
    values = value if isinstance(value, list) else [value]
    return any(one is not None and str(one).strip() for one in values)


def mailbox(contact: str) -> str:
    """Return a contact as its mailbox mostly sees it: regardless of case and of what follows a plus."""
    return re.sub(r"\+[^@]*(?=@)", "", contact.casefold())


def is_disposable(email: str, domains: frozenset[str]) -> bool:
    """Whether the domain of an address, or one that it belongs to, is listed."""
    labels = email.rpartition("@")[2].split(".")
    return any(".".join(labels[at:]) in domains for at in range(len(labels)))
