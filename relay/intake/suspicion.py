"""What makes a submission suspect."""

import re
from typing import Any


def _is_filled(value: Any) -> bool:
    """Whether a field that people never see came back with something in it."""
    values = value if isinstance(value, list) else [value]
    return any(one is not None and str(one).strip() for one in values)


def _mailbox(contact: str) -> str:
    """Return a contact as its mailbox mostly sees it: regardless of case and of what follows a plus."""
    return re.sub(r"\+[^@]*(?=@)", "", contact.casefold())


def _is_disposable(email: str, domains: frozenset[str]) -> bool:
    """Whether the domain of an address, or one that it belongs to, is listed."""
    labels = email.rpartition("@")[2].split(".")
    return any(".".join(labels[at:]) in domains for at in range(len(labels)))
