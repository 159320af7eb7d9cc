"""Filter: which submissions somebody means, as they said it, checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from relay.delivery import STATES
from relay.operator.errors import Nonsense
from relay.outbox.wanted import Wanted, seq_of

MAX_ROWS = 1000
_AGO = re.compile(r"([0-9]{1,5})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MAX_TEXT = 300


@dataclass(frozen=True)
class Filter:
    """Which submissions are meant. ``before``: the ``next`` of the page before; times in ISO 8601."""

    state: str | None = None
    source: str | None = None
    contact: str | None = None
    before: str | None = None
    limit: int = 100
    reason: str | None = None
    since: str | None = None
    until: str | None = None
    duplicate: bool | None = None
    receipt: str | None = None
    named: Mapping[str, str] = field(default_factory=dict)
    """Ids by name, of which one is enough."""
    hashes: tuple[bytes, ...] | None = None
    """Of a contact, where that is not said in clear."""

    def said(self) -> dict[str, Any]:
        """Return what was asked for, without whom: to be kept with a job, and in the audit log."""
        named = ("state", "source", "reason", "since", "until", "duplicate")
        return {name: value for name in named if (value := getattr(self, name)) is not None}

    def place(self) -> int | None:
        """Return the seq of the place to go on from. Raises Nonsense."""
        if self.before is None:
            return None
        try:
            return seq_of(self.before)
        except ValueError as problem:
            raise Nonsense(f"before {problem}") from None


def wanted(
    filter_: Filter,
    contact_hashes: tuple[bytes, ...] | None = None,
    upto: int | None = None,
    seen_at: float | None = None,
) -> Wanted:
    """Return what a filter means. Raises Nonsense."""
    if filter_.state is not None and filter_.state not in STATES:
        raise Nonsense(f"knows no state {filter_.state[:40]!r}; one of {', '.join(STATES)}")
    if not 1 <= filter_.limit <= MAX_ROWS:
        raise Nonsense(f"limit must be 1 to {MAX_ROWS}")
    for name in ("source", "reason", "contact", "receipt"):
        check_text(name, getattr(filter_, name))
    for name, text in filter_.named.items():
        check_text(name, text)
    return Wanted(
        state=filter_.state,
        source=filter_.source,
        reason=filter_.reason,
        since=moment("since", filter_.since),
        until=moment("until", filter_.until),
        duplicate=filter_.duplicate,
        contact_hashes=contact_hashes,
        named=filter_.named,
        receipt=filter_.receipt,
        upto=upto,
        seen_at=seen_at,
    )


def moment(name: str, text: str | None) -> float | None:
    """Return a time of ISO 8601 in seconds since 1970, in UTC if it names no zone. Raises Nonsense."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Nonsense(f"{name} must be a time like 2026-01-31 or 2026-01-31T09:00:00Z") from None


def typed_time(text: str | None, zone: tzinfo) -> str | None:
    """Return a time as a person types it, in the zone in which times are shown to them, or as how long ago
    it was (``24h``), in ISO 8601 with its zone. What is no time comes back as it is."""
    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        past = timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
        return (datetime.now(UTC) - past).astimezone(zone).isoformat(timespec="seconds")
    try:
        found = datetime.fromisoformat(text)
        return text if found.tzinfo else found.replace(tzinfo=zone).isoformat()
    except (ValueError, OverflowError):
        return text


def typed_flag(text: str | None) -> bool | None:
    """Return yes or no as an address or a form says it (a ticked box: ``1``), None where it says nothing."""
    return text.lower() not in ("false", "0") if text else None


def check_text(name: str, text: str | None) -> None:
    """Refuse what no database can be asked for. Raises Nonsense."""
    if text is None:
        return
    if len(text) > _MAX_TEXT:
        raise Nonsense(f"{name} is too long")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Nonsense(f"{name} holds a character that no text has")
