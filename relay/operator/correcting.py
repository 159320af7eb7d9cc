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
from relay.vault import Vault


def corrected(row: Mapping[str, Any], values: Mapping[str, Any], settings: Settings, vault: Vault) -> Plan:
    """Return what becomes of an invalid or refused row with some values corrected.

    Raises CannotDo, Unfitting.
    """
    check_possible(EDIT, row)
    source = source_of(row, settings)
    if unknown := sorted(set(values) - set(source.mapping.rules)):
        known = ", ".join(source.mapping.rules)
        raise Unfitting(f"{row['source']} has no field {unknown[0][:40]!r}; it has {known}")
    if not values:
        raise Unfitting("values are needed: the corrected ones by profile field")
    _check_consent(row, values, source)
    payload = opened(vault, row["receipt"], row["payload"])
    known_values = {**(payload.get("profile") or {}), **values}
    try:
        fields = parsed(source, payload)
    except CannotDo:
        fields = {}  # what cannot be read can be typed in all the same
    mapped = source.mapping.correct(fields, known_values)
    if not mapped.ok:
        raise Unfitting("The corrected values cannot be used; see errors.", mapped.errors)
    mended = mended_by(row, source, payload, mapped, vault)
    if row["state"] != INVALID:
        mended = replace(mended, consent=row["consent"])
    return plan(EDIT, row, settings, mended)


def _check_consent(row: Mapping[str, Any], values: Mapping[str, Any], source: Source) -> None:
    """Refuse a contact whose box was not ticked when the person signed up, or that was not asked for."""
    if not row["consent"]:
        return
    ticked = {name for name, said in json.loads(row["consent"]).items() if said["ticked"]}
    without = [name for name in source.mapping.consent if values.get(name) and name not in ticked]
    if without:
        raise Unfitting("There is no consent for this contact.", {name: [NO_CONSENT] for name in without})
