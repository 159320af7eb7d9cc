"""Rows as operators see them: everything but what is personal."""

import json
from collections.abc import Mapping
from typing import Any

from relay import clock
from relay.delivery import QUEUED
from relay.outbox.hints import opened_hint
from relay.vault import Vault


def shown(row: Mapping[str, Any], vault: Vault) -> dict[str, Any]:
    """Return a row as lists have it."""
    return {
        "receipt": row["receipt"],
        "source": row["source"],
        "state": row["state"],
        "reason": row["reason"],
        "attempts": row["attempts"],
        "may_be_duplicate": bool(row["may_be_duplicate"]),
        "received_at": clock.iso(row["received_at"]),
        "due_at": clock.iso(row["due_at"]) if row["state"] == QUEUED else None,
        "delivered_at": clock.iso(row["delivered_at"]),
        "profile_id": row["profile_id"],
        "trace_id": row["trace_id"],
        "contact_hint": opened_hint(row, vault),
        "dropped": [*_listed(row["dropped"]), *_listed(row["ignored_files"])],
        "consent": _proof(row),
        "fence": row["fence"],
    }


def _proof(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the proof of consent. Nobody knows when that of a table was given, only when it came."""
    found: dict[str, Any] | None = json.loads(row["consent"]) if row["consent"] else None
    if not (found and row["is_imported"]):
        return found
    return {
        name: {"imported_at" if key == "at" else key: value for key, value in said.items()}
        for name, said in found.items()
    }


def _listed(text: str | None) -> list[Any]:
    return list(json.loads(text)) if text else []


def sends(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every send of a row, in order."""
    return [
        {
            "kind": row["kind"],
            "started_at": clock.iso(row["started_at"]),
            "seconds": row["seconds"],
            "outcome": row["outcome"],
            "status": row["status"],
        }
        for row in history
    ]


def act(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of the audit log."""
    return {
        "at": clock.iso(row["at"]),
        "by": row["by"],
        "action": row["action"],
        "receipt": row["receipt"],
        "filter": row["filter"],
        "count": row["count"],
        "detail": row["detail"],
    }
