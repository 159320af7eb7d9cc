"""Kept payloads are opened, and mapped again with the present configuration."""

import json
from collections.abc import Mapping
from typing import Any

from relay.config.settings import Settings
from relay.intake.content import (
    body_key,
    consent_proof,
    contact_hash,
    content_key,
    extra_of,
    to_send,
    twin_key,
)
from relay.operator.errors import CannotDo
from relay.outbox.hints import sealed_hint
from relay.outbox.moves import NOTHING, Keys, Mended
from relay.sources.body import BadBody
from relay.sources.mapping import CONTACTS, Mapped
from relay.sources.source import Source
from relay.vault import CannotOpen, Vault

_SECRET = "(the sender's secret)"


def opened(row: Mapping[str, Any], vault: Vault) -> dict[str, Any]:
    """Return the payload that a row still has. Raises CannotDo."""
    try:
        payload: dict[str, Any] = vault.open(row["payload"], row["receipt"])
    except CannotOpen as problem:
        raise CannotDo(f"cannot be read: {problem}") from None
    return payload


def parsed(source: Source, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a kept body. Raises CannotDo."""
    if "body" not in payload:
        raise CannotDo("is without the body that was sent: of a suspect no more is kept than would be sent")
    try:
        return source.read(payload["body"], payload["content_type"]).fields
    except BadBody as problem:
        raise CannotDo(str(problem)) from None


def map_again(source: Source, payload: Mapping[str, Any]) -> Mapped:
    """Return what a kept payload comes to now. Raises CannotDo, naming the fields."""
    fields = parsed(source, payload)
    if source.leaves_out(fields):
        raise CannotDo("is no sign-up: `only` or `unless` leaves it out")
    mapped = source.mapping.apply(fields)
    if not mapped.ok:
        raise CannotDo("cannot be mapped: " + ", ".join(sorted(mapped.errors)))
    return mapped


def source_of(row: Mapping[str, Any], settings: Settings) -> Source:
    """Return the source of a row whose payload is still there. Raises CannotDo."""
    source = settings.sources.get(row["source"])
    if source is None or row["payload"] is None:
        raise CannotDo(f"source {row['source']} is gone, or its payload is")
    return source


def mended_by(
    row: Mapping[str, Any], source: Source, payload: dict[str, Any], mapped: Mapped, vault: Vault
) -> Mended:
    """Return a row's columns for what its payload comes to now."""
    if "body" in payload:  # else nothing is there to make another update from
        payload = {name: kept for name, kept in payload.items() if name != "update"}
    payload = {**payload, **to_send(mapped, source)}
    email, phone = (mapped.profile.get(name) for name in CONTACTS)
    return Mended(
        box=vault.seal(payload, row["receipt"]),
        hint=sealed_hint(payload, row["receipt"], vault),
        # From now on a repeat is recognised by what it says, not by its bytes.
        plain_key=content_key(vault, source.name, _key_of(source, payload), mapped),
        twin_key=_twin_key(source, payload, mapped, vault),
        email_hash=contact_hash(vault, email),
        phone_hash=contact_hash(vault, phone),
        dropped=json.dumps(mapped.dropped) if mapped.dropped else None,
        consent=consent_proof(mapped, payload.get("page"), row["received_at"], payload.get("wording") or {}),
    )


def _key_of(source: Source, payload: Mapping[str, Any]) -> str:
    """Return what the sender calls it: as a repeat says now, though `id` was mended in between."""
    try:
        key = body_key(source, parsed(source, payload))
    except CannotDo:
        key = None
    return key or payload.get("key") or ""


def _twin_key(source: Source, payload: Mapping[str, Any], mapped: Mapped, vault: Vault) -> bytes | None:
    """Return what a repeat is recognised by whatever its key; None, as it was, where the bytes are gone."""
    if not source.is_form and "body" not in payload:
        return None
    return twin_key(source, payload.get("body", b""), mapped, vault)


def lacking_keys(row: Mapping[str, Any], settings: Settings, vault: Vault) -> Keys:
    """Return the plain keys of a row that an earlier version stored without them, from what it kept.

    Else it would be sent again although another that says the same was. Tests have no twin, each being one
    of its own.
    """
    source = settings.sources.get(row["source"])
    known = row["is_test"] or row["twin_key"] is not None or row["plain_twin"] is not None
    if known or source is None or row["payload"] is None:
        return NOTHING
    try:
        payload = opened(row, vault)
    except CannotDo:  # it will not be sent either
        return NOTHING
    if "profile" not in payload:  # nothing could be mapped, or only its update is left to send
        return NOTHING
    mapped = Mapped(payload["profile"], extra=extra_of(payload.get("update") or {}))
    twin = _twin_key(source, payload, mapped, vault)
    if row["id_hash"] is not None:  # of a suspect its sender's key was not kept
        return Keys(None, twin)
    return Keys(content_key(vault, source.name, "", mapped), twin)


def revealed(row: Mapping[str, Any], payload: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return what is personal in a row: its profile, and all that was sent where it could not all be mapped.

    That is without the secret that some senders show in it: who may see people could else pose as their
    sender. A source may have been renamed, or proven otherwise since, so all secrets in force are looked for.
    """
    found = {name: payload[name] for name in ("profile", "update") if payload.get(name)}
    if not found or (row["dropped"] and "body" in payload):
        source = settings.sources.get(row["source"])
        secrets = {secret for one in settings.sources.values() for secret in one.secrets if secret}
        try:
            found["body"] = _of(source, payload, secrets) if source else _text(payload["body"], secrets)
        except CannotDo:
            found["body"] = _text(payload["body"], secrets)
    return {"receipt": row["receipt"], **found}


def _of(source: Source, payload: Mapping[str, Any], secrets: set[bytes]) -> dict[str, Any]:
    """Return the fields of a kept body without secrets, also the one it was proven by. Raises CannotDo."""
    fields = parsed(source, payload)
    shown = source.verifier.shown_in(fields) if source.verifier is not None else None
    texts = {secret.decode(errors="replace") for secret in secrets} | ({shown} if shown else set())
    found: dict[str, Any] = _without(texts, fields)
    return found


def _without(secrets: set[str], value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without(secrets, one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without(secrets, one) for one in value]
    return _SECRET if isinstance(value, str) and value in secrets else value


def _text(body: bytes, secrets: set[bytes]) -> str:
    """Return a body that cannot be read, as far as it is text, without secrets."""
    for secret in secrets:
        body = body.replace(secret, _SECRET.encode())
    return body.decode("utf-8", "replace")
