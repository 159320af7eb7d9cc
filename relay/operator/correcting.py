"""Values of a row are corrected by hand, and validated as its source would; consent stays as it was given."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from relay.config.settings import Settings
from relay.delivery import INVALID
from relay.operator.acting import Plan, check_possible, plan
from relay.operator.actions import EDIT
from relay.operator.errors import CannotDo, Unfitting
from relay.operator.remap import mended_by, opened, parsed, source_of
from relay.sources.mapping import NO_CONSENT
from relay.sources.source import Source
from relay.sources.text import is_blank
from relay.vault import Vault


def corrected(row: Mapping[str, Any], values: Mapping[str, Any], settings: Settings, vault: Vault) -> Plan:
    """Return what becomes of an invalid or refused row with some values corrected.

    Raises CannotDo, Unfitting.
    """
    check_possible(EDIT, row, settings)
    source = source_of(row, settings)
    if unknown := sorted(set(values) - set(source.mapping.rules)):
        known = ", ".join(source.mapping.rules)
        raise Unfitting(f"{row['source']} has no field {unknown[0][:40]!r}; it has {known}")
    if not values:
        raise Unfitting("values are needed: the corrected ones by profile field")
    _check_consent(row, values, source)
    payload = opened(row, vault)
    kept = payload.get("profile") or {}
    try:
        fields = parsed(source, payload)
    except CannotDo:
        fields = {}  # what cannot be read can be typed in all the same
    withheld = None if row["state"] == INVALID else _withheld(row, kept, source)
    removed = _removed(payload, values)
    mapped = source.mapping.correct(fields, {**dict.fromkeys(removed), **kept, **values}, withheld)
    if not mapped.ok:
        raise Unfitting("The corrected values cannot be used; see errors.", mapped.errors)
    mended = mended_by(row, source, {**payload, "removed": removed}, mapped, vault)
    if row["state"] != INVALID:
        mended = replace(mended, consent=row["consent"])
    return plan(EDIT, row, settings, mended)


def _removed(payload: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Return the fields that were taken out, now or by an earlier correction: the body still has them."""
    now = {name for name, value in values.items() if is_blank(value)}
    return sorted((now | set(payload.get("removed", ()))) - (values.keys() - now))


def _check_consent(row: Mapping[str, Any], values: Mapping[str, Any], source: Source) -> None:
    """Refuse a contact whose box was not ticked when the person signed up, or that was not asked for."""
    if not row["consent"]:
        return
    ticked = _ticked(row)
    without = [name for name in source.mapping.consent if values.get(name) and name not in ticked]
    if without:
        raise Unfitting("There is no consent for this contact.", {name: [NO_CONSENT] for name in without})


def _withheld(row: Mapping[str, Any], kept: Mapping[str, Any], source: Source) -> set[str]:
    """Return the contacts that may not be sent: all but those that were mapped, or whose box was ticked.

    The row is asked, not its body: of a suspect there is none, and the source's boxes may be others today.
    """
    return set(source.mapping.consent) - set(kept) - _ticked(row)


def _ticked(row: Mapping[str, Any]) -> set[str]:
    said = json.loads(row["consent"]) if row["consent"] else {}
    return {name for name, box in said.items() if box["ticked"]}
