"""What is stored of a mapped profile, at the door and when a kept payload is mapped again."""

import json
from collections.abc import Mapping
from typing import Any

from relay import clock
from relay.sources.mapping import Mapped
from relay.sources.source import Source
from relay.vault import Vault


def to_send(mapped: Mapped, source: Source) -> dict[str, Any]:
    """Return the part of a payload that is sent: the profile, and the update that follows it."""
    payload: dict[str, Any] = {"profile": mapped.profile}
    if mapped.extra:
        payload["update"] = _update_body(mapped.extra, source)
    return payload


def _update_body(extra: Mapping[str, Any], source: Source) -> dict[str, Any]:
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


def extra_of(update: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an update was made of."""
    properties = update.get("custom_properties") or {}
    named = json.loads(properties) if isinstance(properties, str) else properties
    rest = {name: value for name, value in update.items() if name != "custom_properties"}
    return {**rest, **{f"custom_properties:{name}": value for name, value in named.items()}}


def content_key(vault: Vault, source: str, key: str, mapped: Mapped) -> bytes:
    """Return what a repeat is recognised by: its source, the sender's key for it, and its content."""
    content = json.dumps([mapped.profile, mapped.extra], sort_keys=True)
    return vault.hash("content", source, key, content)


def body_key(source: Source, fields: Mapping[str, Any]) -> str | None:
    """Return what the sender calls this submission in its body, by the configuration as it is now."""
    found = source.id_path.find(fields) if source.id_path is not None else None
    if isinstance(found, str | int) and not isinstance(found, bool) and str(found).strip():
        return str(found).strip()[:1000]
    return None


def twin_key(source: Source, raw: bytes, mapped: Mapped, vault: Vault) -> bytes | None:
    """Return what a repeat is recognised by whatever key it carries, if there is such a thing.

    A form's visitor may post twice under two keys, and who saw a signed message can give it another id.
    """
    if source.is_form:
        return content_key(vault, source.name, "", mapped)
    return vault.hash("signed", source.name, raw) if source.can_be_multiplied else None


def twin_window(source: Source) -> float | None:
    """Return for how long a twin is a repeat; None: as long as the earlier one is there."""
    is_timeless = source.can_be_multiplied and source.verifier and not source.verifier.covers_time
    return None if is_timeless else source.repeat_window


def contact_hash(vault: Vault, contact: str | None) -> bytes | None:
    """Return what a contact is searched by; e-mail addresses regardless of case."""
    return vault.hash("contact", contact.casefold()) if contact else None


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
