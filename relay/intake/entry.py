"""A mapped submission becomes an entry for the outbox."""

from typing import Any

from relay.delivery import CHECK, FRESH, HELD, INVALID, QUEUED, Delivery
from relay.intake.content import (
    body_key,
    consent_proof,
    contact_hash,
    content_key,
    to_send,
    twin_key,
    twin_window,
)
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
    key, owner = body_key(source, sent.fields) or sent.key or "", _keyed_apart(delivery)
    # Where `id` points to may be mended with the rest, and what it says is among the bytes.
    of_bytes = "" if source.can_be_multiplied else sent.key or ""
    by_bytes = vault.hash("bytes", source.name, of_bytes, stamp.without(sent.raw))
    plain = by_bytes if state == INVALID else content_key(vault, source.name, key, mapped)
    twin = None if state == INVALID else twin_key(source, sent.raw, mapped, vault)
    email, phone = (mapped.profile.get(name) for name in CONTACTS)
    return Entry(
        delivery=delivery,
        box=vault.seal(payload, delivery.receipt),
        **_keys(plain, twin, owner, vault),
        raw_key=by_bytes if state == QUEUED else None,
        id_hash=vault.hash("key", source.name, key) if key else None,
        window=None if key else twin_window(source) if state == INVALID else source.repeat_window,
        twin_window=twin_window(source),
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


def _keys(plain: bytes, twin: bytes | None, owner: tuple[str, ...] | None, vault: Vault) -> dict[str, Any]:
    """Return the keys of an entry; ``owner``: what they are apart from others by."""
    if owner is None:
        return {"repeat_key": plain, "twin_key": twin}
    return {
        "repeat_key": vault.hash(*owner, plain),
        "plain_key": plain,
        "twin_key": vault.hash(*owner, twin) if twin is not None else None,
        "plain_twin": twin,
    }


def _payload(source: Source, sent: Submission, mapped: Mapped, state: str) -> dict[str, Any]:
    payload = to_send(mapped, source)
    if state != HELD:  # of what may be a bot's, no more is kept than would be sent
        payload |= {"body": sent.raw, "content_type": sent.content_type}
        if sent.key:  # a corrected one is still recognised by it
            payload["key"] = sent.key
    if source.captcha:
        payload["captcha"] = _token(sent.fields.get(source.captcha.field))
    if state == INVALID:  # what is needed beside the body when it is mapped again
        payload.pop("profile")
        payload |= {"page": sent.page, "wording": dict(sent.wording)}
    return payload


def _token(shown: Any) -> str:
    """Return what a captcha gave its visitor: the first where a form has the field twice, once left empty."""
    given = shown if isinstance(shown, list) else [shown]
    return next((one for one in given if isinstance(one, str) and one), "")


def header_key(source: Source, incoming: Incoming) -> str | None:
    """Return what the sender calls this submission in a header, if it says so in a usable way."""
    for name in (source.id_header, None if source.is_signed else "idempotency-key"):
        text = incoming.headers.get(name.lower(), "").strip() if name else ""
        if submission.is_key(text):
            return text
    return None
