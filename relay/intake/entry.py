"""A mapped submission becomes an entry for the outbox."""

import json
from collections.abc import Mapping
from typing import Any

from relay import clock
from relay.delivery import CHECK, FRESH, HELD, INVALID, QUEUED, Delivery
from relay.intake.incoming import Incoming
from relay.intake.receipt import is_silent
from relay.outbox.hints import sealed_hint
from relay.outbox.records import Entry
from relay.sources import body as submission
from relay.sources import stamp
from relay.sources.body import Submission
from relay.sources.mapping import CONTACTS, Mapped
from relay.sources.source import Source
from relay.sources.text import usual
from relay.vault import Vault


def entry_of(
    source: Source, sent: Submission, mapped: Mapped, state: str, reason: str | None, vault: Vault
) -> Entry:
    """Return what is stored of a submission."""
    payload = _payload(source, sent, mapped, state)
    delivery = Delivery(
        receipt=vault.receipt(),
        source=source.name,
        destination=source.destination,
        state=state,
        received_at=sent.received_at,
        due_at=sent.received_at,
        reason=reason,
        dropped=mapped.dropped,
        payload=payload,
        lane=CHECK if source.captcha and state == QUEUED else FRESH,
    )
    key, owner = sent.key or "", _keyed_apart(delivery)
    of_bytes = "" if source.can_be_multiplied else key
    by_bytes = vault.hash("bytes", source.name, of_bytes, stamp.without(sent.raw))
    plain = by_bytes if state == INVALID else content_key(vault, source.name, key, mapped)
    email, phone = (mapped.profile.get(name) for name in CONTACTS)
    return Entry(
        delivery=delivery,
        box=vault.seal(payload, delivery.receipt),
        repeat_key=plain if owner is None else vault.hash(*owner, plain),
        plain_key=None if owner is None else plain,
        raw_key=by_bytes if state == QUEUED else None,
        id_hash=vault.hash("key", source.name, key) if key else None,
        window=None if key else _twin_window(source) if state == INVALID else source.repeat_window,
        twin_key=_twin_key(source, sent, mapped, state, owner, vault),
        twin_window=_twin_window(source),
        email_hash=contact_hash(vault, email),
        phone_hash=contact_hash(vault, phone),
        consent=consent_proof(mapped, sent.page, sent.received_at, sent.wording),
        hint=sealed_hint(payload, delivery.receipt, vault),
        ignored_files=tuple(map(usual, sent.ignored_files)),
        budget=source.held_budget if state == HELD else None,
        is_silent=is_silent(source),
    )


def _keyed_apart(delivery: Delivery) -> tuple[str, ...] | None:
    """Return what its keys are apart from others by, None if it owns the plain ones.

    What may be a bot's is no earlier one for the person it imitates. Before its check the same token with
    the same content is the same visitor.
    """
    if delivery.state == HELD:
        return ("held",)
    if delivery.lane == CHECK:
        return "unchecked", str(delivery.payload.get("captcha", ""))
    return None


def _twin_key(
    source: Source,
    sent: Submission,
    mapped: Mapped,
    state: str,
    owner: tuple[str, ...] | None,
    vault: Vault,
) -> bytes | None:
    """Return what a repeat is recognised by whatever key it carries, if there is such a thing.

    A form's visitor may post twice under two keys, and who saw a signed message can give it another id.
    """
    twin = None if state == INVALID else plain_twin_key(source, sent.raw, mapped, vault)
    return twin if twin is None or owner is None else vault.hash(*owner, twin)


def plain_twin_key(source: Source, raw: bytes, mapped: Mapped, vault: Vault) -> bytes | None:
    """Return the twin key of what was mapped and is no suspect."""
    if source.is_form:
        return content_key(vault, source.name, "", mapped)
    return vault.hash("signed", source.name, raw) if source.can_be_multiplied else None


def _twin_window(source: Source) -> float | None:
    """Return for how long a twin is a repeat; None: as long as the earlier one is there."""
    is_timeless = source.can_be_multiplied and source.verifier and not source.verifier.covers_time
    return None if is_timeless else source.repeat_window


def _payload(source: Source, sent: Submission, mapped: Mapped, state: str) -> dict[str, Any]:
    payload: dict[str, Any] = {"profile": mapped.profile}
    if state != HELD:  # of what may be a bot's, no more is kept than would be sent
        payload |= _original(sent)
    if mapped.extra:
        payload["update"] = update_body(mapped.extra, source)
    if source.captcha:
        payload["captcha"] = str(sent.fields.get(source.captcha.field, ""))[:4096]
    if state == INVALID:  # what is needed beside the body when it is mapped again
        payload.pop("profile")
        payload |= {"key": sent.key, "page": sent.page, "wording": dict(sent.wording)}
    return payload


def contact_hash(vault: Vault, contact: str | None) -> bytes | None:
    """Return what a contact is searched by; e-mail addresses regardless of case."""
    return vault.hash("contact", contact.casefold()) if contact else None


def sender_key(source: Source, incoming: Incoming, fields: dict[str, Any]) -> str | None:
    """Return what the sender calls this submission, if it says so in a usable way."""
    if source.id_path is not None:
        found = source.id_path.find(fields)
        if isinstance(found, str | int) and not isinstance(found, bool) and str(found).strip():
            return str(found).strip()[:1000]
    for name in (source.id_header, None if source.is_signed else "idempotency-key"):
        text = incoming.headers.get(name.lower(), "").strip() if name else ""
        if submission.is_key(text):
            return text
    return None


def content_key(vault: Vault, source: str, key: str, mapped: Mapped) -> bytes:
    """Return what a repeat is recognised by: its source, the sender's key for it, and its content."""
    content = json.dumps([mapped.profile, mapped.extra], sort_keys=True)
    return vault.hash("content", source, key, content)


def consent_proof(
    mapped: Mapped, page: str | None, received_at: float, wording: Mapping[str, str]
) -> str | None:
    """Return which boxes were ticked, where and when, as JSON; None where no consent is asked for.

    ``wording``: what stood beside a box, where that is known.
    """
    if mapped.consent is None:
        return None
    about = {"page": page, "at": clock.iso(received_at)}
    return json.dumps(
        {
            name: {**said, **about, **({"wording": wording[said["box"]]} if said["box"] in wording else {})}
            for name, said in mapped.consent.items()
        }
    )


def _original(sent: Submission) -> dict[str, Any]:
    """Return the body as it came, so that it can be mapped again with another configuration."""
    return {"body": sent.raw, "content_type": sent.content_type}


def update_body(extra: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """Return the body of the update that follows the creation."""
    changes: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for name, value in extra.items():
        field, _, inner = name.partition(":")
        if inner:
            properties[inner] = value
        else:
            changes[field] = value
    if properties:
        as_text = source.properties_as == "string"
        changes["custom_properties"] = json.dumps(properties) if as_text else properties
    return changes
