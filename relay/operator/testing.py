"""A test of a source: somebody made up signs up through its mapping, marked, and sent only when asked."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from relay.delivery import DISCARDED, QUEUED
from relay.intake.entry import entry_of
from relay.operator.errors import Unfitting
from relay.operator.imports import first_place, submission_of
from relay.outbox.outbox import Outbox
from relay.outbox.records import Entry
from relay.sources.mapping import CONTACTS, Mapped
from relay.sources.rules import Rule
from relay.sources.source import Source

REASON = "test"
"""What marks the row of a test."""
_MADE_UP: Mapping[str, str] = {
    "text": "Test",
    "email": "test@example.com",
    "phone": "+4915112345678",
    "integer": "1",
    "number": "1",
    "boolean": "true",
    "date": "2026-01-31",
    "url": "https://example.com",
    "list": "Test",
}
"""A value of each type that a field can have."""


def signed_up(
    source: Source, outbox: Outbox, contact: Mapping[str, str], *, send: bool, once: str = ""
) -> dict[str, Any]:
    """Map and store somebody made up; ``contact``: the operator's own, to whom alone it is sent.

    Without ``send`` it is stored as discarded, without a payload. The same test under the same name ``once``
    is one test. Raises Unfitting.
    """
    if send and not contact:
        raise Unfitting("to send it, name your own address: email, or mobile_phone_number")
    values = {**_made_up(source, () if not send else CONTACTS), **contact}
    fields, mapped = _mapped(source, values)
    if not mapped.ok:
        raise Unfitting(f"{source.name} cannot map a test; see errors.", mapped.errors)
    if send and (other := sorted({*CONTACTS} & {*mapped.profile} - {*contact})):
        raise Unfitting(f"{source.name} puts in a contact where none is given: name your own {other[0]}, too")
    stored = outbox.put(_entry(source, fields, mapped, outbox, send, once or secrets.token_hex(8)))
    return {
        "receipt": stored.delivery.receipt,
        "state": stored.delivery.state,
        "reason": REASON,
        "profile": mapped.profile,
        "dropped": list(mapped.dropped),
    }


def _made_up(source: Source, without: Collection[str]) -> dict[str, Any]:
    """Return a value for every field of a profile, and of its update where one is needed, by its name."""
    rules, extra = source.mapping.rules, source.mapping.extra
    needed = {**rules, **{name: rule for name, rule in extra.items() if rule.required}}
    found = {name: _of(rule) for name, rule in needed.items() if rule.value is None and name not in without}
    return dict(sorted(found.items(), key=lambda one: one[0] in CONTACTS))  # a contact last: it must be one


def _of(rule: Rule) -> Any:
    """Return a value that a rule takes."""
    if rule.choices:
        return [rule.choices[0]] if rule.type == "list" else rule.choices[0]
    value = _MADE_UP[rule.type]
    return value[: rule.max_length] if rule.type in ("text", "list") else value


def _mapped(source: Source, values: Mapping[str, Any]) -> tuple[dict[str, Any], Mapped]:
    """Return a body in which every rule finds what it looks for, with every box ticked, and its profile.

    No body can be made for rules that look for labels: there the values are taken as if they were found.
    """
    mapping = source.mapping
    fields: dict[str, Any] = dict.fromkeys(mapping.boxes, "yes")
    places = {name: first_place(rule) for name, rule in mapping.every.items()}
    wanted = {name: value for name, value in values.items() if name in places}
    fields |= {places[name] or name: value for name, value in wanted.items()}
    given = {name: value for name, value in wanted.items() if not places[name]}
    return fields, mapping.correct(fields, given) if given else mapping.apply(fields)


def _entry(
    source: Source, fields: dict[str, Any], mapped: Mapped, outbox: Outbox, send: bool, once: str
) -> Entry:
    state = QUEUED if send else DISCARDED
    sent = submission_of(fields, outbox.time(), key=f"test {state} {once}")
    entry = entry_of(replace(source, captcha=None, id_path=None), sent, mapped, state, REASON, outbox.vault)
    entry = replace(entry, twin_key=None, is_test=True)  # each test is one of its own
    return entry if send else replace(entry, box=None, hint=None, email_hash=None, phone_hash=None)
