"""Field rules of a source become a mapping."""

from typing import Any

from relay.config.presets import _shared_labels
from relay.config.schemas import pattern
from relay.sources.paths import Entries, Labels, Place, plain
from relay.sources.paths import Path as FieldPath

UPDATE_FIELDS = ("lists", "custom_properties", "organization_id", "comment")


def _flat(update: dict[str, Any]) -> dict[str, Any]:
    """Return the rules of an update, each custom property as ``custom_properties:<name>``."""
    properties = update.get("custom_properties")
    if not isinstance(properties, dict):
        return update
    rest = {name: rule for name, rule in update.items() if name != "custom_properties"}
    return {**rest, **{f"custom_properties:{name}": rule for name, rule in properties.items()}}


def _place(given: Any) -> Place:
    """Return where a value is found. Raises ValueError."""
    if isinstance(given, str) and given:
        return FieldPath(given)
    if isinstance(given, dict) and set(given) <= {"labels", "within", "strip"}:
        within, strip = given.get("within"), given.get("strip")
        if isinstance(within, str | None) and isinstance(strip, str | None):
            within = FieldPath(within) if within else None
            try:
                compiled = pattern(strip) if strip else None
            except ValueError as error:
                raise ValueError(f"strip {error}") from None
            return Labels(_labels(given.get("labels")), within, compiled)
    raise ValueError("a path must be a text, or a table with labels")


def _labels(given: Any) -> tuple[str, ...]:
    labels = _shared_labels(given) if isinstance(given, str) else given
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise ValueError('labels must be a list of texts, or the name of a known one like "email"')
    reduced = tuple(map(plain, labels))
    if not all(reduced):
        raise ValueError("a label must have a letter or digit")
    return reduced


def _entries(table: dict[str, Any] | None) -> Entries | None:
    if table is None:
        return None
    return Entries(**{**table, "names": tuple(table["names"])})
