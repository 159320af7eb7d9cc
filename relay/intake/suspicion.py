"""What makes a submission suspect."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from relay.sources import stamp
from relay.sources.body import Submission
from relay.sources.mapping import CONTACTS, Mapped
from relay.sources.source import Source
from relay.vault import Vault

SOURCE_LIMIT = "source limit"
"""The reason of what is over its source's limits."""
CLIENT_SHARE = "more than one client's share"
"""The reason of what one client sends beyond its part of its source's limits."""
SHARE = Fraction(1, 5)
SUSPECTS = "suspects"
"""The window in which suspects of a source are counted: as wide as the source's own."""


def suspicion_of(
    source: Source,
    sent: Submission,
    mapped: Mapped,
    client: str | None,
    too_many: Callable[..., object],
    vault: Vault,
) -> str | None:
    """Return why a submission is held back, or None.

    What is suspect by itself, more than one client's share, or too much for one recipient does not count
    against its source: bots must not get real people held. ``client``: None where nobody tells clients apart.
    ``too_many`` says whether one more is over a limit; it counts it where it will be kept.
    """
    if own := _own_reason(source, sent, mapped, vault):
        return own
    if client is not None and source.is_form:
        if too_many(source.source_limits, "share", source.name, client, times=SHARE):
            return CLIENT_SHARE
    for name in CONTACTS if source.recipient_limits else ():
        contact = mapped.profile.get(name)
        key = vault.hash("recipient", mailbox(contact)).hex() if contact else ""
        if key and too_many(source.recipient_limits, "recipient", key):
            return "recipient limit"
    if too_many(source.source_limits, "source", source.name):
        return SOURCE_LIMIT
    return None


def _own_reason(source: Source, sent: Submission, mapped: Mapped, vault: Vault) -> str | None:
    if source.honeypot and is_filled(sent.fields.get(source.honeypot)):
        return "honeypot"
    if source.is_form and (odd := _odd_time(source, sent, vault)):
        return odd
    if is_disposable(str(mapped.profile.get("email", "")), source.disposable):
        return "disposable address"
    return None


def _odd_time(source: Source, sent: Submission, vault: Vault) -> str | None:
    """Return what is odd about when the form was handed out, if it says that at all."""
    shown = sent.fields.get(stamp.FIELD)
    return stamp.suspicion(vault.hash(stamp.KEY), source.name, shown, source.min_seconds, sent.received_at)


def is_filled(value: Any) -> bool:
    """Whether a field that people never see came back with something in it."""
    values = value if isinstance(value, list) else [value]
    return any(one is not None and str(one).strip() for one in values)


def mailbox(contact: str) -> str:
    """Return a contact as its mailbox mostly sees it: regardless of case and of what follows a plus.

    Gmail has two names, and sees no dots.
    """
    local, at, domain = contact.casefold().rpartition("@")
    if not at:
        return contact.casefold()
    local = local.partition("+")[0]
    if domain in ("gmail.com", "googlemail.com"):
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def is_disposable(email: str, domains: frozenset[str]) -> bool:
    """Whether the domain of an address, or one that it belongs to, is listed."""
    labels = email.rpartition("@")[2].split(".")
    return any(".".join(labels[at:]) in domains for at in range(len(labels)))
