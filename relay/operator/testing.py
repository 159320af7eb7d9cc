"""A test of a source: somebody made up signs up through its mapping, marked, and sent only when asked."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from relay.delivery import DISCARDED, QUEUED
from relay.intake.entry import entry_of
from relay.operator.errors import Unfitting
from relay.operator.imports import place_of, submission_of
from relay.outbox.outbox import Outbox
from relay.outbox.records import Entry
from relay.sources.mapping import Mapped
from relay.sources.source import Source

REASON = "test"
"""What marks the row of a test."""
_MADE_UP: Mapping[str, str] = {
    "email": "test@example.com",
    "mobile_phone_number": "+4915112345678",
    "full_name": "Test",
}


def signed_up(
    source: Source, outbox: Outbox, contact: Mapping[str, str], *, send: bool, once: str = ""
) -> dict[str, Any]:
    """Map and store somebody made up; ``contact``: the operator's own, to whom alone it is sent.

    Without ``send`` it is stored as discarded, without a payload. The same test under the same name ``once``
    is one test. Raises Unfitting.
    """
    if send and not contact:
        raise Unfitting("to send it, name your own address: email, or mobile_phone_number")
    values = {**_MADE_UP, **contact} if not send else {"full_name": _MADE_UP["full_name"], **contact}
    fields, mapped = _mapped(source, values)
    if not mapped.ok:
        raise Unfitting(f"{source.name} cannot map a test; see errors.", mapped.errors)
    stored = outbox.put(_entry(source, fields, mapped, outbox, send, once or secrets.token_hex(8)))
    return {
        "receipt": stored.delivery.receipt,
        "state": stored.delivery.state,
        "reason": REASON,
        "profile": mapped.profile,
        "dropped": list(mapped.dropped),
    }


def _mapped(source: Source, values: Mapping[str, str]) -> tuple[dict[str, Any], Mapped]:
    """Return a body in which every rule finds what it looks for, with every box ticked, and its profile.

    No body can be made for rules that look for labels: there the values are taken as if they were found.
    """
    mapping = source.mapping
    fields: dict[str, Any] = {box.field: "yes" for box in mapping.consent.values()}
    wanted = {name: value for name, value in values.items() if name in mapping.rules}
    fields |= {place_of(source, name) or name: value for name, value in wanted.items()}
    given = {name: value for name, value in wanted.items() if not place_of(source, name)}
    return fields, mapping.correct(fields, given) if given else mapping.apply(fields)


def _entry(
    source: Source, fields: dict[str, Any], mapped: Mapped, outbox: Outbox, send: bool, once: str
) -> Entry:
    state = QUEUED if send else DISCARDED
    sent = submission_of(source, fields, outbox.time(), key=f"test {state} {once}")
    entry = entry_of(replace(source, captcha=None, id_path=None), sent, mapped, state, REASON, outbox.vault)
    entry = replace(entry, twin_key=None, is_test=True)  # each test is one of its own
    return entry if send else replace(entry, box=None, hint=None, email_hash=None, phone_hash=None)
